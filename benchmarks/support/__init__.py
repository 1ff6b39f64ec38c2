"""What several measurements share: archives and clips, servers, loaders, how a row is measured and shown.

Belongs here: what more than one measurement uses. Does not belong here: anything that is run by its name.
"""
