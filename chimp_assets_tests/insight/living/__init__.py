"""Columns in memory are those of now."""
