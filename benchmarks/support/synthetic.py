"""An archive that never was, as columns of rows: decades of cameras, skewed as real ones are.

Belongs here: what the rows say, a pure function of the seed and the number of frames. Does not belong here: databases
(`generation`) and pictures: byte ranges say where a picture would lie.

What is skewed: cameras (a few film most), videos (lognormal lengths, more than half without an animal), individuals
(Zipf, in three communities), parties (mothers with their children), probabilities (calibrated: a name of 0.8 is right
in 80 of 100 tracks). Nobody is seen before birth or after departure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema

Columns = dict[str, Any]
Rows = list[tuple[sa.Table, Columns]]

FRAMES_PER_VIDEO = 100.0
FPS = 2.0
VIDEOS_PER_BUNDLE = 100
BUNDLES_PER_CHUNK = 20
"""What is made, and held, at once: some 200,000 frames."""
EMPTY_SHARE = 0.55
INDIVIDUALS = 300
COMMUNITIES = {"KASEKELA": 140, "MITUMBA": 100, "KALANDE": 60}
CAMERAS = 60
BEGINS, ENDS = date(1995, 1, 1), date(2025, 12, 31)
DETECTOR, EMBEDDER, HEAD = 1, 2, 3
RANKS = 5
THEN = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = np.timedelta64(1, "D")
_CHUNK = 2  # what a random number is for: streams of different purpose never meet
_NEVER = np.datetime64("9999-12-31")


@dataclass(frozen=True)
class Population:
    """Individuals, numbered from 0 (individual_id is one more). born, gone: datetime64[D] [n]; mother: i64 [n], -1.

    weight: f64 [n], how often each is filmed; community: i64 [n].
    """

    anim_id: list[str]
    female: np.ndarray
    born: np.ndarray
    gone: np.ndarray
    mother: np.ndarray
    community: np.ndarray
    weight: np.ndarray
    child: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        child = np.full(len(self.mother), -1)
        known = self.mother >= 0
        child[self.mother[known]] = np.flatnonzero(known)  # the last one born of each mother
        object.__setattr__(self, "child", child)

    @classmethod
    def of_seed(cls, seed: int) -> Population:
        """Fifi (FF) and her son Fred (FI) are the first two, and often filmed."""
        rng = np.random.default_rng([seed, 0])
        n = INDIVIDUALS
        community = np.repeat(np.arange(len(COMMUNITIES)), list(COMMUNITIES.values()))
        female = rng.random(n) < 0.55
        born = np.datetime64("1955-01-01") + rng.integers(0, 68 * 365, n) * _DAY
        female[:2], born[:2] = (True, False), (np.datetime64("1980-03-01"), np.datetime64("2001-06-15"))
        gone = born + (rng.gamma(4.0, 9.0, n) * 365).astype(np.int64) * _DAY
        gone[:2] = np.datetime64("2024-08-01"), _NEVER
        gone[gone > np.datetime64(ENDS)] = _NEVER
        mother = np.full(n, -1)
        for i in rng.permutation(n)[: int(0.7 * n)]:
            may = female & (community == community[i]) & (born + 4400 * _DAY <= born[i]) & (gone > born[i])
            if may.any():
                mother[i] = rng.choice(np.flatnonzero(may))
        mother[0], mother[1] = -1, 0
        rank = np.empty(n)
        rank[rng.permutation(np.arange(2, n))] = np.arange(3, n + 1)
        rank[:2] = 2, 8
        return cls(_codes(n), female, born, gone, mother, community, 1 / rank)

    def draw(self, rng: np.random.Generator, community: np.ndarray, day: np.ndarray) -> np.ndarray:
        """For each place of a party somebody of its community who lives on its day, i64 [k]; -1 where nobody came."""
        found = np.full(len(community), -1)
        for _ in range(8):
            open_ = np.flatnonzero(found < 0)
            if not len(open_):
                break
            for c in range(len(COMMUNITIES)):
                here = open_[community[open_] == c]
                members = np.flatnonzero(self.community == c)
                share = np.cumsum(self.weight[members])
                who = members[np.searchsorted(share, rng.random(len(here)) * share[-1])]
                found[here] = np.where(self.lives(who, day[here]), who, -1)
        return found

    def lives(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Whether each is born and not gone on its day, bool [k]; False for -1."""
        alive: np.ndarray = (who >= 0) & (self.born[who] <= day) & (day < self.gone[who])
        return alive

    def rows(self) -> Rows:
        """communities, individuals (mothers before their children) and memberships."""
        n = len(self.anim_id)
        order = np.argsort(self.born, kind="stable")
        gone = [None if day == _NEVER else day.item() for day in self.gone]
        ids = (order + 1).tolist()
        born = [self.born[i].item() for i in order]
        names = {0: "Fifi", 1: "Fred"}
        return [
            (schema.community, {"community_id": [1, 2, 3], "comm_id": ["KK", "MT", "KL"],
                                "name": [c.title() for c in COMMUNITIES]}),
            (schema.individual, {
                "individual_id": ids, "anim_id": [self.anim_id[i] for i in order],
                "name": [names.get(i) for i in order.tolist()], "sex": ["F" if self.female[i] else "M" for i in order],
                "birth_date": born, "bd_min": [day - timedelta(30) for day in born],
                "bd_max": [day + timedelta(30) for day in born], "bd_dist": ["N"] * n,
                "birth_community_id": self.community[order] + 1, "bg_qual": ["C"] * n, "first_born": ["U"] * n,
                "mom_id": [int(self.mother[i]) + 1 if self.mother[i] >= 0 else None for i in order],
                "entry_date": born, "entry_type": ["B"] * n, "depart_date": [gone[i] for i in order],
                "depart_type": [None if gone[i] is None else "D" for i in order], "created_at": [THEN] * n,
            }),
            (schema.community_membership, {
                "individual_id": ids, "community_id": self.community[order] + 1, "start_date": born,
                "end_date": [gone[i] for i in order],
            }),
        ]  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """What is to be made. n_frames: i64 [videos], frames of each; camera, begins: of each bundle, in order of time."""

    seed: int
    frames: int
    people: Population
    n_frames: np.ndarray
    camera: np.ndarray
    begins: np.ndarray

    @classmethod
    def of(cls, frames: int, seed: int = 1) -> Archive:
        """An archive of exactly that many frames. Raises ValueError for less than one."""
        if frames < 1:
            raise ValueError(f"an archive of {frames} frames")
        rng = np.random.default_rng([seed, 1])
        drawn = int(frames / FRAMES_PER_VIDEO * 1.2) + 100
        lengths = np.clip(np.round(rng.lognormal(np.log(60), 1.01, drawn)), 1, 2000).astype(np.int64)
        ends = np.cumsum(lengths)
        last = int(np.searchsorted(ends, frames))
        n_frames = lengths[: last + 1].copy()
        n_frames[-1] -= ends[last] - frames
        bundles = -(-len(n_frames) // VIDEOS_PER_BUNDLE)
        busy = rng.lognormal(0, 1, CAMERAS)
        camera = rng.choice(CAMERAS, bundles, p=busy / busy.sum())
        # More films each year, as in every archive.
        days = np.sort((ENDS - BEGINS).days * np.sqrt(rng.random(bundles))).astype(np.int64)
        return cls(seed, frames, Population.of_seed(seed), n_frames, camera, np.datetime64(BEGINS) + days * _DAY)

    @property
    def n_bundles(self) -> int:
        return len(self.camera)

    @property
    def n_chunks(self) -> int:
        return -(-self.n_bundles // BUNDLES_PER_CHUNK)

    def fixed_rows(self) -> Rows:
        """Rows that all others refer to: models and people of the archive."""
        models = {
            "model_id": [DETECTOR, EMBEDDER, HEAD], "task": ["detector", "embedder", "head"], "version": [1] * 3,
            "parent_id": [None, None, EMBEDDER], "name": ["detector-1", "embedder-1", "head-1"],
            "state": ["champion"] * 3, "config": ["{}"] * 3, "created_at": [THEN] * 3, "decided_at": [THEN] * 3,
        }  # fmt: skip
        return [(schema.model, models), *self.people.rows()]

    def chunks(self) -> Iterator[tuple[int, Rows]]:
        """(frames, rows) of some bundles at a time, parents before their children, each table in order of its key."""
        for number in range(self.n_chunks):
            rows = self._chunk(number)
            yield len(dict((table.name, columns) for table, columns in rows)["frame"]["frame_no"]), rows

    def _chunk(self, number: int) -> Rows:
        rng = np.random.default_rng([self.seed, _CHUNK, number])
        bundles = np.arange(number * BUNDLES_PER_CHUNK, min((number + 1) * BUNDLES_PER_CHUNK, self.n_bundles))
        videos = np.arange(
            bundles[0] * VIDEOS_PER_BUNDLE, min((bundles[-1] + 1) * VIDEOS_PER_BUNDLE, len(self.n_frames))
        )
        bundle = videos // VIDEOS_PER_BUNDLE
        moment = self._moments(rng, videos, bundle)
        tracks = self._tracks(rng, videos, self.camera[bundle] % len(COMMUNITIES), moment)
        rows = self._bundle_rows(bundles, tracks)
        rows += self._video_rows(rng, videos, bundle, moment)
        rows += [(schema.track, tracks.columns()), (schema.detection, _detections(rng, tracks))]
        return rows + _scores(rng, tracks)

    def _moments(self, rng: np.random.Generator, videos: np.ndarray, bundle: np.ndarray) -> np.ndarray:
        """When each began, datetime64[s]: a bundle is ten days of one camera, by daylight (East Africa, so UTC + 3)."""
        day = videos % VIDEOS_PER_BUNDLE // (VIDEOS_PER_BUNDLE // 10)
        second = rng.triangular(3 * 3600, 6 * 3600, 16 * 3600, len(videos)).astype(np.int64)
        in_order = second[np.lexsort((second, day, bundle))]
        begun = (self.begins[bundle] + day * _DAY).astype("datetime64[s]")
        moments: np.ndarray = begun + in_order * np.timedelta64(1, "s")
        return moments

    def _bundle_rows(self, bundles: np.ndarray, tracks: Tracks) -> Rows:
        n = len(bundles)
        camera = self.camera[bundles]
        names = [f"{_site(c).lower()}_cam{c:02d}" for c in camera]
        n_tracks = np.bincount(tracks.video // VIDEOS_PER_BUNDLE - bundles[0], minlength=n)
        later = [THEN + timedelta(hours=1)] * n
        return [
            (schema.bundle, {
                "bundle_id": bundles + 1, "folder": [name.replace("_", "/") for name in names],
                "bundle_key": [f"{name}-{b:05d}" for name, b in zip(names, bundles, strict=True)],
                "created_at": [THEN] * n, "changed_at": [THEN] * n,
            }),
            (schema.embedding_file, {
                "model_id": [EMBEDDER] * n, "bundle_id": bundles + 1, "uri": [f"embeddings/1/{b}" for b in bundles],
                "content_hash": ["0" * 64] * n, "n_tracks": n_tracks, "created_at": later,
            }),
            (schema.bundle_score, {
                "model_id": [HEAD] * n, "bundle_id": bundles + 1, "n_tracks": n_tracks, "created_at": later,
            }),
        ]  # fmt: skip

    def _video_rows(self, rng: np.random.Generator, videos: np.ndarray, bundle: np.ndarray, moment: np.ndarray) -> Rows:
        n, lengths = len(videos), self.n_frames[videos]
        camera = self.camera[bundle]
        places = [(_site(c), f"cam{c:02d}") for c in camera]
        days = [day.item() for day in moment.astype("datetime64[D]")]
        uris = [f"{site}/{cam}/{day}/{v:08d}.mp4" for (site, cam), day, v in zip(places, days, videos + 1, strict=True)]
        video_id = videos + 1
        shard_id = video_id * schema.SHARDS_PER_VIDEO
        total = int(lengths.sum())
        first = np.cumsum(lengths) - lengths
        frame_no = np.arange(total) - np.repeat(first, lengths)
        jpeg = np.clip(rng.normal(20_000, 4_000, total), 5_000, 60_000).astype(np.int64)
        stride = (jpeg + 511) // 512 * 512 + 512  # as in a tar: a header, and whole blocks
        before = np.cumsum(stride) - stride
        offset = before - np.repeat(before[first], lengths) + 512
        size = np.add.reduceat(stride, first) + 1024
        return [
            (schema.video, {
                "video_id": video_id, "bundle_id": bundle + 1,
                "uri": uris, "version": [1] * n, "content_hash": [f"{v:064x}" for v in video_id],
                "bytes": lengths * 400_000, "etag": [f"{v:x}" for v in video_id],
                "recorded_at": moment, "recorded_at_source": ["container"] * n,
                "recorded_on": days, "site": [site for site, _ in places], "camera": [cam for _, cam in places],
                "duration_s": lengths / FPS, "width": [640] * n, "height": [360] * n, "sar_num": [1] * n,
                "sar_den": [1] * n, "rotation": [0] * n, "avg_fps": [25.0] * n, "codec": ["h264"] * n,
                "time_base_num": [1] * n, "time_base_den": [90_000] * n, "interlaced": [False] * n,
                "n_frames": lengths, "frame_s": [1 / FPS] * n, "decode_s": lengths * 0.1, "state": ["tracked"] * n,
                "discovered_at": [THEN] * n, "updated_at": [THEN] * n,
            }),
            (schema.frame_shard, {
                "shard_id": shard_id, "video_id": video_id, "uri": [f"shards/{v:08d}-0000.tar" for v in video_id],
                "bytes": size, "content_hash": [f"{v:064x}" for v in video_id],
            }),
            (schema.frame, {
                "video_id": np.repeat(video_id, lengths), "frame_no": frame_no, "pts": frame_no * 45_000,
                "time_s": frame_no / FPS, "shard_id": np.repeat(shard_id, lengths), "byte_offset": offset,
                "byte_length": jpeg,
            }),
        ]  # fmt: skip

    def _tracks(
        self, rng: np.random.Generator, videos: np.ndarray, community: np.ndarray, moment: np.ndarray
    ) -> Tracks:
        filled = np.flatnonzero(rng.random(len(videos)) >= EMPTY_SHARE)
        party = 1 + rng.poisson(rng.gamma(1.2, 2.3, len(filled)))
        at = np.repeat(filled, party)  # which video each place of a party is in
        day = moment[at].astype("datetime64[D]")
        who = self.people.draw(rng, community[at], day)
        leader = np.repeat(who[np.cumsum(party) - party], party)
        child, mother = self.people.child[leader], self.people.mother[leader]
        kin = np.where((child >= 0) & (rng.random(len(at)) < 0.6), child, mother)
        kin = np.where(leader >= 0, kin, -1)
        who = np.where((rng.random(len(at)) < 0.35) & self.people.lives(kin, day), kin, who)
        at, who = at[who >= 0], who[who >= 0]
        pieces = 1 + rng.poisson(1.0, len(at))
        at, who = np.repeat(at, pieces), np.repeat(who, pieces)
        lengths = self.n_frames[videos[at]]
        n_boxes = np.maximum(1, np.round(lengths * rng.beta(1.0, 2.7, len(at)))).astype(np.int64)
        first = (rng.random(len(at)) * (lengths - n_boxes + 1)).astype(np.int64)
        place = np.arange(len(at)) - np.searchsorted(at, at)
        return Tracks(videos[at], place, who, first, n_boxes, rng.beta(4, 2, len(at)))


@dataclass(frozen=True)
class Tracks:
    """Tracks of a chunk, by video: arrays of one length. video counts from 0, ordinal within its video."""

    video: np.ndarray
    ordinal: np.ndarray
    who: np.ndarray
    first: np.ndarray
    n_boxes: np.ndarray
    quality: np.ndarray

    @property
    def track_id(self) -> np.ndarray:
        keys: np.ndarray = (self.video + 1) * schema.TRACKS_PER_VIDEO + self.ordinal
        return keys

    def columns(self) -> Columns:
        n, last = len(self.video), self.first + self.n_boxes - 1
        return {
            "track_id": self.track_id, "video_id": self.video + 1, "first_frame_no": self.first, "last_frame_no": last,
            "first_s": self.first / FPS, "last_s": last / FPS, "n_detections": self.n_boxes, "quality": self.quality,
            "model_id": [DETECTOR] * n, "state": ["live"] * n,
        }  # fmt: skip


def _detections(rng: np.random.Generator, tracks: Tracks) -> Columns:
    """Boxes that wander through the picture, in order of (video, frame)."""
    n, counts = len(tracks.video), tracks.n_boxes
    of_track = np.repeat(np.arange(n), counts)
    step = np.arange(len(of_track)) - np.repeat(np.cumsum(counts) - counts, counts)
    frame_no = tracks.first[of_track] + step
    video = tracks.video[of_track]
    order = np.lexsort((tracks.ordinal[of_track], frame_no, video))
    of_track, step, frame_no, video = of_track[order], step[order], frame_no[order], video[order]
    same = (video[1:] == video[:-1]) & (frame_no[1:] == frame_no[:-1])
    begins = np.flatnonzero(np.concatenate([[True], ~same])) if len(video) else np.empty(0, np.int64)
    detection_no = np.arange(len(video)) - np.repeat(begins, np.diff(np.append(begins, len(video))))
    h = np.clip(rng.lognormal(-1.3, 0.5, n), 0.04, 0.9)
    w = np.clip(h * rng.uniform(0.35, 0.8, n), 0.03, 0.9)
    x, y = rng.random(n), rng.uniform(0.2, 1.0, n)
    vx, vy = rng.normal(0, 0.01, n), rng.normal(0, 0.002, n)
    sway = 0.01 * np.sin(step * 0.9)
    return {
        "video_id": video + 1, "frame_no": frame_no, "detection_no": detection_no,
        "track_id": tracks.track_id[of_track],
        "x": np.clip(x[of_track] + vx[of_track] * step + sway, 0, 1) * (1 - w[of_track]),
        "y": np.clip(y[of_track] + vy[of_track] * step, 0, 1) * (1 - h[of_track]),
        "w": w[of_track], "h": h[of_track], "score": rng.beta(8, 2, len(video)),
    }  # fmt: skip


def _scores(rng: np.random.Generator, tracks: Tracks) -> Rows:
    """Five ranks of each track and what acquisition reads. The first is right as often as it says."""
    n = len(tracks.video)
    first = np.clip(rng.beta(3.0, 0.8, n), 0.2, 0.9999)
    rest = (1 - first)[:, None] * np.array([0.5, 0.2, 0.1, 0.05])
    rest = np.minimum(rest, first[:, None] * np.array([0.95, 0.9, 0.85, 0.8]))
    probability = np.concatenate([first[:, None], rest], axis=1)
    # Others at growing distances round a circle of all individuals: five different ones.
    steps = np.cumsum(rng.integers(1, INDIVIDUALS // RANKS, (n, RANKS - 1)), axis=1)
    candidates = (tracks.who[:, None] + np.concatenate([np.zeros((n, 1), np.int64), steps], axis=1)) % INDIVIDUALS
    wrong = rng.random(n) >= first
    candidates[wrong, :2] = candidates[wrong, 1::-1]
    entropy = -(probability * np.log(np.maximum(probability, 1e-12))).sum(axis=1)
    return [
        (schema.prediction, {
            "model_id": np.full(n * RANKS, HEAD), "track_id": np.repeat(tracks.track_id, RANKS),
            "rank": np.tile(np.arange(1, RANKS + 1), n), "individual_id": candidates.ravel() + 1,
            "probability": probability.ravel(),
        }),
        (schema.track_score, {
            "model_id": np.full(n, HEAD), "track_id": tracks.track_id, "margin": probability[:, 0] - probability[:, 1],
            "max_logit": 4 + 8 * first + rng.normal(0, 1, n), "novelty": rng.beta(2, 6, n), "entropy": entropy,
            "is_unknown": (first < 0.35).tolist(),
        }),
    ]  # fmt: skip


def _site(camera: int) -> str:
    return list(COMMUNITIES)[camera % len(COMMUNITIES)].title()


def _codes(n: int) -> list[str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = [a + b for a in letters for b in letters if a + b not in ("FF", "FI")]
    return ["FF", "FI", *pairs[: n - 2]]
