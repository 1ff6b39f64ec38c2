"""Pages of imported tables."""
