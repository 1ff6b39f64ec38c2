"""What goes in and out: rows about files of other programs. Does not belong here: the formats themselves."""
