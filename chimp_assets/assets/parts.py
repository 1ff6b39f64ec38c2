"""What all assets share: the bundle partition, owners, and tables and small pictures for the web UI.

Dagster's web UI renders Markdown in metadata and in descriptions, so what comes from outside (names of files, cameras
and individuals, errors, notes) could make a browser ask for any address. All Markdown metadata is made here; text
metadata, tags and reasons to skip are shown as they are; descriptions hold no words from outside. A test reads the code
for it.

Does not belong here: an asset, what makes a text harmless (`chimp_assets.markdown`).
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from chimp_assets import markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

bundles = dg.DynamicPartitionsDefinition(name="bundle")
"""A bundle of videos. Keys are only added: a bundle whose videos vanish is retired in SQL."""

OPERATORS = ["team:operators"]
EXPERTS = ["team:experts"]

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
    return dg.MetadataValue.md(markdown.picture(picture, kind, title))


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
    """Rows of equal keys as a table that shows every text as it is; at most 50 are shown and the rest is counted."""
    return dg.MetadataValue.md(markdown.table(rows))


def verdict_table(verdicts: Iterable[tuple[int, bool, str]]) -> dg.MarkdownMetadataValue:
    """Verdicts on candidates, each (model_id, whether it was promoted, why or why not)."""
    return markdown_table(
        [
            {"model": model_id, "promoted": "yes" if promoted else "no", "reason": reason}
            for model_id, promoted, reason in verdicts
        ]
    )
