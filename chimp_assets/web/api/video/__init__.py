"""Facts of one video."""
