"""Effort from CSV files: when which camera stood where, and when nobody could have been seen.

Belongs here: importing deployments and sampling gaps. Does not belong here: the form of CSV files (`csv_tables`) and
what effort means for an analysis (`sql/views`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_cells import Number, date_of
from chimp_assets.database.csv_sheets import Fault, InvalidValue, Row
from chimp_assets.database.csv_tables import Layout, read_table, refusal_of
from chimp_assets.database.footage.cameras import CameraNames, in_words, likely_ones, name_key
from chimp_assets.database.people.names import fault_in
from chimp_assets.database.schema import deployment, sampling_gap, video
from chimp_assets.database.texts import fault_of

_PLACES = {
    "site": "site",
    "camera": "camera",
    "locationname": "camera",
    "startdate": "start_date",
    "enddate": "end_date",
}
DEPLOYMENTS = Layout(
    "deployments",
    frozenset({"camera", "start_date"}),
    _PLACES
    | {"deploymentstart": "start_date", "deploymentend": "end_date"}
    | {name: name for name in ("latitude", "longitude", "note")},
    numbers={"latitude": Number(low=-90, high=90), "longitude": Number(low=-180, high=180)},
)
GAPS = Layout("sampling gaps", frozenset({"start_date", "end_date", "reason"}), _PLACES | {"reason": "reason"})

_LENGTHS = {"site": 100, "camera": 100, "note": 1000, "reason": 500}


@dataclass(frozen=True)
class UnknownCamera:
    """A camera of a deployment that no video has. likely: what may be meant, as SITE/CAMERA, the likeliest first."""

    camera: str
    likely: list[str]

    def __str__(self) -> str:
        meant = f"; perhaps {' or '.join(self.likely)} is meant" if self.likely else ""
        return f"no video is of camera {self.camera}{meant}"


@dataclass(frozen=True)
class EffortImportReport:
    """What became of a file. table: what it holds; skipped: rows that were left out; notes: what was assumed.

    unknown: of its deployments, the cameras that no video has, each with the ones that may be meant.
    """

    table: str
    added: int
    changed: int
    unchanged: int
    skipped: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list, compare=False)
    unknown: list[UnknownCamera] = field(default_factory=list)


def import_effort(db: Database, file: Path, skip_bad: bool = False) -> EffortImportReport:
    """Store a CSV file of deployments or of sampling gaps; its header says which. One transaction.

    A deployment is known by site, camera and start_date, a gap by site, camera and both dates: importing again changes
    what the file says otherwise. Deployments of one camera of a site must not overlap. Raises TableFileError;
    FaultyTableError naming every row that cannot be, and then nothing is stored (skip_bad stores the others).
    """
    table = read_table(file, (GAPS, DEPLOYMENTS))
    deployments = table.layout is DEPLOYMENTS
    keys = ("site", "camera", "start_date") if deployments else ("site", "camera", "start_date", "end_date")
    target = deployment if deployments else sampling_gap

    def work(conn: sa.Connection) -> EffortImportReport:
        take_numbers(conn, "effort", 0)
        faults = dict.fromkeys(table.faults)
        there = {tuple(row[key] for key in keys): dict(row) for row in conn.execute(sa.select(target)).mappings()}
        names = CameraNames(conn)
        told: dict[tuple[Any, ...], tuple[int, dict[str, Any]]] = {}
        for row in table.rows:
            try:
                values = _deployment(row) if deployments else _gap(row)
            except InvalidValue as wrong:
                faults[Fault(row.line, wrong.column, str(wrong))] = None
                continue
            values |= _spelt(names, values["site"], values["camera"])
            key = tuple(values[name] for name in keys)
            if key in told:
                faults[Fault(row.line, "start_date", f"the same row already appears on line {told[key][0]}")] = None
                continue
            told[key] = (row.line, values)
        if deployments:
            for fault in _overlaps(told, there):
                faults[fault] = None
        found = sorted((Fault(f.line, table.columns.get(f.column, f.column), f.message) for f in faults), key=_by_line)
        if found and not skip_bad:
            raise refusal_of(file, found, table.notes)
        added = changed = 0
        for key, (_, values) in told.items():
            before = there.get(key)
            if before is None:
                insert_one(conn, target, **values)
                added += 1
                continue
            news = {name: value for name, value in values.items() if before[name] != value and name in table.columns}
            if news:
                own = next(iter(target.primary_key.columns))
                conn.execute(sa.update(target).where(own == before[own.name]).values(**news))
                changed += 1
        unknown = _unknown(conn, {(key[0], key[1]) for key in told}) if deployments else []
        n_unchanged = len(told) - added - changed
        return EffortImportReport(table.layout.name, added, changed, n_unchanged, found, table.notes, unknown)

    return db.transact(work)


def _spelt(names: CameraNames, site: str | None, camera: str | None) -> dict[str, Any]:
    """Site and camera as the videos have them, where they differ in case, spaces and signs only."""
    known = None if camera is None else names.known(site, camera)
    return {} if known is None else {"site": known[0], "camera": known[1]}


_LIKELY = 3


def _unknown(conn: sa.Connection, places: set[tuple[str | None, str]]) -> list[UnknownCamera]:
    v = video.c
    filmed = [(r.site, r.camera) for r in conn.execute(sa.select(v.site, v.camera).distinct()) if r.camera]
    if not filmed:
        return []  # deployments come first: nothing is known of any camera yet
    exact = set(filmed)
    # A camera at the top of the archive is its own site; a deployment may name none.
    loose = {name_key(camera) for _, camera in filmed}
    return [
        UnknownCamera(in_words(site, camera), [in_words(*one) for one in likely_ones(camera, site, filmed)[:_LIKELY]])
        for site, camera in sorted(places, key=lambda place: (place[0] or "", place[1]))
        if (site, camera) not in exact and not (site is None and name_key(camera) in loose)
    ]


def _deployment(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = _texts(row, "site", "camera", "note") | _days(row)
    for name in DEPLOYMENTS.numbers:
        text = row.cells.get(name)
        values[name] = None if text is None else float(text)
    if values["camera"] is None:
        raise InvalidValue("camera", "there is none")
    return values


def _gap(row: Row) -> dict[str, Any]:
    values = _texts(row, "site", "camera", "reason") | _days(row)
    for name in ("reason", "end_date"):
        if values[name] is None:
            raise InvalidValue(name, "there is none")
    return values


def _texts(row: Row, *names: str) -> dict[str, Any]:
    values = {name: row.cells.get(name) for name in names}
    for name, text in values.items():
        if fault := fault_of(text or "", _LENGTHS[name]):
            raise InvalidValue(name, f"it {fault}")
        if name in ("site", "camera") and (fault := fault_in(text or "")):
            raise InvalidValue(name, f"it {fault}")
    return values


def _days(row: Row) -> dict[str, Any]:
    days: dict[str, date | None] = {}
    for name in ("start_date", "end_date"):
        text = row.cells.get(name)
        try:
            days[name] = None if text is None else date_of(text)
        except ValueError as error:
            raise InvalidValue(name, str(error)) from None
    start, end = days["start_date"], days["end_date"]
    if start is None:
        raise InvalidValue("start_date", "there is none")
    if end is not None and end < start:
        raise InvalidValue("end_date", f"it lies before start_date {start}")
    return days


def _overlaps(
    told: dict[tuple[Any, ...], tuple[int, dict[str, Any]]], there: Mapping[tuple[Any, ...], Mapping[str, Any]]
) -> Iterable[Fault]:
    """Deployments of one camera that overlap another, told or known. They are taken out of told."""
    while True:
        spans = [(key, row["end_date"]) for key, row in there.items() if key not in told]
        spans += [(key, values["end_date"]) for key, (_, values) in told.items()]
        spans.sort(key=lambda span: (span[0][0] or "", span[0][1], span[0][2]))
        found: dict[tuple[Any, ...], str] = {}
        longest: tuple[tuple[Any, ...], date | None] | None = None
        for key, end in spans:
            if longest is not None and longest[0][:2] == key[:2] and (longest[1] is None or key[2] <= longest[1]):
                fault_at = key if key in told else longest[0]
                if fault_at in told:
                    until = f"until {longest[1]}" if longest[1] else "without an end"
                    found[fault_at] = (
                        f"camera {key[1]} starts on {key[2]}, but it already stands from {longest[0][2]} {until}"
                    )
            if longest is None or longest[0][:2] != key[:2] or _later(end, longest[1]):
                longest = (key, end)
        for key, sentence in found.items():
            yield Fault(told.pop(key)[0], "start_date", sentence)
        if not found:
            return


def _later(end: date | None, other: date | None) -> bool:
    return other is not None and (end is None or end > other)


def _by_line(fault: Fault) -> int:
    return fault.line
