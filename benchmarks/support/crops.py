"""Named crops to measure on, whole sessions held out of them, and intervals over such splits.

Belongs here: the CSV of crops, splits by session, the interval of splits that share crops. Does not belong here: what
is measured on them (`benchmarks.identity`, `benchmarks.strangers`, `benchmarks.label_efficiency`).
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.stats

SIDE = 96
TEST_SHARE = 0.25
HIDDEN_SHARE = 0.2
MIN_PHOTOS = 5


class CropsError(Exception):
    """The CSV or its pictures cannot be used; the sentence says what to mend."""


@dataclass(frozen=True)
class CropTable:
    """Pictures u8 [n, s, s, 3]; target i64 [n], 0..k-1; group i64 [n], session or photo; notes: what was left out;
    frames: f64 [n], boxes of the track that a crop stands for, None without the column frames."""

    pictures: np.ndarray
    target: np.ndarray
    group: np.ndarray
    notes: list[str]
    frames: np.ndarray | None = None

    @property
    def n_individuals(self) -> int:
        """Number of individuals."""
        return int(self.target.max()) + 1


def read_table(path: Path, min_photos: int = MIN_PHOTOS) -> CropTable:
    """The crops of a CSV. Pictures that are missing or damaged and individuals with few are left out, and noted."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise CropsError(f"{path} cannot be read: {error.strerror}.") from error
    wanted = {"path", "individual"}
    if not rows or not wanted <= rows[0].keys():
        raise CropsError(f"{path} needs a heading with the columns path, individual, session and photo, and rows.")
    notes: list[str] = []
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["individual"]] = counts.get(row["individual"], 0) + 1
    few = [name for name, count in counts.items() if count < min_photos]
    if len(counts) - len(few) < 3:  # a small set: what it has must do
        few = [name for name, count in counts.items() if count < 2]
    if few:
        notes.append(f"{len(few)} individuals with too few photos ({sum(counts[name] for name in few)} crops) left out")
    left_out = set(few)
    pictures, names, groups, lost, frames = [], [], [], [], []
    for number, row in enumerate(rows):
        if row["individual"] in left_out:
            continue
        picture = _read(path.parent / row["path"])
        if picture is None:
            lost.append(row["path"])
            continue
        pictures.append(picture)
        names.append(row["individual"])
        session, photo = (row.get("session") or "").strip(), (row.get("photo") or "").strip()
        groups.append(f"session {session}" if session else f"photo {photo}" if photo else f"row {number}")
        if "frames" in row:
            frames.append(_boxes(path, row["path"], row["frames"]))
    if lost:
        notes.append(f"{len(lost)} pictures are missing or no pictures, the first is {lost[0]}")
    if len(set(names)) < 3:
        raise CropsError(f"{path} has {len(set(names))} individuals with pictures that can be read; three are needed.")
    return CropTable(
        np.stack(pictures),
        np.unique(names, return_inverse=True)[1].astype(np.int64),
        np.unique(groups, return_inverse=True)[1].astype(np.int64),
        notes,
        np.array(frames) if frames else None,
    )


def _boxes(table: Path, crop: str, text: str | None) -> float:
    """Boxes of a track. Raises CropsError for what is no number above 0."""
    try:
        found = float(text or "")
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise CropsError(f"{table}: frames of {crop} must be a number above 0, not {text!r}.")
    return found


def _read(path: Path) -> np.ndarray | None:
    """u8 [s, s, 3] RGB of a picture of any size and mode, or None."""
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    found = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if found is None:
        return None
    shrink = max(found.shape[:2]) > SIDE
    return cv2.cvtColor(
        cv2.resize(found, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR), cv2.COLOR_BGR2RGB
    )


def held_out(target: np.ndarray, group: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """bool [n]: whole groups, about a share of all rows, such that every individual keeps a group that stays."""
    chosen = np.zeros(len(target), dtype=bool)
    left = {int(one): set(group[target == one].tolist()) for one in np.unique(target)}
    for name in rng.permutation(np.unique(group)):
        inside = group == name
        if chosen.sum() + inside.sum() / 2 > share * len(target):
            continue
        who = np.unique(target[inside]).tolist()
        if all(len(left[one]) > 1 for one in who):
            chosen |= inside
            for one in who:
                left[one].discard(int(name))
    return chosen


def interval(values: np.ndarray, test_to_train: float) -> tuple[float, float]:
    """95 % of the mean over splits that share crops: Student's t with the variance of Nadeau and Bengio (2003)."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = scipy.stats.t.ppf(0.975, n - 1) * math.sqrt((1 / n + test_to_train) * values.var(ddof=1))
    return float(values.mean() - half), float(values.mean() + half)
