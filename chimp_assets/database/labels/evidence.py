"""What people say about "is this X?", for everybody who stores or reads labels.

Belongs here: the names to import. Does not belong here: the rule and its table (`database.evidence`), which individuals
follow as well when they are merged.
"""

from chimp_assets.database.evidence import (
    TrackEvidence,
    chance_of,
    denials_of,
    evidence_of,
    is_denied,
    keep_evidence,
    tracks_to_name_again,
    tracks_with_evidence,
)

__all__ = [
    "TrackEvidence",
    "chance_of",
    "denials_of",
    "evidence_of",
    "is_denied",
    "keep_evidence",
    "tracks_to_name_again",
    "tracks_with_evidence",
]
