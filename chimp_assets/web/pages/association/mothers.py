"""Mother and infant: how often a mother has her infant with her, by its age, as drawing, table and CSV.

Belongs here: handlers, reading the address. Does not belong here: counting (`insight.association.families`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.insight.association.families.mothers import COLUMNS, Family, Mother, family, mothers, rows
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.insight.association.units import BURST_GAP, SamplingUnit, UnitError
from chimp_assets.insight.individuals import directory
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.pages.network import UNITS
from chimp_assets.web.pages.together import MOST_MINUTES
from chimp_assets.web.tables import csv_download

router = APIRouter(prefix="/together", include_in_schema=False, dependencies=[Depends(require("viewer"))])

_ASKED = ("unit", "rule", "minutes", "names")


@dataclass(frozen=True)
class MotherAddress:
    """The parameters of the address. mother: code or name; empty: none is chosen yet, in the CSV all of them."""

    mother: Annotated[str, Query(max_length=40)] = ""
    unit: Annotated[str, Query(max_length=12)] = "clip"
    rule: Rule = "clip"
    minutes: Annotated[int, Query(ge=0, le=MOST_MINUTES)] = 10
    names: Literal["verified", "model"] = "verified"
    p: Annotated[float | None, Query(ge=0, le=1)] = None

    @property
    def scope(self) -> Scope:
        """The scope of `insight`, of all days. Raises WebError for a unit that is none, or none of the rule."""
        try:
            unit = SamplingUnit.of(self.unit)
            return Scope(self.rule, self.minutes, None, None, self.p if self.names == "model" else None, unit)
        except UnitError as error:
            raise WebError(422, "malformed", f"unit: {error.sentence}", error.remedy) from None

    def query(self, **more: Any) -> str:
        """The query of the permanent address."""
        parts: dict[str, Any] = {"mother": self.mother} if self.mother else {}
        parts |= {"unit": self.unit, "rule": self.rule}
        parts |= {"minutes": self.minutes} if self.rule == "minutes" else {}
        parts |= {"names": "model", "p": f"{self.p:g}"} if self.names == "model" and self.p is not None else {}
        return urlencode({**parts, **more})


def _asked(request: Request, words: Annotated[MotherAddress, Depends()]) -> MotherAddress:
    """The parameters, with the threshold that holds where none is given."""
    if words.p is not None:
        return words
    with request.app.state.db.read() as conn:
        return replace(words, p=name_threshold(conn).shown)


Asked = Annotated[MotherAddress, Depends(_asked)]


@router.get("/mothers")
def page(request: Request, asked: Asked) -> Response:
    """Her infants by age; without a mother, those there are."""
    scope = asked.scope
    with request.app.state.db.read() as conn:
        known = mothers(conn)
        chosen = _chosen(conn, known, asked.mother) if asked.mother else None
        found = family(conn, chosen, scope, request.app.state.networks.tracks(conn)) if chosen else None
    said = {
        "asked": asked, "mothers": known, "mother": chosen, "found": found, "gap": BURST_GAP,
        "units": UNITS if asked.unit in UNITS else (*UNITS, asked.unit),
    }  # fmt: skip
    return request.app.state.templates.TemplateResponse(request, "association/mothers.html", said)


@router.get("/mothers.csv")
def as_csv(request: Request, asked: Asked) -> Response:
    """A row for each infant and class of age, of one mother or of all."""
    scope = asked.scope
    with request.app.state.db.read() as conn:
        known = mothers(conn)
        chosen = [_chosen(conn, known, asked.mother)] if asked.mother else known
        filmed = request.app.state.networks.tracks(conn)
        found: list[Family] = [family(conn, one, scope, filmed) for one in chosen]
    names = "verified" if asked.names == "verified" else f"model >= {asked.p:g}"
    about = (asked.unit, asked.rule, asked.minutes if asked.rule == "minutes" else None, names)
    return csv_download(
        "mother_and_infant", (*COLUMNS, *_ASKED), ((*row, *about) for one in found for row in rows(one))
    )


def _chosen(conn: sa.Connection, known: list[Mother], word: str) -> Mother:
    key = directory.find_named(conn, word)
    found = next((one for one in known if one.key == key), None)
    if found is None:
        raise WebError(
            404, "no_individual", f"No infant of a mother {word[:40]!r} was filmed in its first ten years.",
            "Choose one of the list.",
        )  # fmt: skip
    return found
