"""What asking about a track is worth: the frames that an answer names, for each second that it takes.

Belongs here: worth from what a head says, and bounds of it that need no exact probability. Does not belong here: the
pass over a pool (`pool_pass`), thresholds and forecasts (`goal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chimp_assets.acquisition.minutes.calibration import ChanceLine
from chimp_assets.acquisition.minutes.goal import worth
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.arrays import F32Array, F64Array

NO_NAMES = 2.0
"""A threshold that no chance reaches: no name of the machine is carried."""
_ROUNDING = 1.001


@dataclass(frozen=True)
class FrameWorth:
    """threshold: chance from which the machine's names are carried; line: from a head's probability to the chance;
    prices: seconds of answers."""

    threshold: float = NO_NAMES
    line: ChanceLine = field(default_factory=ChanceLine)
    prices: Prices = field(default_factory=Prices)

    @classmethod
    def kept(cls, policy: Mapping[str, Any]) -> FrameWorth:
        """As the policy of a round keeps it; the default where it keeps none."""
        worth = policy.get("worth")
        if worth is None:
            return cls()
        return cls(float(worth["threshold"]), ChanceLine(**worth["line"]), Prices(**worth["prices"]))

    def of(self, frames: F32Array, p: F32Array) -> F32Array:
        """Frames a second, f32 [n]. frames: f32 [n], boxes; p: f32 [n], what the head gives its first name."""
        chance = self.line.of(p.astype(np.float64))
        return worth(frames.astype(np.float64), chance, self.threshold, self.prices).astype(np.float32)

    def counts(self, p: F32Array) -> np.ndarray:
        """Whether names with these probabilities are carried already: bool [n]."""
        carried: np.ndarray = self.line.of(p.astype(np.float64)) >= self.threshold
        return carried

    def seconds(self, p: F32Array) -> F64Array:
        """Expected seconds of an answer: f64 [n]."""
        return self.prices.of_tracks(self.line.of(p.astype(np.float64)))

    def most(self) -> float:
        """No track is worth more than this for each of its frames."""
        return _ROUNDING / max(1e-9, min(self.prices.right, self.prices.other))

    def at_most(self, least_p: F32Array, most_p: F32Array) -> F64Array:
        """An upper bound of the worth of one frame, f64 [n], for probabilities between least_p and most_p, f32 [n]."""
        low, high = self.line.of(least_p.astype(np.float64)), self.line.of(most_p.astype(np.float64))
        below = np.minimum(high, self.threshold)  # up to here all frames are gained, and the price is monotone
        cheapest = np.minimum(self.prices.of_tracks(low), self.prices.of_tracks(below))
        gained = np.where(low < self.threshold, 1 / np.maximum(cheapest, 1e-9), 0.0)
        # From the threshold on what is gained falls with the chance, whatever the prices.
        above = np.maximum(low, self.threshold)
        left = (1 - above) / np.maximum(self.prices.of_tracks(above), 1e-9)
        bound: F64Array = _ROUNDING * np.maximum(gained, np.where(high >= self.threshold, left, 0.0))
        return bound
