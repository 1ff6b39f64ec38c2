"""Associations: individuals seen together, dyads, the network."""
