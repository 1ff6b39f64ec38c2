"""Cross-validation over recording days: the penalty, and how good heads are on rows that they never saw.

Belongs here: folds, logits out of fold, accuracy, labels that such heads contradict. Does not belong here: the fit
(`logistic`), temperature and threshold (`calibration`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chimp_assets.vision.identity.calibration import HeldOutRows, fitted_temperature, of_known_class
from chimp_assets.vision.identity.logistic import as_input, fit_logistic

if TYPE_CHECKING:
    from chimp_assets.settings import HeadSettings

FOLDS = 5
# Rows for cross-validation: they choose the penalty as well as a million.
VALIDATION_ROWS = 20_000
# Rows times dimensions times classes for the choice of the penalty; larger problems use fewer rows and folds.
VALIDATION_SIZE = 250_000_000
VALIDATION_FOLDS = 2
ENOUGH_TO_DOUBT = 5  # rows of a class; fewer do not tell how confident a head is of it


@dataclass(frozen=True)
class CrossValidation:
    """The result of cross-validation: rows judged by a head that was fitted on neither them nor their group.

    accuracy: share of judged rows classified correctly (a class that the fold did not know counts as wrong), nan if no
    row could be judged; n: judged rows; n_new: those of a class unknown to the fold; l2: the chosen penalty; folds:
    "group", or "row" if there is only one group; accuracy_by_l2: of every penalty tried; likely_errors: judged rows
    whose label is probably wrong.
    """

    accuracy: float
    n: int
    n_new: int
    l2: float
    folds: str
    accuracy_by_l2: dict[float, float]
    likely_errors: int = 0


def summarise(
    held_out: HeldOutRows, accuracy: dict[float, float], l2: float, folds: str, temperature: float
) -> CrossValidation:
    """The result of cross-validation for the chosen penalty."""
    known = of_known_class(held_out.logits, held_out.target)
    judged = np.isfinite(held_out.logits).any(1)
    return CrossValidation(
        accuracy=accuracy[l2],
        n=int(judged.sum()),
        n_new=int((judged & ~known).sum()),
        l2=l2,
        folds=folds,
        accuracy_by_l2=accuracy,
        likely_errors=likely_errors(held_out.logits[known] / temperature, held_out.target[known]),
    )


def likely_errors(logits: np.ndarray, target: np.ndarray) -> int:
    """How many labels are probably wrong, by confident learning (Northcutt et al. 2021): rows whose probability of
    another class is at least the mean that rows of that class have of it. logits: calibrated, out of fold, f64 [n, C];
    classes with few rows are skipped. Cleanlab ranks such labels (`label_quality`); its import takes as long as a fit.
    """
    count = np.bincount(target, minlength=logits.shape[1])
    rows = np.flatnonzero(count[target] >= ENOUGH_TO_DOUBT)
    if not len(rows):
        return 0
    likely = np.exp(logits[rows] - logits[rows].max(1, keepdims=True))
    likely /= likely.sum(1, keepdims=True)
    own = likely[np.arange(len(rows)), target[rows]]
    enough = count >= ENOUGH_TO_DOUBT
    sure = np.bincount(target[rows], own, len(count)) / np.maximum(np.bincount(target[rows], minlength=len(count)), 1)
    confident = np.where(enough & (likely >= np.where(enough, sure, np.inf)), likely, -1)
    return int(((confident.max(1) >= 0) & (confident.argmax(1) != target[rows])).sum())


def out_of_fold_probabilities(
    embedding: np.ndarray, y: np.ndarray, groups: np.ndarray, l2: float, temperature: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of rows by heads fitted on neither them nor their group: classes i64 [C], f32 [n, C].

    A class that the other folds do not know has probability 0; rows that no head could judge are all 0.
    """
    classes, target = np.unique(y, return_inverse=True)
    x = as_input(embedding, len(classes))
    logits = logits_out_of_fold(x, target, folds_of(groups, seed)[0], len(classes), (l2,))[l2]
    scaled = logits / temperature
    top = np.where(np.isfinite(scaled).any(1), scaled.max(1), 0.0)
    likely = np.exp(scaled - top[:, None])
    return classes, (likely / np.maximum(likely.sum(1, keepdims=True), 1e-30)).astype(np.float32)


def choose_penalty(
    x: np.ndarray,
    target: np.ndarray,
    fold: np.ndarray,
    n_classes: int,
    settings: HeadSettings,
    rng: np.random.Generator,
) -> tuple[float, dict[float, float], np.ndarray, np.ndarray]:
    """The best penalty, the accuracy of each, the judged rows, and their logits under the best."""
    n = len(x)
    most = min(VALIDATION_ROWS, max(1_000, VALIDATION_SIZE // (x.shape[1] * n_classes)))
    rows = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))
    held_out = np.unique(fold[rows])
    if len(rows) < n:
        held_out = held_out[:VALIDATION_FOLDS]
    judged = logits_out_of_fold(x[rows], target[rows], fold[rows], n_classes, settings.l2_grid, held_out)
    accuracy = {l2: accuracy_of(logits, target[rows]) for l2, logits in judged.items()}
    # Of equal accuracies the one of higher likelihood; without judged rows the middle of the grid.
    best = (
        max(settings.l2_grid, key=lambda l2: (accuracy[l2], -fitted_temperature(judged[l2], target[rows])[1]))
        if not all(math.isnan(a) for a in accuracy.values())
        else sorted(settings.l2_grid)[len(settings.l2_grid) // 2]
    )
    return best, accuracy, rows, judged[best]


def judge_one_fold(
    x: np.ndarray, target: np.ndarray, fold: np.ndarray, n_classes: int, l2: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Rows of one fold, their logits by a head fitted on the others, and that head (W and b of all classes) as a
    start."""
    inside = fold == np.unique(fold)[0]
    rows = np.flatnonzero(inside)
    if len(rows) > VALIDATION_ROWS:
        rows = np.sort(rng.choice(rows, VALIDATION_ROWS, replace=False))
    known, place = np.unique(target[~inside], return_inverse=True)
    w, b = fit_logistic(x[~inside], place, len(known), l2)
    logits = np.full((len(rows), n_classes), -np.inf)
    logits[:, known] = x[rows] @ w.T + b
    weight, bias = np.zeros((n_classes, x.shape[1])), np.zeros(n_classes)
    weight[known], bias[known] = w, b
    return rows, logits, (weight, bias)


def folds_of(groups: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Fold of each row i64 [n]: groups stay together, the largest first into the smallest fold; rows if one group."""
    rng = np.random.default_rng(seed)
    names, row, count = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return rng.permutation(len(groups)) % FOLDS, "row"
    order = np.lexsort((rng.permutation(len(names)), -count))
    size = np.zeros(min(FOLDS, len(names)), dtype=np.int64)
    fold_of = np.zeros(len(names), dtype=np.int64)
    for name in order:
        fold_of[name] = size.argmin()
        size[fold_of[name]] += count[name]
    return fold_of[row], "group"


def logits_out_of_fold(
    x: np.ndarray,
    target: np.ndarray,
    fold: np.ndarray,
    n_classes: int,
    penalties: tuple[float, ...],
    held_out: np.ndarray | None = None,
) -> dict[float, np.ndarray]:
    """For each penalty, logits f64 [n, C] of each row by the head of the other folds; -inf for classes unknown to it.

    held_out: judge only the rows of these folds.
    """
    logits = {l2: np.full((len(x), n_classes), -np.inf) for l2 in penalties}
    for number in np.unique(fold) if held_out is None else held_out:
        inside = fold == number
        known, place = np.unique(target[~inside], return_inverse=True)
        if len(known) < 2:
            continue
        start = None
        for l2 in sorted(penalties, reverse=True):  # from the strongest: each fit starts near its solution
            start = w, b = fit_logistic(x[~inside], place, len(known), l2, start)
            logits[l2][np.ix_(inside, known)] = x[inside] @ w.T + b
    return logits


def accuracy_of(logits: np.ndarray, target: np.ndarray) -> float:
    judged = np.isfinite(logits).any(1)
    return float((logits[judged].argmax(1) == target[judged]).mean()) if judged.any() else math.nan
