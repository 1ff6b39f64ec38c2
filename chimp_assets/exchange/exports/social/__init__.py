"""Who was with whom, for programs of social networks: asnipe and ANTs, bisonR, STRAND.

Belongs here: groups and pairs of individuals from chosen tracks, and the formats of these programs.
Does not belong here: what the page and the cookbook say of associations (`insight.association`, `sql/views`).
"""
