"""Re-tracking a home whose tracks people have named: how many answers follow by themselves, and how many are lost.

`python -m benchmarks.retracking [--seeds 2] [--labels 500] [--clips 130] [--json]`: for each seed one archive of clips
as they come and one of crowds is filmed, tracked by motion and named by an expert who knows the truth; then it is
tracked anew by each arm, in a copy of the home. Arms: `motion`, other knobs and another threshold of the tracker;
`network`, boxes as a network draws them: whole bodies, also of animals that sit, with noise, gaps and false boxes.
Foil: answers that go to the new track with most boxes on the old one, whatever runs at once (`nearest`).

Belongs here: the arms, what counts as followed, kept, listed, lost and wrong. Does not belong here: the rules
(`vision.tracking.retracking`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.archives import decoded
from benchmarks.support.harness import cores

if TYPE_CHECKING:
    from chimp_assets.demo.expert import ExpertAnswer
    from chimp_assets.demo.truth import ArchiveTruth, TrueVideo
    from chimp_assets.home import Home
    from chimp_assets.vision.detection.interface import Detector, FrameBoxes, Picture

FOLLOW_TARGET = 0.95
CROWDS = 6
ARMS = ("motion", "network")


@dataclass
class Outcome:
    """What became of answered tracks. answered: before; followed: the answer counts for new tracks; kept: the old track
    stayed; listed: it counts for none and is in the list; lost: none of these; wrong: names that stand for a track of
    another animal, though they were right before; nearest_wrong: the same of the foil."""

    answered: int = 0
    followed: int = 0
    kept: int = 0
    listed: int = 0
    lost: int = 0
    wrong: int = 0
    standing: int = 0
    nearest_wrong: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    @property
    def by_themselves(self) -> float:
        """Share of the answered tracks whose answer stands without anybody's help."""
        return (self.followed + self.kept) / self.answered if self.answered else float("nan")


class TrueBoxes:
    """A detector that draws what a network would: the whole animal, also when it sits, a little off, not always, and
    now and then something that is none. `video` is set before each video."""

    name = "true boxes"

    def __init__(self, seed: int, off: float = 0.06, missed: float = 0.1, false: float = 0.03) -> None:
        self.seed, self.off, self.missed, self.false = seed, off, missed, false
        self.video: TrueVideo | None = None

    @property
    def config(self) -> dict[str, Any]:
        """Everything needed to draw the same boxes again."""
        return {"seed": self.seed, "off": self.off, "missed": self.missed, "false": self.false}

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """As the interface says."""
        rng = np.random.default_rng([self.seed, sum(map(ord, self.video.uri)) if self.video else 0])
        for frame_no, time_s, _ in pictures:
            yield frame_no, self._boxes(time_s, rng)

    def _boxes(self, time_s: float, rng: np.random.Generator) -> np.ndarray:
        found = []
        for animal in self.video.animals if self.video else ():
            seen = np.array(animal.times_s)
            nearest = int(np.abs(seen - time_s).argmin())
            assert self.video is not None
            if abs(seen[nearest] - time_s) > 0.75 / self.video.fps or animal.visible[nearest] < 0.3:
                continue
            x, y, w, h = animal.boxes[nearest]
            dx, dy, dw, dh = rng.normal(0, self.off, 4)
            w2, h2 = w * np.exp(dw), h * np.exp(dh)
            if rng.random() >= self.missed:
                found.append((x + w / 2 + dx * w - w2 / 2, y + h / 2 + dy * h - h2 / 2, w2, h2, rng.uniform(0.5, 0.95)))
        if rng.random() < self.false:
            found.append((rng.uniform(0, 0.8), rng.uniform(0, 0.8), 0.1, 0.1, 0.3))
        boxes = np.array(found, np.float32).reshape(-1, 5)
        low, high = np.clip(boxes[:, :2], 0, 1), np.clip(boxes[:, :2] + boxes[:, 2:4], 0, 1)
        boxes[:, :2], boxes[:, 2:4] = low, high - low
        return boxes[(boxes[:, 2:4] > 0.005).all(axis=1)]


def measure_seed(
    seed: int, labels: int, clips: int, seconds: int = 6, arms: tuple[str, ...] = ARMS
) -> dict[str, Outcome]:
    """Films, tracks, names and tracks anew; the outcome of each arm."""
    from chimp_assets.demo.archive import make_archive

    found = {arm: Outcome() for arm in arms}
    for kind, n, crowd in (("plain", clips, None), ("crowd", CROWDS, 4)):
        if not n:
            continue
        place = Path(tempfile.mkdtemp(prefix="retracking-"))
        try:
            make_archive(
                place / "archive", place / "truth.json", seed=seed, individuals=8, cameras=3, days=4, clips=n,
                seconds=seconds, workers=cores(), crowd=crowd,
            )  # fmt: skip
            for arm, outcome in measure_archive(place, seed, labels, arms).items():
                found[arm] += outcome
        finally:
            shutil.rmtree(place, ignore_errors=True)
        print(f"{kind} {seed}: " + ", ".join(f"{arm} {found[arm]}" for arm in arms), file=sys.stderr)
    return found


def measure_archive(place: Path, seed: int, labels: int, arms: tuple[str, ...] = ARMS) -> dict[str, Outcome]:
    """The same for the archive and the truth in a folder."""
    home, truth = decoded(place)
    track_first(home)
    said = name_tracks(home, truth, seed, labels)
    found = {}
    home.database.dispose()
    shutil.copytree(place / "home", place / "before")
    for arm in arms:
        shutil.rmtree(place / "home")
        shutil.copytree(place / "before", place / "home")
        home.database.dispose()
        track_anew(home, truth, arm, seed)
        found[arm] = judge(home, truth, said)
        home.database.dispose()
    return found


def track_first(home: Home) -> None:
    """By motion, as the product does."""
    from chimp_assets.database.work import due
    from chimp_assets.vision.tracking.bundle import track_bundle

    with home.database.read() as conn:
        keys = due.unfinished_bundles(conn, None)
    for key in keys:
        track_bundle(home.database, home.store, key, home.settings)


def name_tracks(home: Home, truth: ArchiveTruth, seed: int, labels: int) -> dict[int, ExpertAnswer]:
    """At most so many live tracks, drawn at random, get the true answer; returns it by track."""
    from chimp_assets.database import schema as t
    from chimp_assets.database.labels.events import LabelEvent, record_events
    from chimp_assets.demo.expert import SimulatedExpert

    expert = SimulatedExpert(home.database, truth, seed, wrong=0, unknown=0)
    expert.introduce()
    with home.database.read() as conn:
        live = list(conn.scalars(sa.select(t.track.c.track_id).where(t.track.c.state == "live")))
    drawn = np.random.default_rng(seed).permutation(np.array(live, np.int64))[:labels].tolist()
    said = expert.really(drawn)
    events = [
        LabelEvent(
            str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {track_id}")), what.kind, expert.name, track_id=track_id,
            anim_id=what.anim_id,
        )
        for track_id, what in sorted(said.items())
    ]  # fmt: skip
    newcomers = {one.anim_id for one in truth.individuals if one.newcomer}
    events = [e for e in events if e.anim_id not in newcomers]
    results = record_events(home.database, events)
    assert {result.status for result in results} <= {"stored"}, results
    return {e.track_id: said[e.track_id] for e in events if e.track_id is not None}


def track_anew(home: Home, truth: ArchiveTruth, arm: str, seed: int) -> None:
    """By the detector of an arm."""
    from chimp_assets.database.tracks.found_anew import tracked_before
    from chimp_assets.vision.detection.detector import register_detector
    from chimp_assets.vision.detection.motion import MotionDetector
    from chimp_assets.vision.tracking.bundle import track_video
    from chimp_assets.vision.tracking.retracking import retrack_video

    settings = home.settings.detect
    detector: Detector = TrueBoxes(seed)
    if arm == "motion":
        detector = MotionDetector(strong=4.5, reach=0.02, min_area=0.0012, side=320)
        settings = settings.model_copy(update={"min_score": 0.2, "max_gap_s": 2.0})
    model_id = register_detector(home.database, detector)
    with home.database.read() as conn:
        waiting = tracked_before(conn, model_id)
    for video in waiting:
        if isinstance(detector, TrueBoxes):
            detector.video = truth.video(video.uri)
        found = track_video(home.database, home.store, video.video_id, detector, settings)
        retrack_video(home.database, video.video_id, found, model_id)


def judge(home: Home, truth: ArchiveTruth, said: dict[int, ExpertAnswer]) -> Outcome:
    """What became of the answers."""
    from chimp_assets.database import schema as t
    from chimp_assets.database.tracks.found_anew import gone_answers
    from chimp_assets.demo.expert import SimulatedExpert

    outcome = Outcome(answered=len(said))
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(t.standing_answer.c.track_id, t.annotation.c.track_id.label("said_of"), t.track.c.state)
            .join_from(
                t.standing_answer, t.annotation, t.annotation.c.annotation_id == t.standing_answer.c.annotation_id
            )
            .join(t.track, t.track.c.track_id == t.standing_answer.c.track_id)
        ).all()
        listed = {row["track_id"] for row in gone_answers(conn)}
        nearest = conn.execute(
            sa.select(t.track_heir.c.track_id, t.track_heir.c.heir_track_id).order_by(t.track_heir.c.share)
        ).all()
    standing = {row.track_id: row.said_of for row in rows if row.state == "live"}
    kept = {track_id for track_id, of in standing.items() if track_id == of}
    # An answer that gave way to another one about the same new track is carried and on record, too.
    with home.database.read() as conn:
        carried = {row["track_id"] for row in gone_answers(conn) if row["now_track_id"] is not None}
    outcome.kept = len(kept)
    outcome.followed = len(carried - kept)
    outcome.listed = len((listed & said.keys()) - carried - kept)
    outcome.lost = len(said.keys() - kept - carried - listed)
    expert = SimulatedExpert(home.database, truth, seed=1)
    really = expert.really(standing)
    for track_id, of in standing.items():
        if said[of].kind == "identify":
            outcome.standing += 1
            outcome.wrong += really[track_id].kind == "identify" and really[track_id] != said[of]
    best = {row.track_id: row.heir_track_id for row in nearest if row.track_id in said}
    shown = expert.really(set(best.values())) if best else {}
    outcome.nearest_wrong = sum(
        said[old].kind == "identify" and shown[new].kind == "identify" and shown[new] != said[old]
        for old, new in best.items()
    )
    return outcome


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retracking", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--clips", type=int, default=130)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    total = {arm: Outcome() for arm in ARMS}
    for seed in range(asked.seeds):
        for arm, outcome in measure_seed(seed, asked.labels, asked.clips).items():
            total[arm] += outcome
    for arm, outcome in total.items():
        met = outcome.lost == 0 and outcome.by_themselves >= FOLLOW_TARGET
        line = {**asdict(outcome), "by_themselves": round(outcome.by_themselves, 4), "met": met}
        if asked.json:
            print(json.dumps({"benchmark": "retracking", "arm": arm, **line}))
        else:
            print(
                f"{arm}: of {outcome.answered} answers {outcome.followed} followed, {outcome.kept} stayed with animals "
                f"that are not found anew, {outcome.listed} are listed, {outcome.lost} lost: "
                f"{outcome.by_themselves:.1%} by themselves (target {FOLLOW_TARGET:.0%}, lost 0; "
                f"{'met' if met else 'MISSED'}). Wrong names {outcome.wrong} of {outcome.standing}; foil nearest: "
                f"{outcome.nearest_wrong}."
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
