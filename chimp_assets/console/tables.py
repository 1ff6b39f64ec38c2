"""Tables that fit every terminal: words are never broken, and nothing is cut off.

Belongs here: the widths of columns, and what a table becomes where there is no room for it. Does not belong here: what
stands in the cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.table import Table

from chimp_assets.console import output
from chimp_assets.database.texts import visible

_LONGEST_WORD = 24
"""Longer words of a cell, mostly addresses of files, may be broken where a table is too wide."""


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table whose words and headers are never broken; where the terminal is too narrow, a block for each row."""
    width = output.out.width
    room = width - 3 * len(names) - 1
    natural, least = [], []
    for place, name in enumerate(names):
        cells = [visible(row[place]) for row in rows]
        words = [word for cell in cells for word in cell.split()]
        lines = [line for cell in [name, *cells] for line in cell.splitlines()]
        natural.append(max(map(cell_len, lines), default=1) or 1)
        pieces = max(map(cell_len, pieces_of(name)), default=1) or 1
        least.append(max(pieces, min(_LONGEST_WORD, max(map(cell_len, words), default=0))))
    table = Table(title=title or None, title_justify="left")
    if sum(least) > room:  # without lines between columns there is a letter more for each
        room = width - 2 * len(names)
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if sum(least) > room:
        _print_blocks(names, rows, title)
        return
    for name, wide in zip(names, _widths(natural, least, room), strict=True):
        header = name if cell_len(name) <= wide else "\n".join(_lines_of(pieces_of(name), wide))
        table.add_column(header, overflow="fold", width=wide)
    for row in rows:
        table.add_row(*row)
    output.show(table)


def print_facts(facts: Iterable[tuple[str, str]], name_style: str = "") -> None:
    """Names and values, a line each; a long value goes on below itself."""
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True, style=name_style)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, value)
    output.show(table)


def _print_blocks(names: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    if title:
        output.out.print(title, style="italic")
    for row in rows:
        output.out.print()
        print_facts(zip(names, row, strict=True), name_style="bold")


def pieces_of(name: str) -> list[str]:
    """Where a header may be broken: behind underscores and at blanks."""
    return re.findall(r"[^_\s]*_+|[^_\s]+", name) or [name]


def _lines_of(pieces: list[str], width: int) -> list[str]:
    lines = [""]
    for piece in pieces:
        joined = lines[-1] + ("" if not lines[-1] or lines[-1].endswith("_") else " ") + piece
        if lines[-1] and cell_len(joined) > width:
            lines.append(piece)
        else:
            lines[-1] = joined
    return lines


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Room for every column: what it needs, and a fair part of what is left."""
    widths = [min(n, w) for n, w in zip(natural, least, strict=True)]
    left = room - sum(widths)
    while left > 0 and (wanting := [i for i, n in enumerate(natural) if n > widths[i]]):
        for place in wanting[:left]:
            widths[place] += 1
            left -= 1
    return widths
