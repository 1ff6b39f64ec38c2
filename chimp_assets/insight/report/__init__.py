"""The dated report of an archive: what was recorded, who was seen, who with whom, and how far the names can be trusted.

Belongs here: collecting its numbers, its words and its page, what is kept of it and how two are compared. Does not
belong here: measuring (`monitoring`, `loop`), serving it (`web.pages.report`), making it every night (`assets`).
"""
