"""What the archive and the labels say, as numbers for pages: progress, individuals, who was seen with whom.

Belongs here: reading and counting, each number with what it rests on. Does not belong here: HTTP and templates (`web`).
"""
