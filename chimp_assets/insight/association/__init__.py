"""Who was seen with whom: clips, dyads, the network."""
