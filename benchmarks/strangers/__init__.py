"""Individuals that nobody named: how often they are flagged, by the head and by other scores of a track.

Belongs here: the measurement (`__main__`) and scores beside the product's (`scores`). Does not belong here: the crops
and splits (`support.crops`), the head.
"""
