"""What every format shares once it is read: media to videos, times to kept pictures, tracks, names, the report.

Belongs here: everything behind a `Reading`. Does not belong here: reading one format (the modules above this folder).
"""
