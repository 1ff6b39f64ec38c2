"""Boxes that another program has proposed, in place of a detector's: one file of the store for each bundle and import.

Belongs here: the file's form, finding what was proposed for a video, the detector that says it again. Does not belong
here: reading other programs' files (`exchange.imports`), linking (`tracking`).

The file is safetensors: {spoken: i64 [m] rows of `video` of which it speaks, video_id: i64 [n], time_s: f64 [n] seconds
since the first picture, box: f32 [n, 5] x, y, w, h as fractions of the displayed picture and score}. A video without a
box that is spoken of is empty: nothing is detected in it either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.vision.detection.interface import FrameBoxes, Picture
from chimp_assets.vision.models.checkpoint import read_checked


@dataclass(frozen=True)
class VideoProposals:
    """What another program proposed for one video. frame_nos i64 [m], times f64 [m]: its stored pictures; picture i64
    [n]: index of the stored picture of each box; boxes f32 [n, 5]; sampled: indices of the stored pictures that the
    program looked at, as far as its boxes show it, ascending."""

    frame_nos: NDArray[np.int64]
    times: NDArray[np.float64]
    picture: NDArray[np.int64]
    boxes: NDArray[np.float32]
    sampled: NDArray[np.int64]


class ImportedDetector:
    """A detector that says what another program has found, whatever the pictures show."""

    name = "imported"

    def __init__(self, proposals: VideoProposals, config: dict[str, Any]) -> None:
        self.proposals = proposals
        self._config = config

    @property
    def config(self) -> dict[str, Any]:
        """Format and hash of the file."""
        return self._config

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """Its boxes of every picture, in order."""
        index = {int(number): place for place, number in enumerate(self.proposals.frame_nos)}
        for frame_no, _, _ in pictures:
            yield frame_no, self.proposals.boxes[self.proposals.picture == index.get(frame_no, -1)]


def imported_detector(db: Database, store: BlobStore, video_id: int) -> tuple[ImportedDetector, int] | None:
    """What stands in place of detecting in a video, with the model_id of its import; None where nothing does.

    The newest import that speaks of the video counts. Raises StoreError, ModelFileError if its file is gone or damaged.
    """
    p, f, m, v = schema.proposal_file, schema.import_file, schema.model, schema.video
    with db.read() as conn:
        if conn.execute(sa.select(p.c.bundle_id).limit(1)).first() is None:
            return None  # most homes
        frames = _stored_pictures(conn, video_id)
        rows = {video_id} | {one.source_video_id for one in frames if one.source_video_id is not None}
        bundles: set[int] = set()
        for part in in_parts(rows):
            bundles.update(conn.scalars(sa.select(v.c.bundle_id).where(v.c.video_id.in_(part))))
        files = conn.execute(
            sa.select(p.c.uri, p.c.content_hash, f.c.model_id, m.c.config)
            .join_from(p, f, f.c.import_id == p.c.import_id)
            .join(m, m.c.model_id == f.c.model_id)
            .where(p.c.bundle_id.in_(sorted(bundles)))
            .order_by(p.c.import_id.desc(), p.c.bundle_id)
        ).all()
    for file in files:
        content = _read(store, file.uri, file.content_hash)
        mine = rows & set(content["spoken"].tolist())
        if mine:
            return ImportedDetector(_proposals(content, mine, video_id, frames), json.loads(file.config)), file.model_id
    return None


def _stored_pictures(conn: sa.Connection, video_id: int) -> list[Any]:
    f = schema.frame.c
    return list(
        conn.execute(
            sa.select(f.frame_no, f.time_s, f.source_video_id).where(f.video_id == video_id).order_by(f.frame_no)
        )
    )


def _read(store: BlobStore, uri: str, content_hash: str) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load  # beside torch's libraries

    return dict(load(read_checked(store, uri, content_hash)))


def _proposals(content: dict[str, NDArray[Any]], rows: set[int], video_id: int, frames: list[Any]) -> VideoProposals:
    """Boxes at the nearest stored picture of their file, at most half a stored step away."""
    numbers = np.array([one.frame_no for one in frames], np.int64)
    times = np.array([one.time_s for one in frames], np.float64)
    sources = np.array([video_id if one.source_video_id is None else one.source_video_id for one in frames], np.int64)
    is_burst = bool((sources != video_id).any())
    picture: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    boxes: list[NDArray[np.float32]] = [np.zeros((0, 5), np.float32)]
    reach = float(np.median(np.diff(times))) / 2 + 1e-3 if len(times) > 1 else np.inf
    for row in sorted(rows):
        own = content["video_id"] == row
        moments, found = content["time_s"][own], content["box"][own]
        if is_burst:
            at = np.flatnonzero(sources == row)
            if len(at):
                picture.append(np.full(len(found), at[0], np.int64))
                boxes.append(found)
            continue
        if not len(times) or not len(found):
            continue
        nearest = np.abs(times[None, :] - moments[:, None]).argmin(axis=1)
        near = np.abs(times[nearest] - moments) <= reach
        # Of several pictures of the file that fall on one of ours, the nearest counts.
        distance = np.abs(times[nearest] - moments)
        least = np.full(len(times), np.inf)
        np.minimum.at(least, nearest[near], distance[near])
        keep = near & (distance <= least[nearest] + 1e-6)
        picture.append(nearest[keep])
        boxes.append(found[keep])
    places = np.concatenate(picture)
    order = np.argsort(places, kind="stable")
    return VideoProposals(
        numbers, times, places[order], np.concatenate(boxes)[order].astype(np.float32), np.unique(places)
    )
