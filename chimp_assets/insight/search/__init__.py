"""Search over all tracks: the question in an address, columns in memory, counts by facet."""
