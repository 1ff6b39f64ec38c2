"""The interface of detectors, which propose boxes.

Belongs here: the interface, its types, its error. Does not belong here: detectors (`motion`, `torchvision_detector`),
choosing one (`detector`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.models.checkpoint import ModelError

Picture = tuple[int, float, NDArray[np.uint8]]
"""frame_no, time_s, u8 [h, w, 3] RGB."""
FrameBoxes = tuple[int, NDArray[np.float32]]
"""frame_no, f32 [k, 5]: x, y, w, h as fractions of the picture, score in [0, 1]."""


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

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """Boxes of every picture, in order.

        pictures: (frame_no, time_s, u8 [h, w, 3] RGB). Yields (frame_no, f32 [k, 5]): x, y, w, h as fractions of the
        picture, score in [0, 1]; k may be 0.
        """
        ...
