"""Pictures of answers: bars, lines and networks as SVG, without a library.

Belongs here: what a question's header says of its picture, and drawing it. Does not belong here: asking (`questions`),
colours of pages (`web.charts`), pages and files that show the pictures.

The line of a header is `Chart: bar VALUE by COLUMN`, `Chart: line VALUE by COLUMN`, either with `for COLUMN` behind it
(a bar or line of its own for each of its values), or `Chart: network WEIGHT between COLUMN and COLUMN`. A picture has
no style of its own but the colour of the text around it (`currentColor`), so a page may put it in as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from chimp_assets.insight.svg import COLOURS, WIDTH, Page, figures, in_words, round_step, short

MOST_BARS = 40
MOST_LINES = 6
MOST_POINTS = 400
MOST_DOTS = 60
MOST_TIES = 80
_HEADER = re.compile(
    r"Chart: (?:(?P<kind>bar|line) (?P<value>\w+) by (?P<by>\w+)(?: for (?P<group>\w+))?"
    r"|network (?P<weight>\w+) between (?P<one>\w+) and (?P<other>\w+))"
)
_LARGEST, _SMALLEST = 1e15, 1e-12
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Row = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """How an answer is drawn. kind: bar, line or network; by, other: columns of its ends where it is a network."""

    kind: str
    value: str
    by: str
    group: str | None = None
    other: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that the answer must have."""
        return [name for name in (self.value, self.by, self.group, self.other) if name is not None]


def chart_of(header: Sequence[str]) -> Chart | None:
    """What the lines of a header say of the picture; None where they say nothing."""
    for line in header:
        found = _HEADER.fullmatch(line)
        if found is not None and found["kind"]:
            return Chart(found["kind"], found["value"], found["by"], found["group"])
        if found is not None:
            return Chart("network", found["weight"], found["one"], other=found["other"])
    return None


def picture(chart: Chart, title: str, records: Sequence[Row]) -> str | None:
    """The answer as an SVG. None where there is nothing to draw: no rows, or no numbers in them.

    records: rows by column, in their order. Of many the first are drawn, and the picture says of how many.
    """
    whole = [row for row in records if _number(row[chart.value]) is not None and row[chart.by] is not None]
    if not whole:
        return None
    draw: dict[str, Callable[[Chart, str, list[Row]], str]] = {"bar": _bars, "line": _lines, "network": _network}
    return draw[chart.kind](chart, title, whole)


# -- bars --------------------------------------------------------------------------------------------------------------


def _bars(chart: Chart, title: str, rows: list[Row]) -> str:
    groups, left_out = _groups(chart, rows)
    rows = [row for row in rows if _group(chart, row) in groups]
    names = list(dict.fromkeys(_text(row[chart.by]) for row in rows))
    shown = names[:MOST_BARS]
    notes = [_of_many(len(shown), len(names), chart.by), _of_many(len(groups), len(groups) + left_out, chart.group)]
    values: dict[tuple[str, str], float] = {}
    for row in rows:
        key = _text(row[chart.by]), _group(chart, row)
        values[key] = values.get(key, 0.0) + (_number(row[chart.value]) or 0.0)
    values = {key: value for key, value in values.items() if key[0] in set(shown)}
    low, high, step = _scale(list(values.values()))
    left = 16 + 7 * max(min(len(name), 24) for name in shown)
    thick = 16 if len(groups) == 1 else 9
    tall = thick * len(groups) + 6
    page = Page(title, left, 44 + 18 * (len(groups) > 1), WIDTH - 64, tall * len(shown))
    page.across(low, high, step, chart.value)
    for n, name in enumerate(shown):
        top = page.top + tall * n + 3
        page.words(left - 6, top + thick * len(groups) / 2 + 4, short(name), "end", whole=name)
        for place, group in enumerate(groups):
            value = values.get((name, group))
            if value is None:
                continue
            begin, end = sorted((page.x(0.0, low, high), page.x(value, low, high)))
            said = f"{name}{', ' + group if group else ''}: {figures(value)}"
            page.add(
                f'<rect x="{begin:.1f}" y="{top + thick * place:.1f}" width="{max(end - begin, 0.6):.1f}" '
                f'height="{thick - 1}" fill="{COLOURS[place]}"><title>{escape(said)}</title></rect>'
            )
            if len(groups) == 1:
                page.words(end + 4, top + thick - 4, figures(value), "start")
    page.legend(groups)
    return page.svg(notes)


# -- lines -------------------------------------------------------------------------------------------------------------


def _lines(chart: Chart, title: str, rows: list[Row]) -> str:
    groups, left_out = _groups(chart, rows)
    rows = [row for row in rows if _group(chart, row) in groups]
    numeric = all(_number(row[chart.by]) is not None for row in rows)
    if numeric:
        rows.sort(key=lambda row: _number(row[chart.by]) or 0.0)
    else:
        rows.sort(key=lambda row: _text(row[chart.by]))
    places = list(dict.fromkeys(_text(row[chart.by]) for row in rows))
    shown = places[-MOST_POINTS:]
    at = {place: float(place) if numeric else float(n) for n, place in enumerate(shown)}
    values = [_number(row[chart.value]) or 0.0 for row in rows]
    low, high, step = _scale(values)
    page = Page(title, 64, 44 + 18 * (len(groups) > 1), WIDTH - 24, 240)
    page.upward(low, high, step, chart.value)
    first, last = min(at.values()), max(at.values())
    for place, said in _ticks(shown, first, last, numeric):
        page.words(page.x(place, first, last), page.bottom + 18, said, "middle")
    page.words((page.left + page.right) / 2, page.bottom + 36, in_words(chart.by), "middle")
    for n, group in enumerate(groups):
        mine = [row for row in rows if _group(chart, row) == group and _text(row[chart.by]) in at]
        points = [
            (
                page.x(at[_text(row[chart.by])], first, last),
                page.y(value, low, high),
                f"{_text(row[chart.by])}: {figures(value)}",
            )
            for row in mine
            for value in [_number(row[chart.value]) or 0.0]
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        page.add(f'<polyline points="{line}" fill="none" stroke="{COLOURS[n]}" stroke-width="2"/>')
        for x, y, said in points if len(points) <= MOST_DOTS else ():
            dot = f'cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[n]}"'
            page.add(f"<circle {dot}><title>{escape(said)}</title></circle>")
    page.legend(groups)
    drawn = _of_many(len(shown), len(places), chart.by, "last")
    return page.svg([drawn, _of_many(len(groups), len(groups) + left_out, chart.group)], below=44)


def _ticks(shown: list[str], first: float, last: float, numeric: bool) -> list[tuple[float, str]]:
    """Up to eight places with what is written there: round numbers, or some of the texts in their order."""
    if not numeric:
        every = max(1, math.ceil(len(shown) / 8))
        return [(float(n), shown[n]) for n in range(0, len(shown), every)]
    step = max(round_step(last - first), 1.0 if all(float(text).is_integer() for text in shown) else 0.0)
    begin = math.ceil(first / step)
    return [(n * step, figures(n * step)) for n in range(begin, math.floor(last / step) + 1)]


# -- networks ----------------------------------------------------------------------------------------------------------


def _network(chart: Chart, title: str, rows: list[Row]) -> str:
    ties = [
        (_text(row[chart.by]), _text(row[chart.other or ""]), _number(row[chart.value]) or 0.0)
        for row in rows
        if row[chart.other or ""] is not None and (_number(row[chart.value]) or 0.0) > 0
    ]
    ties.sort(key=lambda tie: (-tie[2], tie[0], tie[1]))
    shown = ties[:MOST_TIES]
    names = sorted({name for one, other, _ in shown for name in (one, other)})
    size, centre, radius = 520, 260.0, 190.0
    page = Page(title, (WIDTH - size) // 2, 44, (WIDTH + size) // 2, size)
    angles = {name: 2 * math.pi * n / max(1, len(names)) - math.pi / 2 for n, name in enumerate(names)}
    at = {
        name: (page.left + centre + radius * math.cos(angle), page.top + centre + radius * math.sin(angle))
        for name, angle in angles.items()
    }
    largest = max((weight for *_, weight in shown), default=1.0)
    for one, other, weight in reversed(shown):
        (x1, y1), (x2, y2) = at[one], at[other]
        page.add(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{COLOURS[0]}" '
            f'stroke-width="{0.5 + 5.5 * weight / largest:.2f}" stroke-opacity="{0.25 + 0.65 * weight / largest:.2f}">'
            f"<title>{escape(f'{one} - {other}: {figures(weight)}')}</title></line>"
        )
    for name, (x, y) in at.items():
        page.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[1]}"/>')
        side = "middle" if abs(x - page.left - centre) < 20 else "start" if x > page.left + centre else "end"
        away = 9 if side == "start" else -9 if side == "end" else 0
        page.words(x + away, y + (4 if side != "middle" else -10 if y < page.top + centre else 20), short(name), side)
    note = f"The wider, the larger {in_words(chart.value)}; the widest: {figures(largest)}. No line is no tie shown."
    return page.svg([note, _of_many(len(shown), len(ties), "ties")])


def _scale(values: list[float]) -> tuple[float, float, float]:
    """Lowest, highest and step of a scale with 0 on it."""
    low, high = min(0.0, *values), max(0.0, *values)
    step = round_step(high - low)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return low, high if high > low else low + step, step


def _groups(chart: Chart, rows: list[Row]) -> tuple[list[str], int]:
    """The groups that are drawn, in their order, and how many are not."""
    found = list(dict.fromkeys(_group(chart, row) for row in rows))
    return found[:MOST_LINES], max(0, len(found) - MOST_LINES)


def _group(chart: Chart, row: Row) -> str:
    return "" if chart.group is None else _text(row[chart.group])


def _of_many(n: int, of: int, what: str | None, which: str = "first") -> str:
    return f"The {which} {n} of {of} ({in_words(what or '')})." if of > n else ""


def _number(value: Any) -> float | None:
    """A number that can be drawn; None for texts, infinities and what is beyond all scales."""
    if value is None or isinstance(value, str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if not abs(number) < _LARGEST else number if abs(number) > _SMALLEST else 0.0


def _text(value: Any) -> str:
    return "" if value is None else _NO_XML.sub(" ", str(value))
