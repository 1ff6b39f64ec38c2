"""Commands of what goes in: annotations of other programs. Does not belong here: the work (`exchange`)."""
