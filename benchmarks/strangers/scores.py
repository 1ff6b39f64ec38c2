"""Scores of how familiar a track is, from the literature, to compare with the head's (larger: more familiar).

All see what the head sees: vectors and names of the tracks that taught it. None is used by the product; what they gave
is in docs/research/strangers.md. Belongs here: the scores. Does not belong here: what is measured on them (`__main__`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from chimp_assets.vision.identity.head import IdentityHead

ISOTROPY = 0.9  # share of the scatter within individuals that the two covariances take for equal in all directions
ISOTROPY_BETWEEN = 0.1
TINY = 1e-4


@dataclass(frozen=True)
class Gallery:
    """What a head was taught. vector: f64 [m, d] of unit length; who: i64 [m], rows of head.classes."""

    head: IdentityHead
    vector: np.ndarray
    who: np.ndarray


def all_scores(gallery: Gallery, asked: np.ndarray) -> dict[str, np.ndarray]:
    """Every score by its name, f64 [n]. asked: vectors [n, d] of unit length."""
    asked = asked.astype(np.float64)
    logits = gallery.head.logits(asked).astype(np.float64)
    ordered = np.sort(logits, axis=1)
    distance, relative = _mahalanobis(gallery, asked)
    return {
        "the head's": gallery.head.familiarity(asked.astype(np.float32), logits.astype(np.float32)).astype(np.float64),
        "largest logit": ordered[:, -1],
        "energy": np.logaddexp.reduce(logits / gallery.head.temperature, axis=1),
        "largest probability": gallery.head.probabilities(logits.astype(np.float32)).max(1).astype(np.float64),
        "margin": ordered[:, -1] - ordered[:, -2],
        "cosine to the mean": _cosine_to_first(gallery, asked, logits),
        "cosine less the individual's own": _cosine_to_first(gallery, asked, logits)
        - _own_cosine(gallery)[logits.argmax(1)],
        "nearest track": (asked @ gallery.vector.T).max(1),
        "three nearest tracks": np.sort(asked @ gallery.vector.T, axis=1)[:, -3:].mean(1),
        "cohort": _cohort(gallery, asked, logits),
        "Mahalanobis": distance,
        "relative Mahalanobis": relative,
        "two covariances": two_covariances(gallery, asked),
    }


def two_covariances(gallery: Gallery, asked: np.ndarray) -> np.ndarray:
    """Log likelihood ratio of the likeliest individual to a new one (PLDA; Ioffe 2006), f64 [n].

    Tracks scatter within an individual, means of individuals scatter between them, both normally; a mean is the less
    certain, the fewer tracks it has.
    """
    n, mean = _means(gallery)
    centre = mean.mean(0)
    within = _within(gallery, ISOTROPY)
    apart = mean - centre
    between = _rounder(apart.T @ apart / max(1, len(mean) - 1), ISOTROPY_BETWEEN)
    # In these axes the scatter within is 1 and that between is diagonal.
    spread, axes = scipy.linalg.eigh(between, within)
    of_asked, of_mean = (asked - centre) @ axes, apart @ axes
    expected = of_mean * (spread / (spread + 1 / n[:, None]))
    variance = 1 + spread / (n[:, None] * spread + 1)
    of_each = (
        (of_asked**2) @ (1 / variance).T
        - 2 * of_asked @ (expected / variance).T
        + (expected**2 / variance + np.log(variance)).sum(1)
    )
    of_new = (of_asked**2 / (1 + spread) + np.log1p(spread)).sum(1)
    ratio: np.ndarray = 0.5 * (of_new - of_each.min(1))
    return ratio


def _means(gallery: Gallery) -> tuple[np.ndarray, np.ndarray]:
    """Tracks of each individual f64 [C] and their means f64 [C, d]."""
    n = np.bincount(gallery.who, minlength=len(gallery.head.classes)).astype(np.float64)
    return n, np.stack([gallery.vector[gallery.who == one].mean(0) for one in range(len(n))])


def _within(gallery: Gallery, share: float) -> np.ndarray:
    """f64 [d, d]: covariance within individuals that have two tracks or more."""
    n, mean = _means(gallery)
    several = n[gallery.who] > 1
    off = (gallery.vector - mean[gallery.who]) * np.sqrt(n / np.maximum(1, n - 1))[gallery.who][:, None]
    return _rounder(off[several].T @ off[several] / max(1, several.sum()), share)


def _rounder(covariance: np.ndarray, share: float) -> np.ndarray:
    """A covariance of which a share is spread equally over all directions."""
    d = len(covariance)
    rounder: np.ndarray = (1 - share) * covariance + (share * np.trace(covariance) / d + TINY) * np.eye(d)
    return rounder


def _mahalanobis(gallery: Gallery, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minus the squared distance to the nearest mean, and that less the distance to all (Ren et al. 2021)."""
    _, mean = _means(gallery)
    inverse = np.linalg.inv(_within(gallery, 0.5))
    off = asked[:, None] - mean[None]
    nearest = np.einsum("ncd,de,nce->nc", off, inverse, off).min(1)
    centred = gallery.vector - gallery.vector.mean(0)
    whole = np.linalg.inv(_rounder(centred.T @ centred / len(centred), 0.5))
    from_all = asked - gallery.vector.mean(0)
    return -nearest, np.einsum("nd,de,ne->n", from_all, whole, from_all) - nearest


def _centres(gallery: Gallery) -> np.ndarray:
    """Mean directions of individuals, f64 [C, d]."""
    if gallery.head.centre is None:
        raise ValueError("a head without centres")
    return gallery.head.centre.astype(np.float64)


def _cosine_to_first(gallery: Gallery, asked: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", asked, _centres(gallery)[logits.argmax(1)])


def _own_cosine(gallery: Gallery) -> np.ndarray:
    """f64 [C]: how near its own tracks are to the mean of its others, as if two more were average."""
    n, mean = _means(gallery)
    others = mean[gallery.who] * n[gallery.who][:, None] - gallery.vector
    length = np.linalg.norm(others, axis=1)
    several = n[gallery.who] > 1
    cosine = np.einsum("ij,ij->i", gallery.vector, others)[several] / np.maximum(length[several], TINY)
    total = np.bincount(gallery.who[several], cosine, len(n))
    count = np.bincount(gallery.who[several], minlength=len(n))
    average = cosine.mean() if len(cosine) else 0.5
    own: np.ndarray = (total + 2 * average) / (count + 2)
    return own


def _cohort(gallery: Gallery, asked: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The cosine to the mean in units of how it looks to tracks of others and of how others look to it (s-norm)."""
    centre, first = _centres(gallery), logits.argmax(1)
    to_all = asked @ centre.T
    others = np.where(np.arange(len(centre)) == first[:, None], np.nan, to_all)
    cosine = to_all[np.arange(len(asked)), first]
    by_test = (cosine - np.nanmean(others, 1)) / (np.nanstd(others, 1) + 0.05)
    impostors = np.where(gallery.who[:, None] == np.arange(len(centre)), np.nan, gallery.vector @ centre.T)
    by_class = (cosine - np.nanmean(impostors, 0)[first]) / (np.nanstd(impostors, 0)[first] + 1e-3)
    return by_test + by_class
