"""Boxes linked into tracks, one animal each."""
