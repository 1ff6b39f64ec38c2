"""Which of a few candidates are asked: one way of choosing a file, all with the same `select(candidates, b, rng)`.

Belongs here: choices among at most 50,000 candidates, vectorised.
Does not belong here: the pass over the pool (`pool_pass`), lanes and their shares (`lanes`, `policy`).
"""

from chimp_assets.acquisition.selectors.anchor_neighbours import AnchorNeighbours
from chimp_assets.acquisition.selectors.candidates import MOST_CANDIDATES, Candidates, Choice, Selector
from chimp_assets.acquisition.selectors.cluster_margin import ClusterMargin
from chimp_assets.acquisition.selectors.farthest_margin import FarthestMargin
from chimp_assets.acquisition.selectors.novel_cells import NovelCells
from chimp_assets.acquisition.selectors.random_tracks import RandomTracks
from chimp_assets.acquisition.selectors.typical_cells import TypicalCells

__all__ = [
    "MOST_CANDIDATES",
    "AnchorNeighbours",
    "Candidates",
    "Choice",
    "ClusterMargin",
    "FarthestMargin",
    "NovelCells",
    "RandomTracks",
    "Selector",
    "TypicalCells",
]
