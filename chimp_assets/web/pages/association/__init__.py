"""Pages of changes in who is together."""
