"""Exports for programs that train, draw or measure boxes and tracks.

Belongs here: formats of boxes. Does not belong here: reading boxes from the database (`footage`).
"""
