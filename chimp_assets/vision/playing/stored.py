"""What is stored of a video, cut into pieces to be played and into strips to be looked over.

Belongs here: which pictures are in which piece, and the version that names them. Does not belong here: making them
(`pieces`, `strips`), the process that does it (`making`), serving (`web`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t

PIECE_S = 10.0
MOST_PICTURES = 400
"""In a piece: a second of work, whatever a camera films."""
MOST_GAP_S = 600.0
"""Between two pictures that are played one after the other; beyond it nobody waits, and nothing is played."""
CODECS = "avc1.640028"
"""What a browser is asked whether it plays it: H.264, high profile, level 4."""
THUMBS_A_STRIP = 10
MOST_THUMBS = 120
THUMB_EVERY_S = 2.0
_FORM = 1
"""Raised whenever pieces or strips are made in another way, so that browsers ask for them anew."""


@dataclass(frozen=True)
class Stored:
    """Stored pictures in the order of their numbers. uris: shards; arrays [n]: time_s f64 seconds, shard i64 (an index
    into uris), offset and length i64 bytes. pieces: first picture of each; thumbs: pictures of the strips."""

    version: str
    uris: tuple[str, ...]
    time_s: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    pieces: tuple[int, ...]
    thumbs: tuple[int, ...]

    @property
    def end_s(self) -> float:
        """When the last picture has been shown."""
        return float(self.time_s[-1]) + _usual_gap(self.time_s)

    @property
    def strips(self) -> int:
        """How many strips there are."""
        return -(-len(self.thumbs) // THUMBS_A_STRIP)

    def strip_moments(self) -> list[list[float]]:
        """Seconds of the small pictures of each strip."""
        moments = self.time_s[list(self.thumbs)].tolist()
        return [moments[at : at + THUMBS_A_STRIP] for at in range(0, len(moments), THUMBS_A_STRIP)]

    def span(self, piece: int) -> tuple[float, float]:
        """The seconds that a piece covers: from its first picture to the first of the next one."""
        after = self.pieces[piece + 1] if piece + 1 < len(self.pieces) else None
        return float(self.time_s[self.pieces[piece]]), float(self.time_s[after]) if after is not None else self.end_s

    def piece_message(self, piece: int, store: dict[str, Any]) -> dict[str, Any]:
        """What `making.make_piece` needs."""
        last = self.pieces[piece + 1] if piece + 1 < len(self.pieces) else len(self.time_s)
        wanted = np.arange(self.pieces[piece], last)
        return {**self._message(wanted, store), "time_s": self.time_s[wanted], "until_s": self.span(piece)[1]}

    def strip_message(self, strip: int, store: dict[str, Any]) -> dict[str, Any]:
        """What `making.make_strip` needs."""
        wanted = np.array(self.thumbs[strip * THUMBS_A_STRIP :][:THUMBS_A_STRIP])
        return self._message(wanted, store)

    def _message(self, wanted: np.ndarray, store: dict[str, Any]) -> dict[str, Any]:
        shards, shard = np.unique(self.shard[wanted], return_inverse=True)
        return {
            "store": store, "uris": [self.uris[i] for i in shards], "shard": shard.astype(np.int64),
            "offset": self.offset[wanted], "length": self.length[wanted],
        }  # fmt: skip


def version_of(conn: sa.Connection, video_id: int) -> str | None:
    """A word of 16 hexadecimal digits that changes when the stored pictures do; None where none are stored."""
    f, h, v = t.frame.c, t.frame_shard.c, t.video.c
    rows = conn.execute(
        sa.select(
            h.content_hash, sa.func.count(), sa.func.min(f.frame_no), sa.func.max(f.frame_no),
            sa.func.min(f.time_s), sa.func.max(f.time_s),
            sa.func.sum(sa.cast(f.byte_length, sa.BigInteger)),
        )
        .join_from(t.frame, t.frame_shard, h.shard_id == f.shard_id)
        .join(t.video, v.video_id == f.video_id)
        .where(f.video_id == video_id, v.state != "retired")
        .group_by(h.shard_id, h.content_hash)
        .order_by(h.shard_id)
    ).all()  # fmt: skip
    if not rows:
        return None
    told = [(row[0], *map(int, row[1:4]), float(row[4]).hex(), float(row[5]).hex(), int(row[6])) for row in rows]
    return hashlib.sha256(repr((_FORM, video_id, told)).encode()).hexdigest()[:16]


def stored(conn: sa.Connection, video_id: int, version: str) -> Stored:
    """The stored pictures of a video that has some. version: `version_of` it, in the same transaction."""
    f, h = t.frame.c, t.frame_shard.c
    rows = conn.execute(
        sa.select(f.time_s, f.shard_id, f.byte_offset, f.byte_length).where(f.video_id == video_id).order_by(f.frame_no)
    ).all()
    shards = conn.execute(sa.select(h.shard_id, h.uri).where(h.video_id == video_id).order_by(h.shard_id)).all()
    time_s, shard, offset, length = (np.array(column) for column in zip(*rows, strict=True))
    time_s = time_s.astype(np.float64)
    place = np.searchsorted([row.shard_id for row in shards], shard)
    return Stored(
        version, tuple(row.uri for row in shards), time_s, place.astype(np.int64), offset.astype(np.int64),
        length.astype(np.int64), pieces_of(time_s), thumbs_of(time_s),
    )  # fmt: skip


def pieces_of(time_s: np.ndarray | Sequence[float]) -> tuple[int, ...]:
    """The first picture of each piece. A piece begins at a picture, lasts about PIECE_S and is never empty; none where
    pictures lie more than MOST_GAP_S apart."""
    times = np.asarray(time_s, np.float64)
    if len(times) > 1 and float(np.diff(times).max()) > MOST_GAP_S:
        return ()
    firsts: list[int] = []
    at = 0
    while at < len(times):
        firsts.append(at)
        over = int(np.searchsorted(times, times[at] + PIECE_S - 1e-9))
        at = min(max(over, at + 1), at + MOST_PICTURES)
    return tuple(firsts)


def thumbs_of(time_s: np.ndarray | Sequence[float]) -> tuple[int, ...]:
    """Pictures for the strips, evenly over the time: one in THUMB_EVERY_S, MOST_THUMBS at most, each once."""
    times = np.asarray(time_s, np.float64)
    if not len(times):
        return ()
    length = float(times[-1] - times[0])
    wanted = int(np.clip(np.ceil(length / THUMB_EVERY_S), THUMBS_A_STRIP, MOST_THUMBS))
    moments = times[0] + length * np.arange(wanted) / wanted
    return tuple(int(n) for n in np.unique(np.searchsorted(times, moments + 1e-9, side="right") - 1))


def _usual_gap(time_s: np.ndarray) -> float:
    return max(float(np.median(np.diff(time_s))), 0.001) if len(time_s) > 1 else 1.0
