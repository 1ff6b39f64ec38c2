"""Marked tracks that are named at once."""
