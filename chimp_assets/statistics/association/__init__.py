"""Association indices of pairs from names that may be wrong, on plain arrays: numpy and scipy only."""
