"""Tracks that are found, marked and named at once.

Belongs here: the second look with hidden look-alikes, and the answer (`confirming`). Does not belong here: pages of
many tracks that a plan asks (`web.api.grid`), finding (`insight.search`, `insight.similar`).
"""
