"""What all assets share: the bundle partition, owners, and small pictures for the web UI.

Does not belong here: an asset.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

bundles = dg.DynamicPartitionsDefinition(name="bundle")
"""A bundle of videos. Keys are only ever added: a bundle whose videos vanish is retired in SQL."""

OPERATORS = ["team:operators"]
EXPERTS = ["team:experts"]
RESEARCHERS = ["team:researchers"]

MAX_PLOT_BYTES = 100_000
"""Plots lie in the event log, which is never purged: larger ones are drawn again at a lower resolution."""


def png_markdown(figure: "Figure", title: str) -> dg.MarkdownMetadataValue:
    """A matplotlib figure as an inline picture of at most 100 kB."""
    for dpi in (90, 60, 40):
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=dpi, bbox_inches="tight")
        if picture.tell() <= MAX_PLOT_BYTES:
            break
    return picture_markdown(picture.getvalue(), "png", title)


def picture_markdown(picture: bytes, kind: str, title: str) -> dg.MarkdownMetadataValue:
    """An encoded picture (kind: png or jpeg) inline."""
    return dg.MetadataValue.md(f"![{title}](data:image/{kind};base64,{base64.b64encode(picture).decode()})")


def bars(labels: Sequence[str], values: Sequence[float], title: str, unit: str) -> "Figure":
    """A horizontal bar chart: labels [n], values [n]."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 0.6 + 0.28 * max(len(labels), 1)))
    axes = figure.add_subplot()
    axes.barh(range(len(labels)), values, color="#4a7c59")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_title(title)
    axes.set_xlabel(unit)
    return figure


def markdown_table(rows: Sequence[Mapping[str, object]]) -> dg.MarkdownMetadataValue:
    """Rows of equal keys as a markdown table; at most 50 are shown and the rest is counted."""
    if not rows:
        return dg.MetadataValue.md("none")
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows[:50]:
        lines.append("| " + " | ".join(str(row[name]).replace("|", "\\|") for name in names) + " |")
    if len(rows) > 50:
        lines.append(f"\n... and {len(rows) - 50} more")
    return dg.MetadataValue.md("\n".join(lines))
