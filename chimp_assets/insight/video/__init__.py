"""One video: who is in it when, its boxes, and the videos beside it."""
