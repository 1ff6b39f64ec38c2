"""Pieces and strips of videos, as the server gives them."""
