"""New tracks of a file as rows: keys, detections, quality, and what follows for their videos.

Belongs here: gathering the rows of one transaction and writing them. Does not belong here: which rows there are
(`taking`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.schema import track_id_of
from chimp_assets.database.work import stamps
from chimp_assets.exchange.imports.intake.footage import Footage, StoredTrack
from chimp_assets.exchange.imports.intake.placing import PlacedBoxes
from chimp_assets.vision.tracking.quality import track_quality

IMPORTED = "imported"


@dataclass
class NewRows:
    """Rows of one transaction. model_id: the detector row of the tracks; import_id: of the file."""

    import_id: int
    model_id: int
    tracks: dict[str, list[Any]] = field(default_factory=dict)
    detections: dict[str, list[Any]] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)
    tracked: set[int] = field(default_factory=set)
    _next_track: dict[int, int] = field(default_factory=dict)
    _next_box: dict[tuple[int, int], int] = field(default_factory=dict)

    def prepare(self, conn: sa.Connection, footage: Iterable[Footage]) -> None:
        """Where numbers go on: of tracks in each video, of boxes on each picture."""
        videos = {one.video_id for one in footage}
        k, d = schema.track.c, schema.detection.c
        last = rows_in_parts(
            conn,
            lambda part: (
                sa.select(k.video_id, sa.func.max(k.track_id).label("last"))
                .where(k.video_id.in_(part))
                .group_by(k.video_id)
            ),
            videos,
        )
        self._next_track = {row.video_id: row.last - track_id_of(row.video_id, 0) + 1 for row in last}
        with_tracks = set(self._next_track)
        boxes = rows_in_parts(
            conn,
            lambda part: (
                sa.select(d.video_id, d.frame_no, sa.func.max(d.detection_no).label("last"))
                .where(d.video_id.in_(part))
                .group_by(d.video_id, d.frame_no)
            ),
            with_tracks,
        )
        self._next_box = {(row.video_id, row.frame_no): row.last + 1 for row in boxes}

    def add(self, footage: Footage, placed: PlacedBoxes) -> int:
        """A new live track; returns its track_id. The footage has it from now on."""
        ordinal = self._next_track.get(footage.video_id, 0)
        self._next_track[footage.video_id] = ordinal + 1
        track_id = track_id_of(footage.video_id, ordinal)
        boxes = np.clip(placed.boxes, 0, 1).astype(np.float32)
        # Sides beyond the least number of a REAL column are nothing there.
        boxes[:, 2:] = np.maximum(boxes[:, 2:], 1e-6)
        moment = dict(zip(footage.frame_nos.tolist(), footage.times.tolist(), strict=True))
        first, last = int(placed.frame_nos[0]), int(placed.frame_nos[-1])
        quality = track_quality(placed.frame_nos, boxes, placed.scores, footage.frame_rate)
        for name, value in {
            "track_id": track_id, "video_id": footage.video_id, "first_frame_no": first, "last_frame_no": last,
            "first_s": moment[first], "last_s": moment[last], "n_detections": len(boxes), "quality": quality,
            "model_id": self.model_id, "state": "live",
        }.items():  # fmt: skip
            self.tracks.setdefault(name, []).append(value)
        for frame_no, box, score in zip(placed.frame_nos.tolist(), boxes.tolist(), placed.scores.tolist(), strict=True):
            key = (footage.video_id, frame_no)
            number = self._next_box.get(key, 0)
            self._next_box[key] = number + 1
            for name, value in zip(
                ("video_id", "frame_no", "detection_no", "track_id", "x", "y", "w", "h", "score"),
                (*key, number, track_id, *box, score), strict=True,
            ):  # fmt: skip
                self.detections.setdefault(name, []).append(value)
        footage.tracks.append(StoredTrack(track_id, moment[first], moment[last], placed.frame_nos, placed.boxes))
        self.tracked.add(footage.video_id)
        return track_id

    def name(self, medium_no: int, source_id: str, track_id: int) -> None:
        """How the file calls a track."""
        self.sources.append(
            {"import_id": self.import_id, "medium_no": medium_no, "source_id": source_id, "track_id": track_id}
        )

    def write(self, conn: sa.Connection) -> None:
        """All of it, and what follows: videos are tracked, their bundles have changed."""
        v = schema.video
        if self.tracks:
            changed = sorted(set(self.tracks["video_id"]))
            bundles = rows_in_parts(
                conn, lambda part: sa.select(v.c.bundle_id).where(v.c.video_id.in_(part)).distinct(), changed
            )
            for bundle_id in sorted({row.bundle_id for row in bundles}):
                stamps.mark_changed(conn, bundle_id)
            insert_rows(conn, schema.track, self.tracks)
            order = sorted(
                range(len(self.detections["video_id"])),
                key=lambda n: tuple(self.detections[name][n] for name in ("video_id", "frame_no", "detection_no")),
            )
            insert_rows(
                conn, schema.detection, {name: [values[n] for n in order] for name, values in self.detections.items()}
            )
        if self.sources:
            columns = {name: [one[name] for one in self.sources] for name in self.sources[0]}
            insert_rows(conn, schema.imported_track, columns)
        if self.tracked:
            conn.execute(
                sa.update(v)
                .where(v.c.video_id == sa.bindparam("key"), v.c.state == "decoded")
                .values(state="tracked", updated_at=sa.bindparam("now", type_=v.c.updated_at.type)),
                [{"key": video_id, "now": datetime.now(UTC)} for video_id in sorted(self.tracked)],
            )


def detector_row(conn: sa.Connection, config: dict[str, Any]) -> int:
    """model_id of the detector row `imported` of a file, made where there is none. conn: in a write transaction.

    It is champion only where there never was a detector: whose boxes tracks are made from is the person's choice.
    """
    model = schema.model
    text = json.dumps(config, sort_keys=True, ensure_ascii=False)
    of_task = model.c.task == "detector"
    known = sa.select(model.c.model_id).where(of_task, model.c.name == IMPORTED, model.c.config == text)
    found = conn.execute(known.order_by(model.c.model_id)).first()
    if found is not None:
        return int(found.model_id)
    last = conn.scalar(sa.select(sa.func.max(model.c.version)).where(of_task)) or 0
    now = datetime.now(UTC)
    added = conn.execute(
        sa.insert(model).values(
            task="detector", version=last + 1, name=IMPORTED, state="candidate" if last else "champion",
            reason="boxes of another program were imported", config=text, created_at=now,
            decided_at=None if last else now,
        )
    )  # fmt: skip
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])
