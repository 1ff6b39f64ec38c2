"""What is printed about files of the archive: changed, failed, partly read, passed over, replaced with labels.

Does not belong here: finding them (`archive.catalogue`), counting them (`insight.status`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chimp_assets.console.output import say, show_indented, styled
from chimp_assets.console.words import counted

if TYPE_CHECKING:
    from chimp_assets.database.footage.passed_over import StrandedLabels
    from chimp_assets.insight.status import Failures
    from chimp_assets.loop.ingest import IngestReport

FILES_SHOWN = 10
"""Files that an ingest names at its end; `chimp status --failed` names all."""

PASSED_OVER_WORDS = {
    "not_video": "not videos or pictures by name",
    "system": "hidden or system files",
    "own": "homes and stores of Chimp Assets",
    "link": "symbolic links, which are not followed",
    "unreadable": "unreadable",
    "name": "names that cannot be stored",
    "not_file": "pipes, sockets and devices",
}
_MENDABLE = ("unreadable", "name", "link")


def show_changes(done: IngestReport) -> None:
    """Files that changed since the listing before."""
    kinds = (
        (done.replaced, "replaced"),
        (done.retired, "gone"),
        (done.returned, "back"),
        (done.waiting, "still being written"),
    )
    changes = ", ".join(f"{n:,} {what}" for n, what in kinds if n)
    if changes:
        say(f"Changed files: {changes}.")
    if done.same_pictures:
        shows, keeps = ("shows", "keeps its") if done.same_pictures == 1 else ("show", "keep their")
        say(f"{done.same_pictures:,} {shows} the same pictures as before and {keeps} tracks and labels.")


def show_failed(failed: Sequence[tuple[str, str]]) -> None:
    """Files that an ingest could not read, or only in part, and why."""
    if not failed:
        return
    say(f"{counted(len(failed), 'file', 'files')} failed or could be read only in part:")
    _show_files(failed[:FILES_SHOWN])
    if len(failed) > FILES_SHOWN:
        say(f"... and {len(failed) - FILES_SHOWN:,} more: `chimp status --failed`")


def show_passed_over(
    counts: Mapping[str, int], endings: Mapping[str, int], named: Sequence[tuple[str, str, str]]
) -> None:
    """What lies in the archive and is not read: how much, why, and by name what a person may mend.

    named: (path, reason, detail).
    """
    say(*passed_over_lines(counts, endings))
    shown = [
        (path, detail)
        for path, reason, detail in named
        if reason in _MENDABLE or reason == "own" or "looks like" in detail
    ]
    _show_files(shown[:FILES_SHOWN])
    if len(shown) > FILES_SHOWN:
        say("... and more: `chimp status --failed`")


def passed_over_lines(counts: Mapping[str, int], endings: Mapping[str, int]) -> list[str]:
    """Numbers of what is passed over, a line for each reason."""
    lines = []
    for reason, words in PASSED_OVER_WORDS.items():
        n = counts.get(reason, 0)
        if not n:
            continue
        by_ending = ""
        if reason == "not_video" and endings:
            most = sorted(endings.items(), key=lambda one: (-one[1], one[0]))
            some = ", ".join(f"{m:,} {ending or 'without an ending'}" for ending, m in most[:FILES_SHOWN])
            by_ending = f" ({some}{', ...' if len(most) > FILES_SHOWN else ''})"
        lines.append(f"Passed over, {words}: {n:,}{by_ending}")
    return lines


def show_left_behind(left: Sequence[StrandedLabels]) -> None:
    """Replaced files whose labels stay on the old version."""
    say(*(f"{one}." for one in left[:FILES_SHOWN]))
    if len(left) > FILES_SHOWN:
        say(f"... and {len(left) - FILES_SHOWN:,} more files like these: `chimp status --failed`")


def show_failures(failures: Failures) -> None:
    """Every file that a person must look at: what happened and what to do, a paragraph each."""
    from chimp_assets.archive.catalogue.listing import NAMED

    for files, title, what in (
        (failures.failed, ("Failed", "red"), "nothing of these files was kept"),
        (failures.lost_something, ("Read in part", "yellow"), "the rest of these files was kept"),
    ):
        if files:
            say(styled(title, f" ({len(files):,}): {what}"))
        _show_files(files)
    if failures.duplicates:
        say(f"Duplicates ({len(failures.duplicates):,}): files with the same bytes as another one, decoded once")
        for uri, other in failures.duplicates:
            show_indented(styled((uri, "bold"), " is the same as ", other), 2)
    if failures.given_up:
        bundles = ", ".join(failures.given_up)
        say(styled(("Given up", "red"), f" ({len(failures.given_up):,}): runs of these bundles kept dying: {bundles}"))
    if failures.failed or failures.given_up:
        say("After a repair: `chimp ingest --retry-failed`. A replaced file is read without that.")
    elif not (failures.lost_something or failures.duplicates):
        say("No file has failed.")
    show_left_behind(failures.left_behind)
    passed_over = failures.passed_over
    if passed_over.counts:
        say(f"Passed over ({sum(passed_over.counts.values()):,}): what lies in the archive and is not read")
        lines = passed_over_lines(passed_over.counts, passed_over.endings)
        say(*(f"  {line.removeprefix('Passed over, ')}" for line in lines))
        _show_files([(path, detail) for path, _, detail in passed_over.named])
        named = [reason for _, reason, _ in passed_over.named]
        if any(named.count(reason) >= NAMED for reason in passed_over.counts):
            say(f"Only the first {NAMED} of each kind are named.")


def _show_files(files: Sequence[tuple[str, str]]) -> None:
    for uri, error in files:
        show_indented(styled((uri, "bold")), 2)
        show_indented(error, 6)
