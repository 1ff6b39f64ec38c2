"""The steps of the flow in plain Python: what an asset, a command and the demo do alike, each safe to run again.

Belongs here: calling the rooms in their order for one bundle, one training, one re-scoring.
Does not belong here: dagster, printing, and the work itself. torch and av are imported inside the functions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chimp_assets.database.footage.archive_state import listing_is_noted
from chimp_assets.database.footage.passed_over import LeftBehind, labels_left_behind
from chimp_assets.database.work import due as work
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home

if TYPE_CHECKING:
    from chimp_assets.archive.catalogue.listing import PassedOver
    from chimp_assets.database.footage.times import Times
    from chimp_assets.loop.plan import PlanReport

Progress = Callable[[str, int, int], None]
"""(what, done, total): called from time to time by long steps."""


class TrainingError(ChimpError):
    """The training process ended badly."""


@contextmanager
def attempt(home: Home, bundle_key: str) -> Iterator[None]:
    """Counts a run of a bundle: begun when entered, forgotten when left without an error."""
    work.begin_attempt(home.database, bundle_key)
    yield
    work.finish_attempt(home.database, bundle_key)


def training_command(home: Home, training_set_id: int, task: str = "head") -> list[str]:
    """The command line of the training process (task: head or embedder): the same here, on Azure ML, on Kubernetes."""
    return [
        sys.executable,
        "-m",
        "chimp_assets.vision.train",
        "--home",
        str(home.settings.home),
        "--training-set",
        str(training_set_id),
        "--task",
        task,
    ]


def train_in_own_process(home: Home, training_set_id: int) -> int:
    """Fits a head in a process of its own and returns its model_id. Raises TrainingError with the process's words."""
    done = subprocess.run(  # noqa: S603 (our own interpreter and module)
        training_command(home, training_set_id), env=home.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TrainingError(
            f"Training on set {training_set_id} failed: {last}", "Run it again with --debug to see more."
        )
    return int(json.loads(done.stdout.strip().splitlines()[-1])["model_id"])


@dataclass(frozen=True)
class Retrained:
    """What one retraining led to."""

    training_set_id: int
    model_id: int
    promoted: bool
    reason: str


def retrain(home: Home, progress: Progress | None = None) -> Retrained:
    """Training set, head, evaluation, gate; re-scoring and a new plan follow a promotion."""
    from chimp_assets.vision.datasets.training_set import build_training_set
    from chimp_assets.vision.evaluation.audit import AuditJudge
    from chimp_assets.vision.evaluation.metrics import evaluate_head
    from chimp_assets.vision.evaluation.plots import draw_evaluation
    from chimp_assets.vision.evaluation.promotion import decide

    tell = progress or (lambda what, done, total: None)
    tell("training set", 0, 4)
    training_set_id = build_training_set(home.database, home.store, home.settings)
    tell("training", 1, 4)
    model_id = train_in_own_process(home, training_set_id)
    tell("evaluation", 2, 4)
    audit = AuditJudge(home.database, home.store, home.settings)
    answers = audit.answers(model_id)
    evaluate_head(home.database, home.store, model_id, home.settings, answers)
    draw_evaluation(home.database, home.store, model_id, home.settings, answers)
    tell("gate", 3, 4)
    verdict = decide(home.database, home.store, model_id, home.settings, audit)
    tell("gate", 4, 4)
    return Retrained(training_set_id, model_id, verdict.promoted, verdict.reason)


def replan(home: Home) -> PlanReport:
    """A new queue, and at once what the champion head says of the tracks in it. Raises PlanningError as `planning`."""
    from chimp_assets.loop.plan import replan as plan_again

    report = plan_again(home.database, home.store, home.settings)
    name_what_is_asked(home)
    return report


def name_what_is_asked(home: Home) -> int:
    """Predictions of the champion head for tracks that wait to be answered and have none; returns how many.

    Scoring the archive with a new champion takes half a minute for 300,000 tracks, and more for more; whoever answers
    meanwhile sees its candidates all the same.
    """
    from chimp_assets.vision.identity.predict import predict_tracks

    with home.database.read() as conn:
        asked = work.asked_tracks(conn)
    return predict_tracks(home.database, home.store, asked)


@dataclass(frozen=True)
class Rescored:
    """What one budgeted re-scoring did; `left` bundles wait for the next run.

    bundles: those that the champions have embedded now; with_predictions: whether there was a head to score them too.
    """

    bundles: list[str]
    with_predictions: bool
    embedded_tracks: int
    predicted_tracks: int
    left: int


def rescore(home: Home, progress: Progress | None = None, budget: int | None = None) -> Rescored:
    """Embeddings and predictions of the champions for bundles that lack them, until the budget of tracks is spent.

    budget: tracks; None takes settings.score.tracks_per_run. A run stops after the bundle that passes it.
    """
    from chimp_assets.vision.embedding.bundle import embed_bundle
    from chimp_assets.vision.identity.predict import predict_bundles
    from chimp_assets.vision.models.checkpoint import champion

    limit = home.settings.score.tracks_per_run if budget is None else budget
    name_what_is_asked(home)
    with home.database.read() as conn:
        waiting = work.unscored_bundles(conn)
        has_head = champion(conn, "head") is not None
    done: list[str] = []
    embedded = predicted = 0
    if has_head:
        scored = predict_bundles(home.database, home.store, waiting, home.settings, progress, limit)
        done = waiting[: scored.n_bundles]
        embedded, predicted = scored.n_embedded, scored.n_tracks
    else:
        for number, key in enumerate(waiting):
            if progress:
                progress(f"score {key}", number, len(waiting))
            embedded += embed_bundle(home.database, home.store, key, home.settings).n_tracks
            done.append(key)
            if embedded >= limit:
                break
        if progress and waiting:
            progress("score", len(done), len(waiting))
    if done and has_head and len(done) == len(waiting):
        from chimp_assets.vision.identity.unknowns import propose_individuals

        propose_individuals(home.database, home.store)
    return Rescored(done, has_head, embedded, predicted, len(waiting) - len(done))


@dataclass(frozen=True)
class Ingested:
    """What a foreground ingest did, counted from SQL at its end.

    same_pictures: files whose bytes are new and whose pictures are not, so that they keep tracks and labels;
    left_behind: files with other pictures than before whose labels could not go along. passed_over, endings, named:
    what the archive holds beside videos, as `Discovery` says. times: by witness and certainty, with cameras whose
    witnesses quarrel; times_changed: videos whose time is another than before because of why_times, such as a setting.
    """

    listed: int
    new: int
    bundles: int
    frames: int
    tracks: int
    duplicates: int
    failed: list[tuple[str, str]]
    embedder_model_id: int | None
    round_id: int | None
    why_no_plan: str | None
    times: Times
    times_changed: int = 0
    why_times: str = ""
    replaced: int = 0
    retired: int = 0
    returned: int = 0
    waiting: int = 0
    same_pictures: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    named: list[PassedOver] = field(default_factory=list)
    left_behind: list[LeftBehind] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return {
            **self.__dict__,
            "failed": [{"uri": uri, "error": error} for uri, error in self.failed],
            "times": self.times.as_dict(),
            "named": [vars(one) for one in self.named],
            "left_behind": [vars(one) for one in self.left_behind],
        }


def _under(tell: Progress, title: str, before: int = 0, of: int | None = None) -> Progress:
    """A progress that is told under one title, whatever its step is working on.

    before, of: steps done before this one, and all there are, where the bar goes on from one to the next.
    """
    return lambda what, done, total: tell(title, before + done, max(of or 0, before + total))


_NAME_LETTERS = 28


def _naming(tell: Progress, title: str, before: int, of: int) -> Progress:
    """As `_under`, with the end of the file's name: one file may take an hour."""

    def told(what: str, done: int, total: int) -> None:
        name = what.rsplit("/", 1)[-1]
        shown = name if len(name) <= _NAME_LETTERS else f"…{name[1 - _NAME_LETTERS :]}"
        tell(f"{title}: {shown}", before + done, max(of, before + total))

    return told


def ingest(home: Home, progress: Progress | None = None) -> Ingested:
    """Discovery to predictions in the foreground. May be interrupted at any moment and run again."""
    from chimp_assets.archive.catalogue.discover import discover
    from chimp_assets.archive.ingest import decode_bundle
    from chimp_assets.database.footage.times import times_of
    from chimp_assets.vision.tracking.bundle import track_bundle

    settings, database, store = home.settings, home.database, home.store
    tell = progress or (lambda what, done, total: None)
    tell("listing the archive", 0, 1)
    with listing_is_noted(database, settings.secret_free_archive_url):
        found = discover(database, home.archive, settings)
    tell("listing the archive", 1, 1)
    with database.read() as conn:
        waiting = work.unfinished_bundles(conn, None)
        to_decode = work.registered_videos(conn)
        left_before = {one.uri: one.n_labels for one in labels_left_behind(conn)}
    frames = tracks = duplicates = same_pictures = begun = 0
    failed: list[tuple[str, str]] = []
    for number, key in enumerate(waiting, start=1):
        bundle = f"bundle {number} of {len(waiting)}"
        with attempt(home, key):
            decoded = decode_bundle(
                database, home.archive, store, key, settings,
                _naming(tell, f"decode {bundle}", begun, to_decode),
            )  # fmt: skip
            tracked = track_bundle(
                database, store, key, settings,
                _under(tell, f"track {bundle}"),
            )  # fmt: skip
        begun += decoded.videos + len(decoded.failed) + len(decoded.duplicates) + len(decoded.same_pictures)
        frames += decoded.frames
        tracks += tracked.tracks
        duplicates += len(decoded.duplicates)
        same_pictures += len(decoded.same_pictures)
        failed += [*decoded.failed, *decoded.partial, *tracked.failed]
    with database.read() as conn:
        due = work.embedder_due(conn, settings)
    embedder = None
    if due.due:
        from chimp_assets.vision.embedding.embedder import fit_embedder  # torch: 300 MB and some seconds

        embedder = fit_embedder(database, store, settings, progress)
    while rescore(home, progress).left:
        pass
    with database.read() as conn:
        plan_due = work.queue_due(conn, settings)
        times = times_of(conn)
        left = [one for one in labels_left_behind(conn) if left_before.get(one.uri) != one.n_labels]
    report = replan(home) if plan_due.due else None
    return Ingested(
        listed=found.listed,
        new=found.new,
        bundles=len(waiting),
        frames=frames,
        tracks=tracks,
        duplicates=duplicates,
        failed=failed,
        embedder_model_id=embedder,
        round_id=report.round_id if report else None,
        why_no_plan=None if report else plan_due.reason,
        times=times,
        times_changed=found.times.changed if found.times.why else 0,
        why_times=found.times.why,
        replaced=found.replaced,
        retired=found.retired,
        returned=found.returned,
        waiting=found.waiting,
        same_pictures=same_pictures,
        passed_over=found.passed_over,
        endings=found.endings,
        named=found.named,
        left_behind=left,
    )
