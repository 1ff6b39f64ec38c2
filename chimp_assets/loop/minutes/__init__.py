"""The expert's minutes, from SQL to `acquisition.minutes` and back.

Belongs here: reading what answers cost and how far the archive is named, planning pages, questions and promises.
Does not belong here: their arithmetic (`acquisition.minutes`), the plan that they are part of (`plan`).
"""
