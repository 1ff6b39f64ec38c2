"""Pages of tracks that look like examples."""
