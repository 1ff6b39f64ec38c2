"""`RandomTracks`: a simple random sample.

Belongs here: the baseline that every other selector is compared with. No lane uses it: the audit lane draws from the
whole reserve (`pool.draw_rows`) without listing candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.selectors.candidates import Candidates, Choice


@dataclass(frozen=True)
class RandomTracks:
    """A simple random sample. Its propensity b / m is exact. Only rows are used."""

    def select(self, candidates: Candidates, b: int, rng: np.random.Generator) -> Choice:
        """See `Selector`."""
        m = len(candidates)
        b = min(b, m)
        chosen = rng.choice(m, size=b, replace=False) if b else np.empty(0, np.int64)
        return Choice(chosen, np.full(b, b / max(1, m)))
