"""Rows about videos: cameras, times of recording counted, what a listing passed over."""
