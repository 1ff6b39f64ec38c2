"""The kinds of label events, and what an event is about: one track or a pair.

Belongs here: which kinds are answers, names, answers about pairs or evidence; the subject of a stored event. Does not
belong here: the closed vocabularies themselves (`schema`), and which answer stands (`answers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.evidence import EVIDENCE_KINDS
from chimp_assets.database.schema import IS_IT

# What may be the effective answer of a track. A skip is an event, never an answer.
ANSWER_KINDS = ("identify", "unknown", "new_individual", "not_animal", "bad_box", "cannot_tell")
NAMING_KINDS = ("identify", "new_individual")
PAIR_KINDS = ("merge", "same", "different")
# What may be the effective answer about a pair of tracks: the last only with an other_track_id.
PAIR_ANSWER_KINDS = ("same", "different", "cannot_tell")
# Who is asked whether it is X may also pass. In the lane is_it these are about that question alone.
UNDECIDED_KINDS = ("cannot_tell", "skip")
# What names an individual by its anim_id.
ABOUT_SOMEBODY = (*NAMING_KINDS, *EVIDENCE_KINDS)


def pair_of(row: dict[str, Any]) -> frozenset[int]:
    """The two tracks of an event about a pair; empty for others."""
    about_two = row["kind"] in PAIR_KINDS or (
        row["kind"] in ("cannot_tell", "skip") and row["other_track_id"] is not None
    )
    return frozenset({row["track_id"], row["other_track_id"]}) if about_two else frozenset()


def is_word(row: Mapping[Any, Any]) -> bool:
    """Whether an event is a word about one individual: evidence, or that somebody asked for it could not tell."""
    undecided = row["kind"] in UNDECIDED_KINDS and row["other_track_id"] is None
    return row["kind"] in EVIDENCE_KINDS or (undecided and row["lane"] == IS_IT)


def is_answer(event: sa.FromClause) -> sa.ColumnElement[bool]:
    """Of `annotation`: an answer about one track. That nobody can tell is one only where it is about the track, not
    about a pair, and not about one individual of whom somebody was asked."""
    a = event.c
    about_track = sa.and_(a.other_track_id.is_(None), a.lane != IS_IT)
    return sa.and_(a.kind.in_(ANSWER_KINDS), sa.or_(a.kind != "cannot_tell", about_track))


def subject_of(row: dict[str, Any]) -> frozenset[int]:
    """The track of an event, or both tracks of an event about a pair."""
    return pair_of(row) or frozenset({row["track_id"]})
