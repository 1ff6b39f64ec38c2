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

from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.insight.association.families.lives import DEPENDENT_YEARS
from chimp_assets.insight.association.periods.answer import INDIVIDUAL_COLUMNS, PAIR_COLUMNS, Change, change_of
from chimp_assets.insight.association.periods.comparison import company
from chimp_assets.insight.association.periods.presets import (
    DAYS,
    MOST_DAYS,
    Period,
    PeriodError,
    Periods,
    around_birth,
    around_departure,
    from_to,
    life_events,
    of_days,
    seasons,
)
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.insight.individuals import directory
from chimp_assets.statistics.association.label_permutation import FEWEST_COMPARED
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import graph
from chimp_assets.web.errors import WebError
from chimp_assets.web.pages.together import MOST_MINUTES, Dependants, days_of
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
    code of whose company is asked about; wet: months of the wet season, for season."""

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
    season: bool = False
    wet: Annotated[list[int] | None, Query(max_length=12)] = None
    dependants: Dependants = "counted"

    @property
    def chosen(self) -> bool:
        """Whether two periods are asked about."""
        return bool(self.birth or self.departure or self.season or self.a_since or self.b_since)

    @property
    def scope(self) -> Scope:
        """The scope of `insight`, of all days."""
        probability = self.p if self.names == "model" else None
        return Scope(self.rule, self.minutes, None, None, probability, dependants=self.dependants == "counted")

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
        parts |= {"season": 1} | ({"wet": self.wet} if self.wet else {}) if self.season else {}
        parts |= {"dependants": self.dependants} if self.dependants != "counted" else {}
        return urlencode({**parts, **more}, doseq=True)


def _asked(request: Request, words: Annotated[ChangeAddress, Depends()]) -> ChangeAddress:
    """The parameters, with the threshold and the months of the wet season that hold where none are given."""
    if words.season and not words.wet:
        words = replace(words, wet=list(request.app.state.settings.project.wet_months))
    if words.p is not None:
        return words
    with request.app.state.db.read() as conn:
        return replace(words, p=name_threshold(conn).shown)


Asked = Annotated[ChangeAddress, Depends(_asked)]


@router.get("/change")
def change(request: Request, asked: Asked) -> Response:
    """Two networks with the same places, and what changed; without two periods, what there is to choose from."""
    with request.app.state.db.read() as conn:
        events = life_events(conn)
        people = directory.names(conn)
        found = _find(request, conn, asked) if asked.chosen else None
        drawings = _drawings(request, conn, asked, found) if found is not None else []
    wet_months = request.app.state.settings.project.wet_months
    said: dict[str, Any] = {
        "wet": asked.wet or wet_months, "wet_is_known": bool(wet_months), "dependent_years": DEPENDENT_YEARS,
        "fewest_compared": FEWEST_COMPARED,
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
            "changed": {(one.a, one.b) for one in about.changed}, "whole": found.compared.whole,
            "mine": found.compared.whole.of(found.who), "individuals": found.compared.whole.individuals[:SHOWN],
            "told": sum(not one.too_few for one in found.compared.whole.individuals),
        }  # fmt: skip
    return request.app.state.templates.TemplateResponse(request, "association/change.html", said)


@router.get("/change.csv")
def as_csv(request: Request, asked: Asked) -> Response:
    """Every pair of the two periods."""
    if not asked.chosen:
        raise WebError(422, "malformed", "No two periods are chosen.", "Choose them on the page.")
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    return csv_download("change", PAIR_COLUMNS, found.pairs())


@router.get("/change_of_individuals.csv")
def individuals_as_csv(request: Request, asked: Asked) -> Response:
    """The strength of everybody seen in both periods."""
    if not asked.chosen:
        raise WebError(422, "malformed", "No two periods are chosen.", "Choose them on the page.")
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    return csv_download("change_of_individuals", INDIVIDUAL_COLUMNS, found.individuals())


def _find(request: Request, conn: sa.Connection, asked: ChangeAddress) -> Change:
    who = _key(conn, asked.who) if asked.who else None
    try:
        periods = _periods(conn, asked)
        return change_of(conn, request.app.state.networks, periods, asked.scope, who)
    except PeriodError as error:
        raise WebError(422, "malformed", error.sentence, error.remedy) from None


def _periods(conn: sa.Connection, asked: ChangeAddress) -> Periods:
    if asked.birth:
        return around_birth(conn, _key(conn, asked.birth), asked.days)
    if asked.departure:
        return around_departure(conn, _key(conn, asked.departure), asked.days)
    if asked.season:
        return seasons(conn, asked.wet or ())
    return of_days(_period(asked.a_since, asked.a_until), _period(asked.b_since, asked.b_until))


def _period(since: str, until: str) -> Period:
    first, last = days_of(since, until)
    if first is None or last is None:
        raise PeriodError("A period lacks a day.", "Say the first and the last day of both.")
    return from_to(first, last)


def _key(conn: sa.Connection, word: str) -> int:
    key = directory.find_named(conn, word)
    if key is None:
        raise WebError(404, "no_individual", f"There is no individual {word[:40]!r}.", "Choose one of the list.")
    return key


def _drawings(request: Request, conn: sa.Connection, asked: ChangeAddress, found: Change) -> list[Any]:
    """Both networks, each individual at its place of the page of everybody."""
    networks, layouts = request.app.state.networks, request.app.state.layouts
    both = [networks.network(conn, one) for one in found.scopes]
    pairs = found.compared.both
    shown = set(pairs.keys[np.unique(np.concatenate([pairs.a, pairs.b]))].tolist())
    at: dict[int, tuple[float, float]] = {}
    for one in both:
        at |= layouts.places(
            one, lambda: networks.network(conn, replace(asked.scope, dependants=True)), f"{asked.rule}-{asked.names}"
        )
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
