"""The interface of detectors, which propose boxes.

Belongs here: the interface, its types, its error. Does not belong here: detectors (`motion`, `torchvision_detector`),
choosing one (`detector`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.models.checkpoint import ModelError

if TYPE_CHECKING:
    from chimp_assets.settings import DetectSettings

Picture = tuple[int, float, NDArray[np.uint8]]
"""frame_no, time_s, u8 [h, w, 3] RGB."""
NANODET = "nanodet-g"
"""Architecture of a row of `model` whose network is ours and not torchvision's."""
FrameBoxes = tuple[int, NDArray[np.float32]]
"""frame_no, f32 [k, 5]: x, y, w, h as fractions of the picture, score in [0, 1]."""


@dataclass(frozen=True)
class LinkThresholds:
    """What the scores of one detector mean to the tracker and to the quality of tracks; the defaults are motion's.

    Scores of detectors are no probabilities: where one says 0.4 for a box that is surely an animal, another says 0.9.
    """

    least: float = 0.25
    """boxes below are ignored; detect.min_score, where it is set, goes before it"""
    sure: float = 0.4
    """boxes below only continue a track (the second stage of ByteTrack, Zhang et al., ECCV 2022)"""
    spawns: float = 0.4
    """boxes below never start a track; those between it and `sure` start one where no other animal is"""
    gap_s: float = 1.2
    """a track survives this long without a box; detect.max_gap_s, where it is set, goes before it"""
    full: float = 1.0
    """a mean score from which a track loses no quality"""


class DetectorError(ModelError):
    """A detector cannot be built: its weights are missing, unreadable or belong to another network."""


class Detector(Protocol):
    """Proposes boxes. `name` and `config` are enough to build the same detector again."""

    @property
    def name(self) -> str:
        """The kind of detector, for people."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """JSON values only; a changed config creates a new version in `model`."""
        ...

    # A detector whose scores mean other things than those of motion says so: `thresholds: LinkThresholds`.

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """Boxes of every picture, in order.

        pictures: (frame_no, time_s, u8 [h, w, 3] RGB). Yields (frame_no, f32 [k, 5]): x, y, w, h as fractions of the
        picture, score in [0, 1]; k may be 0.
        """
        ...


def thresholds_of(detector: Detector, settings: DetectSettings) -> LinkThresholds:
    """What the scores of a detector mean: as it states, else motion's; what the settings set goes before."""
    stated: LinkThresholds = getattr(detector, "thresholds", LinkThresholds())
    if "min_score" in settings.model_fields_set:
        stated = replace(stated, least=settings.min_score)
    if "max_gap_s" in settings.model_fields_set:
        stated = replace(stated, gap_s=settings.max_gap_s)
    return stated
