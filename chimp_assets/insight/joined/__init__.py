"""Questions that join imported tables with sightings."""
