"""Texts for what renders Markdown: Dagster's web UI does, with GitHub's additions.

Belongs here: turning any text into Markdown that shows that text and nothing else. Does not belong here: Dagster's
types (`assets.parts`).

A file name may hold an image, a link or a tag, and a browser asks for an image as soon as somebody looks. Escaping with
backslashes is not enough: GitHub's autolinks are found after backslashes are gone. So a text becomes a code span, in
which nothing is looked for, except where it is plain words or a number.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

from chimp_assets.database.texts import visible_line

MOST_ROWS = 50
"""A longer table is cut, and the rest is counted."""
# Words without a dot (www.example.org would be a link) and numbers.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,%]*|[+-]?\d+(\.\d+)?%?")


def code(text: str) -> str:
    """Any text as Markdown that shows it and nothing else, also inside a table."""
    shown = visible_line(text)
    if not shown.strip() or _PLAIN.fullmatch(shown):
        return shown.strip()
    # A pipe ends a cell even inside a code span, and renderers disagree about a backslash before it.
    return "&#124;".join(_span(part) for part in shown.split("|"))


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as a Markdown table."""
    if not rows:
        return "none"
    names = list(rows[0])
    lines = ["| " + " | ".join(code(name) for name in names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(code(str(row[name])) for name in names) + " |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"\n... and {len(rows) - MOST_ROWS} more")
    return "\n".join(lines)


def picture(encoded: bytes, kind: str, title: str) -> str:
    """An encoded picture (kind: png or jpeg) inline. Raises ValueError for other kinds."""
    if kind not in ("png", "jpeg"):
        raise ValueError(f"{kind!r} is not a kind of picture that is shown inline")
    alternative = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", visible_line(title))
    return f"![{alternative}](data:image/{kind};base64,{base64.b64encode(encoded).decode()})"


def _span(text: str) -> str:
    """A code span, fenced by more backticks than any run inside has."""
    if not text.strip():
        return text.replace(" ", "&#32;")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}"
