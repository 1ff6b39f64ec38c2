"""The pages of a plan: many tracks of one individual, where confirming them at once names more frames a second.

Where somebody opens pages, a page takes its tracks before they are asked alone, since it names more. Where nobody has
opened one since pages were last planned, single questions come first, and pages are made of what they leave: whoever
never opens a page is not kept waiting for the tracks on it.

Belongs here: which tracks a plan may put on pages, and the reason in words. Does not belong here: which of them are
worth it (`acquisition.minutes.pages`), rows (`database.work.pages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.duplicates import AskedTracks
from chimp_assets.acquisition.minutes.pages import AskableTracks, TrackPage, pages_worth_asking
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import BLOCK_ROWS, LinearHead, TrackPool
from chimp_assets.arrays import BoolArray, I64Array
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.merges import as_merged
from chimp_assets.database.work.pages import PageOfMany
from chimp_assets.loop.minutes.worth import head_names

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import AcquisitionSettings

MOST_PAGES = 4
"""Of one plan: after the answers to two of them a new one is due, which knows what they taught."""
LONGEST = 1 << 16
"""Of so many tracks, those with most frames, pages are made: shorter ones name less, however sure their name is."""
PASSES = 8
"""Times that pages are chosen again without the tracks that may not be on them."""
_COUNTED = 1 << 16  # longer tracks count as so long


def pages_to_ask(
    db: Database,
    pool: TrackPool,
    head: LinearHead | None,
    worth: FrameWorth,
    wanted: AcquisitionSettings,
    names: Mapping[int, str],
    same: Mapping[int, int],
    alone: I64Array | None = None,
    most_pages: int = MOST_PAGES,
) -> list[PageOfMany]:
    """The pages of a plan, the best first; none without a head.

    names: of individuals, by key; same: merged individuals; alone: i64, rows that the plan asks alone. Tracks of the
    audit reserve and of test days, answered and leased ones are never on a page, nor what people denied, what the head
    does not know, and copies of tracks that were asked or are on a page already. Nothing is drawn: every chance is 1.
    """
    if head is None:
        return []
    may = pool.may_train()
    if alone is not None:
        may[alone] = False
    rows = _longest(pool, may)
    probability, class_no = head_names(pool, head, rows)
    individual = as_merged(class_no, same) if same else class_no
    chance, frames = worth.line.of(probability), pool.value[rows].astype(np.float64)
    on_page = np.ones(len(rows), bool)
    asked: AskedTracks | None = None
    pages: list[TrackPage] = []
    for _ in range(PASSES):
        tracks = AskableTracks(frames, chance, individual, on_page)
        pages = pages_worth_asking(tracks, worth.prices, worth.threshold, most_pages)
        if not pages:
            return []
        shown = np.concatenate([page.rows for page in pages])
        asked = asked or AskedTracks(pool)
        out = asked.already(rows[shown], wanted.duplicate_likeness, also=alone)
        out |= barred(db, head.version, pool.track[rows[shown]], individual[shown], same)
        if not out.any():
            break
        on_page[shown[out]] = False
    else:
        pages = [page for page in pages if on_page[page.rows].all()]
    return [
        PageOfMany(
            page.individual,
            pool.track[rows[page.rows]].tolist(),
            page.chance.tolist(),
            reason_of(len(page.rows), page.frames, page.seconds, names.get(page.individual, str(page.individual))),
        )
        for page in pages
    ]


def reason_of(n: int, frames: float, seconds: float, who: str) -> str:
    """Why a page is asked, for a person."""
    return f"{n} tracks, {frames:,.0f} frames, some {seconds:.0f} seconds: the model says {who}."


def come_first(db: Database) -> bool:
    """Whether somebody has opened a page since pages were last planned, or ever, if they never were."""
    page = t.grid_page.c
    with db.read() as conn:
        newest = sa.select(sa.func.max(page.round_id)).scalar_subquery()
        first = conn.scalar(sa.select(sa.func.min(page.page_id)).where(page.round_id == newest)) or 0
        opened = sa.select(page.page_id).where(page.page_id >= first, page.leased_by.is_not(None))
        return conn.scalar(opened.limit(1)) is not None


def _longest(pool: TrackPool, may: BoolArray) -> I64Array:
    """Rows of the LONGEST tracks of those that may be asked, the first ones of equal length. i64, ascending."""
    counts = np.zeros(_COUNTED, np.int64)
    for low in range(0, len(pool), BLOCK_ROWS):
        block = slice(low, low + BLOCK_ROWS)
        length = np.minimum(pool.value[block][may[block]], _COUNTED - 1).astype(np.int64)
        counts += np.bincount(length, minlength=_COUNTED) if len(length) else 0
    if int(counts.sum()) <= LONGEST:
        return np.flatnonzero(may)
    from_above = np.cumsum(counts[::-1])[::-1]
    least = int(np.flatnonzero(from_above >= LONGEST)[-1])
    above = least + 1 if least + 1 < _COUNTED else np.inf
    longer = np.flatnonzero(may & (pool.value >= above))
    as_long = np.flatnonzero(may & (pool.value >= least) & (pool.value < above))
    return np.sort(np.concatenate([longer, as_long[: LONGEST - len(longer)]]))


def barred(
    db: Database, head_model_id: int, track_id: I64Array, individual: I64Array, same: Mapping[int, int]
) -> BoolArray:
    """Which tracks people denied to be this individual, or the head finds unknown to it: bool [n]."""
    said, score = t.track_evidence.c, t.track_score.c
    with db.read() as conn:
        denied = {
            (row.track_id, same.get(row.individual_id, row.individual_id))
            for row in rows_in_parts(
                conn,
                lambda part: sa.select(said.track_id, said.individual_id).where(
                    said.track_id.in_(part), said.state == "denied"
                ),
                track_id.tolist(),
            )
        }
        unknown = {
            row.track_id
            for row in rows_in_parts(
                conn,
                lambda part: sa.select(score.track_id).where(
                    score.model_id == head_model_id, score.track_id.in_(part), score.is_unknown.is_(sa.true())
                ),
                track_id.tolist(),
            )
        }
    pairs = zip(track_id.tolist(), individual.tolist(), strict=True)
    return np.array([one in unknown or (one, who) in denied for one, who in pairs], bool)
