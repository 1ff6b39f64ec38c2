"""The archive as a list of videos: what counts as one, whose camera filmed it, what is new."""
