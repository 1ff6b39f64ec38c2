"""Two periods compared."""
