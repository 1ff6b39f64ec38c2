"""Patterns of a network."""
