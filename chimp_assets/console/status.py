"""What `chimp status` prints: a home at a glance. Does not belong here: counting (`insight.status`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chimp_assets.acquisition.returns.words import saving_in_words
from chimp_assets.console.files import show_left_behind
from chimp_assets.console.labels import agreement_in_words
from chimp_assets.console.output import say, styled
from chimp_assets.console.tables import print_facts, print_table
from chimp_assets.console.times import times_in_words
from chimp_assets.console.words import accuracy_in_words, counted, counts_in_words, duration_in_words, hours_in_words

if TYPE_CHECKING:
    from chimp_assets.database.footage.passed_over import PassedOverFiles
    from chimp_assets.database.work.pace import DecodingPace
    from chimp_assets.insight.goal import ArchiveGoal, MinutesToGo, PromiseState
    from chimp_assets.insight.status import HeadStatus, LabelReturns, LabelsToReview, Status
    from chimp_assets.insight.volunteers import VolunteerWork
    from chimp_assets.loop.evidence import NamedMergeProposal

CONCLUSIONS_SHOWN = 10
"""Contradictions, and merges to decide, in a summary; --json names all."""


def show_status(status: Status) -> None:
    """A home at a glance."""
    facts = [
        ("videos and bursts" if status.pictures.files else "videos", counts_in_words(status.videos)),
        *([("pictures", str(status.pictures))] if status.pictures.files else []),
        ("footage", f"{hours_in_words(status.hours)} decoded{_waiting(status.pace)}"),
        *([("times", times_in_words(status.times))] if status.times else []),
        ("frames", f"{status.frames:,} ({status.shard_bytes / 1e6:,.1f} MB of shards)"),
        ("speed", _speed(status.pace)),
        ("tracks", counts_in_words(status.tracks)),
        ("individuals", str(status.individuals)),
        ("labels by lane", counts_in_words(status.labels)),
        *(("asked twice", agreement_in_words(one)) for one in status.agreement),
        *([("labels to review", _to_review(status.to_review))] if status.to_review else []),
        ("queue", counts_in_words(status.queue)),
        *([("pairs", counts_in_words(status.pairs))] if status.pairs else []),
        *([("disputed answers", counts_in_words(status.disputed))] if status.disputed else []),
        *([("volunteers", volunteers_in_words(status.volunteers))] if status.volunteers else []),
        *([("changes", _changes(status))] if status.open_alerts else []),
        ("failures", _failures(status)),
        *([("not read", _not_read(status.passed_over))] if status.passed_over.counts else []),
    ]
    print_facts(facts)
    if status.heads:
        _print_heads(status.heads)
    say(*goal_lines(status.goal))
    say(*bought_lines(status.bought))
    say(*(f"{line}." for line in status.contradictions[:CONCLUSIONS_SHOWN]))
    say(*(proposal_line(merge) for merge in status.proposals[:CONCLUSIONS_SHOWN]))
    show_left_behind(status.left_behind)
    say(*(styled(("run failed", "red"), f" {at:%Y-%m-%d %H:%M} UTC: {job}") for at, job, _ in status.failed_runs))


def volunteers_in_words(work: VolunteerWork) -> str:
    """What came of "is this X?"."""
    named = f"{counted(work.tracks, 'track', 'tracks')} ({counted(work.frames, 'frame', 'frames')})"
    by = f"{counted(work.answers, 'answer', 'answers')} of {counted(work.people, 'person', 'people')}"
    return f"volunteers have named {named}, with {by} in {work.minutes:,.0f} minutes; {counts_in_words(work.queue)}"


def _print_heads(heads: list[HeadStatus]) -> None:
    rows = []
    for head in heads:
        accuracy = (
            "not measured"
            if head.audit_top1 is None
            else accuracy_in_words(head.audit_top1, head.ci_low, head.ci_high, head.n_audit)
        )
        rows.append((str(head.version), head.state, str(head.n_labels), accuracy, head.reason or ""))
    print_table(("head", "verdict", "labels", "audit accuracy (95 %)", "reason"), rows, "Models")


def bought_lines(bought: LabelReturns | None) -> list[str]:
    """What the labels bought, and whether more of them pay, in sentences."""
    if bought is None:
        return []
    lines = []
    if bought.accuracy is not None and bought.labels is not None and bought.minutes is not None:
        needed = (math.inf if n is None else n for n in (bought.random_labels, bought.random_low, bought.random_high))
        lines.append(saving_in_words(bought.accuracy, bought.labels, bought.minutes, *needed))
    if bought.next_hour is not None:
        lines.append(
            f"The next hour of answers is expected to add {100 * bought.next_hour:.1f} points of accuracy "
            f"({100 * (bought.next_hour_low or 0):.1f} to {100 * (bought.next_hour_high or 0):.1f})."
        )
    done = [lane for lane in bought.says_stop if lane != "all"]
    if done:
        lines.append(f"Answers in these lanes now add hardly anything new: {', '.join(done)}.")
    if "all" in bought.says_stop:
        lines.append("The newest heads agree on nearly all tracks that nobody has answered.")
    return lines


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


def proposal_line(merge: NamedMergeProposal) -> str:
    """A merge that a person should decide about, and the command that makes it."""
    into = f"{merge.into_name} ({merge.into_anim_id})" if merge.into_name else merge.into_anim_id
    return (
        f"{merge.anim_id} is {into}, according to answers on {counted(len(merge.track_ids), 'track', 'tracks')}:"
        f" chimp individuals merge {merge.anim_id} {merge.into_anim_id}"
    )


def _waiting(pace: DecodingPace) -> str:
    if pace.hours_left == 0:
        return ""
    return ", more waiting" if pace.hours_left is None else f", about {hours_in_words(pace.hours_left)} waiting"


def _speed(pace: DecodingPace) -> str:
    if pace.speed is None:
        return "not measured yet"
    left = f", about {duration_in_words(pace.seconds_left)} left to decode" if pace.seconds_left else ""
    return f"{pace.speed:,.1f} x real time{left}"


def _to_review(labels: LabelsToReview) -> str:
    return (
        f"{labels.n_likely_errors:,} likely errors among {labels.n_judged:,} labels, in the cross-validation of head"
        f" {labels.model_id}: see `chimp labels review`"
    )


def _changes(status: Status) -> str:
    first, *others = status.open_alerts
    more = f" {counted(len(others), 'more is', 'more are')} open." if others else ""
    return f"{first}{more} See `chimp drift list`"


def _failures(status: Status) -> str:
    kinds = (
        (status.n_failed, "failed", "failed"),
        (status.n_lost_something, "read in part", "read in part"),
        (status.n_duplicates, "duplicate", "duplicates"),
        (len(status.given_up), "bundle given up", "bundles given up"),
    )
    words = ", ".join(counted(n, one, many) for n, one, many in kinds if n)
    return f"{words}: see `chimp status --failed`" if words else "none"


def _not_read(files: PassedOverFiles) -> str:
    faults = {"unreadable": "unreadable", "name": "with names that cannot be stored", "link": "links not followed"}
    others = sum(n for reason, n in files.counts.items() if reason not in faults)
    parts = [f"{files.counts[reason]:,} {words}" for reason, words in faults.items() if files.counts.get(reason)]
    if others:
        parts.append(counted(others, "other file", "other files"))
    return f"{', '.join(parts)}: see `chimp status --failed`"
