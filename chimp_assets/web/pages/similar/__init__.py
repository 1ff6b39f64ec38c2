"""More like this: the page of tracks that look alike.

Belongs here: the page and its CSV (`page`). Does not belong here: the answer (`insight.similar`).
"""
