"""What is printed about recording times: witnesses, certainty, disagreements, corrections of camera clocks.

Does not belong here: weighing and correcting times (`archive.times`), counting them (`database.footage.times`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_table
from chimp_assets.console.words import counted
from chimp_assets.database.footage.times import CameraTimes, Times, in_words, quarrel_in_words

if TYPE_CHECKING:
    from chimp_assets.archive.times.corrections import CorrectionEntry, CorrectionReport

QUARRELS_SHOWN = 5
"""Cameras with disagreeing witnesses in a summary; `chimp times list` names all."""


def show_time_summary(times: Times, changed: int = 0, why: str = "") -> None:
    """Witnesses and certainty of the whole archive. changed, why: videos whose time changed now, and the cause."""
    if why:
        say(f"{why}: the times of {counted(changed, 'video', 'videos')} changed.")
    say(f"Times from: {in_words(times.by_witness)}. Certainty: {in_words(times.by_certainty)}.")
    for one in times.quarrels[:QUARRELS_SHOWN]:
        say(f"Witnesses disagree at {quarrel_in_words(one)}")
    if times.n_asks:
        say(
            f"{counted(times.n_asks, 'name', 'names')} can be read with day or month first: set archive.date_order, or"
            " `chimp times correct CAMERA --order day_first`."
        )
    if times.quarrels:
        say("See `chimp times list`; correct a camera's clock with `chimp times correct CAMERA ...`.")


def times_in_words(times: Times) -> str:
    """The summary as the value of one row."""
    lines = [f"{in_words(times.by_witness)}; {in_words(times.by_certainty)}"]
    lines += [f"witnesses disagree at {quarrel_in_words(one)}" for one in times.quarrels[:QUARRELS_SHOWN]]
    if times.quarrels:
        lines.append("see `chimp times list`")
    return "\n".join(lines)


def show_times(times: Times, cameras: list[CameraTimes], corrections: list[CorrectionEntry]) -> None:
    """A table of cameras, the summary, and every correction."""
    rows = [
        (
            one.name,
            f"{one.n_videos:,}",
            in_words(one.by_witness),
            in_words(one.by_certainty),
            f"{one.n_quarrels:,}" if one.n_quarrels else "",
        )
        for one in cameras
    ]
    if rows:
        print_table(("camera", "videos", "time from", "certainty", "disagree"), rows)
    show_time_summary(times)
    say(*(_correction_in_words(one) for one in corrections))


def _correction_in_words(one: CorrectionEntry) -> str:
    who = f" by {one.by}" if one.by else ""
    why = f": {one.reason}" if one.reason else ""
    words = f"Correction {one.correction_id}, {one.camera}: {one.words} ({one.made_at:%Y-%m-%d}{who}{why})"
    if one.revoked_at is None:
        return words
    who = f" by {one.revoked_by}" if one.revoked_by else ""
    why = f": {one.revoke_reason}" if one.revoke_reason else ""
    return f"{words}; revoked {one.revoked_at:%Y-%m-%d}{who}{why}"


def show_correction(done: CorrectionReport, title: str, undo: bool = True) -> None:
    """What a correction changes, with some examples. undo: whether to name the command that takes it back."""
    say(title)
    for uri, before, after in done.examples:
        say(f"  {uri}: {_moment(before)} -> {_moment(after)}")
    is_dry_run = done.correction_id is None
    change = f"{'would change' if is_dry_run else 'changed'}"
    split = f" {counted(done.moved, 'video', 'videos')} changed split together with the day." if done.moved else ""
    command = f" Undo it with `chimp times undo {done.correction_id}`." if undo and not is_dry_run else ""
    say(f"The times of {counted(done.n_changed, 'video', 'videos')} {change}.{split}{command}")


def _moment(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
