"""P10: from the last label of a batch to the re-ranked queue: 300,000 tracks, 100,000 labels of 300 individuals.

A real home (SQLite, store of files) whose rows and vectors are made up: 12,000 videos in 60 bundles, 25 tracks each, up
to four of them at once; vectors of 128 dimensions, individuals by Zipf's law, days that look alike. Then what the
product does: the last label is stored, the training set is written, the head fitted in its own process, measured on 400
audit answers, promoted, every track scored anew, and the queue planned. Shown are CPU seconds of all processes, which
mean something on a busy machine; wall seconds on two idle cores are fewer.

`python -m benchmarks.running.p10_last_label --running [--tracks N]` measures the running system instead: the daemon and
the ranker as `chimp up` starts them, 50 answers through claims and events, and wall seconds from the last of them until
the ranker has put the waiting items into a new order, and until a plan that knows all 50 is in the queue. Between lie
the sensors' intervals, the starts of processes, a training, the gate and a scoring of everything."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.harness import Row, cores, show
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.labels.answers import derived_answers
from chimp_assets.database.labels.events import COUNTER, LabelEvent, last_seq, record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home, init_home

TRACKS_EACH = 25
AT_ONCE = 4
DIMENSIONS = 128
NOISE, DAY_NOISE = 0.22, 0.25
SECONDS = 60.0
ANSWERS = 50
PATIENCE_S = 900.0
THEN = datetime(2026, 1, 1, 8, tzinfo=UTC)
EMBEDDER, DETECTOR = 1, 2


@dataclass(frozen=True)
class Size:
    """How large a home is: bundles of so many videos of TRACKS_EACH tracks, individuals, training and audit labels."""

    bundles: int = 60
    videos_each: int = 200
    individuals: int = 300
    labels: int = 100_000
    audit: int = 400

    @property
    def tracks(self) -> int:
        return self.bundles * self.videos_each * TRACKS_EACH

    @classmethod
    def of(cls, tracks: int) -> Size:
        """About so many tracks, the rest in proportion, but individuals and audit labels enough to be measured."""
        share = tracks / cls().tracks
        videos = max(2, round(cls.videos_each * share**0.5))
        return cls(
            bundles=max(2, round(tracks / TRACKS_EACH / videos)),
            videos_each=videos,
            individuals=2 * max(10, round(cls.individuals * share / 2)),
            labels=max(200, round(cls.labels * share)),
            audit=max(100, round(cls.audit * share)),
        )


@dataclass(frozen=True)
class Filled:
    """What `fill` leaves: the last label, which is not stored, and who every track shows."""

    last: LabelEvent
    anim_id: dict[int, str]


def measure() -> Iterator[Row]:
    """One row: the whole way, with its steps beside it."""
    with tempfile.TemporaryDirectory() as folder:
        home = init_home(Path(folder) / "home")
        yield _measured(home, Size(), fill(home, Size()).last)


def _measured(home: Home, size: Size, last: LabelEvent) -> Row:
    from chimp_assets.loop.plan import plan_queue
    from chimp_assets.loop.rescore import rescore
    from chimp_assets.loop.retrain import retrain

    cpu: dict[str, float] = {}
    wall: dict[str, float] = {}
    said: dict[str, Any] = {}

    def step(name: str, work: Callable[[], Any]) -> None:
        began, cpu_began = time.perf_counter(), _cpu()
        said[name] = work()
        wall[name], cpu[name] = time.perf_counter() - began, _cpu() - cpu_began

    def score() -> None:
        while rescore(home).left:
            pass

    step("label", lambda: record_events(home.database, [last]))
    step("refit and gate", lambda: retrain(home))
    step("score", score)
    step("plan", lambda: plan_queue(home.database, home.store, home.settings))
    assert said["refit and gate"].promoted, said["refit and gate"].reason
    total = sum(cpu.values())
    own, children = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return Row(
        "P10",
        f"last label to queue: {said['plan'].n_pool:,} of {size.tracks:,} tracks,"
        f" {size.labels:,} labels of {size.individuals} individuals; {said['refit and gate'].reason}",
        total,
        "CPU s",
        {
            **{f"{name}, CPU s": seconds for name, seconds in cpu.items()},
            **{f"{name}, wall s": seconds for name, seconds in wall.items()},
            "wall s": sum(wall.values()),
            "peak MiB": own,
            "peak MiB of training": children,
        },
        {"target": total / SECONDS},
        f"<= {SECONDS:.0f} s on 2 cores (here: CPU s of all processes)",
        total <= SECONDS,
        1,
        0.0,
        cores(),
    )


def _cpu() -> float:
    return sum(
        use.ru_utime + use.ru_stime for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def fill(home: Home, size: Size, seed: int = 10) -> Filled:
    """Rows and vectors of the archive, all labels but one."""
    individuals = size.individuals
    rng = np.random.default_rng(seed)
    n_videos = size.bundles * size.videos_each
    video = np.arange(1, n_videos + 1)
    day = (video - 1) // 20
    when = [
        THEN + timedelta(days=int(d), minutes=int(m)) for d, m in zip(day, rng.integers(0, 600, n_videos), strict=True)
    ]
    share = 1 / np.arange(1, individuals + 1)
    who = rng.choice(individuals, (n_videos, TRACKS_EACH), p=share / share.sum())
    for place in range(TRACKS_EACH):  # nobody is in one picture twice
        while len(twice := np.flatnonzero((who[:, place, None] == who[:, max(0, place - AT_ONCE + 1) : place]).any(1))):
            who[twice, place] = rng.choice(individuals, len(twice), p=share / share.sum())
    # Up to four at once: a track begins every third second and lasts nine.
    first = np.tile(np.arange(TRACKS_EACH) * 3.0, n_videos)
    track_id = (video[:, None] * t.TRACKS_PER_VIDEO + np.arange(TRACKS_EACH)).ravel()
    n = len(track_id)
    split = np.where(day % 7 == 0, "test", "train")
    with home.database.write() as conn:
        for key, task, config in ((EMBEDDER, "embedder", '{"dimensions": 128}'), (DETECTOR, "detector", "{}")):
            conn.execute(
                sa.insert(t.model).values(
                    model_id=key, task=task, version=1, name=task, state="champion", config=config, created_at=THEN
                )
            )
        many: list[tuple[sa.Table, dict[str, Any]]] = [
            (t.individual, {
                "individual_id": np.arange(1, individuals + 1), "anim_id": [f"I{i:03d}" for i in range(individuals)],
                "sex": ["F", "M"] * (individuals // 2), "created_at": [THEN] * individuals,
            }),
            (t.bundle, {
                "bundle_id": np.arange(1, size.bundles + 1), "bundle_key": [f"b-{b:04d}" for b in range(size.bundles)],
                "folder": ["f"] * size.bundles, "created_at": [THEN] * size.bundles,
                "changed_at": [THEN] * size.bundles,
            }),
            (t.video, {
                "video_id": video, "bundle_id": (video - 1) // size.videos_each + 1, "uri": [f"{v}.mp4" for v in video],
                "version": np.ones(n_videos, np.int64), "bytes": np.ones(n_videos, np.int64), "etag": ["e"] * n_videos,
                "n_frames": np.full(n_videos, 400), "state": ["tracked"] * n_videos, "camera": ["cam"] * n_videos,
                "recorded_at": when, "recorded_on": [moment.date() for moment in when],
                "recorded_at_source": ["container"] * n_videos, "duration_s": np.full(n_videos, 90.0),
                "discovered_at": [THEN] * n_videos, "updated_at": [THEN] * n_videos,
            }),
            (t.split_assignment, {
                "video_id": video, "day_key": [f"cam|{d}" for d in day], "split": split.tolist(),
                "assigned_at": [THEN] * n_videos,
            }),
            (t.track, {
                "track_id": track_id, "video_id": np.repeat(video, TRACKS_EACH),
                "first_frame_no": (first * 5).astype(int),
                "last_frame_no": (first * 5 + 45).astype(int), "first_s": first, "last_s": first + 9.0,
                "n_detections": np.full(n, 40), "quality": np.full(n, 0.8), "model_id": np.full(n, DETECTOR),
                "state": ["live"] * n,
            }),
        ]  # fmt: skip
        for table, columns in many:
            insert_rows(conn, table, columns)
    _embed(home, size, rng, who, day)
    last = _label(home, size, rng, track_id, who.ravel(), np.repeat(split, TRACKS_EACH))
    return Filled(last, {int(track): f"I{i:03d}" for track, i in zip(track_id, who.ravel(), strict=True)})


def _embed(home: Home, size: Size, rng: np.random.Generator, who: np.ndarray, day: np.ndarray) -> None:
    from safetensors.numpy import save

    from chimp_assets.vision.models.checkpoint import content_hash

    looks = rng.standard_normal((size.individuals, DIMENSIONS), dtype=np.float32) / np.float32(np.sqrt(DIMENSIONS))
    weather = (
        DAY_NOISE
        * rng.standard_normal((int(day.max()) + 1, DIMENSIONS), dtype=np.float32)
        / np.float32(np.sqrt(DIMENSIONS))
    )
    for bundle in range(size.bundles):
        rows = slice(bundle * size.videos_each, (bundle + 1) * size.videos_each)
        some = who[rows].ravel()
        x = looks[some] + np.repeat(weather[day[rows]], TRACKS_EACH, axis=0)
        x += NOISE * rng.standard_normal(x.shape, dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        ids = np.arange(rows.start + 1, rows.stop + 1)[:, None] * t.TRACKS_PER_VIDEO + np.arange(TRACKS_EACH)
        content = save({"embedding": x.astype(np.float16), "track_id": ids.ravel()})
        uri = f"embeddings/{EMBEDDER}/b-{bundle:04d}.safetensors"
        home.store.put(uri, content)
        with home.database.write() as conn:
            conn.execute(
                sa.insert(t.embedding_file).values(
                    model_id=EMBEDDER, bundle_id=bundle + 1, uri=uri, content_hash=content_hash(content),
                    n_tracks=ids.size, created_at=THEN + timedelta(hours=1),
                )
            )  # fmt: skip


def _label(
    home: Home, size: Size, rng: np.random.Generator, track_id: np.ndarray, who: np.ndarray, split: np.ndarray
) -> LabelEvent:
    reserve = audit_reserve_mask(track_id, home.settings.seed, home.settings.acquisition.audit_reserve)
    teach = rng.permutation(np.flatnonzero(~reserve & (split != "test")))[: size.labels]
    audit = rng.permutation(np.flatnonzero(reserve))[: size.audit]
    rows = np.concatenate([teach[:-1], audit])
    n = len(rows)
    with home.database.write() as conn:
        expert = conn.scalar(sa.select(sa.func.min(t.app_user.c.user_id)))
        insert_rows(
            conn, t.annotation,
            {
                "annotation_id": [str(uuid.UUID(int=i + 1)) for i in range(n)], "seq": np.arange(1, n + 1),
                "kind": ["identify"] * n, "track_id": track_id[rows], "individual_id": who[rows] + 1,
                "annotator_id": np.full(n, expert), "lane": ["boundary"] * (n - len(audit)) + ["audit"] * len(audit),
                "server_time": [THEN] * n, "fingerprint": [os.urandom(32) for _ in range(n)],
            },
        )  # fmt: skip
        kept = [column.name for column in t.standing_answer.c]
        conn.execute(sa.insert(t.standing_answer).from_select(kept, derived_answers()))
        conn.execute(sa.delete(t.counter).where(t.counter.c.name == COUNTER))
        conn.execute(sa.insert(t.counter).values(name=COUNTER, value=n))
    return LabelEvent(
        str(uuid.UUID(int=n + 1)), "identify", "expert", lane="boundary", track_id=int(track_id[teach[-1]]),
        anim_id=f"I{who[teach[-1]]:03d}",
    )  # fmt: skip


def measure_running(size: Size) -> Iterator[Row]:
    """One row: wall seconds in the running system."""
    from chimp_assets.operations import supervisor

    with tempfile.TemporaryDirectory() as folder:
        home = init_home(Path(folder) / "home")
        filled = fill(home, size)
        _measured(home, size, filled.last)  # a champion head and a plan of its own, as in the middle of a day
        _let_the_cool_down_pass(home)
        commands = {"daemon": supervisor.daemon_arguments(), "ranker": supervisor.ranker_arguments()}
        # There are no pictures from which an embedder could learn.
        with supervisor.running(home, commands, environment={"CHIMP_EMBED__FINE_TUNE": "off"}) as children:
            try:
                yield _answered(home, size, filled, lambda: supervisor.fallen(children))
            except TimeoutError as late:
                logs = "\n".join(child.log.read_text(errors="replace")[-2_000:] for child in children)
                raise SystemExit(f"{late}\n{logs}") from None


def _let_the_cool_down_pass(home: Home) -> None:
    with home.database.read() as conn:
        trained = conn.scalar(sa.select(sa.func.max(t.training_set.c.created_at)))
    assert trained is not None
    time.sleep(max(0.0, home.settings.head.cool_down_s - (datetime.now(UTC) - trained).total_seconds()))


def _answered(home: Home, size: Size, filled: Filled, fallen: Callable[[], Any]) -> Row:
    db = home.database

    def until(what: str, there: Callable[[], bool]) -> float:
        """When it is so."""
        began = time.monotonic()
        while not there():
            if (down := fallen()) is not None or time.monotonic() - began > PATIENCE_S:
                raise TimeoutError(f"Waited in vain until {what} ({down and down.name} ended).")
            time.sleep(0.05)
        return time.monotonic()

    def answer(n: int) -> float:
        items = [item for item in claim(db, "expert", n, 15) if item.other_track_id is None]
        assert len(items) == n, f"only {len(items)} items are waiting"
        results = record_events(db, [
            LabelEvent(str(uuid.uuid4()), "identify", "expert", track_id=item.track_id, item_id=item.item_id,
                       anim_id=filled.anim_id[item.track_id], seconds=5.0)
            for item in items
        ])  # fmt: skip
        assert {result.status for result in results} == {"stored"}
        return time.monotonic()

    # The first answers show that both processes are up: the ranker has moved something.
    before = _places(home)
    answer(3)
    until("the ranker is up", lambda: _moved(before, _places(home)))
    time.sleep(1.0)
    before = _places(home)
    last = answer(ANSWERS)
    with db.read() as conn:
        seq = last_seq(conn)
    reranked = until("the ranker has ranked", lambda: _moved(before, _places(home))) - last
    planned = until("a plan knows all answers", lambda: _planned_to(home) >= seq) - last
    return Row(
        "P10r",
        f"running: last of {ANSWERS} answers to a new plan, {size.tracks:,} tracks, {size.labels:,} labels of"
        f" {size.individuals} individuals",
        planned,
        "s",
        {"waiting items in a new order, s": reranked},
        {"target": planned / SECONDS},
        f"<= {SECONDS:.0f} s on 2 idle cores",
        planned <= SECONDS,
        1,
        0.0,
        cores(),
    )


def _places(home: Home) -> dict[int, int]:
    """Where the items of the boundary lane stand that wait in the newest plan and that nobody has claimed."""
    q = t.acquisition_queue.c
    with home.database.read() as conn:
        newest = sa.select(sa.func.max(t.acquisition_round.c.round_id)).scalar_subquery()
        rows = conn.execute(
            sa.select(q.item_id, q.position).where(q.round_id == newest, q.lane == "boundary", q.state == "pending")
        )
        return {row.item_id: row.position for row in rows}


def _moved(before: dict[int, int], now: dict[int, int]) -> bool:
    """Whether an item that still waits has another place, or a new plan has come meanwhile."""
    return (
        any(before[item] != place for item, place in now.items() if item in before) or not now.keys() <= before.keys()
    )


def _planned_to(home: Home) -> int:
    """The labels that the newest plan knew."""
    newest = sa.select(t.acquisition_round.c.watermark_seq).order_by(t.acquisition_round.c.round_id.desc()).limit(1)
    with home.database.read() as conn:
        return int(conn.scalar(newest) or 0)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.running.p10_last_label", description=__doc__)
    parser.add_argument("--running", action="store_true", help="the daemon and the ranker, not only their functions")
    parser.add_argument("--tracks", type=int, default=Size().tracks, help="about how many")
    given = parser.parse_args()
    if given.running:
        show(measure_running(Size() if given.tracks == Size().tracks else Size.of(given.tracks)))
    else:
        show(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
