"""Numbers about the archive and the labels, for pages: progress, individuals, associations.

Belongs here: reading and counting, each number with its source. Does not belong here: HTTP and templates (`web`).
"""
