"""Search over all tracks."""
