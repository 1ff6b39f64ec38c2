"""Crops of tracks, and the pictures that people see."""
