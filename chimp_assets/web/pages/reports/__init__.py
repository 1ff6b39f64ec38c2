"""Pages of dated reports."""
