"""The goal, what is left until it, and the promise, in sentences. Does not belong here: reading them (`insight`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.console.words import counted

if TYPE_CHECKING:
    from chimp_assets.insight.labelling.goal import ArchiveGoal, MinutesToGo, PromiseState


def goal_lines(found: ArchiveGoal | None) -> list[str]:
    """The goal first, then where the archive stands, then the promise; nothing where nothing was forecast."""
    if found is None:
        return []
    goal, frames = found.goal, found.frames
    lines = [
        f"Goal: {goal.named:.0%} of the frames named, at most {goal.error:.0%} of the names wrong: {_left(found)}.",
        f"Named: {frames.named:.0%} of the frames ({frames.by_person:.0%} by a person, {frames.by_page:.0%} on pages"
        f" and by volunteers, {frames.by_machine:.0%} by the machine), of which {found.expected_error:.1%} are expected"
        f" to be wrong, after {minutes_in_words(found.spent_minutes)} of answers.",
    ]
    if found.alone is None and frames.nameless > 0:
        lines.append(f"Of {frames.nameless:.0%} of the frames people have said that they can name nobody.")
    lines.append(promise_line(found.promise))
    return lines


def _left(found: ArchiveGoal) -> str:
    if found.alone is None:
        return "no number of answers reaches it"
    if found.reached:
        return "within reach, only the test of the names is left"
    alone = f"{minutes_range(found.alone)} of yours to go"
    if found.alone.low is None:
        alone += " if answers taught nothing"
    if found.helped is None or found.helped.high >= found.alone.high:
        return alone
    return f"{alone}, {minutes_range(found.helped)} with two volunteers"


def minutes_range(found: MinutesToGo) -> str:
    """12 to 15 minutes; at most 71 minutes, where nothing is known of how much answers teach."""
    high = minutes_in_words(found.high)
    if found.low is None:
        return f"at most {high}"
    return high if round(found.low) == round(found.high) else f"{round(found.low):,} to {high}"


def minutes_in_words(minutes: float) -> str:
    """1 minute, 71 minutes; below half a minute: less than a minute."""
    return "less than a minute" if minutes < 0.5 else counted(round(minutes), "minute", "minutes")


def promise_line(promise: PromiseState | None) -> str:
    """What is known of the promise, in one sentence."""
    if promise is None:
        return "Promise: the names have not been tested yet."
    wrong = f"{promise.n_wrong} wrong"
    if promise.state == "auditing":
        return f"Promise: {promise.n_answered} of some {promise.n_draws} audits answered, {wrong}."
    asked = f"{promise.n_answered} audits, {wrong}"
    if promise.state == "kept":
        bound = "" if promise.error_bound is None else f": at most {promise.error_bound:.1%} of the names are wrong"
        return f"Promise: kept since {promise.since:%Y-%m-%d %H:%M} UTC{bound} ({asked})."
    if promise.state == "failed":
        return f"Promise: not kept at look {promise.look_no} ({asked}); the answers teach, and the next look follows."
    return f"Promise: ended on {promise.since:%Y-%m-%d %H:%M} UTC: {promise.end_reason or 'names have changed'}."
