"""The page of a report: one HTML file that needs nothing else, in one language.

Belongs here: filling the template, and where points of its drawings lie. Does not belong here: numbers, words, keeping
it. No script, no address of elsewhere, every text escaped: names of cameras and individuals come from outside.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from chimp_assets.database.texts import first_unseen, visible
from chimp_assets.insight.association.together import TOO_FEW
from chimp_assets.insight.fairness import FairnessLine
from chimp_assets.insight.report.changes import Changes
from chimp_assets.insight.report.numbers import ReportNumbers
from chimp_assets.insight.report.sections.individuals import ABSENT_DAYS
from chimp_assets.insight.report.words import Words
from chimp_assets.monitoring.words import sentence

TIES_SHOWN = 20
MONTHS_DRAWN = 60
"""Months beyond which hours are drawn by year."""
SHOWN = 50
"""Rows of a table of which more are only counted; the views have them all."""
DIGITS = {"hours": 1, "minutes": 0}
SHARES = ("accuracy", "named_frames")


def as_html(now: ReportNumbers, changes: Changes | None, lang: str) -> str:
    """The report as a whole HTML document. changes: None for the first. Raises ReportError for an unknown language."""
    words = Words(lang)
    facts: dict[str, Any] = {
        "w": words,
        "report": now,
        "changes": changes,
        "effort": now.effort,
        "who": now.individuals,
        "ties": now.ties,
        "honesty": now.honesty,
        "figure": lambda name, value: figure(words, name, value),
        "figure_change": lambda name, value: figure_change(words, name, value),
        "fairness_value": lambda one: _fairness_value(words, one),
        "alerts": [sentence(one, lang) for one in now.honesty.alerts],
        "hours": hours_drawn(now.effort.months),
        "drawn_by_year": len(now.effort.months) > MONTHS_DRAWN,
        "few": TOO_FEW,
        "absent_days": ABSENT_DAYS,
        "ties_shown": TIES_SHOWN,
        "shown": SHOWN,
    }
    return str(_template().render(facts))


def figure(words: Words, name: str, value: float | None) -> str:
    """A number of `ReportNumbers.figures` as people read it."""
    return words.share(value) if name in SHARES else words.number(value, DIGITS.get(name, 0))


def figure_change(words: Words, name: str, value: float | None) -> str:
    """A difference of such a number; of a share in points."""
    if name in SHARES:
        return words.signed(None if value is None else 100 * value, 1)
    return words.signed(value, DIGITS.get(name, 0))


def hours_drawn(months: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """(month or year, hours), every one between the first and the last, so that gaps are seen as gaps."""
    if not months:
        return []
    if len(months) > MONTHS_DRAWN:
        years: dict[str, float] = {}
        for month, hours in months:
            years[month[:4]] = years.get(month[:4], 0.0) + hours
        first, last = int(min(years)), int(max(years))
        return [(f"{year:04}", years.get(f"{year:04}", 0.0)) for year in range(first, last + 1)]
    hours_of = dict(months)
    first, last = _number_of(months[0][0]), _number_of(months[-1][0])
    if last - first > 4 * MONTHS_DRAWN:
        return months  # a moved decimal in one file's date: the gap would be all there is
    names = [f"{n // 12:04}-{n % 12 + 1:02}" for n in range(first, last + 1)]
    return [(name, hours_of.get(name, 0.0)) for name in names]


def _number_of(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def _fairness_value(words: Words, one: FairnessLine) -> str:
    if one.value is None:
        return words.number(None)
    if one.metric == "seconds":
        return words.number(one.value, 1)
    limits = words.limits(one.low, one.high)
    return words.share(one.value) + (f" ({limits})" if limits else "")


def _written_out(value: Any) -> Any:
    """A value with invisible characters written out: in a name from outside they could reverse a line (U+202E)."""
    if not isinstance(value, str) or first_unseen(value) is None:
        return value
    # What a macro has drawn is markup already, and stays so.
    return type(value)(visible(value))


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    there = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_written_out,
    )
    return there.get_template("report.html")
