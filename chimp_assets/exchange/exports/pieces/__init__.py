"""What several exports are made of.

Belongs here: chosen tracks video by video, boxes of a video, moments and names as other programs write them.
Does not belong here: formats (the other rooms), which tracks are chosen (`selection`).
"""
