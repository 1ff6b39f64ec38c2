"""scikit-activeml, and how our pools, heads and cells are handed to it. Importing this takes seconds."""

from __future__ import annotations

import numpy as np
from skactiveml.base import SkactivemlClassifier
from skactiveml.pool import CoreSet, RandomSampling, TypiClust, UncertaintySampling
from skactiveml.utils import MISSING_LABEL

from chimp_assets.acquisition.pool import LinearHead
from chimp_assets.acquisition.scores import class_probabilities

__all__ = ["CoreSet", "OurCells", "OurHead", "RandomSampling", "TypiClust", "UncertaintySampling", "unanswered"]


class OurHead(SkactivemlClassifier):
    """The probabilities of a head, as scikit-activeml asks for them."""

    def __init__(self, head: LinearHead | None = None) -> None:
        super().__init__(classes=list(range(head.n_classes)) if head is not None else None, random_state=0)
        self.head = head

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> OurHead:
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        assert self.head is not None
        return class_probabilities(X.astype(np.float16), self.head)


class OurCells:
    """A clustering that is given: the cells of a pool."""

    def __init__(self, n_clusters: int, cell: np.ndarray) -> None:
        self.cell = cell

    def fit_predict(self, X: np.ndarray) -> np.ndarray:
        return self.cell


def unanswered(n: int) -> np.ndarray:
    return np.full(n, MISSING_LABEL)
