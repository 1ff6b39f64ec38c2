"""What the commands print, a module for each screen: sentences, tables, progress bars, errors, one line of JSON.

Everything is written through `output`. Does not belong here: what the commands do (`cli` and the rooms below it).
"""
