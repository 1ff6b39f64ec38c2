"""T: how well animals are found, followed and named on generated archives with known truth, before and after purity,
how far the names' chances are true (ece), and whether an animal that nobody named is flagged within three tracks.

`python -m benchmarks.tracking [--seeds 5] [--faces FOLDER] [--json]`: for each seed one archive of clips as they come
and one of crowds, filmed, ingested, tracked, and named by an embedder and a head that learn from half of the days; the
last line is JSON. Means over seeds, 95 % by Student's t.

Belongs here: making the archives, the two arms, intervals. Does not belong here: the scores (`tracking_metrics`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from benchmarks.support.archives import decoded, folder
from benchmarks.support.harness import Row, cores

if TYPE_CHECKING:
    from chimp_assets.demo.truth import ArchiveTruth, TrueVideo
    from chimp_assets.home import Home
    from chimp_assets.vision.detection.motion import FrameBoxes, MotionDetector, Picture
    from chimp_assets.vision.tracking.tracking_metrics import TrackingScores

SEEDS = 5
PLAIN, CROWD = 48, 4  # clips for each seed
SECONDS, DAYS = 6, 4
INDIVIDUALS = 8
HIDDEN = 2  # of them, in each half
VIEWS = 6_000  # crops shown while an embedder learns: about 100 CPU s
FIRST, FALSE_ALARM, BINS = 3, 0.1, 10
NUMBERS = ("recall", "idf1", "purity", "tracks_per_animal", "mixed")


@dataclass
class SeedScores:
    """One seed: scores of both arms, and what heads said of tracks of days that they did not learn from."""

    before: TrackingScores
    after: TrackingScores
    names: Names


@dataclass
class Names:
    """said: (chance of the first name, was it right) of each track of a known animal; flagged: for each three tracks in
    a row of an animal that nobody ever named, was any called unknown; strangers: those animals; alarms, track_alarms:
    the same of known animals, and of single tracks of them."""

    said: list[tuple[float, bool]] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)
    alarms: list[bool] = field(default_factory=list)
    track_alarms: list[bool] = field(default_factory=list)
    strangers: int = 0

    @property
    def accuracy(self) -> float:
        """Share of the tracks of known animals that are named rightly."""
        return float(np.mean([right for _, right in self.said])) if self.said else float("nan")


class _RecordingDetector:
    """A detector that remembers its boxes, so that both arms see the same ones."""

    def __init__(self, detector: MotionDetector) -> None:
        self.name, self.config = detector.name, detector.config
        self._detector = detector
        self.boxes: list[FrameBoxes] = []

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        self.boxes = []
        for found in self._detector.detect(pictures):
            self.boxes.append(found)
            yield found


def measure_seed(seed: int, faces: Path | None) -> SeedScores:
    """Films, ingests and measures the two archives of a seed."""
    from chimp_assets.demo.archive import make_archive
    from chimp_assets.vision.tracking.tracking_metrics import TrackingScores

    total: dict[str, TrackingScores] = {"before": TrackingScores(), "after": TrackingScores()}
    names = Names()
    for kind, clips, crowd in (("plain", PLAIN, None), ("crowd", CROWD, 4)):
        place = folder() / "tracking" / f"{kind}-{seed}-{clips}-{SECONDS}-{DAYS}{'-faces' if faces else ''}"
        truth_file = place / "truth.json"
        if not truth_file.is_file():
            make_archive(
                place / "archive", truth_file, seed=seed, individuals=INDIVIDUALS, cameras=3, days=DAYS, clips=clips,
                seconds=SECONDS, faces=faces, workers=cores(), crowd=crowd,
            )  # fmt: skip
        shutil.rmtree(place / "home", ignore_errors=True)
        home, truth = decoded(place)
        for name, scores in _both_arms(home, truth).items():
            total[name] += scores
        if kind == "plain":
            names = _identity(home, truth, seed)
    return SeedScores(total["before"], total["after"], names)


def _both_arms(home: Home, truth: ArchiveTruth) -> dict[str, TrackingScores]:
    """Scores of the live tracks as linked, and as the product writes them (they are written too)."""
    from chimp_assets.database import schema
    from chimp_assets.vision.detection.detector import register_detector
    from chimp_assets.vision.detection.motion import MotionDetector
    from chimp_assets.vision.tracking import bundle
    from chimp_assets.vision.tracking.tracker import link
    from chimp_assets.vision.tracking.tracking_metrics import TrackingScores, compare

    db, settings = home.database, home.settings.detect
    detector = _RecordingDetector(MotionDetector())
    model_id = register_detector(db, detector)
    total = {"before": TrackingScores(), "after": TrackingScores()}
    video, frame = schema.video.c, schema.frame.c
    with db.read() as conn:
        videos = conn.execute(sa.select(video.video_id, video.uri).where(video.state == "decoded")).all()
    for video_id, uri in videos:
        with db.read() as conn:
            rate = bundle.frame_rate_of(conn, video_id)
            times = {
                n: t for n, t in conn.execute(sa.select(frame.frame_no, frame.time_s).where(frame.video_id == video_id))
            }
        after = bundle.track_video(db, home.store, video_id, detector, settings)
        bundle._write(db, video_id, after, model_id)
        known = truth.video(uri)
        if known is None or known.damage:
            continue
        sure = ((n, found[found[:, 4] >= settings.min_score]) for n, found in detector.boxes)
        before = [bundle.judge(track, rate, settings) for track in link(sure, rate, settings.max_gap_s)]
        boxes = _true_boxes(known, times)
        for name, tracks in (("before", before), ("after", after)):
            total[name] += compare([t.linked for t in tracks if t.state == "live"], boxes)
    return total


def _true_boxes(known: TrueVideo, times: dict[int, float]) -> list[dict[int, NDArray[np.floating]]]:
    """For each animal its box in each kept frame in which it is to be seen."""
    found = []
    for animal in known.animals:
        seen = np.array(animal.times_s)
        boxes = {}
        for frame_no, time_s in times.items():
            nearest = int(np.abs(seen - time_s).argmin())
            if abs(seen[nearest] - time_s) <= 0.75 / known.fps:
                boxes[frame_no] = np.array(animal.boxes[nearest])
        found.append(boxes)
    return found


def _identity(home: Home, truth: ArchiveTruth, seed: int) -> Names:
    """What is said of half of the recording days by an embedder and a head that learned from the other half, twice.

    HIDDEN individuals are in none of what either learned from. The audit reserve, a fifth of the tracks of all days,
    teaches nothing and says how sure the head may be, as in the product; it is not asked again. Heads are told to call
    a tenth of the known tracks unknown.
    """
    from chimp_assets.database.labels.splits import audit_reserve_mask
    from chimp_assets.vision.embedding.embedder import mean_direction
    from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn
    from chimp_assets.vision.identity.fitting import fit_head

    tracks = _named_tracks(home, truth)
    target = np.unique([one.anim_id for one in tracks], return_inverse=True)[1].astype(np.int64)
    day_key = [one.day_key.split("|")[0] for one in tracks]
    day = np.unique(day_key, return_inverse=True)[1]
    group = np.unique([one.day_key for one in tracks], return_inverse=True)[1].astype(np.int64)
    reserve = audit_reserve_mask(
        np.array([one.track_id for one in tracks]), home.settings.seed, home.settings.acquisition.audit_reserve
    )
    found = Names()
    asked = home.settings.head.model_copy(update={"unknown_false_alarm": FALSE_ALARM})
    for half in (0, 1):
        here = day % 2 == half
        hidden = np.isin(target, np.random.default_rng((seed, half)).permutation(target.max() + 1)[:HIDDEN])
        teaches, audits = ~here & ~hidden & ~reserve, ~hidden & reserve
        of_track = np.concatenate([np.full(len(one.crops), row) for row, one in enumerate(tracks) if teaches[row]])
        pictures = np.concatenate([one.crops for row, one in enumerate(tracks) if teaches[row]])
        learned = learn(
            Crops(pictures, target[of_track], None, group[of_track]),
            replace(Recipe(), min_views=VIEWS, epochs=0, pretrained=True),
            seed=seed,
        )
        vectors = np.stack([mean_direction(learned.embedder.embed(one.crops)) for one in tracks])
        audit = (vectors[audits], target[audits])
        learned_from = np.zeros(int(teaches.sum()), dtype=bool)
        new_day = ~np.isin(group[audits], group[teaches])
        head = fit_head(
            vectors[teaches], target[teaches], group[teaches], asked, seed, learned_from, audit, new_day
        ).head
        logits = head.logits(vectors)
        unknown = head.is_unknown(vectors, logits)
        known = here & ~reserve & np.isin(target, target[teaches])
        chance = head.probabilities(logits[known])
        right = head.classes[chance.argmax(1)] == target[known]
        found.said += list(zip(chance.max(1).tolist(), right.tolist(), strict=True))
        found.track_alarms += unknown[known].tolist()
        found.alarms += [
            within for who in np.unique(target[known]) for within in _within(unknown[known & (target == who)])
        ]
        strangers = np.unique(target[here & hidden])
        found.flagged += [within for who in strangers for within in _within(unknown[here & (target == who)])]
        found.strangers += len(strangers)
    return found


@dataclass(frozen=True)
class _NamedTrack:
    """A live track that shows one animal. crops: u8 [m, s, s, 3]; day_key: recording day, site and camera."""

    track_id: int
    anim_id: str
    day_key: str
    crops: NDArray[np.uint8]


def _named_tracks(home: Home, truth: ArchiveTruth) -> list[_NamedTrack]:
    """In order of time."""
    from chimp_assets.database import schema
    from chimp_assets.demo.expert import SimulatedExpert
    from chimp_assets.vision.pictures.crops import read_crops

    embed = home.settings.embed
    video, split = schema.video.c, schema.split_assignment.c
    with home.database.read() as conn:
        videos = conn.execute(
            sa.select(video.video_id, split.day_key)
            .join(schema.split_assignment, split.video_id == video.video_id)
            .order_by(video.recorded_at, video.video_id)
        ).all()
    crops = [
        (one, day_key)
        for video_id, day_key in videos
        for one in read_crops(home.database, home.store, video_id, embed.crops_per_track, embed.crop_side)
    ]
    really = SimulatedExpert(home.database, truth, seed=1).really([one.track_id for one, _ in crops])
    return [
        _NamedTrack(one.track_id, name.anim_id, day_key, one.crops)
        for one, day_key in crops
        if (name := really[one.track_id]).kind == "identify" and name.anim_id
    ]


def _within(unknown: NDArray[np.bool_]) -> list[bool]:
    """For each FIRST tracks of one animal in a row: is any called unknown? All of them, if it has fewer."""
    return [bool(unknown[first : first + FIRST].any()) for first in range(max(1, len(unknown) - FIRST + 1))]


def ece(said: list[tuple[float, bool]]) -> float:
    """Expected calibration error, ten bins of equal width (Guo et al. 2017)."""
    chance, right = (np.array(column, float) for column in zip(*said, strict=True))
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    size = np.bincount(place, minlength=BINS)
    gap = np.bincount(place, chance, minlength=BINS) - np.bincount(place, right, minlength=BINS)
    return float(np.abs(gap).sum() / size.sum())


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % by Student's t over seeds."""
    from scipy import stats

    x = np.array(values, float)
    x = x[np.isfinite(x)]
    mean = float(x.mean()) if len(x) else float("nan")
    if len(x) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return mean, mean - half, mean + half


@dataclass
class Report:
    """All seeds."""

    seeds: list[SeedScores] = field(default_factory=list)

    def line(self) -> dict[str, object]:
        """Every number as [mean, low, high]; gains are paired by seed."""
        line: dict[str, object] = {"benchmark": "tracking", "seeds": len(self.seeds)}
        for arm in ("before", "after"):
            scores = [getattr(seed, arm) for seed in self.seeds]
            for name in NUMBERS:
                line[f"{arm}_{name}"] = _rounded(interval([getattr(one, name) for one in scores]))
            for name in ("switches", "tracks", "tracks_on_animals", "animals"):
                line[f"{arm}_{name}"] = sum(getattr(one, name) for one in scores)
        for name in NUMBERS:
            line[f"gain_{name}"] = _rounded(
                interval([getattr(seed.after, name) - getattr(seed.before, name) for seed in self.seeds])
            )
        names = [seed.names for seed in self.seeds]
        line["identity_accuracy"] = _rounded(interval([one.accuracy for one in names]))
        line["identity_tracks"] = sum(len(one.said) for one in names)
        # Of all seeds together: some tens of tracks of one seed would show an error of 0.1 for a perfect head.
        line["ece"] = round(ece([pair for one in names for pair in one.said]), 4)
        for name in ("flagged", "alarms", "track_alarms"):
            values = [getattr(one, name) for one in names]
            line[name] = _rounded(interval([float(np.mean(value)) for value in values if value]))
        line["strangers"] = sum(one.strangers for one in names)
        return line


def _rounded(values: tuple[float, float, float]) -> list[float | None]:
    return [round(value, 4) if np.isfinite(value) else None for value in values]


def measure(seeds: int = SEEDS, faces: Path | None = None) -> Iterator[Row]:
    """The row of the table: IDF1 with purity, beside IDF1 without."""
    line = run(seeds, faces)
    after, before, gain = (np.array(line[f"{name}_idf1"], float) for name in ("after", "before", "gain"))
    yield Row(
        row="T",
        what=f"IDF1 on generated archives, {seeds} seeds (`python -m benchmarks.tracking`)",
        value=float(after[0]),
        unit="IDF1",
        peers={"without purity": float(before[0])},
        ratio={"without purity": float(after[0] / before[0])},
        target="better than without, beyond noise",
        met=bool(gain[1] > 0),
        runs=seeds,
        spread=float((after[2] - after[1]) / after[0]),
        cores=cores(),
    )


def run(seeds: int, faces: Path | None, tell: bool = False) -> dict[str, object]:
    """All seeds; the line of JSON."""
    report, began = Report(), time.monotonic()
    for seed in range(1, seeds + 1):
        one = measure_seed(300 + seed, faces)
        report.seeds.append(one)
        if tell:
            shown = ", ".join(
                f"{name} {getattr(one.before, name):.3f} -> {getattr(one.after, name):.3f}" for name in NUMBERS
            )
            print(
                f"seed {seed}: {shown}, named {one.names.accuracy:.3f} of {len(one.names.said)}",
                file=sys.stderr,
                flush=True,
            )
    return report.line() | {"seconds": round(time.monotonic() - began, 1)}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--faces", type=Path, help="a folder with one folder of face pictures for each individual")
    parser.add_argument("--json", action="store_true", help="print the line of JSON alone")
    asked = parser.parse_args(arguments)
    print(json.dumps(run(asked.seeds, asked.faces, tell=not asked.json)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
