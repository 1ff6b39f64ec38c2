"""The pages of a plan: many tracks of one individual, where confirming them at once names more frames a second.

A page that is worth more than single questions takes its tracks before they are asked alone. Where nobody has opened a
page since pages were last planned, none are: their tracks are asked alone, until somebody asks for a page.

Belongs here: which tracks a plan may put on pages, and the reason in words. Does not belong here: which of them are
worth it (`acquisition.minutes.pages`), rows (`database.work.pages`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.duplicates import AskedTracks
from chimp_assets.acquisition.minutes.goal import Goal, reach
from chimp_assets.acquisition.minutes.pages import (
    BY_PEOPLE_ONLY,
    LEAST_TRACKS,
    AskableTracks,
    TrackPage,
    pages_worth_asking,
)
from chimp_assets.acquisition.pool import IN_FLIGHT, TrackPool
from chimp_assets.arrays import located, rows_of
from chimp_assets.database import schema as t
from chimp_assets.database.work.pages import PageOfMany
from chimp_assets.loop.minutes.names import TrackNaming

if TYPE_CHECKING:
    from chimp_assets.settings import AcquisitionSettings

MOST_PAGES = 4
"""Of one plan: after the answers to two of them a new one is due, which knows what they taught."""
PASSES = 8
"""Times that pages are chosen again without the copies that were found on them."""


@dataclass(frozen=True)
class PageOffer:
    """What a plan knows about pages. threshold: chance from which names of the machine are carried."""

    naming: TrackNaming
    threshold: float


def read_offer(
    conn: sa.Connection, wanted: AcquisitionSettings, naming: TrackNaming | None, goal: Goal | None = None
) -> PageOffer | None:
    """What a plan needs to offer pages; None where no head names anything, or nobody opens pages. goal: whose threshold
    holds."""
    if naming is None or not _are_opened(conn):
        return None
    by_people = wanted.named_by == "people"
    threshold = BY_PEOPLE_ONLY if by_people else reach(naming.names, goal or Goal()).threshold
    return PageOffer(naming, threshold)


def _are_opened(conn: sa.Connection) -> bool:
    """Whether somebody has opened a page since pages were last planned; True if they never were."""
    page = t.grid_page.c
    newest = conn.scalar(sa.select(sa.func.max(page.round_id)))
    if newest is None:
        return True
    first = sa.select(sa.func.min(page.page_id)).where(page.round_id == newest).scalar_subquery()
    opened = sa.select(page.page_id).where(page.page_id >= first, page.leased_by.is_not(None))
    return conn.scalar(opened.limit(1)) is not None


def pages_to_ask(
    offer: PageOffer | None,
    pool: TrackPool,
    names: Mapping[int, str],
    duplicate_likeness: float,
    most_pages: int = MOST_PAGES,
) -> list[PageOfMany]:
    """The pages of a plan, the best first. names: of individuals, by key. Tracks of the audit reserve and of test days,
    answered and leased ones are never on a page, nor is a copy of one that was asked or is on a page already."""
    if offer is None:
        return []
    rows = np.flatnonzero(pool.may_train())
    here, row = located(offer.naming.track_id, pool.track[rows])
    chance, individual = np.zeros(len(rows)), np.full(len(rows), -1, np.int64)
    chance[here] = offer.naming.names.chance[row[here]]
    individual[here] = offer.naming.individual_id[row[here]]
    on_page = np.ones(len(rows), bool)
    before = AskedTracks(pool)
    pages: list[TrackPage] = []
    for _ in range(PASSES):
        tracks = AskableTracks(pool.value[rows].astype(np.float64), chance, individual, on_page)
        pages = pages_worth_asking(tracks, offer.naming.prices, offer.threshold, most_pages)
        if not pages:
            return []
        shown = np.concatenate([page.rows for page in pages])
        copies = shown[before.already(rows[shown], duplicate_likeness)]
        if not len(copies):
            break
        on_page[copies] = False
    else:
        pages = [page for page in pages if not np.isin(page.rows, copies).any() and len(page.rows) >= LEAST_TRACKS]
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


def without_pages(pool: TrackPool, pages: Sequence[PageOfMany]) -> TrackPool:
    """The pool for everything else that a plan asks: tracks on its pages count as in flight."""
    if not pages:
        return pool
    state = pool.state.copy()
    shown = np.array([track_id for page in pages for track_id in page.track_ids], np.int64)
    state[rows_of(pool.track, shown)] = IN_FLIGHT
    return replace(pool, state=state)
