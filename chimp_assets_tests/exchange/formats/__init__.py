"""Readers of annotation formats, on files as the programs write them."""
