"""Fitting a head: penalty, weights, temperature and threshold from labelled vectors, and from the audit's answers.

Belongs here: the order of the steps, and the rows that each may use. Does not belong here: the steps (`logistic`,
`cross_validation`, `calibration`), reading vectors and writing the model (`training`). Uses no torch and no SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chimp_assets.vision.identity.calibration import AuditRows, HeldOutRows, calibrate, centres_of
from chimp_assets.vision.identity.cross_validation import (
    CrossValidation,
    accuracy_of,
    choose_penalty,
    folds_of,
    judge_one_fold,
    summarise,
)
from chimp_assets.vision.identity.head import IdentityHead
from chimp_assets.vision.identity.logistic import as_input, fit_logistic
from chimp_assets.vision.models.checkpoint import ModelError

if TYPE_CHECKING:
    from chimp_assets.settings import HeadSettings

# Tracks stored for novelty: all up to this many, else those of each class that lie farthest apart. Comparing 300,000
# tracks with all of 100,000 would take a minute; with these it takes seconds.
MEMBERS = 4_096
MEMBERS_PER_CLASS = 16


@dataclass(frozen=True)
class HeadFit:
    """A head and the cross-validation on its training rows. audit_rows: audit answers of classes that it knows, which
    refined its temperature and threshold."""

    head: IdentityHead
    out_of_fold: CrossValidation
    audit_rows: int = 0


def fit_head(
    embedding: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    settings: HeadSettings,
    seed: int,
    fresh: np.ndarray | None = None,
    audit: tuple[np.ndarray, np.ndarray] | None = None,
    audit_new_day: np.ndarray | None = None,
) -> HeadFit:
    """Multinomial logistic regression, classes balanced; penalty, temperature and threshold from held-out groups.

    embedding: f16 or f32 [n, d] unit vectors; y: i64 [n] class ids; groups: i64 [n] (recording day: rows of one day are
    never on both sides); fresh: bool [n], rows that the embedder did not learn from (None: all); see `calibrate`.
    audit: vectors [m, d] and class ids i64 [m] of a random sample of the tracks that the head will name; it only
    refines temperature and threshold. Labels alone bias the temperature: acquisition chose hard or odd tracks, a fold
    knows less than the head, the embedder may have learned from them. The audit has none of these biases and counts
    more, the more rows it has. audit_new_day: bool [m], rows of cameras and days that have no label among y: by these
    the threshold keeps its promise on days to come.
    A class with one row is usable. If the problem is too large for a fit for each fold and penalty, the penalty is
    chosen on a sample of the rows, and temperature and threshold come from the rows of one fold, judged by a head of
    all others. Raises ModelError with fewer than 2 classes, ValueError if the lengths differ or a vector is not finite.
    """
    if not (len(embedding) == len(y) == len(groups)):
        raise ValueError(f"{len(embedding)} vectors, {len(y)} labels and {len(groups)} groups")
    if not np.isfinite(embedding).all():
        raise ValueError("a vector is not finite")
    classes, target = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ModelError(
            f"All {len(y)} labels name one class; a head needs two.", "Label tracks of another individual too."
        )
    n_classes = len(classes)
    x = as_input(embedding, n_classes)
    fold, folds = folds_of(groups, seed)
    rng = np.random.default_rng(seed)
    l2, accuracy, rows, logits = choose_penalty(x, target, fold, n_classes, settings, rng)
    start = None
    if len(rows) < len(x) and len(np.unique(fold)) > 1:
        rows, logits, start = judge_one_fold(x, target, fold, n_classes, l2, rng)
        accuracy[l2] = accuracy_of(logits, target[rows])
    held_out = HeldOutRows(rows, logits, target[rows], None if fresh is None else fresh[rows])
    weight, bias = fit_logistic(x, target, n_classes, l2, start)
    centre = centres_of(x, target, n_classes)
    asked = _audit_rows(audit, audit_new_day, classes, weight, bias)
    calibration = calibrate(x, target, fold, centre, held_out, asked, settings.unknown_false_alarm)
    members = novelty_members(x, target, n_classes)
    return HeadFit(
        head=IdentityHead(
            W=weight.astype(np.float32),
            b=bias.astype(np.float32),
            classes=classes.astype(np.int64),
            temperature=calibration.temperature,
            unknown_threshold=calibration.unknown_threshold,
            member=embedding[members].astype(np.float16),
            member_class=y[members].astype(np.int64),
            class_count=np.bincount(target, minlength=n_classes).astype(np.int64),
            centre=centre,
            logit_share=calibration.logit_share,
        ),
        out_of_fold=summarise(held_out, accuracy, l2, folds, calibration.temperature),
        audit_rows=len(asked.target),
    )


def _audit_rows(
    audit: tuple[np.ndarray, np.ndarray] | None,
    new_day: np.ndarray | None,
    classes: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
) -> AuditRows:
    """The audit's vectors [m, d] and class ids i64 [m] as far as the head knows their classes, with its logits."""
    if audit is None:
        vectors, target = np.zeros((0, weight.shape[1])), np.zeros(0, dtype=np.int64)
    else:
        known = np.isin(audit[1], classes)
        vectors, target = audit[0][known].astype(np.float64), np.searchsorted(classes, audit[1][known])
        new_day = None if new_day is None else new_day[known]
    return AuditRows(vectors, vectors @ weight.T + bias, target, new_day)


def novelty_members(x: np.ndarray, target: np.ndarray, n_classes: int) -> np.ndarray:
    """Rows stored for novelty, ascending: all, or of each class those that lie farthest apart (Gonzalez 1985)."""
    most = max(MEMBERS_PER_CLASS, MEMBERS // n_classes)
    if len(x) <= MEMBERS:
        return np.arange(len(x))
    kept = []
    order = np.argsort(target, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(target, minlength=n_classes))[:-1]):
        if len(rows) <= most:
            kept.append(rows)
            continue
        some = x[rows]
        nearest = some @ some.mean(0)
        chosen = [int(nearest.argmax())]
        nearest = some @ some[chosen[0]]
        for _ in range(most - 1):
            chosen.append(int(nearest.argmin()))
            nearest = np.maximum(nearest, some @ some[chosen[-1]])
        kept.append(rows[chosen])
    return np.sort(np.concatenate(kept))
