"""What is printed about labels: doubtful ones, how often people repeat their own answers, those whose tracks are gone,
and what a re-tracking did for them.

Does not belong here: finding them (`vision.identity.label_quality`, `database.labels.agreement`,
`database.tracks.found_anew`), tracking anew (`loop.retrack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_table
from chimp_assets.console.words import counted
from chimp_assets.database.files.whole_file import write_rows, write_whole
from chimp_assets.database.tracks.found_anew import GONE_COLUMNS

if TYPE_CHECKING:
    from chimp_assets.database.labels.agreement import SelfAgreement
    from chimp_assets.database.tracks.found_anew import KeptVideo
    from chimp_assets.loop.retrack import RetrackReport
    from chimp_assets.vision.identity.label_quality import DoubtfulLabel


def show_review(labels: list[DoubtfulLabel], n: int, agreement: list[SelfAgreement]) -> None:
    """Labels to look at again, of n in all, and each person's agreement with their own earlier answers."""
    if labels:
        rows = [
            (
                str(label.rank),
                str(label.track_id),
                f"{label.labelled} ({label.probability_labelled:.0%})",
                f"{label.suggested} ({label.probability_suggested:.0%})",
                f"{label.quality:.2f}",
                "yes" if label.likely_error else "",
            )
            for label in labels
        ]
        print_table(("", "track", "label", "models say", "quality", "likely error"), rows)
    say(f"Models that were not trained on them contradict {n:,} labels." if n else "No label is contradicted.")
    say(*(agreement_in_words(one) for one in agreement))


def agreement_in_words(one: SelfAgreement) -> str:
    """How often a person who was asked again gave the same answer, with the 95 % interval."""
    return (
        f"{one.annotator}, asked again, gave the same answer {one.n_same} of {one.n_repeats} times: "
        f"{one.share:.0%} ({one.ci_low:.0%} to {one.ci_high:.0%})."
    )


SHOWN = 20


def would_be(counts: dict[str, int]) -> str:
    """What a re-tracking would take on."""
    if not counts["videos"]:
        return "Nothing to do: the detector in use has tracked every video."
    return (
        f"{counted(counts['videos'], 'video', 'videos')} with {counted(counts['frames'], 'frame', 'frames')} would be "
        f"tracked anew; people have answered {counted(counts['answered'], 'track', 'tracks')} of them."
    )


def show_retracking(done: RetrackReport) -> None:
    """What a re-tracking did."""
    if not done.videos and not done.failed:
        say("Nothing to do: the detector in use has tracked every video.")
        return
    say(
        f"Tracked {counted(done.videos, 'video', 'videos')} anew: {counted(done.tracks, 'track', 'tracks')}.",
        f"Of {counted(done.followed + done.kept + done.unfollowed, 'answered track', 'answered tracks')} "
        f"{done.followed:,} are followed by new ones, {done.kept:,} stay as they were, and the answers of "
        f"{done.unfollowed:,} count for no track now"
        + ("." if not done.unfollowed else ": `chimp retrack --unfollowed` lists them."),
    )
    for uri, why in done.kept_videos[:SHOWN]:
        say(f"stayed as it was: {uri}: {why}")
    for uri, why in done.failed[:SHOWN]:
        say(f"could not be read: {uri}: {why}")
    if done.left:
        say(f"{counted(done.left, 'video waits', 'videos wait')} for the next run.")


def show_unfollowed(lost: Sequence[dict[str, Any]], stayed: Sequence[KeptVideo], csv: Path | None) -> None:
    """Answers that could not follow, with what to do, and videos that stayed as they were."""
    show_gone(lost, csv, "Every answer follows an animal.")
    for one in stayed[:SHOWN]:
        say(f"stayed as it was: {one.uri}: {one.why}")


def show_gone(answers: Sequence[dict[str, Any]], csv: Path | None, none: str) -> None:
    """Answers about tracks that are gone."""
    if not answers:
        say(none)
        return
    rows = [
        (
            str(one["track_id"]), str(one["track_state"]), str(one["uri"]),
            f"{one['first_s']:.1f} to {one['last_s']:.1f} s",
            str(one["anim_id"] or one["kind"]), str(one["annotator"]), str(one["now_track_id"] or one["what_to_do"]),
        )
        for one in answers[:SHOWN]
    ]  # fmt: skip
    print_table(("track", "was", "video", "seconds", "answer", "by", "counts for track, or what to do"), rows)
    if csv is not None:
        say(f"All {len(answers):,} are in {csv}.")
    elif len(answers) > SHOWN:
        say(f"{len(answers) - SHOWN:,} more; --csv FILE writes all.")


def write_gone(file: Path, answers: Sequence[dict[str, Any]]) -> None:
    """All of them as CSV. Raises FileWriteError."""
    write_whole(
        file, lambda out: write_rows(out, GONE_COLUMNS, ([one[name] for name in GONE_COLUMNS] for one in answers))
    )
