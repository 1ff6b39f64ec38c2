"""Pages of who is together, in a browser."""
