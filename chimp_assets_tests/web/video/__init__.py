"""The page of one video, in a browser."""
