"""What goes in and out: annotations of other programs, and files for them, one format a file.

Belongs here: `imports` (files to rows and label events) and `exports` (the database to files). Does not belong here:
labels as our own import reads them (`database.files.label_files`), answers to questions (`insight.questions`).
"""
