"""How well tracks agree with the truth: recall, IDF1, identity switches, fragmentation, purity.

Belongs here: matching tracks with true animals frame by frame, and the metrics (IDF1 and CLEAR by the `trackers`
library, after TrackEval). Does not belong here: where the truth comes from (`demo.truth`, labels), SQL, pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.detection.overlaps import overlaps_of
from chimp_assets.vision.tracking.tracker import LinkedTrack

MATCH = 0.5
"""Least intersection over union of a box on an animal, as in the MOT challenges."""

Boxes = Mapping[int, NDArray[np.floating]]
"""Frame number to a box (x, y, w, h as fractions)."""


@dataclass
class TrackingScores:
    """Counts over videos, and the shares computed from them. Add videos with `+`."""

    true_boxes: int = 0
    found_boxes: int = 0
    id_true: int = 0
    id_missed: int = 0
    id_false: int = 0
    switches: int = 0
    fragments: int = 0
    animals: int = 0
    tracks: int = 0
    tracks_on_animals: int = 0
    mixed_tracks: int = 0
    pure_boxes: int = 0
    matched_boxes: int = 0
    boxes: int = 0

    def __add__(self, other: TrackingScores) -> TrackingScores:
        return TrackingScores(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def recall(self) -> float:
        """Share of true boxes with a box of a track on them."""
        return _share(self.found_boxes, self.true_boxes)

    @property
    def idf1(self) -> float:
        """Share of boxes with the right identity under the best one-to-one matching (Ristani et al., ECCV 2016)."""
        return _share(2 * self.id_true, 2 * self.id_true + self.id_missed + self.id_false)

    @property
    def purity(self) -> float:
        """Share of the boxes on animals that are on their track's most frequent animal."""
        return _share(self.pure_boxes, self.matched_boxes)

    @property
    def tracks_per_animal(self) -> float:
        """Fragmentation: tracks on animals per animal that was visible at all."""
        return _share(self.tracks_on_animals, self.animals)

    @property
    def mixed(self) -> float:
        """Share of tracks on animals with at least a fifth of their matched boxes on another animal."""
        return _share(self.mixed_tracks, self.tracks_on_animals)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def compare(tracks: Sequence[LinkedTrack], truth: Sequence[Boxes]) -> TrackingScores:
    """Scores of one video. truth: for each animal its box in every frame in which it is visible."""
    from trackers.eval import compute_clear_metrics, compute_identity_metrics

    found: dict[int, list[tuple[int, NDArray[np.floating]]]] = {}
    for number, track in enumerate(tracks):
        for frame_no, box in zip(track.frame_nos.tolist(), track.boxes, strict=True):
            found.setdefault(frame_no, []).append((number, box))
    true: dict[int, list[tuple[int, NDArray[np.floating]]]] = {}
    for number, animal in enumerate(truth):
        for frame_no, box in animal.items():
            true.setdefault(frame_no, []).append((number, box))
    frames = sorted(found.keys() | true.keys())
    true_ids = [np.array([n for n, _ in true.get(f, [])], np.int64) for f in frames]
    track_ids = [np.array([n for n, _ in found.get(f, [])], np.int64) for f in frames]
    overlaps = [overlaps_of([b for _, b in true.get(f, [])], [b for _, b in found.get(f, [])]) for f in frames]
    if not frames:
        return TrackingScores()
    identity = compute_identity_metrics(true_ids, track_ids, overlaps, MATCH)
    clear = compute_clear_metrics(true_ids, track_ids, overlaps, MATCH)
    votes = _votes(true_ids, track_ids, overlaps)
    on_animals = [vote for vote in votes.values() if sum(vote.values())]
    return TrackingScores(
        true_boxes=sum(map(len, true_ids)),
        found_boxes=int(clear["CLR_TP"]),
        id_true=int(identity["IDTP"]),
        id_missed=int(identity["IDFN"]),
        id_false=int(identity["IDFP"]),
        switches=int(clear["IDSW"]),
        fragments=int(clear["Frag"]),
        animals=sum(1 for animal in truth if animal),
        tracks=len(tracks),
        tracks_on_animals=len(on_animals),
        mixed_tracks=sum(max(vote.values()) < 0.8 * sum(vote.values()) for vote in on_animals),
        pure_boxes=sum(max(vote.values()) for vote in on_animals),
        matched_boxes=sum(sum(vote.values()) for vote in on_animals),
        boxes=sum(map(len, track_ids)),
    )


def _votes(
    true_ids: Iterable[NDArray[np.int64]],
    track_ids: Iterable[NDArray[np.int64]],
    overlaps: Iterable[NDArray[np.float64]],
) -> dict[int, Counter[int]]:
    """For each track the animals that its boxes overlap most."""
    votes: dict[int, Counter[int]] = {}
    for animals, tracks, overlap in zip(true_ids, track_ids, overlaps, strict=True):
        for column, track in enumerate(tracks.tolist()):
            votes.setdefault(track, Counter())
            if len(animals) and overlap[:, column].max() >= MATCH:
                votes[track][int(animals[overlap[:, column].argmax()])] += 1
    return votes
