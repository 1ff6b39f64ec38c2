"""What is still to be done, asked of SQL: the questions behind every sensor and behind the foreground commands.

Each question is level-triggered: it looks at what is there, never at what has just changed, so that no event can be
missed and a crash at any moment leaves the question with the same answer.
Does not belong here: doing the work, and Dagster's view of what is running.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.individuals.merges import last_merge, root_of, standing_edges
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import EVIDENCE_KINDS, NAMING_KINDS
from chimp_assets.database.labels.promises.looks import held, measures_only, open_look
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.database.work.drifted import acting_since
from chimp_assets.database.work.embedder_savings import expected_saving
from chimp_assets.database.work.queue import in_lanes
from chimp_assets.settings import Settings

MAX_ERRORS = 3
"""Errors of the work itself before a person must look: without a limit one broken tape would be retried for ever."""

MAX_ATTEMPTS = 8
"""Runs in a row that end without an error and without having got any further, because they are killed, a node is taken
away or the store cannot be reached: a video that kills whatever reads it must stop being asked for, too."""

LEAST_GROWTH = 1.25
"""Times as many labels as at the last fine-tuning before another may pay: the same names teach the same again."""

ONNX_BACKBONE = "onnx:"
"""Prefix of the backbone of an embedder that came as an ONNX file: it can be used, not trained."""

ENOUGH_TRACKS_TO_EMBED = 5_000
"""With this many live tracks the first embedder does not wait until the whole archive is tracked."""


@dataclass(frozen=True)
class Readiness:
    """Whether a step of the loop is due now, and the reason in words."""

    due: bool
    reason: str


def bundle_keys(conn: sa.Connection) -> list[str]:
    """All bundle keys, oldest first: the order in which Dagster must know them."""
    return list(conn.scalars(sa.select(t.bundle.c.bundle_key).order_by(t.bundle.c.bundle_id)))


def unfinished_bundles(conn: sa.Connection, max_attempts: int | None = MAX_ATTEMPTS) -> list[str]:
    """Bundles with a video that is registered or decoded, oldest first; without those that used up their attempts."""
    statement = _unfinished()
    if max_attempts is not None:
        statement = statement.where(t.bundle.c.attempts < max_attempts, t.bundle.c.errors < MAX_ERRORS)
    return list(conn.scalars(statement))


def registered_videos(conn: sa.Connection) -> int:
    """Videos that wait to be decoded."""
    return conn.scalar(sa.select(sa.func.count()).where(t.video.c.state == "registered")) or 0


def exhausted_bundles(conn: sa.Connection) -> list[str]:
    """Unfinished bundles that used up their attempts: a person must look at their runs."""
    return list(conn.scalars(_unfinished().where(_given_up())))


def _given_up() -> sa.ColumnElement[bool]:
    return sa.or_(t.bundle.c.attempts >= MAX_ATTEMPTS, t.bundle.c.errors >= MAX_ERRORS)


def _unfinished() -> sa.Select[tuple[str]]:
    # Two looks into the index (state, bundle_id) for each bundle, however many videos wait.
    waiting = [
        sa.exists().where(t.video.c.state == state, t.video.c.bundle_id == t.bundle.c.bundle_id)
        for state in ("registered", "decoded")
    ]
    return sa.select(t.bundle.c.bundle_key).where(sa.or_(*waiting)).order_by(t.bundle.c.bundle_id)


@dataclass(frozen=True)
class RetryReport:
    """What a retry resumes: videos that had failed, and bundles that had used up their attempts."""

    videos: int
    bundles: int


def retry_failed(database: Database, video_id: int | None = None) -> RetryReport:
    """Make failed videos `registered` again; reset the attempts of their bundles and of bundles that used them up.

    Whatever decodes next takes them: the foreground, or the sensor of a running daemon. video_id: only that video and
    its bundle.
    """

    def write(conn: sa.Connection) -> RetryReport:
        v, b = t.video.c, t.bundle.c
        failed = (v.state == "failed") if video_id is None else sa.and_(v.state == "failed", v.video_id == video_id)
        of_failed = b.bundle_id.in_(sa.select(v.bundle_id).where(failed))
        given_up = _given_up()
        none = {"attempts": 0, "errors": 0, "steps_left": None}
        taken_up = given_up if video_id is None else sa.and_(given_up, of_failed)
        bundles = conn.execute(sa.update(t.bundle).where(taken_up).values(none)).rowcount
        conn.execute(sa.update(t.bundle).where(sa.or_(b.attempts > 0, b.errors > 0), of_failed).values(none))
        again = {"state": "registered", "error": None, "updated_at": datetime.now(UTC)}
        videos = conn.execute(sa.update(t.video).where(failed).values(again)).rowcount
        return RetryReport(videos, bundles)

    return database.transact(write)


def begin_attempt(database: Database, bundle_key: str) -> None:
    """Counts a run of a bundle at its start, so that a killed run counts too.

    If the one before it got further (decoded or tracked a video), that one is forgotten and this is the first.
    """
    b, v = t.bundle.c, t.video.c

    def work(conn: sa.Connection) -> None:
        here = b.bundle_key == bundle_key
        left = conn.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(sa.case((v.state == "registered", 2), else_=1)), 0))
            .join_from(t.video, t.bundle, b.bundle_id == v.bundle_id)
            .where(here, v.state.in_(("registered", "decoded")))
        )
        got_further = sa.and_(b.steps_left.is_not(None), b.steps_left > left)
        conn.execute(
            sa.update(t.bundle)
            .where(here)
            .values(attempts=sa.case((got_further, 1), else_=b.attempts + 1), steps_left=left)
        )

    database.transact(work)


def note_error(database: Database, bundle_key: str) -> None:
    """Counts that an error of the work itself ended the attempt."""
    with database.write() as conn:
        conn.execute(
            sa.update(t.bundle).where(t.bundle.c.bundle_key == bundle_key).values(errors=t.bundle.c.errors + 1)
        )


def finish_attempt(database: Database, bundle_key: str) -> None:
    """Resets the attempts and errors of a bundle whose run has ended."""
    none = {"attempts": 0, "errors": 0, "steps_left": None}
    with database.write() as conn:
        conn.execute(sa.update(t.bundle).where(t.bundle.c.bundle_key == bundle_key).values(none))


def embedder_due(conn: sa.Connection, settings: Settings) -> Readiness:
    """A first embedder is due when there is none, there are enough tracks and no bundle is still being processed."""
    has_one = conn.scalar(sa.select(sa.func.count()).where(t.model.c.task == "embedder", t.model.c.state == "champion"))
    if has_one:
        return Readiness(False, "there is an embedder already")
    # Counted no further than it matters.
    some = sa.select(t.track.c.track_id).where(t.track.c.state == "live").limit(ENOUGH_TRACKS_TO_EMBED).subquery()
    live = conn.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    if live < settings.embed.min_tracks:
        return Readiness(False, f"{live} live tracks; the first embedder needs {settings.embed.min_tracks}")
    unfinished = len(unfinished_bundles(conn))
    if unfinished and live < ENOUGH_TRACKS_TO_EMBED:
        return Readiness(False, f"{unfinished} bundles are still being processed")
    return Readiness(True, f"{live} live tracks and no embedder")


def fine_tuning_due(conn: sa.Connection, settings: Settings) -> Readiness:
    """Fine-tuning the embedder is due when the newest training set has enough names and what it is expected to save of
    the expert's minutes is worth it; again when the set has grown by LEAST_GROWTH since the last time.

    Where no minutes are forecast, the set must have grown by settings.embed.fine_tune_growth, and that is enough.
    """
    embed, model, sets = settings.embed, t.model.c, t.training_set.c
    if embed.fine_tune == "off":
        return Readiness(False, "switched off (embed.fine_tune)")
    if why := held(conn, settings.promise.hold_days, datetime.now(UTC)):
        return Readiness(False, why)
    newest = conn.execute(
        sa.select(sets.n_tracks, sets.n_classes, sets.created_at)
        .where(sets.task == "head")
        .order_by(sets.training_set_id.desc())
        .limit(1)
    ).first()
    tracks, classes = (0, 0) if newest is None else (newest.n_tracks, newest.n_classes)
    if tracks < embed.fine_tune_labels or classes < embed.fine_tune_classes:
        return Readiness(
            False,
            f"{tracks} named tracks of {classes} individuals; fine-tuning starts at {embed.fine_tune_labels} tracks of"
            f" {embed.fine_tune_classes} individuals",
        )
    config = conn.scalar(sa.select(model.config).where(model.task == "embedder", model.state == "champion"))
    if config is None:
        return Readiness(False, "no embedder yet")
    of_file = str(json.loads(config).get("backbone")).startswith(ONNX_BACKBONE)
    if of_file and embed.fine_tune_backbone == "auto":
        return Readiness(
            False,
            "the embedder is an ONNX file, which learns no more; embed.fine_tune_backbone names a network to train",
        )
    last = conn.scalar(
        sa.select(sa.func.max(sets.n_tracks))
        .join_from(t.training_set, t.model, model.training_set_id == sets.training_set_id)
        .where(model.task == "embedder")
    )
    saving = expected_saving(conn)
    growth = embed.fine_tune_growth if saving is None else min(LEAST_GROWTH, embed.fine_tune_growth)
    if last is not None and tracks < growth * last:
        return Readiness(False, f"{tracks} named tracks; the last fine-tuning had {last}, the next one needs more")
    expects = (
        "" if saving is None else f"; of {saving.to_go:.0f} minutes to go it is expected to save {saving.minutes:.0f}"
    )
    if saving is not None and saving.minutes < embed.fine_tune_least_minutes:
        return Readiness(
            False, f"{tracks} named tracks{expects}, and fewer than {embed.fine_tune_least_minutes:g} do not pay"
        )
    assert newest is not None
    failures = conn.scalar(
        sa.select(sa.func.count()).where(
            t.audit_event.c.action == "run_failed",
            t.audit_event.c.subject == "fine_tune_embedder",
            t.audit_event.c.at > newest.created_at,
        )
    )
    if (failures or 0) >= MAX_ERRORS:
        return Readiness(False, f"fine-tuning failed {failures} times on the newest training set; see its runs")
    return Readiness(
        True,
        f"{tracks} named tracks of {classes} individuals"
        + (f", {last} at the last fine-tuning" if last else "")
        + expects,
    )


def _head_of_an_older_embedder(conn: sa.Connection) -> bool:
    """Whether a new embedder has embedded the archive and nobody has fitted a head on it yet."""
    model = t.model.c
    embedder = conn.scalar(sa.select(model.model_id).where(model.task == "embedder", model.state == "champion"))
    parent = conn.scalar(sa.select(model.parent_id).where(model.task == "head", model.state == "champion"))
    if embedder is None or parent is None or parent == embedder:
        return False
    tried = conn.scalar(sa.select(sa.func.count()).where(model.task == "head", model.parent_id == embedder))
    return not tried and not unscored_bundles(conn)


def labels_due(conn: sa.Connection, settings: Settings, now: datetime) -> Readiness:
    """Whether enough labels have landed since the last head was fitted, and the cool-down is over.

    Compares the watermarks (annotation.seq and merge_id) of the newest training set that became a model with the newest
    answer and the newest merge, so that no label is lost with a training that died. A merge or its undo counts as many
    new labels as it gives another individual. A training that died MAX_ERRORS times on the same labels is not tried
    again until there are more. None starts while names are frozen for a promise.
    """
    if why := held(conn, settings.promise.hold_days, now):
        return Readiness(False, why)
    head_sets = sa.select(t.model.c.training_set_id).where(
        t.model.c.task == "head", t.model.c.training_set_id.is_not(None)
    )
    sets = t.training_set.c
    trained_to, merged_to = conn.execute(
        sa.select(
            sa.func.coalesce(sa.func.max(sets.watermark_seq), 0), sa.func.coalesce(sa.func.max(sets.merge_watermark), 0)
        ).where(sets.training_set_id.in_(head_sets))
    ).one()
    seq = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0
    fresh = (
        conn.scalar(
            sa.select(sa.func.count()).where(
                t.annotation.c.seq > trained_to,
                ~measures_only(t.annotation.c),
                # Nor does what people say of one individual, or of a pair, train a head.
                t.annotation.c.kind.not_in(("skip", *EVIDENCE_KINDS)),
                t.annotation.c.lane != t.IS_IT,
                sa.or_(t.annotation.c.other_track_id.is_(None), t.annotation.c.kind == "merge"),
            )
        )
        or 0
    ) + _labels_of_merges(conn, merged_to)
    if (fresh == 0 or (trained_to > 0 and fresh < settings.head.min_new_labels)) and not (
        trained_to > 0 and _head_of_an_older_embedder(conn)
    ):
        return Readiness(False, f"{fresh} new labels; retraining starts at {settings.head.min_new_labels}")
    labels, classes = _teaching_labels(conn, settings)
    if labels < settings.head.min_labels or classes < 2:
        return Readiness(
            False,
            f"{labels} labels of {classes} individuals are usable for training; the first head needs"
            f" {settings.head.min_labels} labels of at least 2 individuals",
        )
    newest = conn.execute(
        sa.select(sets.training_set_id, sets.watermark_seq, sets.merge_watermark, sets.created_at)
        .where(t.training_set.c.task == "head")
        .order_by(t.training_set.c.training_set_id.desc())
        .limit(1)
    ).first()
    if newest is not None:
        since = now - newest.created_at
        if since < timedelta(seconds=settings.head.cool_down_s):
            return Readiness(False, f"the last training began {since.total_seconds():.0f} s ago (cool-down)")
        failures = conn.scalar(
            sa.select(sa.func.count()).where(
                t.audit_event.c.action == "run_failed",
                t.audit_event.c.subject == "retrain",
                t.audit_event.c.at > newest.created_at,
            )
        )
        tried, there = (newest.watermark_seq, newest.merge_watermark), (seq, last_merge(conn))
        if tried == there != (trained_to, merged_to) and (failures or 0) >= MAX_ERRORS:
            return Readiness(False, f"training failed {failures} times on the labels up to seq {seq}; see its runs")
    return Readiness(True, f"{fresh} new labels up to seq {seq}; the last training used labels up to {trained_to}")


def _labels_of_merges(conn: sa.Connection, merged_to: int) -> int:
    """Labels, but for the audit's, of individuals that are somebody else now than they were at a merge watermark."""
    before, now = standing_edges(conn, merged_to), standing_edges(conn)
    moved = [i for i in before.keys() | now.keys() if root_of(i, before) != root_of(i, now)]
    if not moved:
        return 0
    named = t.annotation.c.individual_id.in_(sorted(moved))
    return conn.scalar(sa.select(sa.func.count()).where(named, ~measures_only(t.annotation.c))) or 0


def label_rows(conn: sa.Connection) -> dict[str, int]:
    """Rows of the tables that people write, by the name of their asset. seq is gapless, so its largest is the count."""
    return {
        "annotations": conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0,
        "individuals": conn.scalar(sa.select(sa.func.count()).select_from(t.individual)) or 0,
    }


def _teaching_labels(conn: sa.Connection, settings: Settings) -> tuple[int, int]:
    """(tracks, individuals) that a training set made now would hold, give or take tracks that were cut or joined."""
    answer = effective_answers().subquery("answer")
    rows = conn.execute(
        sa.select(answer.c.track_id, answer.c.individual_id, answer.c.lane)
        .join(t.track, t.track.c.track_id == answer.c.track_id)
        .join(t.split_assignment, t.split_assignment.c.video_id == t.track.c.video_id)
        .where(
            answer.c.kind.in_(NAMING_KINDS),
            ~measures_only(answer.c),
            t.split_assignment.c.split != "test",
        )
    ).all()
    track_id = np.array([row.track_id for row in rows], np.int64)
    teaches = ~reserved_mask(conn, track_id, settings.seed, settings.acquisition.audit_reserve)
    teaches |= np.array([row.lane == t.FRAMES for row in rows], bool)
    return int(teaches.sum()), len({row.individual_id for row, yes in zip(rows, teaches, strict=True) if yes})


def queue_due(conn: sa.Connection, settings: Settings) -> Readiness:
    """A plan is due when enough answers have landed since the last one, when a model is new, when an alert about tracks
    has opened, when a promise that is tested has no item left, or when few items wait and something is new: labels,
    models or embeddings.

    Items that ask for names, pairs and "is this X?" are counted apart: a full queue of one kind helps nobody who
    answers another. Pairs, and questions for volunteers, are few when less than a quarter of those of the last plan
    wait.
    """
    embedder = conn.scalar(
        sa.select(t.model.c.model_id).where(t.model.c.task == "embedder", t.model.c.state == "champion")
    )
    if embedder is None:
        return Readiness(False, "no embedder yet")
    embedded_at = conn.scalar(
        sa.select(sa.func.max(t.embedding_file.c.created_at)).where(t.embedding_file.c.model_id == embedder)
    )
    if embedded_at is None:
        return Readiness(False, "no track has an embedding yet")
    last = conn.execute(sa.select(t.acquisition_round).order_by(t.acquisition_round.c.round_id.desc()).limit(1)).first()
    if last is None:
        return Readiness(True, "nothing has been planned yet")
    items = sa.select(sa.func.count()).select_from(t.acquisition_queue)
    is_waiting = t.acquisition_queue.c.state.in_(("pending", "leased"))
    waiting = conn.scalar(items.where(is_waiting, in_lanes(None))) or 0
    head = conn.scalar(sa.select(t.model.c.model_id).where(t.model.c.task == "head", t.model.c.state == "champion"))
    if (last.head_model_id, last.embedder_model_id) != (head, embedder):
        return Readiness(True, "the last plan was made with an older model")
    seq = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0
    landed = seq - last.watermark_seq
    if landed >= settings.acquisition.replan_after:
        return Readiness(True, f"{landed} new answers since the last plan")
    if landed > 0 and open_look(conn) is not None and not conn.scalar(items.where(is_waiting, in_lanes((t.PROMISE,)))):
        return Readiness(True, "the test of a promise needs more answers")
    drifted = acting_since(conn, last.created_at)
    if drifted:
        return Readiness(True, f"{len(drifted)} {'change was' if len(drifted) == 1 else 'changes were'} noticed")
    pairs = conn.scalar(items.where(is_waiting, in_lanes((t.PAIRS,)))) or 0
    planned = conn.scalar(items.where(in_lanes((t.PAIRS,)), t.acquisition_queue.c.round_id == last.round_id)) or 0
    if landed > 0 and settings.acquisition.pairs_per_round and 4 * pairs < planned:
        return Readiness(True, f"{pairs} of {planned} pairs are waiting")
    questions, asked = (
        conn.scalar(items.where(in_lanes((t.IS_IT,)), which)) or 0
        for which in (is_waiting, t.acquisition_queue.c.round_id == last.round_id)
    )
    if landed > 0 and settings.acquisition.is_it_per_round != 0 and 4 * questions < asked:
        return Readiness(True, f"{questions} of {asked} questions for volunteers are waiting")
    if waiting >= max(settings.acquisition.low_water, 1):
        return Readiness(False, f"{waiting} items are waiting")
    if seq == last.watermark_seq and embedded_at <= last.created_at:
        return Readiness(False, f"{waiting} items are waiting; no new label, model or embedding since the last plan")
    return Readiness(True, f"{waiting} items are waiting; below {settings.acquisition.low_water} a new plan is made")


def plan_due_after_training(conn: sa.Connection, settings: Settings) -> Readiness:
    """As `queue_due`, for a plan at the end of a training: only if the last plan used the same embedder.

    With a new embedder only a part of the archive has embeddings at first, and a plan would ask about nothing else;
    the run that makes the last of them plans.
    """
    due = queue_due(conn, settings)
    r, m = t.acquisition_round.c, t.model.c
    last = conn.scalar(sa.select(r.embedder_model_id).order_by(r.round_id.desc()).limit(1))
    embedder = conn.scalar(sa.select(m.model_id).where(m.task == "embedder", m.state == "champion"))
    if due.due and (last is None or last != embedder):
        return Readiness(False, "the archive is embedded with the new embedder first")
    return due


def asked_tracks(conn: sa.Connection) -> list[int]:
    """Tracks that wait or are leased, both of a pair; ascending."""
    q = t.acquisition_queue.c
    found: set[int] = set()
    for track_id in (q.track_id, q.other_track_id):
        found.update(conn.scalars(sa.select(track_id).where(q.state.in_(("pending", "leased")), track_id.is_not(None))))
    return sorted(found)


def unscored_bundles(conn: sa.Connection) -> list[str]:
    """Bundles that the champions have not finished: tracks without an embedding file of the champion embedder, or one
    older than the last change of its tracks, or (where the champion head was fitted on that embedder) the same of its
    scores.

    Oldest first; empty while there is no embedder. Reads one row of each bundle, never tracks.
    """
    champions = {
        row.task: row
        for row in conn.execute(
            sa.select(t.model.c.task, t.model.c.model_id, t.model.c.parent_id).where(t.model.c.state == "champion")
        )
    }
    if "embedder" not in champions:
        return []
    embedder, head = champions["embedder"], champions.get("head")
    joined, waiting = _out_of_date(t.bundle, t.embedding_file, embedder.model_id)
    if head is not None and head.parent_id == embedder.model_id:
        joined, unscored = _out_of_date(joined, t.bundle_score, head.model_id)
        waiting = sa.or_(waiting, unscored)
    return list(
        conn.scalars(
            sa.select(t.bundle.c.bundle_key)
            .select_from(joined)
            .where(t.bundle.c.changed_at.is_not(None), waiting)
            .order_by(t.bundle.c.bundle_id)
        )
    )


def _out_of_date(
    bundles: sa.FromClause, table: sa.Table, model_id: int
) -> tuple[sa.FromClause, sa.ColumnElement[bool]]:
    """The bundles joined to their row of a model, and whether that is missing or before the last change of tracks."""
    joined = bundles.outerjoin(table, sa.and_(table.c.model_id == model_id, table.c.bundle_id == t.bundle.c.bundle_id))
    return joined, sa.or_(table.c.model_id.is_(None), table.c.created_at < t.bundle.c.changed_at)


def tracks_without_pictures(conn: sa.Connection, limit: int = 1000) -> list[int]:
    """Tracks that are waiting or leased, in the order in which they are asked, and then those whose crops stand for an
    individual: as far as nobody has made pictures of them."""
    q, r, m = t.acquisition_queue, t.reference_photo, t.item_media.c
    found: list[int] = []
    for track_id in (q.c.track_id, q.c.other_track_id):
        made = sa.exists().where(m.track_id == track_id)
        found += conn.scalars(
            sa.select(track_id)
            .where(q.c.state.in_(("pending", "leased")), track_id.is_not(None), ~made)
            .order_by(q.c.round_id.desc(), q.c.position)
            .limit(limit)
        )
    shown = sa.exists().where(m.track_id == r.c.track_id)
    found += conn.scalars(sa.select(r.c.track_id).where(~shown).order_by(r.c.place, r.c.track_id).limit(limit))
    return list(dict.fromkeys(found))[:limit]


def lacking_pictures(conn: sa.Connection, track_ids: Sequence[int]) -> list[int]:
    """Those of the tracks of which nobody has made pictures, in their order."""
    m = t.item_media.c
    made = {i for part in in_parts(track_ids) for i in conn.scalars(sa.select(m.track_id).where(m.track_id.in_(part)))}
    return [track_id for track_id in track_ids if track_id not in made]
