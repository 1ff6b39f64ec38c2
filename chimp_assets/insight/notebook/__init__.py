"""Notebooks and scripts in which researchers go on by themselves, on their own archive."""
