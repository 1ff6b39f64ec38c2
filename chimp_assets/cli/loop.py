"""`chimp ingest`, `retrain`, `score`, `replan`, `retrack`: the steps of the loop, in the foreground.

Does not belong here: the steps themselves (`loop`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chimp_assets.cli.answers import Json, answer, opened
from chimp_assets.cli.home import archive_address
from chimp_assets.console.output import say
from chimp_assets.console.words import counted

if TYPE_CHECKING:
    from chimp_assets.database.work.pace import DecodingPace
    from chimp_assets.loop.ingest import IngestReport

app = typer.Typer()


@app.command()
def ingest(
    archive: Annotated[
        str | None, typer.Argument(help="Folder or az://container/prefix; default: the archive of this home.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="After a repair: try failed videos and given-up bundles again.")
    ] = False,
    json: Json = False,
) -> None:
    """Turn the archive into tracks, predictions and a queue. Interrupt it at any time; run it again to resume."""
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.database.work import due
    from chimp_assets.database.work.pace import pace_of
    from chimp_assets.home import complete_home, has_home, init_home, remember_archive, require_video
    from chimp_assets.loop import ingest as steps

    is_new = not has_home()
    if is_new:
        # A home that nobody asked for must not come from a wrong folder.
        require_video(archive_address(archive) if archive is not None else None)
    home = init_home() if is_new else complete_home()
    if is_new and not json:
        say(f"Made a home at {home.settings.home} for the settings, database and pictures of this archive.")
    if archive is not None:
        home = remember_archive(home, archive_address(archive))
    retried = due.retry_failed(home.database) if retry_failed else due.RetryReport(0, 0)
    if retry_failed and not json:
        bundles = f", and {counted(retried.bundles, 'given-up bundle', 'given-up bundles')}" if retried.bundles else ""
        say(f"{counted(retried.videos, 'failed video is', 'failed videos are')} tried again{bundles}.")

    def pace() -> DecodingPace:
        with home.database.read() as conn:
            return pace_of(conn, home.settings.decode.workers)

    with progress_bar(json, pace) as tell:
        done = steps.ingest(home, tell)
    answer(
        json,
        lambda: {
            **done.as_dict(),
            "retried": retried.videos,
            "pace": vars(pace()),
            **({"made_home": str(home.settings.home)} if is_new else {}),
        },
        partial(_show_ingested, done),
    )


def _show_ingested(done: IngestReport) -> None:
    from chimp_assets.console.files import show_changes, show_failed, show_left_behind, show_passed_over
    from chimp_assets.console.times import show_time_summary

    files, bundles = counted(done.listed, "file", "files"), counted(done.bundles, "bundle", "bundles")
    frames, tracks = counted(done.frames, "frame", "frames"), counted(done.tracks, "track", "tracks")
    copies = counted(done.duplicates, "file is a duplicate or has moved", "files are duplicates or have moved")
    say(
        f"{files} listed, {done.new:,} new; kept {frames} and {tracks} from {bundles}."
        + (f" {copies}." if done.duplicates else "")
    )
    show_changes(done)
    show_failed(done.failed)
    show_time_summary(done.times, done.times_changed, done.why_times)
    show_passed_over(done.passed_over, done.endings, [(p.path, p.reason, p.detail) for p in done.named])
    show_left_behind(done.left_behind)
    say(
        "The queue is ready: `chimp up` starts the labelling page, `chimp status` shows what there is."
        if done.round_id
        else f"No new plan was made: {done.why_no_plan}."
    )


@app.command()
def retrain(json: Json = False) -> None:
    """Fit a head to the labels and judge it on the audit. If it is promoted: score all tracks and plan again."""
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.loop import plan, rescore
    from chimp_assets.loop import retrain as step

    home = opened()
    with progress_bar(json) as tell:
        done = step.retrain(home, tell)
        while done.promoted and rescore.rescore(home, tell).left:
            pass
    if done.promoted:
        plan.replan(home)
    verdict = "promoted" if done.promoted else "refused"
    answer(json, vars(done), f"Head {done.model_id} was {verdict}: {done.reason}")


@app.command()
def score(json: Json = False) -> None:
    """Compute missing embeddings and predictions with the champion models."""
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.loop.rescore import rescore

    home = opened()
    bundles = tracks = 0
    with progress_bar(json) as tell:
        while True:
            done = rescore(home, tell)
            bundles, tracks = bundles + len(done.bundles), tracks + done.predicted_tracks
            if not done.left:
                break
    answer(
        json,
        {"bundles": bundles, "tracks": tracks},
        f"Scored {counted(tracks, 'track', 'tracks')} of {counted(bundles, 'bundle', 'bundles')}.",
    )


@app.command()
def replan(json: Json = False) -> None:
    """Rank the queue again from today's labels and predictions."""
    from chimp_assets.loop import plan

    report = plan.replan(opened())
    lanes = ", ".join(f"{n} {lane}" for lane, n in report.lanes.items()) or "nothing left to ask"
    answer(
        json,
        vars(report),
        f"Round {report.round_id} ({report.phase}): {lanes}, from a pool of {report.n_pool:,} tracks;"
        f" also {counted(report.pairs, 'pair', 'pairs')}"
        f" and {counted(report.disputed, 'disputed answer', 'disputed answers')}"
        + (f"; volunteers are asked about {counted(report.is_it, 'name', 'names')}." if report.is_it else "."),
    )


@app.command()
def retrack(
    detector: Annotated[
        Literal["now"], typer.Option(help="now: the one that the settings, or a fine-tuned champion, choose.")
    ] = "now",
    budget: Annotated[
        int | None, typer.Option(help="Frames; without it, until no video is left.", min=1, metavar="FRAMES")
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="Only videos of this bundle.", metavar="KEY")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be tracked anew; change nothing.")] = False,
    unfollowed: Annotated[
        bool,
        typer.Option("--unfollowed", help="List answers that could not follow, and videos that stayed as they were."),
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the list of answers to this CSV file.")] = None,
    json: Json = False,
) -> None:
    """Track videos anew that another detector has tracked before. What people said follows the animals."""
    from chimp_assets.console import labels as told
    from chimp_assets.console.progress import progress_bar
    from chimp_assets.database.tracks.found_anew import gone_answers, kept_videos
    from chimp_assets.database.work import due
    from chimp_assets.loop import plan, rescore
    from chimp_assets.loop import retrack as step

    home = opened()
    if unfollowed or csv is not None:
        with home.database.read() as conn:
            lost = gone_answers(conn, only_lost=True, states=("replaced",))
            stayed = kept_videos(conn)
        if csv is not None:
            told.write_gone(csv, lost)
        listed = {"answers": lost, "kept_videos": [vars(one) for one in stayed]}
        answer(json, listed, partial(told.show_unfollowed, lost, stayed, csv))
        return
    if dry_run:
        waiting = step.videos_to_retrack(home, bundle)
        counts = {
            "videos": len(waiting),
            "frames": sum(one.frames for one in waiting),
            "answered": sum(one.answered for one in waiting),
        }
        answer(json, counts, told.would_be(counts))
        return
    with progress_bar(json) as tell:
        done = step.retrack(home, tell, budget or 2**62, bundle)
        while done.videos and rescore.rescore(home, tell).left:
            pass
    with home.database.read() as conn:
        replanned = bool(done.videos) and due.queue_due(conn, home.settings).due
    if replanned:
        plan.replan(home)
    answer(json, done.as_dict() | {"replanned": replanned}, partial(told.show_retracking, done))
