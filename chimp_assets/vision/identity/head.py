"""The head: a linear classifier on frozen track vectors, refitted in seconds on every batch of labels.

Belongs here: fitting it, its penalty, its temperature, its threshold for the unknown, applying it, its file.
A large problem (300 classes, 100,000 rows) is fitted in single precision, in chunks of rows on every core; sums are
made in the order of the chunks, so that the bits do not depend on how many cores there are.
Does not belong here: which tracks it learns from (`datasets`), how good it is (`evaluate`). Knows no torch and no SQL:
a class is a number, whatever vocabulary the training set's query named.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize
import scipy.sparse
from threadpoolctl import threadpool_limits

from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError, ModelRow, load_arrays

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import HeadSettings

# Unit vectors are stretched by this before the penalty is applied, so that penalties around 1 are the sensible ones.
STRETCH = 4.0
FOLDS = 5
# Rows that cross-validation looks at: the penalty is as well chosen on these as on a million.
VALIDATION_ROWS = 20_000
# Rows times dimensions times classes that choosing the penalty may look at; above it, fewer rows and fewer folds.
VALIDATION_SIZE = 250_000_000
VALIDATION_FOLDS = 2
# Stands for "nothing is unknown": finite, because a checkpoint holds only finite numbers.
NO_THRESHOLD = float(np.finfo(np.float32).min)
MIN_ROWS_FOR_THRESHOLD = 8
MIN_FRESH = 30
PRIOR_LOG_T = 0.35  # what labels say of log T was off by so much on real crops, compared with sessions of a test
# The same where the embedder learned from nearly all of those labels: it names them all rightly, so that they ask for
# the sharpest temperature there is (0.11 where days that nobody had named wanted 1.7 to 4.3; generated archive with
# photographed faces, four fits on 33 to 61 tracks).
STALE_LOG_T, STALE_PRIOR_LOG_T = 3.0, 1.0
# How much the logit says beside the cosine, each by its own spread over known animals. AUROC of strangers on tracks of
# real crops (chimpanzees, 4 splits; cows, 2), on which it was chosen: logit alone 0.586,
# 0.744; cosine alone 0.675, 0.666; so 0.655, 0.715.
LOGIT_SHARE = 0.5
ENOUGH_TO_DOUBT = 5  # rows of a class; of fewer nobody knows how sure one may be
CHUNK = 16_384
SMALL_PROBLEM = 50_000_000  # rows times dimensions times classes: below it one thread and double precision are faster
FIT_CHUNK = 1_024  # rows of a step of a large fit: its logits stay in the cache
NOVELTY_CHUNK = 256  # rows compared with all members at once: their cosines stay in the cache, twice as fast
# A large fit ends when an iteration gains less than this share of the loss: some 25 iterations, and the accuracy on
# held-out rows no longer moves (80,000 rows, 300 classes: 0.9126 at 1e-4, 0.9124 at 1e-5).
LARGE_TOLERANCE = 1e-4
# Tracks kept for novelty: all of them up to this many, else those of each class that lie farthest apart. With all of
# 100,000, looking at 300,000 tracks would take a minute; with these, seconds.
MEMBERS = 4_096
MEMBERS_PER_CLASS = 16


@dataclass(frozen=True)
class Head:
    """W: f32 [C, d]; b: f32 [C]; classes: i64 [C], ascending; temperature > 0; unknown_threshold: of familiarity.

    member: f16 [m, d], vectors it was fitted on (for novelty), all of them or the most different of each class;
    member_class: i64 [m], their classes; class_count: i64 [C], how many tracks of each class it was fitted on; centre:
    f32 [C, d] of unit length, mean direction of each class (None: a head of before it was kept); logit_share: of the
    largest logit in the familiarity.
    """

    W: np.ndarray
    b: np.ndarray
    classes: np.ndarray
    temperature: float
    unknown_threshold: float
    member: np.ndarray
    member_class: np.ndarray
    class_count: np.ndarray
    centre: np.ndarray | None = None
    logit_share: float = 0.0

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Uncalibrated logits. embedding: f16 or f32 [n, d]; returns f32 [n, C]."""
        return embedding.astype(np.float32) @ self.W.T + self.b

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of logits f32 [n, C]; f32 [n, C], rows add up to 1 (Guo et al. 2017)."""
        shifted = logits / np.float32(self.temperature)
        shifted -= shifted.max(axis=1, keepdims=True)
        np.exp(shifted, out=shifted)
        shifted /= shifted.sum(axis=1, keepdims=True)
        return shifted

    def familiarity(self, embedding: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """How much vectors [n, d] look like whom they would be named, f32 [n]; of old heads the largest logit."""
        if self.centre is None:
            return logits.max(1)
        return familiarity(embedding.astype(np.float32), logits, self.centre, self.logit_share)

    def is_unknown(self, embedding: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """bool [n]: the familiarity lies below the threshold."""
        return self.familiarity(embedding, logits) < self.unknown_threshold

    def novelty(self, embedding: np.ndarray) -> np.ndarray:
        """1 minus the cosine to the nearest of its members. embedding: [n, d]; returns f32 [n] in [0, 2]."""
        members = self.member.astype(np.float32)
        nearest = np.empty(len(embedding), dtype=np.float32)
        for start in range(0, len(embedding), NOVELTY_CHUNK):
            rows = slice(start, start + NOVELTY_CHUNK)
            (members @ embedding[rows].astype(np.float32).T).max(0, out=nearest[rows])
        return np.clip(1 - nearest, 0, 2)


@dataclass(frozen=True)
class OutOfFold:
    """What cross-validation saw: rows judged by a head that knew neither them nor their group.

    accuracy: share of judged rows named rightly (a class that the fold did not know counts as wrong), nan if no row
    could be judged; n: judged rows; n_new: those of a class unknown to the fold; l2: the chosen penalty; folds: how
    groups were kept apart ("group" or, with one group only, "row"); accuracy_by_l2: of every penalty tried;
    likely_errors: judged rows whose label is probably wrong.
    """

    accuracy: float
    n: int
    n_new: int
    l2: float
    folds: str
    accuracy_by_l2: dict[float, float]
    likely_errors: int = 0


@dataclass(frozen=True)
class HeadFit:
    """A head and what is known of it from its own training rows. audit_rows: audit answers of classes that it knows,
    which told its temperature and threshold."""

    head: Head
    out_of_fold: OutOfFold
    audit_rows: int = 0


def fit_head(
    embedding: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    settings: HeadSettings,
    seed: int,
    fresh: np.ndarray | None = None,
    audit: tuple[np.ndarray, np.ndarray] | None = None,
) -> HeadFit:
    """Multinomial logistic regression, classes balanced; penalty, temperature and threshold from held-out groups.

    embedding: f16 or f32 [n, d] unit vectors; y: i64 [n] class ids; groups: i64 [n] (recording day: rows of one day are
    never on both sides); fresh: bool [n], rows that the embedder did not learn from (None: all). Those it learned from
    look clearer than any new track: where MIN_FRESH rows are fresh, temperature and threshold come from them alone, and
    where fewer are, from them and the audit, by a temperature expected to be much higher than learned rows ask for.
    audit: vectors [m, d] and class ids i64 [m] of a random sample of what the head will be asked, which teaches nothing
    else. What labels say of the temperature is off where acquisition chose hard or odd tracks, where a fold knows less
    than the head, where the embedder learned from them; the audit has none of that, and its word counts the more, the
    more rows it has.
    A class with one row is usable. Where the problem is too large to fit it once for each fold and penalty, the penalty
    is chosen on a sample of the rows, and temperature and threshold come from the rows of one fold, judged by a head of
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
    large = embedding.size * len(classes) >= SMALL_PROBLEM
    x = embedding.astype(np.float32 if large else np.float64)
    fold, folds = _folds(groups, seed)
    rng = np.random.default_rng(seed)
    best, accuracy, rows, logits = _chosen_penalty(x, target, fold, len(classes), settings, rng)
    start = None
    if len(rows) < len(x) and len(np.unique(fold)) > 1:
        rows, logits, start = _judged_fold(x, target, fold, len(classes), best, rng)
        accuracy[best] = _accuracy(logits, target[rows])
    seen = _seen(logits, target[rows])
    telling = seen if fresh is None else seen & fresh[rows]
    stale = fresh is not None and telling.sum() < MIN_FRESH
    prior = Prior(_fitted_temperature(logits[seen if stale else telling], target[rows][seen if stale else telling])[0])
    if stale:
        prior = Prior(prior.temperature * math.exp(STALE_LOG_T), STALE_PRIOR_LOG_T)
    weight, bias = _fit(x, target, len(classes), best, start)
    centre = _centres(x, target, len(classes))
    known = np.isin(audit[1], classes) if audit is not None else np.zeros(0, dtype=bool)
    audit_vectors = np.zeros((0, x.shape[1])) if audit is None else audit[0][known].astype(np.float64)
    audit_target = np.zeros(0, dtype=np.int64) if audit is None else np.searchsorted(classes, audit[1][known])
    of_audit = audit_vectors @ weight.T + bias
    temperature = prior.refined(
        [*([(logits[telling], target[rows][telling])] if stale else []), (of_audit, audit_target)]
    )
    use = seen if stale else telling
    familiar, share = _familiarity_out_of_fold(x, target, fold, rows[use], logits[use])
    of_new = familiarity(audit_vectors, of_audit, centre, share)
    if stale:  # what the embedder learned from is all too familiar
        threshold = _quantile(np.concatenate([familiar[telling[use]], of_new]), settings.unknown_false_alarm)
    else:
        threshold = _refined_threshold(
            _quantile(familiar, settings.unknown_false_alarm), of_new, settings.unknown_false_alarm
        )
    judged_rows = np.isfinite(logits).any(1)
    members = _members(x, target, len(classes))
    return HeadFit(
        head=Head(
            W=weight.astype(np.float32),
            b=bias.astype(np.float32),
            classes=classes.astype(np.int64),
            temperature=temperature,
            unknown_threshold=threshold,
            member=embedding[members].astype(np.float16),
            member_class=y[members].astype(np.int64),
            class_count=np.bincount(target, minlength=len(classes)).astype(np.int64),
            centre=centre,
            logit_share=share,
        ),
        out_of_fold=OutOfFold(
            accuracy=accuracy[best],
            n=int(judged_rows.sum()),
            n_new=int((judged_rows & ~seen).sum()),
            l2=best,
            folds=folds,
            accuracy_by_l2=accuracy,
            likely_errors=likely_errors(logits[seen] / temperature, target[rows][seen]),
        ),
        audit_rows=len(audit_target),
    )


def familiarity(embedding: np.ndarray, logits: np.ndarray, centre: np.ndarray, logit_share: float) -> np.ndarray:
    """Cosine to the mean of the likeliest class plus a share of its logit: f32 [n].

    The largest logit alone (Vaze et al. 2022) says on which side of the boundaries a vector lies and how far from them,
    and a stranger may lie far out; the distance to the class itself (Mensink et al. 2013) sees that, but not how near
    other classes are. embedding: [n, d] of unit length; logits: [n, C]; centre: [C, d].
    """
    first = logits.argmax(1)
    cosine = np.einsum("ij,ij->i", embedding, centre[first])
    return (cosine + logit_share * logits[np.arange(len(logits)), first]).astype(np.float32)


def _centres(x: np.ndarray, target: np.ndarray, n_classes: int) -> np.ndarray:
    """f32 [C, d]: mean directions of classes; zeros where a class has no row."""
    by_class = scipy.sparse.csr_matrix((np.ones(len(x), x.dtype), (target, np.arange(len(x)))), (n_classes, len(x)))
    total = np.asarray(by_class @ x)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _familiarity_out_of_fold(
    x: np.ndarray, target: np.ndarray, fold: np.ndarray, rows: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, float]:
    """Familiarity f32 [k] of rows whose logits f64 [k, C] are out of fold, with centres of the other folds; and the
    share of the logit in it, by which it spreads LOGIT_SHARE times as far as the cosine."""
    cosine = np.zeros(len(rows), dtype=np.float32)
    for number in np.unique(fold[rows]):
        inside, others = fold[rows] == number, fold != number
        judged = inside & np.isfinite(logits).any(1)
        centre = _centres(x[others], target[others], logits.shape[1])
        cosine[judged] = familiarity(x[rows[judged]], logits[judged], centre, 0.0)
    top = logits.max(1, initial=-np.inf)
    spread = float(top.std()) if len(top) else 0.0
    share = LOGIT_SHARE * float(cosine.std()) / spread if math.isfinite(spread) and spread > 1e-6 else 0.0
    return (cosine + share * top).astype(np.float32), share


@dataclass(frozen=True)
class Prior:
    """What is thought of the temperature before rows tell it: log T is known to within log_spread."""

    temperature: float
    log_spread: float = PRIOR_LOG_T

    def refined(self, told: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """The likeliest temperature after (logits f64 [m, C], target i64 [m]) of rows that nothing learned from were
        seen; without any the temperature stays, from some fifty rows on they decide."""
        rows = [(logits, target) for logits, target in told if len(target)]
        if not rows:
            return self.temperature
        logits, target = np.concatenate([one for one, _ in rows]), np.concatenate([one for _, one in rows])
        return _fitted_temperature(logits, target, self)[0]


def _quantile(familiar: np.ndarray, false_alarm: float) -> float:
    """The threshold that calls a share of these unknown; NO_THRESHOLD, if they are too few to say."""
    return float(np.quantile(familiar, false_alarm)) if len(familiar) >= MIN_ROWS_FOR_THRESHOLD else NO_THRESHOLD


def _refined_threshold(threshold: float, of_audit: np.ndarray, false_alarm: float) -> float:
    """The threshold after audit rows: between both quantiles by numbers of rows, since that of few rows is noise."""
    theirs = _quantile(of_audit, false_alarm)
    if theirs == NO_THRESHOLD or threshold == NO_THRESHOLD:
        return threshold if theirs == NO_THRESHOLD else theirs
    n = len(of_audit)
    return (n * theirs + MIN_FRESH * threshold) / (n + MIN_FRESH)


def likely_errors(logits: np.ndarray, target: np.ndarray) -> int:
    """How many labels are probably wrong, by confident learning (Northcutt et al. 2021): rows that are as sure of
    another class as rows of that class are of it. logits: calibrated, out of fold, f64 [n, C]; classes with few rows
    are not asked. Cleanlab ranks them (`label_quality`); its import would take as long as a fit.
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
    """What heads that knew neither a row nor its group say of it: classes i64 [C], probabilities f32 [n, C].

    A class that the other folds do not know has probability 0; rows that no head could judge are 0 throughout.
    """
    classes, target = np.unique(y, return_inverse=True)
    large = embedding.size * len(classes) >= SMALL_PROBLEM
    x = embedding.astype(np.float32 if large else np.float64)
    logits = _out_of_fold(x, target, _folds(groups, seed)[0], len(classes), (l2,))[l2]
    scaled = logits / temperature
    top = np.where(np.isfinite(scaled).any(1), scaled.max(1), 0.0)
    likely = np.exp(scaled - top[:, None])
    return classes, (likely / np.maximum(likely.sum(1, keepdims=True), 1e-30)).astype(np.float32)


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
        "class_count": head.class_count,
        **(
            {}
            if head.centre is None
            else {"centre": head.centre, "logit_share": np.array([head.logit_share], dtype=np.float64)}
        ),
    }


def load_head(store: BlobStore, model: ModelRow) -> Head:
    """The head of a model row. Raises ModelFileError if its file is missing, changed or unfit."""
    if model.checkpoint_uri is None or model.checkpoint_hash is None:
        raise ModelFileError(f"Model {model.model_id} has no checkpoint.", "Train a head.")
    tensors, _ = load_arrays(store, model.checkpoint_uri, model.checkpoint_hash)
    try:
        whole = {name: tensors[name] for name in head_tensors_names()}
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
        # Heads of before it was stored kept every row as a member.
        class_count=tensors["class_count"]
        if "class_count" in tensors
        else (whole["member_class"][None, :] == whole["classes"][:, None]).sum(1),
        centre=tensors.get("centre"),
        logit_share=float(tensors["logit_share"][0]) if "logit_share" in tensors else 0.0,
    )


def head_tensors_names() -> tuple[str, ...]:
    """Names of the tensors that every head's checkpoint has."""
    return ("W", "b", "classes", "temperature", "unknown_threshold", "member", "member_class")


def _chosen_penalty(
    x: np.ndarray,
    target: np.ndarray,
    fold: np.ndarray,
    n_classes: int,
    settings: HeadSettings,
    rng: np.random.Generator,
) -> tuple[float, dict[float, float], np.ndarray, np.ndarray]:
    """The penalty, the accuracy of each, the rows they were judged on and their logits under the chosen one."""
    n = len(x)
    most = min(VALIDATION_ROWS, max(1_000, VALIDATION_SIZE // (x.shape[1] * n_classes)))
    rows = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))
    held_out = np.unique(fold[rows])
    if len(rows) < n:
        held_out = held_out[:VALIDATION_FOLDS]
    judged = _out_of_fold(x[rows], target[rows], fold[rows], n_classes, settings.l2_grid, held_out)
    accuracy = {l2: _accuracy(logits, target[rows]) for l2, logits in judged.items()}
    # Of equal accuracies the likelier one; without any judged row the middle of the grid.
    best = (
        max(settings.l2_grid, key=lambda l2: (accuracy[l2], -_fitted_temperature(judged[l2], target[rows])[1]))
        if not all(math.isnan(a) for a in accuracy.values())
        else sorted(settings.l2_grid)[len(settings.l2_grid) // 2]
    )
    return best, accuracy, rows, judged[best]


def _judged_fold(
    x: np.ndarray, target: np.ndarray, fold: np.ndarray, n_classes: int, l2: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Rows of one fold, their logits by a head of all others, and that head (W and b of all classes) to start from."""
    inside = fold == np.unique(fold)[0]
    rows = np.flatnonzero(inside)
    if len(rows) > VALIDATION_ROWS:
        rows = np.sort(rng.choice(rows, VALIDATION_ROWS, replace=False))
    known, place = np.unique(target[~inside], return_inverse=True)
    w, b = _fit(x[~inside], place, len(known), l2)
    logits = np.full((len(rows), n_classes), -np.inf)
    logits[:, known] = x[rows] @ w.T + b
    weight, bias = np.zeros((n_classes, x.shape[1])), np.zeros(n_classes)
    weight[known], bias[known] = w, b
    return rows, logits, (weight, bias)


def _fit(
    x: np.ndarray, target: np.ndarray, n_classes: int, l2: float, start: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights f64 [C, d] and biases f64 [C] that minimise the balanced cross-entropy plus l2/2 |W|^2.

    x: f64 (small problems, one thread) or f32; every class has a row. start: where to look first.
    """
    n, d = x.shape
    large = x.dtype == np.float32
    # The bias answers for the middle of the rows, so that the first steps are not spent on it.
    middle = x.mean(0, dtype=np.float64)
    stretched = np.ascontiguousarray((x - middle.astype(x.dtype)) * x.dtype.type(STRETCH))
    count = np.bincount(target, minlength=n_classes)
    weight = (n / (n_classes * count))[target].astype(x.dtype)

    def part(w: np.ndarray, b: np.ndarray, rows: slice) -> tuple[float, np.ndarray, np.ndarray]:
        some, true, much = stretched[rows], target[rows], weight[rows]
        logits = some @ w.T
        logits += b
        logits -= logits.max(axis=1, keepdims=True)
        each = np.arange(len(some))
        of_true = logits[each, true]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        value = float((much * (np.log(total) - of_true)).sum(dtype=np.float64))
        logits *= (much / total)[:, None]
        logits[each, true] -= much
        return value, logits.T @ some, logits.sum(axis=0)

    step = FIT_CHUNK if large else n
    chunks = [slice(low, low + step) for low in range(0, n, step)]
    # Small products gain nothing from threads and lose tenfold where other processes want the cores too.
    with _each_on_its_core(part, chunks if large else []) as in_order:

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            w, b = flat[: n_classes * d].reshape(n_classes, d), flat[n_classes * d :]
            # A whisper of penalty on the biases: the softmax does not see a constant added to all of them.
            value = 0.5 * l2 * float((w**2).sum()) + 0.5e-3 * float((b**2).sum())
            gradient_w, gradient_b = l2 * w, 1e-3 * b
            for more, of_w, of_b in in_order(w.astype(x.dtype), b.astype(x.dtype), chunks):
                value += more
                gradient_w += of_w
                gradient_b += of_b
            return value, np.concatenate([gradient_w.ravel(), gradient_b])

        at = np.zeros(n_classes * (d + 1))
        if start is not None:
            at = np.concatenate([(start[0] / STRETCH).ravel(), start[1] + start[0] @ middle])
        options = {"maxiter": 60, "ftol": LARGE_TOLERANCE} if large else {"maxiter": 300}
        found = scipy.optimize.minimize(loss, at, jac=True, method="L-BFGS-B", options=options)
    w = found.x[: n_classes * d].reshape(n_classes, d) * STRETCH
    return w, found.x[n_classes * d :] - w @ middle


@contextmanager
def _each_on_its_core(
    part: Callable[[np.ndarray, np.ndarray, slice], tuple[float, np.ndarray, np.ndarray]], chunks: list[slice]
) -> Iterator[Callable[[np.ndarray, np.ndarray, list[slice]], Iterator[tuple[float, np.ndarray, np.ndarray]]]]:
    """A map of part over chunks whose answers come in their order; without chunks in this thread."""
    with threadpool_limits(1):
        if not chunks:
            yield lambda w, b, rows: (part(w, b, some) for some in rows)
            return
        with ThreadPoolExecutor(min(len(chunks), len(os.sched_getaffinity(0)))) as pool:
            yield lambda w, b, rows: pool.map(lambda some: part(w, b, some), rows)


def _members(x: np.ndarray, target: np.ndarray, n_classes: int) -> np.ndarray:
    """Rows kept for novelty, ascending: all, or of each class those that lie farthest apart (Gonzalez 1985)."""
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


def _out_of_fold(
    x: np.ndarray,
    target: np.ndarray,
    fold: np.ndarray,
    n_classes: int,
    penalties: tuple[float, ...],
    held_out: np.ndarray | None = None,
) -> dict[float, np.ndarray]:
    """Under each penalty, logits f64 [n, C] of each row by the head of the other folds; -inf where it knows no class.

    held_out: judge only the rows of these folds.
    """
    logits = {l2: np.full((len(x), n_classes), -np.inf) for l2 in penalties}
    for number in np.unique(fold) if held_out is None else held_out:
        inside = fold == number
        known, place = np.unique(target[~inside], return_inverse=True)
        if len(known) < 2:
            continue
        start = None
        for l2 in sorted(penalties, reverse=True):  # from the strongest: the next one begins near its end
            start = w, b = _fit(x[~inside], place, len(known), l2, start)
            logits[l2][np.ix_(inside, known)] = x[inside] @ w.T + b
    return logits


def _seen(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.isfinite(logits[np.arange(len(logits)), target])


def _accuracy(logits: np.ndarray, target: np.ndarray) -> float:
    judged = np.isfinite(logits).any(1)
    return float((logits[judged].argmax(1) == target[judged]).mean()) if judged.any() else math.nan


def _fitted_temperature(logits: np.ndarray, target: np.ndarray, before: Prior | None = None) -> tuple[float, float]:
    """Temperature that makes held-out rows of known classes likeliest, and their mean negative log-likelihood."""
    seen = _seen(logits, target)
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
