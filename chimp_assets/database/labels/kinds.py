"""The kinds of label events, and what an event is about: one track or a pair.

Belongs here: which kinds are answers, names, answers about pairs or evidence; the subject of a stored event. Does not
belong here: the closed vocabularies themselves (`schema`), and which answer stands (`answers`).
"""

from __future__ import annotations

from typing import Any

# What may be the effective answer of a track. A skip is an event, never an answer.
ANSWER_KINDS = ("identify", "unknown", "new_individual", "not_animal", "bad_box", "cannot_tell")
NAMING_KINDS = ("identify", "new_individual")
PAIR_KINDS = ("merge", "same", "different")
# What may be the effective answer about a pair of tracks: the last only with an other_track_id.
PAIR_ANSWER_KINDS = ("same", "different", "cannot_tell")
# Whether a track shows one individual. Neither is an answer of the track: what follows from them is `track_evidence`.
EVIDENCE_KINDS = ("is_individual", "not_individual")
# What names an individual by its anim_id.
ABOUT_SOMEBODY = (*NAMING_KINDS, *EVIDENCE_KINDS)


def pair_of(row: dict[str, Any]) -> frozenset[int]:
    """The two tracks of an event about a pair; empty for others."""
    about_two = row["kind"] in PAIR_KINDS or (
        row["kind"] in ("cannot_tell", "skip") and row["other_track_id"] is not None
    )
    return frozenset({row["track_id"], row["other_track_id"]}) if about_two else frozenset()


def subject_of(row: dict[str, Any]) -> frozenset[int]:
    """The track of an event, or both tracks of an event about a pair."""
    return pair_of(row) or frozenset({row["track_id"]})
