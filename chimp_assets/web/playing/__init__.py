"""Making what the page of a video plays, when somebody plays it."""
