"""Commands about what is watched, a module for each noun. Does not belong here: watching (`monitoring`)."""
