"""How useful a track is for naming its animal, by the name under which tracking knows it.

Belongs here: nothing more; a person's cut is judged like a tracker's, in a room below. Does not belong here: the number
(`database.labels.rewriting.quality`).
"""

from chimp_assets.database.labels.rewriting.quality import quality_parts, track_quality

__all__ = ["quality_parts", "track_quality"]
