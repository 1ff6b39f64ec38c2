"""Two periods of days compared: which they are, and what changed between them."""
