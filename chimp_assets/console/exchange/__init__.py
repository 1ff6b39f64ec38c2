"""What is printed of what goes in. Does not belong here: the work (`exchange`)."""
