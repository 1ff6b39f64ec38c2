"""The audit: a random sample of tracks that people name, which trains nothing, and heads' answers to it.

The audit lane asks a simple random sample of all live tracks, so a share of audit tracks estimates the same share of
the archive without bias. Counted are tracks that the audit lane asked and that a person named (`identify`,
`new_individual`); a later correction replaces such an answer.

Belongs here: the audit tracks, their slices, the answers. Does not belong here: metrics of the answers (`metrics`), the
verdict (`gate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.vision.datasets.training_set import audited, read_members
from chimp_assets.vision.embedding.bundle import are_tracks_grey
from chimp_assets.vision.evaluation.slices import individual_slices, length_in_words, light_at
from chimp_assets.vision.identity.head import load_head
from chimp_assets.vision.identity.predict import named_in_company
from chimp_assets.vision.models.checkpoint import ModelError, ModelRow, candidates, champion, model_of

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

RARE_TRACKS = 5  # an individual with fewer training tracks is rare
NEW = -1  # the truth of a track whose animal a person called unknown
TOP = 5


@dataclass(frozen=True)
class AuditTracks:
    """Audit tracks as of a watermark, ascending. truth: i64 [n], individual_id or NEW where a person said unknown.

    slices: by kind, str [n], "" where not known: individual (anim_id), sex, age_class and matriline of the individual
    on that day, camera, light, year and split of the video, length of the track. mother: individual_id to that of its
    mother. block: i64 [n], the camera-day (`camera_days`): tracks of one block share light, place and company, and
    depend on each other. answered: i64 [n], seq of the answer that counts.
    """

    watermark_seq: int
    track_id: np.ndarray
    truth: np.ndarray
    slices: dict[str, np.ndarray]
    mother: dict[int, int]
    block: np.ndarray
    answered: np.ndarray


@dataclass(frozen=True)
class AuditAnswers:
    """A head's answers to the audit tracks that have an embedding.

    row: i64 [k], rows of AuditTracks; ranked: i64 [k, min(5, C)], classes, best first; probability: f32 [k], of the
    first; familiarity: f32 [k]; correct: bool [k], the first is the truth (never for an individual it was not taught);
    taught: bool [k], the truth is one of its classes; training_tracks: i64 [k], how many training tracks the truth had;
    flagged: bool [k], the head calls the animal unknown; commonest: individual_id with the most training tracks;
    without_embedding: audit tracks skipped: no embedding;
    trained_on: audit tracks skipped: this head was trained on them (none, unless settings changed); infrared: bool
    [k], the pictures have no colour; None: unknown.
    """

    row: np.ndarray
    ranked: np.ndarray
    probability: np.ndarray
    familiarity: np.ndarray
    correct: np.ndarray
    taught: np.ndarray
    training_tracks: np.ndarray
    flagged: np.ndarray
    commonest: int
    without_embedding: int
    trained_on: int
    infrared: np.ndarray | None = None


TracksAndAnswers = tuple[AuditTracks, AuditAnswers]


def heads_to_evaluate(conn: sa.Connection) -> list[int]:
    """Keys of the champion head and of the candidates, oldest first."""
    now = champion(conn, "head")
    return sorted({*candidates(conn, "head"), *([now.model_id] if now else [])})


def audit_tracks(conn: sa.Connection, timezone: str = "UTC", lane: str = "audit") -> AuditTracks:
    """The live audit tracks as of the newest label, named by a person or called unknown. timezone: of the cameras.

    lane: `groups` gives the tracks that were asked because their group had too few answers; they are no random sample.
    """
    watermark = last_seq(conn)
    answer = effective_answers(watermark).subquery("answer")
    track, video, split = schema.track, schema.video, schema.split_assignment
    rows = conn.execute(
        sa.select(
            answer.c.track_id, answer.c.seq, answer.c.kind, answer.c.individual_id,
            place_of_video().label("camera"), video.c.recorded_at,
            video.c.recorded_on, split.c.split, track.c.first_s, track.c.last_s, track.c.video_id,
        )
        .join_from(answer, track, track.c.track_id == answer.c.track_id)
        .join(video, video.c.video_id == track.c.video_id)
        .outerjoin(split, split.c.video_id == track.c.video_id)
        .where(answer.c.kind.in_(("identify", "new_individual", "unknown")), track.c.state == "live")
        .where(audited(track.c.track_id, watermark, (lane,), answer.c.annotation_id))
        .order_by(answer.c.track_id)
    ).all()  # fmt: skip
    known = individual_slices(conn)
    zone = ZoneInfo(timezone)
    truth = [NEW if r.kind == "unknown" else r.individual_id for r in rows]
    who = [known.of(one, r.recorded_on) for one, r in zip(truth, rows, strict=True)]

    def texts(values: Iterable[str | None]) -> np.ndarray:
        return np.array([value or "" for value in values], dtype=object)

    return AuditTracks(
        watermark_seq=watermark,
        track_id=np.array([r.track_id for r in rows], dtype=np.int64),
        truth=np.array(truth, dtype=np.int64),
        slices={
            **{kind: texts(one[kind] for one in who) for kind in ("individual", "sex", "age_class", "matriline")},
            "camera": texts(r.camera for r in rows),
            "light": texts(light_at(r.recorded_at, r.first_s, zone) for r in rows),
            "year": texts(str(r.recorded_on.year) if r.recorded_on else "" for r in rows),
            "length": texts(length_in_words(r.last_s - r.first_s) for r in rows),
            "split": texts(r.split for r in rows),
        },
        mother=known.mother,
        block=camera_days([(r.camera, r.recorded_on, r.video_id) for r in rows]),
        answered=np.array([r.seq for r in rows], dtype=np.int64),
    )


def camera_days(where: Sequence[tuple[str | None, date | None, int]]) -> np.ndarray:
    """Blocks i64 [n] of (`place_name`, recorded_on, video_id): one a camera and day; without a day, one a video."""
    number: dict[tuple[object, ...], int] = {}
    keys = ((video,) if day is None else (camera or "", day) for camera, day, video in where)
    return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)


class AuditJudge:
    """Heads' answers to the audit as of one moment, that of the first question; each head is judged once.

    So the evaluation and the gate use the same answers to the same tracks. Short-lived: newer answers need another
    judge. settings: for the cameras' time zone. lane: `groups` judges what was asked because a group had too few
    answers, for comparisons of groups only.
    """

    def __init__(self, db: Database, store: BlobStore, settings: Settings | None = None, lane: str = "audit") -> None:
        self._db, self._store, self._lane = db, store, lane
        self._timezone = settings.archive.timezone if settings else "UTC"
        self._judged: dict[int, AuditAnswers] = {}

    def answers(self, model_id: int) -> TracksAndAnswers:
        """The answers as people see them: each track is named jointly with the others of its video.

        Raises ModelError if the model is not a head.
        """
        if model_id not in self._judged:
            with self._db.read() as conn:
                model = model_of(conn, model_id)
            if model.task != "head" or model.parent_id is None:
                raise ModelError(
                    f"Model {model_id} is not a head.", "Choose a head; `chimp models list --task head` shows them."
                )
            tracks, same = self._asked
            self._judged[model_id] = _judge(self._db, self._store, model, model.parent_id, tracks, same)
        return self._asked[0], self._judged[model_id]

    @cached_property
    def _asked(self) -> tuple[AuditTracks, dict[int, int]]:
        """The audit tracks, and the merged individuals."""
        with self._db.read() as conn:
            return audit_tracks(conn, self._timezone, self._lane), merged_ids(conn)


def judge_audit(db: Database, store: BlobStore, model_id: int, settings: Settings | None = None) -> TracksAndAnswers:
    """`AuditJudge.answers` of one head now."""
    return AuditJudge(db, store, settings).answers(model_id)


def _judge(
    db: Database, store: BlobStore, model: ModelRow, embedder_id: int, tracks: AuditTracks, same: dict[int, int]
) -> AuditAnswers:
    head = load_head(store, model)
    # A head that learned two names of what is now one individual is right with either.
    head_classes = as_merged(head.classes, same)
    known_members = (
        np.zeros(0, dtype=np.int64)
        if model.training_set_id is None
        else read_members(db, store, model.training_set_id).track_id
    )
    found, named = named_in_company(db, store, head, embedder_id, tracks.track_id)
    fair = ~np.isin(tracks.track_id[found], known_members)
    row, probabilities, flagged = found[fair], named.probability[fair], named.is_unknown[fair]
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    classes, of_class = np.unique(head_classes, return_inverse=True)
    count = np.bincount(of_class, weights=head.class_count).astype(np.int64)
    truth = tracks.truth[row]
    place = np.minimum(np.searchsorted(classes, truth), len(classes) - 1)
    taught = classes[place] == truth
    return AuditAnswers(
        row=row,
        ranked=head_classes[order],
        probability=probabilities[np.arange(len(row)), order[:, 0]],
        familiarity=named.familiarity[fair],
        correct=head_classes[order[:, 0]] == truth,
        taught=taught,
        training_tracks=np.where(taught, count[place], 0),
        flagged=flagged,
        commonest=int(classes[count.argmax()]),
        without_embedding=len(tracks.track_id) - len(found),
        trained_on=int((~fair).sum()),
        infrared=are_tracks_grey(db, store, embedder_id, tracks.track_id[row]),
    )


def slices_of(tracks: AuditTracks, judged: AuditAnswers) -> dict[str, np.ndarray]:
    """The slice of each judged track, by kind of slice. Values: str [k]; "" is no slice."""
    n = judged.training_tracks
    some = np.select(
        [n == 0, n == 1, n < RARE_TRACKS, n < 20],
        ["0", "1", f"2 to {RARE_TRACKS - 1}", f"{RARE_TRACKS} to 19"],
        "20 or more",
    )
    slices = {kind: values[judged.row] for kind, values in tracks.slices.items()}
    if judged.infrared is not None and "light" in slices:
        slices["light"] = np.where(judged.infrared, "infrared", slices["light"])
    return {
        **slices,
        "training_tracks": np.where(n < RARE_TRACKS, f"under {RARE_TRACKS}", f"{RARE_TRACKS} or more").astype(object),
        "labels": some.astype(object),
    }
