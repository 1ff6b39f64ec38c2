"""Association indices from uncertain names."""
