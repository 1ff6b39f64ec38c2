"""What `chimp import` prints: the formats, and what became of a file, row by row in words.

Does not belong here: taking files in (`exchange.imports`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chimp_assets.console.output import say, say_notes, show_indented, styled
from chimp_assets.console.tables import print_table

if TYPE_CHECKING:
    from chimp_assets.exchange.imports.annotations import ImportFormat
    from chimp_assets.exchange.imports.intake.report import Count, TakenIn

Line = tuple[str, int, "Count | None"]


def show_formats(known: dict[str, ImportFormat]) -> None:
    """Every format with what it holds."""
    for name, one in known.items():
        say(styled((name, "bold"), (f"  {' '.join(filter(None, one.suffixes)) or 'a folder'}", "dim")))
        show_indented(one.what, 4)
    say("\nTake one in: `chimp import FORMAT FILE`, with --dry-run to see what would be stored")


def show_import(report: TakenIn) -> None:
    """A table of what was matched and stored, and then the first of whatever was left out or needs a look."""
    lines = [line for line in _lines(report) if line[1]]
    title = f"{report.file} ({report.format}){', nothing stored: a dry run' if report.dry_run else ''}"
    print_table(("", "n"), [(what, f"{n:,}") for what, n, _ in lines], title)
    say(*_sentences(report))
    for what, n, named in lines:
        if named is not None and named.named and _needs_a_look(what):
            say(styled((f"{what}: {n:,}", "bold")))
            few = named.named[: _EXAMPLES if "end of the path" in what else None]
            for one in few:
                show_indented(one, 2)
            if n > len(few):
                show_indented("and more", 2)
    say_notes(report.notes)


_LOOK = (
    "no match", "several", "end of the path", "not decoded", "another shape", "moved", "nowhere", "unclear", "changed",
    "nobody is called", "two names", "otherwise", "refused", "bad", "by their rate", "another recording time",
    "tracked before", "no users", "other categories",
)  # fmt: skip


_EXAMPLES = 3  # of what is right nearly always, so that what is wrong stays on the screen


def _needs_a_look(what: str) -> bool:
    return any(word in what for word in _LOOK)


def _lines(report: TakenIn) -> Iterator[Line]:
    media, rows, names = report.media, report.rows, report.names
    yield "videos and pictures in the file", media.listed, None
    yield "matched by content", media.by_hash.n, media.by_hash
    yield "matched by path", media.by_path.n, media.by_path
    yield "matched by the end of the path", media.by_tail.n, media.by_tail
    yield "no match", media.unmatched.n, media.unmatched
    yield "several could be meant", media.several.n, media.several
    yield "not decoded yet", media.waiting.n, media.waiting
    yield "drawn on pictures of another shape", media.other_shape.n, media.other_shape
    yield "rows of matched media", rows.boxes, None
    yield "boxes on stored pictures", rows.on_frame, None
    yield "boxes put between two of the file", rows.interpolated, None
    yield "boxes between stored pictures, which lead from one to the next", rows.between, None
    yield "lone boxes moved to the nearest stored picture", rows.moved.n, rows.moved
    yield "boxes that lie nowhere", rows.unplaced.n, rows.unplaced
    yield "tracks that were added", rows.new_tracks, None
    yield "tracks that were here", rows.same_tracks, None
    yield "tracks taken in before", rows.known_tracks, None
    yield "tracks taken in before and changed since", rows.gone_tracks.n, rows.gone_tracks
    yield "rows without a box", rows.whole, None
    yield "rows without a box that are unclear", rows.unclear.n, rows.unclear
    yield "boxes in place of detecting", rows.proposals, None
    yield "videos and pictures that they are about", rows.of_videos, None
    yield "of these tracked before, and left so", rows.already_tracked.n, rows.already_tracked
    yield "boxes of other categories", rows.other_categories.n, rows.other_categories
    yield "names stored", names.stored, None
    yield "names said before", names.known, None
    yield "new individuals", names.made.n, names.made
    yield "names: nobody is called so", names.unknown.n, names.unknown
    yield "rows about an animal without a name", names.nobody.n, names.nobody
    yield "tracks of two names", names.mixed.n, names.mixed
    yield "names of tracks that were named otherwise", names.contradicting.n, names.contradicting
    yield "of these, names that stand now", names.stands, None
    yield "names refused", names.refused.n, names.refused
    yield "annotators who are no users here", names.by_others.n, names.by_others
    yield "recording times from the file", report.times_set, None
    yield "media with another recording time", report.times_other.n, report.times_other
    yield "media whose frames were found by the times of their pictures", report.by_pictures, None
    yield "media whose frames were found by their rate", report.by_rate.n, report.by_rate
    yield "bad rows left out", report.bad_rows.n, report.bad_rows


_SAYERS = {"format": "the format says so", "file": "the file says so", "person": "you said so"}


def _sentences(report: TakenIn) -> Iterator[str]:
    if report.by_pictures or report.by_rate.n:
        yield f"The first frame is number {report.frame_base}: {_SAYERS[report.said_by]}."
    if report.before and not report.dry_run:
        yield "This file was taken in before; only what was missing was stored."
    if report.names.unknown.n and not report.names.made.n:
        yield "Add individuals with `chimp individuals import`, or with --new-individuals, and import again."
    if report.media.waiting.n:
        yield "Decode what waits with `chimp ingest`, and import again."
    if report.rows.proposals:
        yield "Tracks are made from these boxes when their videos are tracked: `chimp ingest` does it now."
