"""A detector that finds one animal in every picture: the whole of it.

Belongs here: pictures that somebody has cut to one animal each. Does not belong here: looking for anything, which
pictures are cut (`pictures.crops`, `tracking.bundle`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chimp_assets.vision.detection.interface import FrameBoxes, Picture


class WholePictureDetector:
    """One box a picture, with a score of 1."""

    name = "whole_picture"

    @property
    def config(self) -> dict[str, Any]:
        """Everything needed to build the same detector again."""
        return {"method": 1}

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """Boxes of every picture, in order: (frame_no, f32 [1, 5] of x, y, w, h as fractions and the score)."""
        for frame_no, _, _ in pictures:
            yield frame_no, np.array([[0, 0, 1, 1, 1]], np.float32)
