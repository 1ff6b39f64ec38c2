"""Model files and model rows: what was learned, under which hash, which is the champion."""
