"""Pieces and strips of stored pictures."""
