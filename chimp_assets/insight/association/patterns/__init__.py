"""Patterns of a network: who associates with his like, and which group associates more."""
