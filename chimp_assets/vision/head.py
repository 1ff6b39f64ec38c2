"""The head: a linear classifier on frozen track vectors, refitted in seconds on every batch of labels.

Belongs here: fitting it, its penalty, its temperature, its threshold for the unknown, applying it, its file.
Does not belong here: which tracks it learns from (`datasets`), how good it is (`evaluate`). Knows no torch and no SQL:
a class is a number, whatever vocabulary the training set's query named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize
import scipy.special
from threadpoolctl import threadpool_limits

from chimp_assets.vision.checkpoint import ModelError, ModelFileError, ModelRow, load_checkpoint

if TYPE_CHECKING:
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.settings import HeadSettings

# Unit vectors are stretched by this before the penalty is applied, so that penalties around 1 are the sensible ones.
STRETCH = 4.0
FOLDS = 5
# Rows that cross-validation looks at: the penalty is as well chosen on these as on a million.
VALIDATION_ROWS = 20_000
# Stands for "nothing is unknown": finite, because a checkpoint holds only finite numbers.
NO_THRESHOLD = float(np.finfo(np.float32).min)
MIN_ROWS_FOR_THRESHOLD = 8
CHUNK = 16_384
SMALL_PROBLEM = 50_000_000  # rows times dimensions times classes


@dataclass(frozen=True)
class Head:
    """W: f32 [C, d]; b: f32 [C]; classes: i64 [C], ascending; temperature > 0; unknown_threshold: on the largest logit.

    member: f16 [n, d], the vectors it was fitted on (for novelty); member_class: i64 [n], their classes.
    """

    W: np.ndarray
    b: np.ndarray
    classes: np.ndarray
    temperature: float
    unknown_threshold: float
    member: np.ndarray
    member_class: np.ndarray

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Uncalibrated logits. embedding: f16 or f32 [n, d]; returns f32 [n, C]."""
        return embedding.astype(np.float32) @ self.W.T + self.b

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of logits f32 [n, C]; f32 [n, C], rows add up to 1 (Guo et al. 2017)."""
        return scipy.special.softmax(logits.astype(np.float64) / self.temperature, axis=1).astype(np.float32)

    def is_unknown(self, logits: np.ndarray) -> np.ndarray:
        """bool [n]: the largest logit lies below the threshold (Vaze et al. 2022)."""
        return logits.max(1) < self.unknown_threshold

    def novelty(self, embedding: np.ndarray) -> np.ndarray:
        """1 minus the cosine to the nearest track it was fitted on. embedding: [n, d]; returns f32 [n] in [0, 2]."""
        members = self.member.astype(np.float32)
        parts = [
            1 - (embedding[start : start + CHUNK].astype(np.float32) @ members.T).max(1)
            for start in range(0, len(embedding), CHUNK)
        ]
        return np.clip(np.concatenate(parts), 0, 2) if parts else np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class OutOfFold:
    """What cross-validation saw: rows judged by a head that knew neither them nor their group.

    accuracy: share of judged rows named rightly (a class that the fold did not know counts as wrong), nan if no row
    could be judged; n: judged rows; n_new: those of a class unknown to the fold; l2: the chosen penalty; folds: how
    groups were kept apart ("group" or, with one group only, "row"); accuracy_by_l2: of every penalty tried.
    """

    accuracy: float
    n: int
    n_new: int
    l2: float
    folds: str
    accuracy_by_l2: dict[float, float]


@dataclass(frozen=True)
class HeadFit:
    """A head and what is known of it from its own training rows."""

    head: Head
    out_of_fold: OutOfFold


def fit_head(embedding: np.ndarray, y: np.ndarray, groups: np.ndarray, settings: HeadSettings, seed: int) -> HeadFit:
    """Multinomial logistic regression, classes balanced; penalty, temperature and threshold from held-out groups.

    embedding: f16 or f32 [n, d] unit vectors; y: i64 [n] class ids; groups: i64 [n] (recording day: rows of one day are
    never on both sides). A class with one row is usable. Raises ModelError with fewer than 2 classes, ValueError if the
    lengths differ or a vector is not finite.
    """
    x = embedding.astype(np.float64)
    if not (len(x) == len(y) == len(groups)):
        raise ValueError(f"{len(x)} vectors, {len(y)} labels and {len(groups)} groups")
    if not np.isfinite(x).all():
        raise ValueError("a vector is not finite")
    classes = np.unique(y)
    if len(classes) < 2:
        raise ModelError(
            f"All {len(y)} labels name one class; a head needs two.", "Label tracks of another individual too."
        )
    fold, folds = _folds(groups, seed)
    rows = np.arange(len(x))
    if len(rows) > VALIDATION_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, VALIDATION_ROWS, replace=False))
    target = np.searchsorted(classes, y)
    judged = {l2: _out_of_fold(x[rows], target[rows], fold[rows], len(classes), l2) for l2 in settings.l2_grid}
    accuracy = {l2: _accuracy(logits, target[rows]) for l2, logits in judged.items()}
    # Of equal accuracies the likelier one; without any judged row the middle of the grid.
    best = (
        max(settings.l2_grid, key=lambda l2: (accuracy[l2], -_fitted_temperature(judged[l2], target[rows])[1]))
        if not all(math.isnan(a) for a in accuracy.values())
        else sorted(settings.l2_grid)[len(settings.l2_grid) // 2]
    )
    logits = judged[best]
    seen = _seen(logits, target[rows])
    temperature, _ = _fitted_temperature(logits, target[rows])
    top = logits[seen].max(1)
    threshold = (
        float(np.quantile(top, settings.unknown_false_alarm)) if len(top) >= MIN_ROWS_FOR_THRESHOLD else NO_THRESHOLD
    )
    weight, bias = _fit(x, target, len(classes), best)
    judged_rows = np.isfinite(logits).any(1)
    return HeadFit(
        head=Head(
            W=weight.astype(np.float32),
            b=bias.astype(np.float32),
            classes=classes.astype(np.int64),
            temperature=temperature,
            unknown_threshold=threshold,
            member=embedding.astype(np.float16),
            member_class=y.astype(np.int64),
        ),
        out_of_fold=OutOfFold(
            accuracy=accuracy[best],
            n=int(judged_rows.sum()),
            n_new=int((judged_rows & ~seen).sum()),
            l2=best,
            folds=folds,
            accuracy_by_l2=accuracy,
        ),
    )


def head_tensors(head: Head) -> dict[str, np.ndarray]:
    """What the checkpoint of a head holds."""
    return {
        "W": head.W,
        "b": head.b,
        "classes": head.classes,
        "temperature": np.array([head.temperature], dtype=np.float64),
        "unknown_threshold": np.array([head.unknown_threshold], dtype=np.float64),
        "member": head.member,
        "member_class": head.member_class,
    }


def load_head(store: BlobStore, model: ModelRow) -> Head:
    """The head of a model row. Raises ModelFileError if its file is missing, changed or unfit."""
    if model.checkpoint_uri is None or model.checkpoint_hash is None:
        raise ModelFileError(f"Model {model.model_id} has no checkpoint.", "Train a head.")
    tensors, _ = load_checkpoint(store, model.checkpoint_uri, model.checkpoint_hash)
    try:
        whole = {name: tensors[name].numpy() for name in head_tensors_names()}
    except KeyError as error:
        raise ModelFileError(f"The model file {model.checkpoint_uri} has no {error}.", "Train a head again.") from error
    return Head(
        W=whole["W"],
        b=whole["b"],
        classes=whole["classes"],
        temperature=float(whole["temperature"][0]),
        unknown_threshold=float(whole["unknown_threshold"][0]),
        member=whole["member"],
        member_class=whole["member_class"],
    )


def head_tensors_names() -> tuple[str, ...]:
    """Names of the tensors of a head's checkpoint."""
    return ("W", "b", "classes", "temperature", "unknown_threshold", "member", "member_class")


def _fit(x: np.ndarray, target: np.ndarray, n_classes: int, l2: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights f64 [C, d] and biases f64 [C] that minimise the balanced cross-entropy plus l2/2 |W|^2."""
    n, d = x.shape
    stretched = x * STRETCH
    count = np.bincount(target, minlength=n_classes)
    present = count > 0
    weight = (n / (present.sum() * np.maximum(1, count)))[target]
    one_hot = np.zeros((n, n_classes))
    one_hot[np.arange(n), target] = 1
    absent = np.where(present, 0.0, -np.inf)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = flat[: n_classes * d].reshape(n_classes, d), flat[n_classes * d :]
        logits = stretched @ w.T + b + absent
        log_sum = scipy.special.logsumexp(logits, axis=1)
        value = float((weight * (log_sum - logits[np.arange(n), target])).sum() + 0.5 * l2 * (w**2).sum())
        error = weight[:, None] * (np.exp(logits - log_sum[:, None]) - one_hot)
        gradient_w = error.T @ stretched + l2 * w
        # A whisper of penalty on the biases: the softmax does not see a constant added to all of them.
        gradient_b = error.sum(0) + 1e-3 * b
        return value + 0.5e-3 * float((b**2).sum()), np.concatenate([gradient_w.ravel(), gradient_b])

    start = np.zeros(n_classes * d + n_classes)
    # Small products gain nothing from threads and lose tenfold where other processes want the cores too.
    threads = 1 if n * d * n_classes < SMALL_PROBLEM else None
    with threadpool_limits(threads):
        found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    w = found.x[: n_classes * d].reshape(n_classes, d) * STRETCH
    return w, found.x[n_classes * d :]


def _folds(groups: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
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


def _out_of_fold(x: np.ndarray, target: np.ndarray, fold: np.ndarray, n_classes: int, l2: float) -> np.ndarray:
    """Logits f64 [n, C] of each row by the head of the other folds; -inf where that head does not know the class."""
    logits = np.full((len(x), n_classes), -np.inf)
    for held_out in np.unique(fold):
        inside = fold == held_out
        known = np.unique(target[~inside])
        if len(known) < 2:
            continue
        w, b = _fit(x[~inside], np.searchsorted(known, target[~inside]), len(known), l2)
        logits[np.ix_(inside, known)] = x[inside] @ w.T + b
    return logits


def _seen(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.isfinite(logits[np.arange(len(logits)), target])


def _accuracy(logits: np.ndarray, target: np.ndarray) -> float:
    judged = np.isfinite(logits).any(1)
    return float((logits[judged].argmax(1) == target[judged]).mean()) if judged.any() else math.nan


def _fitted_temperature(logits: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Temperature that makes held-out rows of known classes likeliest, and their mean negative log-likelihood."""
    seen = _seen(logits, target)
    if seen.sum() < 2:
        return 1.0, math.inf
    some, true = logits[seen], target[seen]

    def unlikelihood(log_temperature: float) -> float:
        scaled = some / math.exp(log_temperature)
        return float((scipy.special.logsumexp(scaled, axis=1) - scaled[np.arange(len(some)), true]).mean())

    found = scipy.optimize.minimize_scalar(unlikelihood, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return float(math.exp(found.x)), float(found.fun)
