"""P6: time to the first batch of 32 when an epoch of 30 M frames is resumed at 1, 50 and 99 %, against a cold start.

Ours: a new dataset object of its own connections each time, its state loaded, from `iter` to the first batch; opening
the dataset, which is the same at any position, is not counted, since it would hide a difference. Pictures are 640 x 360
JPEGs of about 20 kB that a store makes up for any range: 600 GB of them do not fit here; rows and boxes are real, and a
whole mix is read each time. The database is warm in the cache of the system.
Contrast: WebDataset over 4,000 such JPEGs skips to 1 %, 50 % and 99 % by reading what comes before, without decoding.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch

from benchmarks.rows import p4_stream
from benchmarks.support.archives import OnePictureStore, archive, jpeg
from benchmarks.support.harness import RUNS, Row, cores
from chimp_assets.database.connection.engine import Database
from chimp_assets.vision.datasets.frames import FrameQuery, SqlFrameDataset
from chimp_assets.vision.datasets.order import EpochOrder
from chimp_assets.vision.datasets.stream import MIX_BYTES

BATCH, SEED = 32, 1
PLACES = (0.01, 0.5, 0.99)
LIMIT = 1.2


def measure() -> Iterator[Row]:
    """A row of each position."""
    torch.set_num_threads(1)
    db, store = archive("30M"), OnePictureStore(jpeg(p4_stream.WIDTH, p4_stream.HEIGHT))
    places = (0.0, *PLACES)
    found: dict[float, list[float]] = {place: [] for place in places}
    for _ in range(RUNS):
        for place in places:
            found[place].append(_ours(db, store, place))
    with tempfile.TemporaryDirectory() as temporary:
        skipping = _webdataset(Path(temporary))
        theirs = {place: statistics.median(skipping(place) for _ in range(RUNS)) for place in places}
    cold = statistics.median(found[0.0])
    for place in PLACES:
        own = statistics.median(found[place])
        yield Row(
            "P6",
            f"first batch of 32 of 30M frames, resumed at {place:.0%}",
            own * 1000,
            "ms",
            {
                "own cold start": cold * 1000,
                "WebDataset's first batch over its own cold start": theirs[place] / theirs[0.0],
            },
            {"own cold start": own / cold},
            f"<= {LIMIT}x own cold start",
            own <= LIMIT * cold,
            RUNS,
            (max(found[place]) - min(found[place])) / own,
            cores(),
        )


def _ours(db: Database, store: OnePictureStore, place: float) -> float:
    dataset = SqlFrameDataset(Database(db.url), store, FrameQuery(targets="boxes"))
    stream = dataset.stream(seed=SEED)
    blocks = stream._blocks
    order = EpochOrder(blocks.samples, blocks.bytes_of, seed=SEED, epoch=0, budget=MIX_BYTES)
    mix = int(place * (order.n_mixes - 1))
    # In the middle of a mix, but at the beginning of the epoch.
    offset = len(order.within(mix)[0]) // 2 if place else 0
    stream.load_state_dict({"seed": SEED, "epoch": 0, "mix": mix, "offset": offset})
    began = time.perf_counter()
    assert len(list(islice(stream, BATCH))) == BATCH
    return time.perf_counter() - began


def _webdataset(folder: Path) -> Callable[[float], float]:
    samples = p4_stream.webdataset_of(folder / "tar", p4_stream.jpegs())

    def run(place: float) -> float:
        began = time.perf_counter()
        first = int(place * (p4_stream.VIDEOS * p4_stream.FRAMES - BATCH))
        batch = [p4_stream.tensor(sample["jpg"]) for sample in islice(samples(), first, first + BATCH)]
        assert len(batch) == BATCH
        return time.perf_counter() - began

    return run
