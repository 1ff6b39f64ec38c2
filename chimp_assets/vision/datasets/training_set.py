"""Training sets: the labels that a model may learn from, up to a watermark, stored as a file that can be rebuilt.

Belongs here: the rule that keeps audit answers, the audit reserve and test days out of training; the member file.
Does not belong here: fitting (`identity`, `embedding`), loaders of pictures. A training set has classes; only the query
that defines them (`individual_answers`) knows that today's classes are individuals.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.merges import last_merge
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.promises.looks import holds_back
from chimp_assets.database.tracks.families import measured_mask, reserved_mask
from chimp_assets.vision.models.checkpoint import ModelError, content_hash, read_checked

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

Vocabulary = Callable[[int, int], sa.Select[Any]]
"""Watermarks of labels and of merges to a select of track_id, class_id, annotation_id: answers that name a class."""

COLUMNS = ("track_id", "class_id", "annotation_id", "day")


@dataclass(frozen=True)
class Members:
    """The labelled tracks of a training set, ascending. track_id, class_id: i64 [n]; annotation_id, day: str [n].

    group: i64 [n]; rows with the same number share camera and day and stay together in every split.
    """

    track_id: np.ndarray
    class_id: np.ndarray
    annotation_id: list[str]
    day: list[str]

    @property
    def group(self) -> np.ndarray:
        """i64 [n]: number of each row's camera and day."""
        return np.unique(np.array(self.day, dtype=str), return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class TrainingSetRow:
    """One row of `training_set`."""

    training_set_id: int
    task: str
    watermark_seq: int
    merge_watermark: int
    n_tracks: int
    n_classes: int
    member_uri: str
    member_hash: str


def individual_answers(watermark_seq: int, merge_watermark: int) -> sa.Select[Any]:
    """Tracks that a person named, as of the watermarks: track_id, class_id (individual_id as merged), annotation_id."""
    answer = effective_answers(watermark_seq, merge_watermark).subquery("answer")
    return sa.select(answer.c.track_id, answer.c.individual_id.label("class_id"), answer.c.annotation_id).where(
        answer.c.kind.in_(("identify", "new_individual"))
    )


def build_training_set(
    db: Database, store: BlobStore, settings: Settings, vocabulary: Vocabulary = individual_answers, task: str = "head"
) -> int:
    """Write the members known at the newest label and merge, and their row; returns training_set_id.

    A second run at the same watermarks returns the same id. `rebuild_members` gives the same bytes at any later time.
    Raises ModelError with fewer than settings.head.min_labels members or fewer than 2 classes.
    """
    with db.read() as conn:
        watermark, merged_to = last_seq(conn), last_merge(conn)
        members = training_members(conn, watermark, merged_to, settings, vocabulary)
    n_classes = len(np.unique(members.class_id))
    if len(members.track_id) < settings.head.min_labels:
        raise ModelError(
            f"{len(members.track_id)} labels are usable for training; the first head needs {settings.head.min_labels}"
            " (audit answers and test days are only used to measure).",
            "Answer more of the queue, or lower head.min_labels.",
        )
    if n_classes < 2:
        raise ModelError(
            f"All {len(members.track_id)} labels name one class; a head needs two.",
            "Label tracks of another individual too.",
        )
    content = member_bytes(members)
    digest = content_hash(content)
    uri = f"training_sets/{task}-{watermark:010d}-{digest[:12]}.csv"
    store.put(uri, content)
    training_set = schema.training_set

    def write(conn: sa.Connection) -> int:
        found = conn.scalar(
            sa.select(sa.func.min(training_set.c.training_set_id)).where(
                training_set.c.task == task,
                training_set.c.watermark_seq == watermark,
                training_set.c.merge_watermark == merged_to,
                training_set.c.member_hash == digest,
            )
        )
        if found is not None:
            return int(found)
        key = conn.execute(
            sa.insert(training_set).values(
                task=task,
                watermark_seq=watermark,
                merge_watermark=merged_to,
                split_seed=settings.seed,
                n_tracks=len(members.track_id),
                n_classes=n_classes,
                member_uri=uri,
                member_hash=digest,
                created_at=datetime.now(UTC),
            )
        ).inserted_primary_key
        assert key is not None
        return int(key[0])

    return db.transact(write)


def training_members(
    conn: sa.Connection,
    watermark_seq: int,
    merge_watermark: int,
    settings: Settings,
    vocabulary: Vocabulary = individual_answers,
) -> Members:
    """The tracks that a model may learn from, as of a watermark of labels and one of merges, in the order of track_id.

    Excluded: tracks that a lane that measures ever asked (also after a later correction, and in whosever place they
    came), answers to a promise that is being tested or stands, the audit reserve, videos of test days or without a
    split, and tracks that a person split or merged. The same watermarks give the same members at any later time,
    whatever is answered, merged, tracked anew or undone meanwhile. Of the reserve those teach that the frames lane
    asked: the audit had no use for them, and never will.
    """
    answer = vocabulary(watermark_seq, merge_watermark).subquery("named")
    track, split, said = schema.track, schema.split_assignment, schema.annotation
    rows = conn.execute(
        sa.select(answer.c.track_id, answer.c.class_id, answer.c.annotation_id, split.c.day_key, said.c.lane)
        .join_from(answer, track, track.c.track_id == answer.c.track_id)
        .join(said, said.c.annotation_id == answer.c.annotation_id)
        .join(split, split.c.video_id == track.c.video_id)
        .where(split.c.split != "test")
        .where(~audited(track.c.track_id, watermark_seq, schema.MEASURING_LANES))
        .where(~_of_a_promise(answer.c.annotation_id, watermark_seq))
        .where(~_cut_or_joined(track.c.track_id, watermark_seq))
        .order_by(answer.c.track_id)
    ).all()
    track_id = np.array([row.track_id for row in rows], dtype=np.int64)
    teaches = ~reserved_mask(conn, track_id, settings.seed, settings.acquisition.audit_reserve, watermark_seq)
    teaches |= np.array([row.lane == schema.FRAMES for row in rows], dtype=bool)
    teaches &= ~measured_mask(conn, track_id, watermark_seq)
    kept = [row for row, yes in zip(rows, teaches, strict=True) if yes]
    return Members(
        track_id=track_id[teaches],
        class_id=np.array([row.class_id for row in kept], dtype=np.int64),
        annotation_id=[row.annotation_id for row in kept],
        day=[row.day_key for row in kept],
    )


def audit_answers(
    conn: sa.Connection, watermark_seq: int, merge_watermark: int, vocabulary: Vocabulary = individual_answers
) -> tuple[np.ndarray, np.ndarray]:
    """track_id i64 [n], ascending, and class_id i64 [n] of live tracks that the audit asked and a person named.

    No head learns names from them; they calibrate what it learned from others.
    """
    answer = vocabulary(watermark_seq, merge_watermark).subquery("named")
    track = schema.track
    rows = conn.execute(
        sa.select(answer.c.track_id, answer.c.class_id)
        .join_from(answer, track, track.c.track_id == answer.c.track_id)
        .where(track.c.state == "live", audited(track.c.track_id, watermark_seq, annotation_id=answer.c.annotation_id))
        .order_by(answer.c.track_id)
    ).all()
    track_id, class_id = zip(*rows, strict=True) if rows else ((), ())
    return np.array(track_id, dtype=np.int64), np.array(class_id, dtype=np.int64)


def days_of_tracks(conn: sa.Connection, track_id: np.ndarray) -> np.ndarray:
    """Text [n]: camera and recording day of each track, as in `Members.day`; empty where its video has no split yet."""
    track, split = schema.track.c, schema.split_assignment.c
    found = {
        row.track_id: row.day_key
        for row in rows_in_parts(
            conn,
            lambda part: (
                sa.select(track.track_id, split.day_key)
                .join(schema.split_assignment, split.video_id == track.video_id)
                .where(track.track_id.in_(part))
            ),
            track_id.tolist(),
        )
    }
    return np.array([found.get(int(one), "") for one in track_id], dtype=np.str_)


def audited(
    track_id: sa.ColumnElement[int],
    watermark_seq: int,
    lanes: Collection[str] = ("audit",),
    annotation_id: sa.ColumnElement[str] | None = None,
) -> sa.ColumnElement[bool]:
    """Whether the audit lane ever asked a track, up to a watermark; or another lane that measures.

    annotation_id: of the answer that stands for the track; then also whether the lane asked the track that this answer
    was given about, whose place the track has taken since.
    """
    asked, said = schema.annotation.alias("asked"), schema.annotation.alias("said")
    measured = (asked.c.lane.in_(lanes), asked.c.seq <= watermark_seq)
    itself = sa.exists().where(asked.c.track_id == track_id, *measured)
    if annotation_id is None:
        return itself
    before = sa.exists().where(said.c.annotation_id == annotation_id, asked.c.track_id == said.c.track_id, *measured)
    return sa.or_(itself, before)


def _of_a_promise(annotation_id: sa.ColumnElement[str], watermark_seq: int) -> sa.ColumnElement[bool]:
    """Whether an answer is one to a promise that was tested or stood at a watermark."""
    said = schema.annotation.alias("for_promise")
    return sa.exists().where(
        said.c.annotation_id == annotation_id,
        said.c.lane == schema.PROMISE,
        holds_back(said.c.track_id, said.c.seq, watermark_seq),
    )


def member_bytes(members: Members) -> bytes:
    """The member file: CSV, one line for each member, the same bytes for the same members."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        zip(members.track_id.tolist(), members.class_id.tolist(), members.annotation_id, members.day, strict=True)
    )
    return text.getvalue().encode("utf-8")


def read_members(db: Database, store: BlobStore, training_set_id: int) -> Members:
    """The members of a training set from its file. Raises ModelError if unknown, ModelFileError if the file changed."""
    with db.read() as conn:
        row = describe_training_set(conn, training_set_id)
    text = read_checked(store, row.member_uri, row.member_hash).decode("utf-8")
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    track_id, class_id, annotation_id, day = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Members(
        track_id=np.array(track_id, dtype=np.int64),
        class_id=np.array(class_id, dtype=np.int64),
        annotation_id=list(annotation_id),
        day=list(day),
    )


def rebuild_members(
    conn: sa.Connection, training_set_id: int, settings: Settings, vocabulary: Vocabulary = individual_answers
) -> Members:
    """The members of a past training set, queried again from the database instead of read from its file.

    `member_bytes` of them are the bytes of the file, as long as the settings that choose members are unchanged (`seed`,
    `acquisition.audit_reserve`). Raises ModelError if there is no such training set.
    """
    row = describe_training_set(conn, training_set_id)
    return training_members(conn, row.watermark_seq, row.merge_watermark, settings, vocabulary)


def describe_training_set(conn: sa.Connection, training_set_id: int) -> TrainingSetRow:
    """A training set by its key. Raises ModelError if there is none."""
    c = schema.training_set.c
    row = conn.execute(sa.select(schema.training_set).where(c.training_set_id == training_set_id)).one_or_none()
    if row is None:
        raise ModelError(f"There is no training set {training_set_id}.", "`chimp retrain` makes one.")
    return TrainingSetRow(
        row.training_set_id,
        row.task,
        row.watermark_seq,
        row.merge_watermark,
        row.n_tracks,
        row.n_classes,
        row.member_uri,
        row.member_hash,
    )


def newest_training_set(conn: sa.Connection, task: str = "head") -> int | None:
    """Key of the newest training set, or None."""
    c = schema.training_set.c
    return conn.scalar(sa.select(sa.func.max(c.training_set_id)).where(c.task == task))


def _cut_or_joined(track_id: sa.ColumnElement[int], watermark_seq: int) -> sa.ColumnElement[bool]:
    """Whether a person split or merged a track up to a watermark without retracting it: its old name is void.

    A list, computed once: a condition on each track would read all decisions for each of 100,000 labels.
    """
    cut, taken_back = schema.annotation.alias("cut"), schema.annotation.alias("taken_back")
    undone = sa.exists().where(
        taken_back.c.kind == "retract",
        taken_back.c.supersedes == cut.c.annotation_id,
        taken_back.c.seq <= watermark_seq,
    )

    def tracks(column: sa.ColumnElement[int]) -> sa.Select[Any]:
        return sa.select(column).where(
            column.is_not(None), cut.c.kind.in_(("split", "merge")), cut.c.seq <= watermark_seq, ~undone
        )

    return track_id.in_(sa.union(tracks(cut.c.track_id), tracks(cut.c.other_track_id)))
