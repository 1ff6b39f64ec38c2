"""Screens on which the questions of the cookbook are asked.

Belongs here: handlers. Does not belong here: asking and drawing (`insight.questions`), the SQL (`sql/queries`).
"""
