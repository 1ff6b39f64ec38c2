"""What answers cost here: the seconds of the newest answers, by what the page had shown and what people said.

Belongs here: reading them and sorting them by price. Does not belong here: means and their prior
(`acquisition.minutes.prices`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.prices import Prices, learned
from chimp_assets.database import schema as t
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS
from chimp_assets.database.labels.shown import GALLERY, REVIEW, TOGETHER, Shown
from chimp_assets.loop.pool import pages_of

NEWEST, NEWEST_PAGES = 3_000, 300
"""Answers and pages that are read: people become faster, and pages are made anew."""

_EVIDENCE_KINDS = ("is_individual", "not_individual")
_NO_SINGLE_QUESTIONS = (REVIEW, GALLERY, *TOGETHER)
_UNASKED_LANES = (t.GRID, t.PAIRS, t.DISPUTED, "import")


def learned_prices(conn: sa.Connection, watermark_seq: int | None = None) -> Prices:
    """The prices that the newest answers up to a watermark of labels (None: now) show."""
    seconds: dict[str, list[float]] = {}
    for page in pages_of(conn, _answers(watermark_seq)):
        for row in page:
            for price in _prices_of(row):
                seconds.setdefault(price, []).append(float(row.seconds))
    known = Prices()
    for page in pages_of(conn, _grid_pages()):
        for row in page:
            # Which part of a page took how long nobody can tell: all take as many times the prior as the whole.
            times = float(row.seconds) / (known.page + known.tile * row.tiles + known.taken_out * (row.out or 0))
            for price in ("page", "tile", "taken_out"):
                seconds.setdefault(price, []).append(times * getattr(known, price))
    return learned({price: np.array(taken) for price, taken in seconds.items()}, known)


def _answers(watermark_seq: int | None) -> sa.Select[Any]:
    a, said = t.annotation.c, t.individual.c
    newest = (
        sa.select(a.kind, a.lane, a.seconds, a.shown, a.shown_mode, said.anim_id)
        .outerjoin_from(t.annotation, t.individual, said.individual_id == a.individual_id)
        .where(a.kind.in_((*ANSWER_KINDS, *_EVIDENCE_KINDS)), a.seconds > 0, a.other_track_id.is_(None))
        .where(a.lane.not_in(_UNASKED_LANES))
        .where(sa.or_(a.shown_mode.is_(None), a.shown_mode.not_in(_NO_SINGLE_QUESTIONS)))
        .order_by(a.seq.desc())
        .limit(NEWEST)
    )
    return newest if watermark_seq is None else newest.where(a.seq <= watermark_seq)


def _prices_of(row: sa.Row[Any]) -> Iterator[str]:
    """The prices that the seconds of an answer say something about."""
    if row.kind in _EVIDENCE_KINDS:
        yield "is_it"
        return
    shown = Shown.of(row.shown)
    proposed = [code for code, _ in shown.candidates or ()]
    named = row.kind in NAMING_KINDS
    if proposed and row.kind == "identify" and row.anim_id == proposed[0]:
        yield "right"
        return
    if proposed:
        yield "other"
    if row.kind in ("unknown", "new_individual"):
        yield "nobody"
    elif row.anim_id in proposed:
        yield "listed"
    elif named and not proposed and (row.lane in (*t.MEASURING_LANES, t.PROMISE) or shown.mode == "blind"):
        yield "audit"
    elif named:
        yield "named"


def _grid_pages() -> sa.Select[Any]:
    page, member = t.grid_page.c, t.grid_member.c
    newest = (
        sa.select(page.page_id)
        .where(page.state == "answered", page.seconds > 0)
        .order_by(page.page_id.desc())
        .limit(NEWEST_PAGES)
        .subquery("newest")
    )
    return (
        sa.select(page.page_id, page.seconds, page.n_taken_out.label("out"), sa.func.count().label("tiles"))
        .join_from(newest, t.grid_page, page.page_id == newest.c.page_id)
        .join(t.grid_member, member.page_id == page.page_id)
        .group_by(page.page_id, page.seconds, page.n_taken_out)
    )
