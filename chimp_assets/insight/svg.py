"""An SVG that grows: scales, words, legends.

Belongs here: what every picture of an answer has. Does not belong here: bars, lines and networks (`question_pictures`).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

WIDTH = 720
LETTERS = 88
"""Of a title in one line."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9")
"""Okabe and Ito's, the yellow darkened: told apart by everybody, on white and on black."""


class Page:
    """An SVG that grows. left, top, right, bottom: where the picture itself is, in units of the view box."""

    def __init__(self, title: str, left: float, top: float, right: float, height: float) -> None:
        self.title, self.left, self.top, self.right, self.bottom = title, left, top, right, top + height
        self._parts: list[str] = []

    def add(self, part: str) -> None:
        """A part of the SVG, written out."""
        self._parts.append(part)

    def words(self, x: float, y: float, text: str, anchor: str, *, whole: str | None = None) -> None:
        """A text; whole: what a pointer that rests on it is told."""
        more = f"<title>{escape(whole)}</title>" if whole is not None and whole != text else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{more}</text>')

    def x(self, value: float, low: float, high: float) -> float:
        """Where a value lies across."""
        share = (value - low) / (high - low) if high > low else 0.5
        return self.left + (self.right - self.left) * share

    def y(self, value: float, low: float, high: float) -> float:
        """Where a value lies upward."""
        share = (value - low) / (high - low) if high > low else 0.0
        return self.bottom - (self.bottom - self.top) * share

    def across(self, low: float, high: float, step: float, name: str) -> None:
        """Upright lines at round numbers, with the name of what they count."""
        for n in range(round((high - low) / step) + 1):
            value = low + n * step
            x = self.x(value, low, high)
            self.add(self._rule(x, self.top, x, self.bottom))
            self.words(x, self.bottom + 16, figures(value), "middle")
        self.words((self.left + self.right) / 2, self.bottom + 32, in_words(name), "middle")
        self.bottom += 36

    def upward(self, low: float, high: float, step: float, name: str) -> None:
        """Level lines at round numbers, with the name of what they count."""
        for n in range(round((high - low) / step) + 1):
            value = low + n * step
            y = self.y(value, low, high)
            self.add(self._rule(self.left, y, self.right, y))
            self.words(self.left - 6, y + 4, figures(value), "end")
        self.words(self.left, self.top - 8, in_words(name), "start")

    def legend(self, groups: Sequence[str]) -> None:
        """Which colour is whose, in one line above the picture; nothing where there is one group."""
        x = self.left + 120.0
        for n, group in enumerate(groups if len(groups) > 1 else ()):
            self.add(f'<rect x="{x:.1f}" y="30" width="12" height="12" fill="{COLOURS[n]}"/>')
            self.words(x + 17, 40, short(group, 14), "start", whole=group)
            x += 30 + 7 * min(len(group), 14)

    def svg(self, notes: Sequence[str], below: float = 8) -> str:
        """All of it; notes: sentences below, empty ones left out."""
        height = self.bottom + below
        for note in filter(None, notes):
            height += 16
            self.words(self.left if self.left < 200 else 16, height, note, "start")
        lines = textwrap.wrap(self.title, LETTERS) or [""]
        more = 18 * (len(lines) - 1)
        titles = [
            f'<text x="16" y="{20 + 18 * n}" font-size="14" font-weight="bold">{escape(line)}</text>'
            for n, line in enumerate(lines)
        ]
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + more + 10:.0f}" role="img" '
            f'aria-label={quoteattr(self.title)} font-family="sans-serif" font-size="12" fill="currentColor">'
        )
        return "\n".join([head, *titles, f'<g transform="translate(0 {more})">', *self._parts, "</g>", "</svg>", ""])

    @staticmethod
    def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        return f'<line {ends} stroke="currentColor" stroke-opacity="0.2"/>'


def on_white(drawn: str) -> str:
    """A picture as a file of its own: dark on white, where no page gives it a colour."""
    head, _, body = drawn.partition("\n")
    coloured = head.replace("<svg ", '<svg color="#1a1a1a" ', 1)
    return f'{coloured}\n<rect width="100%" height="100%" fill="#ffffff"/>\n{body}'


def in_words(column: str) -> str:
    """A column as people read it: `n_videos` is n videos."""
    return column.replace("_", " ")


def short(text: str, most: int = 24) -> str:
    """A text of at most so many signs."""
    return text if len(text) <= most else text[: most - 1] + "…"


def figures(value: float) -> str:
    """A number with three significant digits; whole ones as they are."""
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def round_step(span: float) -> float:
    """A round step of which four to eight fit into a span."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(times * power for times in (1, 2, 2.5, 5, 10) if span / (times * power) <= 6)
