"""Exports for programs of camera-trap studies: deployments, media and observations.

Belongs here: formats that count by cameras and days. Does not belong here: boxes (`boxes`).
"""
