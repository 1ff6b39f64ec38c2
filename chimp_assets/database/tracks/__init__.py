"""Tracks that took the place of others: what is on record of them, and what they belong to."""
