"""Gold for "is this X?": known tracks of X, where yes is right, and of others who look like X, where no is.

Belongs here: which known track takes the place of such a question, what is asked about, and its reason. Does not belong
here: how often, recording and judging (`gold`), which questions are asked (`acquisition.minutes.is_it`).

The individual of the question stays; only the track is another one. Those who are not X are the head's runners-up: a
track whose second likely name is X. Only where nobody looks like X for the head, any other known track is taken: such
ones are easy. A track that is shown as a picture of X is never asked about.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.acquisition.minutes.is_it import reason_of
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.web.labelling.items import LabellingQuestion, champion_head, standing_references
from chimp_assets.web.labelling.known_tracks import KnownTrack, known_tracks


@dataclass(frozen=True)
class _Known:
    """Known tracks of one individual, and those of others who look like her; both without pictures of her."""

    own: list[KnownTrack]
    alike: list[KnownTrack]
    others: list[KnownTrack]

    def draw(self, used: Collection[int]) -> KnownTrack | None:
        """One of them, of either kind at even odds; None where nothing is left."""
        # At even odds: who always says yes fails at half of them, and so does who always says no.
        for kind in random.sample([self.own, self.alike or self.others], 2):
            left = [one for one in kind if one.track_id not in used]
            if left:
                return random.sample(left, 1)[0]
        return None


def gold_for(
    conn: sa.Connection, user_id: int, questions: Sequence[LabellingQuestion], but: Collection[int]
) -> dict[int, KnownTrack]:
    """Known tracks by the items whose place they take; fewer where few are known. but: tracks that are not taken."""
    if not questions:
        return {}
    same = merged_ids(conn)
    known = [KnownTrack(k.track_id, same.get(k.individual_id, k.individual_id))
             for k in known_tracks(conn, user_id) if k.track_id not in but]  # fmt: skip
    asked = {q.individual_id: same.get(q.individual_id, q.individual_id) for q in questions if q.individual_id}
    alike = _runners_up(conn, {k.track_id: k.individual_id for k in known}, same)
    shown = standing_references(conn, set(asked.values()))
    of = {who: _known_of(who, known, alike, {photo["track_id"] for photo in shown.get(who, ())})
          for who in set(asked.values())}  # fmt: skip
    found: dict[int, KnownTrack] = {}
    for question in questions:
        used = {one.track_id for one in found.values()}
        one = of[asked[question.individual_id]].draw(used) if question.individual_id else None
        if one is not None:
            found[question.item_id] = one
    return found


def _known_of(who: int, known: Sequence[KnownTrack], alike: Mapping[int, int], shown: Collection[int]) -> _Known:
    others = [k for k in known if k.individual_id != who and k.track_id not in shown]
    return _Known(
        own=[k for k in known if k.individual_id == who and k.track_id not in shown],
        alike=[k for k in others if alike.get(k.track_id) == who],
        others=others,
    )


def _runners_up(conn: sa.Connection, known: Mapping[int, int], same: Mapping[int, int]) -> dict[int, int]:
    """Whom the head would name if the track were not who it is, by track. known: individual by track."""
    head = champion_head(conn)
    if head is None:
        return {}
    p = t.prediction.c
    names = sa.select(p.track_id, p.rank, p.individual_id).where(p.model_id == head["head_id"], p.rank <= 2)
    rows = rows_in_parts(conn, lambda part: names.where(p.track_id.in_(part)), known)
    found: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.rank):
        who = same.get(row.individual_id, row.individual_id)
        if who != known[row.track_id]:
            found.setdefault(row.track_id, who)
    return found


def reasons_of(conn: sa.Connection, track_ids: Collection[int]) -> dict[int, str]:
    """The reason of a question about each of these tracks, as a plan would give it."""
    k = t.track.c
    found: dict[int, str] = {}
    for part in in_parts(sorted(track_ids)):
        for row in conn.execute(sa.select(k.track_id, k.n_detections).where(k.track_id.in_(part))):
            found[row.track_id] = reason_of(row.n_detections)
    return found
