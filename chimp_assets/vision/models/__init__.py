"""Model files and model rows: their bytes, their hashes, their states, the code that made them."""
