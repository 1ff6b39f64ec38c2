"""How a head treats groups, for people: the newest measurement, and a report of it as a file.

Belongs here: reading what was measured, the file's formats. Does not belong here: measuring (`monitoring.fairness`),
pages.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from chimp_assets import markdown
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.whole_file import FileWriteError, write_rows, write_whole

METRICS = ("recall", "precision", "said_minus_right", "unknown_rate", "seconds", "association_bias")
KINDS = (
    "sex", "age_class", "sex_age", "matriline", "camera", "light", "camera_light", "year", "length", "labels",
    "individual",
)  # fmt: skip
COLUMNS = (
    "slice_kind", "slice_value", "metric", "value", "low", "high", "adjusted_p", "answers", "camera_days", "verdict",
    "needed",
)  # fmt: skip
ABOUT = (
    "Groups of animals, cameras and times, compared with all others. Intervals are of days to come: a camera-day counts"
    " as one, and all groups of one kind lie in theirs together in 95 of 100 reports. Of 100 reports on a head that"
    " treats all alike, at most 5 name any group."
)


@dataclass(frozen=True)
class FairnessLine:
    """One metric of one group, as in v_fairness. value, low, high: None where nothing can be said."""

    kind: str
    group: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    adjusted_p: float | None
    n: int
    days: int
    verdict: str
    needed: int | None


@dataclass(frozen=True)
class FairnessReport:
    """The newest measurement of a head. whole: all answers, by metric; groups: by kind and group, metrics by name;
    individuals with too few answers are only counted (too_few)."""

    model_id: int
    version: int
    watermark: int
    at: datetime
    lines: list[FairnessLine]
    whole: dict[str, FairnessLine]
    groups: dict[str, dict[str, dict[str, FairnessLine]]]
    too_few: int

    def told(self, verdict: str) -> list[FairnessLine]:
        """Groups with a verdict: of too few answers the recall of groups, those first of which least would tell."""
        found = [one for one in self.lines if one.verdict == verdict and one.kind != "all"]
        if verdict != "too_few":
            return sorted(found, key=lambda one: (one.adjusted_p is None, one.adjusted_p or 0.0))
        few = [one for one in found if one.metric == "recall" and one.kind != "individual"]
        return sorted(few, key=lambda one: (one.needed or 0, one.kind, one.group))


def fairness(conn: sa.Connection, model_id: int | None = None) -> FairnessReport | None:
    """The newest measurement of a head, of the champion where none is given; None where there is none."""
    f, m = t.fairness_metric.c, t.model.c
    chosen = m.model_id == model_id if model_id is not None else sa.and_(m.task == "head", m.state == "champion")
    newest = conn.execute(
        sa.select(
            m.model_id, m.version, sa.func.max(f.watermark_seq).label("seq"), sa.func.max(f.created_at).label("at")
        )
        .join_from(t.model, t.fairness_metric, f.model_id == m.model_id)
        .where(chosen)
        .group_by(m.model_id, m.version)
    ).first()
    if newest is None:
        return None
    rows = conn.execute(
        sa.select(
            f.slice_kind, f.slice_value, f.name, f.value, f.low, f.high, f.adjusted_p, f.n, f.blocks, f.state, f.needed
        )
        .where(f.model_id == newest.model_id, f.watermark_seq == newest.seq)
        .order_by(f.fairness_id)
    )  # fmt: skip
    lines = [FairnessLine(*row) for row in rows]
    groups: dict[str, dict[str, dict[str, FairnessLine]]] = {kind: {} for kind in KINDS}
    few = 0
    for one in lines:
        if one.kind == "individual" and one.verdict == "too_few":
            few += 1
        elif one.kind in groups:
            groups[one.kind].setdefault(one.group, {})[one.metric] = one
    return FairnessReport(
        newest.model_id, newest.version, newest.seq, newest.at, lines,
        {one.metric: one for one in lines if one.kind == "all"},
        {kind: found for kind, found in groups.items() if found}, few,
    )  # fmt: skip


COUNTED = 1_000
"""Answers from which on their number says only that the other groups lack them: of two, one has a single answer."""


def write_report(report: FairnessReport, _: Database, file: Path) -> int:
    """Writes the report as .md, .html or .csv, by the name of the file; returns its rows.

    Raises FileWriteError where the name ends otherwise or the file cannot be written.
    """
    formats: dict[str, Callable[[FairnessReport, BinaryIO], int]] = {".md": _markdown, ".html": _html, ".csv": _csv}
    write = formats.get(file.suffix.lower())
    if write is None:
        raise FileWriteError(f"{file.name} has no known ending.", f"End it with one of {', '.join(formats)}.")
    return write_whole(file, lambda stream: write(report, stream))


def sentences(report: FairnessReport, shown: Callable[[str], str] = str) -> list[str]:
    """What is sure, in plain English, and what too few answers leave open. shown: names of groups, made safe."""
    worse, few = report.told("worse"), report.told("too_few")
    said = [
        f"{_named(one, shown)}: {one.metric.replace('_', ' ')} is worse than of all others, {in_words(one)}"
        f" ({one.n} answers on {one.days} camera-days)."
        for one in worse
    ]
    if not said:
        said.append("No group is named worse than the others beyond chance.")
    said += [
        f"{_named(one, shown)}: too few answers to say ({one.n}); "
        + (f"{one.needed:,} more would tell." if (one.needed or 0) <= COUNTED else "the others are too few as well.")
        for one in few
    ]
    if report.too_few:
        said.append(f"Individuals with too few answers to say: {report.too_few}.")
    return said


def in_words(one: FairnessLine) -> str:
    """A value with its limits."""
    if one.value is None or one.low is None or one.high is None:
        return "not known"
    if one.metric == "seconds":
        return f"{one.value:.1f} s ({one.low:.1f} to {one.high:.1f} s)"
    return f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%})"


def _named(one: FairnessLine, shown: Callable[[str], str]) -> str:
    return f"{one.kind.replace('_', ' ')} {shown(one.group)}"


def _cells(report: FairnessReport) -> list[tuple[object, ...]]:
    return [tuple(vars(one).values()) for one in report.lines]


def _title(report: FairnessReport) -> str:
    return f"Fairness of head {report.version} (model {report.model_id})"


def _when(report: FairnessReport) -> str:
    return f"Labels up to decision {report.watermark}; measured {report.at:%Y-%m-%d %H:%M} UTC."


def _table(report: FairnessReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    names = ("kind", "group", "metric", "value (95 %)", "answers", "camera-days", "verdict", "more would tell")
    return names, [
        (
            one.kind, one.group, one.metric, in_words(one), str(one.n), str(one.days), one.verdict,
            "" if one.needed is None else str(one.needed),
        )
        for one in report.lines
    ]  # fmt: skip


def _markdown(report: FairnessReport, stream: BinaryIO) -> int:
    names, rows = _table(report)
    parts = [f"# {_title(report)}", ABOUT, _when(report)]
    parts.append("\n".join(f"- {one}" for one in sentences(report, markdown.code)))
    head = "| " + " | ".join(names) + " |\n|" + "---|" * len(names)
    parts.append("\n".join([head, *("| " + " | ".join(map(markdown.code, row)) + " |" for row in rows)]))
    stream.write(("\n\n".join(parts) + "\n").encode())
    return len(rows)


def _html(report: FairnessReport, stream: BinaryIO) -> int:
    names, rows = _table(report)
    listed = "".join(f"<li>{html.escape(one)}</li>" for one in sentences(report))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    title = html.escape(_title(report))
    stream.write(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>'
        "body{font:16px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
        "td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ccc}</style></head>\n"
        f"<body><h1>{title}</h1><p>{html.escape(ABOUT)}</p><p>{html.escape(_when(report))}</p><ul>{listed}</ul>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></body></html>\n".encode()
    )
    return len(rows)


def _csv(report: FairnessReport, stream: BinaryIO) -> int:
    return write_rows(stream, COLUMNS, _cells(report))
