"""`python -m benchmarks.signals.camera_moved`: how often a pan is found in five clips, how often none, beside foils.

Generated cameras of the demo, and real films: a window of a film is a camera, another window of it is the camera after
a pan by 5 % of the window's width. Clips are stretches of the film in random light, some in infrared. Of a film whose
camera is carried nothing should be said.

Foils: the same rule on grey values instead of edges, and an alarm for every five clips (finds all, means nothing).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import av
import numpy as np

from chimp_assets.archive.video.signals import picture_signals
from chimp_assets.monitoring.films import camera_moved
from chimp_assets.monitoring.films.camera_moved import CLIPS, follow
from chimp_assets_tests.paths import SHARED_DATA

BEFORE = 12
TRIALS = 25
FILMS = (
    "tracktor_spider_video.mp4", "imageio_cockatoo.mp4", "sleap_centered_pair_small.mp4", "zamba_chimp.mp4",
    "sam2_01_dog.mp4", "zamba_01110103.AVI", "zamba_EK000018.AVI", "zamba_FID_31_Abel_2013-5-6_0027.AVI",
)  # fmt: skip
PAN = 0.05
Clip = Callable[[np.random.Generator, bool], np.ndarray]
"""(rng, after the pan) to a background u8 [36, 64]."""


def lit(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """The picture in other light, noisier, or in infrared, u8 [h, w, 3]."""
    shown = picture.astype(np.float32) * rng.uniform(0.5, 1.3) * rng.uniform(0.9, 1.1, 3) + rng.uniform(-10, 10)
    if rng.random() < 0.3:
        shown = shown.mean(2, keepdims=True).repeat(3, 2)
    return np.clip(shown + rng.normal(0, 4, shown.shape), 0, 255).astype(np.uint8)


def film_clip(name: str) -> Clip | None:
    """Stretches of a film through a window of 90 % of its width."""
    path = SHARED_DATA / "videos" / name
    if not path.is_file():
        return None
    pictures = []
    with av.open(str(path)) as container:
        for n, frame in enumerate(container.decode(video=0)):
            if n % 12 == 0:
                scale = min(1.0, 640 / frame.width)
                pictures.append(
                    frame.reformat(round(frame.width * scale), round(frame.height * scale), "rgb24").to_ndarray()
                )
            if len(pictures) >= 120:
                break
    width = int(pictures[0].shape[1] * 0.9)
    pan = round(width * PAN)

    def clip(rng: np.random.Generator, moved: bool) -> np.ndarray:
        at = int(rng.integers(0, max(1, len(pictures) - 8)))
        left = pan if moved else 0
        small = [
            picture_signals(lit(rng, np.ascontiguousarray(p[:, left : left + width])))[1]
            for p in pictures[at : at + 8 : 2]
        ]
        return np.median(small, axis=0).astype(np.uint8)

    return clip


def demo_clip(camera: int) -> Clip:
    """Clips of a generated camera, each of another day."""
    from chimp_assets.demo.scene import CameraView, Weather

    width, height = 640, 360
    pan = round(width * PAN)

    def clip(rng: np.random.Generator, moved: bool) -> np.ndarray:
        view = CameraView(width + pan, height, camera, int(rng.integers(1 << 30)), int(rng.integers(1 << 30)))
        weather = Weather(
            wind=float(rng.uniform(0.5, 2.2)), shake=float(rng.uniform(0, 0.35)), pan=0.0, sun=(1.0, 1.0, 1.0),
            cloud=0.1, cloud_at_s=3.0, noise=4.0, phase=float(rng.uniform(0, 6.28)),
        )  # fmt: skip
        left = pan if moved else 0
        shown = [view.frame(2.0 * n, n, weather, [])[0][:, left : left + width] for n in range(3)]
        return np.median([picture_signals(lit(rng, np.ascontiguousarray(p)))[1] for p in shown], axis=0).astype(
            np.uint8
        )

    return clip


def grey(background: np.ndarray) -> np.ndarray:
    """The foil: grey values in the place of edges."""
    flat = background.astype(np.float32).reshape(len(background), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def found(shown: np.ndarray) -> bool:
    """Whether the last five of these backgrounds are said to be moved, or any earlier one."""
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(len(shown))]
    return bool(follow(shown, days, list(range(len(shown)))).moves)


def rates(clip: Clip, seed: int, trials: int) -> tuple[float, float, float, float]:
    """(moves found, false ones) by edges and by grey values. The pool of clips is made once and drawn from."""
    rng = np.random.default_rng(seed)
    still = np.stack([clip(rng, False) for _ in range(2 * BEFORE)])
    moved = np.stack([clip(rng, True) for _ in range(BEFORE)])
    counts = np.zeros(4)
    for _ in range(trials):
        drawn = rng.permutation(len(still))
        before, after = still[drawn[:BEFORE]], still[drawn[BEFORE : BEFORE + CLIPS]]
        panned = moved[rng.permutation(len(moved))[:CLIPS]]
        edges = camera_moved.edges
        for column, how in ((0, edges), (2, grey)):
            camera_moved.edges = how
            try:
                counts[column] += found(np.concatenate([before, panned]))
                counts[column + 1] += found(np.concatenate([before, after]))
            finally:
                camera_moved.edges = edges
    share = counts / trials
    return float(share[0]), float(share[1]), float(share[2]), float(share[3])


def cameras() -> Iterator[tuple[str, Clip]]:
    for number in range(6):
        yield f"demo camera {number}", demo_clip(200 + number)
    for name in FILMS:
        if (clip := film_clip(name)) is not None:
            yield name, clip


def main() -> int:
    """Print a line for each camera, and the whole beside its target."""
    print(
        f"A pan by {PAN:.0%} of the width, {BEFORE} clips before it, {CLIPS} after it, {TRIALS} draws of each camera."
    )
    print(f"{'camera':40} {'found':>7} {'false':>7} {'grey: found':>12} {'grey: false':>12}")
    every = []
    for number, (name, clip) in enumerate(cameras()):
        every.append(rates(clip, number, TRIALS))
        print(
            f"{name:40} {every[-1][0]:7.0%} {every[-1][1]:7.0%} {every[-1][2]:12.0%} {every[-1][3]:12.0%}", flush=True
        )
    mean = np.mean(every, axis=0)
    print(f"{'all':40} {mean[0]:7.0%} {mean[1]:7.0%} {mean[2]:12.0%} {mean[3]:12.0%}")
    print("Target: found in at least 95 %. Foil 'always alarm': 100 % found, 100 % false.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
