"""Columns in memory that answer pages without reading everything again: when they are of the past, and of what."""
