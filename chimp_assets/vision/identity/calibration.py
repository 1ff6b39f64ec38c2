"""Temperature and threshold of a head: how sure its logits are, and the familiarity below which an animal is unknown.

Belongs here: both, from rows out of fold and from the audit. Does not belong here: the logits (`logistic`,
`cross_validation`), applying the numbers (`head`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.sparse

from chimp_assets.vision.identity.head import NO_THRESHOLD, familiarity

MIN_ROWS_FOR_THRESHOLD = 8
MIN_FRESH = 30
PRIOR_LOG_T = 0.35  # error of log T from labels, measured on real crops against test sessions
# The same if the embedder learned from nearly all of those labels: the head classifies them all correctly, so that they
# give far too low a temperature (0.11, where new days needed 1.7 to 4.3; generated archive with photographed faces,
# four fits on 33 to 61 tracks).
STALE_LOG_T, STALE_PRIOR_LOG_T = 3.0, 1.0
# Weight of the logit beside the cosine, each scaled by its spread over known animals. AUROC of strangers on tracks of
# real crops (chimpanzees, 4 splits; cows, 2), on which it was chosen: logit alone 0.586, 0.744; cosine alone 0.675,
# 0.666; this weight 0.655, 0.715.
LOGIT_SHARE = 0.5


@dataclass(frozen=True)
class HeldOutRows:
    """Rows judged by heads that were fitted on neither them nor their group.

    row: i64 [k], which rows; logits: f64 [k, C], -inf for classes that the judging head does not know; target: i64 [k];
    fresh: bool [k], rows that the embedder did not learn from either; None: all.
    """

    row: np.ndarray
    logits: np.ndarray
    target: np.ndarray
    fresh: np.ndarray | None


@dataclass(frozen=True)
class AuditRows:
    """Audit answers of classes that the head knows: vectors f64 [m, d], its logits f64 [m, C], target i64 [m].

    new_day: bool [m], of cameras and days of which no label taught; None: not known.
    """

    vectors: np.ndarray
    logits: np.ndarray
    target: np.ndarray
    new_day: np.ndarray | None = None


@dataclass(frozen=True)
class Calibration:
    """The fields of a head that turn logits into probabilities and decide who is unknown."""

    temperature: float
    unknown_threshold: float
    logit_share: float


def calibrate(
    x: np.ndarray,
    target: np.ndarray,
    fold: np.ndarray,
    centre: np.ndarray,
    held_out: HeldOutRows,
    audit: AuditRows,
    false_alarm: float,
) -> Calibration:
    """Temperature and threshold from held-out rows, refined by the audit.

    x: [n, d]; target, fold: i64 [n]; centre: f32 [C, d], of the whole head; false_alarm: share of known animals that
    the threshold may call unknown. Rows that the embedder learned from look clearer than any new track. With at least
    MIN_FRESH fresh rows, these alone count. With fewer, all rows count, but the temperature is expected to be much
    higher than they suggest, and only fresh rows and the audit set the threshold. The promise is about days that
    taught nothing: a track that was filmed beside labelled ones looks more familiar, so audit rows of other days count
    more than these, and alone from MIN_FRESH of them on.
    """
    known = of_known_class(held_out.logits, held_out.target)
    telling = known if held_out.fresh is None else known & held_out.fresh
    stale = held_out.fresh is not None and telling.sum() < MIN_FRESH
    used = known if stale else telling
    prior = TemperaturePrior(fitted_temperature(held_out.logits[used], held_out.target[used])[0])
    if stale:
        prior = TemperaturePrior(prior.temperature * math.exp(STALE_LOG_T), STALE_PRIOR_LOG_T)
    few_fresh = [(held_out.logits[telling], held_out.target[telling])] if stale else []
    temperature = prior.refined([*few_fresh, (audit.logits, audit.target)])
    familiar, share = familiarity_out_of_fold(x, target, fold, held_out.row[used], held_out.logits[used])
    of_audit = familiarity(audit.vectors, audit.logits, centre, share)
    new = np.ones(len(of_audit), dtype=bool) if audit.new_day is None else audit.new_day
    if new.sum() >= MIN_FRESH:
        of_audit, new = of_audit[new], new[new]
    if stale:
        threshold = threshold_of(np.concatenate([familiar[telling[used]], of_audit]), false_alarm)
    else:
        threshold = refined_threshold(threshold_of(familiar, false_alarm), of_audit, false_alarm)
    if not new.all():
        threshold = refined_threshold(threshold, of_audit[new], false_alarm)
    return Calibration(temperature, threshold, share)


def centres_of(x: np.ndarray, target: np.ndarray, n_classes: int) -> np.ndarray:
    """f32 [C, d]: mean directions of classes; zeros where a class has no row."""
    by_class = scipy.sparse.csr_matrix((np.ones(len(x), x.dtype), (target, np.arange(len(x)))), (n_classes, len(x)))
    total = np.asarray(by_class @ x)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def familiarity_out_of_fold(
    x: np.ndarray, target: np.ndarray, fold: np.ndarray, rows: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, float]:
    """Familiarity f32 [k] of rows whose logits f64 [k, C] are out of fold, with centres of the other folds; and the
    share of the logit in it, chosen so that it spreads LOGIT_SHARE times as far as the cosine."""
    cosine = np.zeros(len(rows), dtype=np.float32)
    for number in np.unique(fold[rows]):
        inside, others = fold[rows] == number, fold != number
        judged = inside & np.isfinite(logits).any(1)
        centre = centres_of(x[others], target[others], logits.shape[1])
        cosine[judged] = familiarity(x[rows[judged]], logits[judged], centre, 0.0)
    top = logits.max(1, initial=-np.inf)
    spread = float(top.std()) if len(top) else 0.0
    share = LOGIT_SHARE * float(cosine.std()) / spread if math.isfinite(spread) and spread > 1e-6 else 0.0
    return (cosine + share * top).astype(np.float32), share


@dataclass(frozen=True)
class TemperaturePrior:
    """A prior of the temperature: log T is normal with standard deviation log_spread."""

    temperature: float
    log_spread: float = PRIOR_LOG_T

    def refined(self, evidence: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """The most probable temperature given (logits f64 [m, C], target i64 [m]) of rows that nothing learned from.

        Without rows the prior stays; from about fifty rows on they dominate.
        """
        rows = [(logits, target) for logits, target in evidence if len(target)]
        if not rows:
            return self.temperature
        logits, target = np.concatenate([one for one, _ in rows]), np.concatenate([one for _, one in rows])
        return fitted_temperature(logits, target, self)[0]


def threshold_of(familiar: np.ndarray, false_alarm: float) -> float:
    """The threshold below which a share of new rows like these lies; NO_THRESHOLD if they are too few.

    Of n rows the k-th smallest has k / (n + 1) of new rows below it (conformal prediction, Vovk et al. 2005). The
    sample's own quantile has more: of ten rows 17 % instead of 10 %.
    """
    if len(familiar) < MIN_ROWS_FOR_THRESHOLD:
        return NO_THRESHOLD
    return float(np.quantile(familiar, false_alarm, method="weibull"))


def refined_threshold(threshold: float, of_audit: np.ndarray, false_alarm: float) -> float:
    """The threshold given audit rows: the mean of both, weighted by numbers of rows, because few rows are noisy."""
    theirs = threshold_of(of_audit, false_alarm)
    if theirs == NO_THRESHOLD or threshold == NO_THRESHOLD:
        return threshold if theirs == NO_THRESHOLD else theirs
    n = len(of_audit)
    return (n * theirs + MIN_FRESH * threshold) / (n + MIN_FRESH)


def of_known_class(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """bool [n]: rows whose class the head that judged them knows. logits: [n, C], -inf for classes it does not."""
    return np.isfinite(logits[np.arange(len(logits)), target])


def fitted_temperature(
    logits: np.ndarray, target: np.ndarray, before: TemperaturePrior | None = None
) -> tuple[float, float]:
    """Temperature of the highest likelihood of held-out rows of known classes, and their mean negative
    log-likelihood."""
    seen = of_known_class(logits, target)
    if seen.sum() < 2 and before is None:
        return 1.0, math.inf
    below_top = logits[seen] - logits[seen].max(1, keepdims=True)
    of_true = below_top[np.arange(len(below_top)), target[seen]]

    def unlikelihood(log_temperature: float) -> float:
        sharpness = math.exp(-log_temperature)
        of_rows = float((np.log(np.exp(below_top * sharpness).sum(1)) - of_true * sharpness).mean())
        if before is None:
            return of_rows
        off = (log_temperature - math.log(before.temperature)) / before.log_spread
        return of_rows + 0.5 * off**2 / len(of_true)

    found = scipy.optimize.minimize_scalar(unlikelihood, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return float(math.exp(found.x)), float(found.fun)
