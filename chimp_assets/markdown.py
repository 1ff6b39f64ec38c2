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
import unicodedata
from collections.abc import Mapping, Sequence

MOST_ROWS = 50
"""A longer table is cut, and the rest is counted."""
# Words without a dot (www.example.org would be a link) and numbers.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,%]*|[+-]?\d+(\.\d+)?%?")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def visible(text: str) -> str:
    r"""The text on one line, with what cannot be seen (line breaks, controls, marks that turn the direction of writing)
    as \x0a or \u202e.
    """
    return "".join(_escape(sign) if unicodedata.category(sign) in _INVISIBLE else sign for sign in text)


def code(text: str) -> str:
    """Any text as Markdown that shows it and nothing else, also inside a table."""
    shown = visible(text)
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
    alternative = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", visible(title))
    return f"![{alternative}](data:image/{kind};base64,{base64.b64encode(encoded).decode()})"


def _escape(sign: str) -> str:
    n = ord(sign)
    return f"\\x{n:02x}" if n < 0x100 else f"\\u{n:04x}" if n < 0x10000 else f"\\U{n:08x}"


def _span(text: str) -> str:
    """A code span, fenced by more backticks than any run inside has."""
    if not text.strip():
        return text.replace(" ", "&#32;")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}"
