"""Whole tables for programs of data analysis, and their description.

Belongs here: Parquet, Croissant. Does not belong here: answers to questions (`insight.questions`).
"""
