"""Association indices with their errors."""
