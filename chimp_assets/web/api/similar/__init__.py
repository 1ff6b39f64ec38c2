"""More like this, for programs.

Belongs here: answering requests of pages and programs alike (`answers`). Does not belong here: the page
(`pages.similar`).
"""
