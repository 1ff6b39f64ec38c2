"""Small pieces that the generated pages share. Does not belong here: what a page shows (one module a page)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, one line a row; a bar in a cell is written so that it stays in the cell."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return lines


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring as one line."""
    return " ".join(re.split(r"\n\s*\n", (text or "").strip())[0].split())


def sentence(text: str) -> str:
    """A description as a sentence: capital first, full stop last. Code at the beginning stays as it is."""
    text = " ".join(text.split())
    if not text:
        return ""
    first = text.split()[0]
    if first.isalpha() and first.islower():
        text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."
