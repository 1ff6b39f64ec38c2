"""What changed between two periods: around a birth, a death or departure, or between any two, as drawing, table, CSV.

Belongs here: handlers, reading the address. Does not belong here: which days and what changed
(`insight.association.periods`), counting and layout (`insight.association`), geometry (`charts`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import numpy as np
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.insight.association.network import Node
from chimp_assets.insight.association.periods.comparison import COLUMNS, Comparison, company, nodes_of, rows, scopes
from chimp_assets.insight.association.periods.presets import (
    DAYS,
    MOST_DAYS,
    Period,
    PeriodError,
    Periods,
    around_birth,
    around_departure,
    life_events,
)
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.insight.individuals import directory
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import graph
from chimp_assets.web.errors import WebError
from chimp_assets.web.pages.together import MOST_MINUTES, days_of
from chimp_assets.web.tables import csv_download

router = APIRouter(prefix="/together", include_in_schema=False, dependencies=[Depends(require("viewer"))])

A_NODE = 3
"""Lines for each individual that a drawing shows, the strongest."""
SHOWN = 200
"""Pairs of the table; the CSV has all."""
EVENTS = 60


@dataclass(frozen=True)
class ChangeAddress:
    """The parameters of the address. birth, departure: codes; a_since to b_until: two periods, last days inside; who:
    code of whose company is asked about."""

    birth: Annotated[str, Query(max_length=40)] = ""
    departure: Annotated[str, Query(max_length=40)] = ""
    days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = DAYS
    a_since: Annotated[str, Query(max_length=10)] = ""
    a_until: Annotated[str, Query(max_length=10)] = ""
    b_since: Annotated[str, Query(max_length=10)] = ""
    b_until: Annotated[str, Query(max_length=10)] = ""
    who: Annotated[str, Query(max_length=40)] = ""
    rule: Rule = "frame"
    minutes: Annotated[int, Query(ge=0, le=MOST_MINUTES)] = 10
    names: Literal["verified", "model"] = "verified"
    p: Annotated[float | None, Query(ge=0, le=1)] = None

    @property
    def chosen(self) -> bool:
        """Whether two periods are asked about."""
        return bool(self.birth or self.departure or self.a_since or self.b_since)

    def query(self, **more: Any) -> str:
        """The query of the permanent address, without defaults."""
        parts = {
            name: value
            for name in ("birth", "departure", "a_since", "a_until", "b_since", "b_until", "who")
            if (value := getattr(self, name))
        }
        parts |= {"days": self.days} if self.birth or self.departure else {}
        parts |= {"rule": self.rule} | ({"minutes": self.minutes} if self.rule == "minutes" else {})
        parts |= {"names": "model", "p": f"{self.p:g}"} if self.names == "model" and self.p is not None else {}
        return urlencode({**parts, **more})


def _asked(request: Request, words: Annotated[ChangeAddress, Depends()]) -> ChangeAddress:
    """The parameters, with the threshold that holds where none is given."""
    if words.p is not None:
        return words
    with request.app.state.db.read() as conn:
        return replace(words, p=name_threshold(conn).shown)


Asked = Annotated[ChangeAddress, Depends(_asked)]


@dataclass(frozen=True)
class _Found:
    periods: Periods
    compared: Comparison
    nodes: dict[int, Node]
    who: int | None
    infant: int | None
    who_label: str | None
    infant_label: str | None


@router.get("/change")
def change(request: Request, asked: Asked) -> Response:
    """Two networks with the same places, and what changed; without two periods, what there is to choose from."""
    with request.app.state.db.read() as conn:
        events = life_events(conn)
        people = directory.names(conn)
        found = _find(request, conn, asked) if asked.chosen else None
        drawings = _drawings(request, conn, asked, found) if found is not None else []
    said: dict[str, Any] = {
        "asked": asked, "found": found, "people": people, "drawings": drawings, "most_days": MOST_DAYS,
        "births": [one for one in events if one.what == "birth"][:EVENTS],
        "departures": [one for one in events if one.what == "departure"][:EVENTS],
    }  # fmt: skip
    if found is not None:
        about = company(found.compared, found.who, found.infant)
        said |= {
            "about": about, "node": found.nodes, "who": found.who_label, "newborn": found.infant_label,
            "pairs": (about.changed + about.unchanged + about.too_few + about.newborn)[:SHOWN],
            "n_pairs": sum(map(len, (about.changed, about.unchanged, about.too_few, about.newborn))),
            "changed": {(one.a, one.b) for one in about.changed},
        }  # fmt: skip
    return request.app.state.templates.TemplateResponse(request, "association/change.html", said)


@router.get("/change.csv")
def as_csv(request: Request, asked: Asked) -> Response:
    """Every pair of the two periods."""
    if not asked.chosen:
        raise WebError(422, "malformed", "No two periods are chosen.", "Choose them on the page.")
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    before, after = found.periods.before, found.periods.after
    about = (before.first, before.before, after.first, after.before)
    header = ("before_from", "before_until_excluded", "after_from", "after_until_excluded", *COLUMNS)
    return csv_download(
        "change", header, ((*about, *row) for row in rows(found.compared, found.nodes, found.who, found.infant))
    )


def _find(request: Request, conn: sa.Connection, asked: ChangeAddress) -> _Found:
    try:
        periods = _periods(conn, asked)
    except PeriodError as error:
        raise WebError(422, "malformed", error.sentence, error.remedy) from None
    who = _key(conn, asked.who) if asked.who else periods.who
    scope = Scope(asked.rule, asked.minutes, None, None, asked.p if asked.names == "model" else None)
    before, after = scopes(periods, scope)
    networks = request.app.state.networks
    compared = networks.comparison(conn, before, after, who)
    nodes = nodes_of(networks.network(conn, before), networks.network(conn, after))
    infant = periods.about if periods.what == "birth" else None
    return _Found(periods, compared, nodes, who, infant, _label(conn, who), _label(conn, infant))


def _label(conn: sa.Connection, key: int | None) -> str | None:
    i = t.individual.c
    row = conn.execute(sa.select(i.name, i.anim_id).where(i.individual_id == key)).first() if key else None
    return None if row is None else row.name or row.anim_id


def _periods(conn: sa.Connection, asked: ChangeAddress) -> Periods:
    if asked.birth:
        return around_birth(conn, _key(conn, asked.birth), asked.days)
    if asked.departure:
        return around_departure(conn, _key(conn, asked.departure), asked.days)
    one, other = (_period(since, until) for since, until in (
        (asked.a_since, asked.a_until), (asked.b_since, asked.b_until)
    ))  # fmt: skip
    if one.first < other.before and other.first < one.before:
        raise PeriodError("The two periods overlap.", "Let one end before the other begins.")
    earlier, later = sorted((one, other), key=lambda period: period.first)
    return Periods(earlier, later)


def _period(since: str, until: str) -> Period:
    first, last = days_of(since, until)
    if first is None or last is None:
        raise PeriodError("A period lacks a day.", "Say the first and the last day of both.")
    return Period(first, last.fromordinal(last.toordinal() + 1))


def _key(conn: sa.Connection, word: str) -> int:
    key = directory.find_named(conn, word)
    if key is None:
        raise WebError(404, "no_individual", f"There is no individual {word[:40]!r}.", "Choose one of the list.")
    return key


def _drawings(request: Request, conn: sa.Connection, asked: ChangeAddress, found: _Found) -> list[Any]:
    """Both networks, each individual at its place of the page of everybody."""
    networks, layouts = request.app.state.networks, request.app.state.layouts
    scope = Scope(asked.rule, asked.minutes, None, None, asked.p if asked.names == "model" else None)
    both = [networks.network(conn, one) for one in scopes(found.periods, scope)]
    pairs = found.compared.both
    shown = set(pairs.keys[np.unique(np.concatenate([pairs.a, pairs.b]))].tolist())
    at: dict[int, tuple[float, float]] = {}
    for one in both:
        at |= layouts.places(one, lambda: networks.network(conn, scope), f"{asked.rule}-{asked.names}")
    drawings = []
    for side, one, values in zip(("before", "after"), both, (pairs.old.value, pairs.new.value), strict=True):
        value = np.clip(values, 0, 1)
        strong = np.lexsort((pairs.b, pairs.a, -value))[: A_NODE * max(1, len(shown))]
        strong = strong[value[strong] > 0]
        lines = list(
            zip(*(pairs.keys[end[strong]].tolist() for end in (pairs.a, pairs.b)), value[strong].tolist(), strict=True)
        )
        days = {node.key: node.days for node in one.nodes}
        drawn = graph(
            {key: at[key] for key in shown if key in at}, {key: days.get(key, 0) for key in shown if key in at}, lines
        )
        drawings.append((side, drawn))
    return drawings
