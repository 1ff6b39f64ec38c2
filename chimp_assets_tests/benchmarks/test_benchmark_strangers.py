"""Scores of strangers that are measured beside the head's: each orders as it says it does."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from benchmarks.strangers.scores import ISOTROPY, ISOTROPY_BETWEEN, TINY, Gallery, all_scores, two_covariances
from chimp_assets.settings import HeadSettings
from chimp_assets.vision.evaluation.metrics import auroc
from chimp_assets.vision.identity.fitting import fit_head


def world(d: int = 8, individuals: int = 6, tracks: int = 12):
    """A gallery of known individuals, other tracks of them, and tracks of as many strangers."""
    rng = np.random.default_rng(5)
    place = np.linalg.qr(rng.normal(size=(2 * individuals, 2 * individuals)))[0][:, :d]
    place /= np.linalg.norm(place, axis=1, keepdims=True)

    def drawn(who):
        vector = place[who] + 0.15 * rng.normal(size=(len(who), d))
        return vector / np.linalg.norm(vector, axis=1, keepdims=True)

    known, strange = (np.repeat(np.arange(individuals) + start, tracks) for start in (0, individuals))
    taught = drawn(known)
    head = fit_head(taught.astype(np.float32), known, np.tile(np.arange(tracks), individuals), HeadSettings(), 0).head
    return Gallery(head, taught, known), drawn(known), drawn(strange)


@pytest.fixture(scope="module")
def asked():
    return world()


def test_every_score_takes_known_individuals_for_more_familiar_than_strangers(asked):
    """A score with its sign turned would look like a score that does not help."""
    gallery, known, strange = asked
    is_known = np.arange(len(known) + len(strange)) < len(known)
    for name, score in all_scores(gallery, np.concatenate([known, strange])).items():
        assert np.isfinite(score).all(), name
        assert auroc(is_known, score) > 0.6, name


def test_the_ratio_of_two_covariances_is_that_of_the_normal_distributions(asked):
    """It is computed in axes where both are diagonal; written out it must be the same number."""
    gallery, known, _ = asked
    x, who = gallery.vector, gallery.who
    mean = np.stack([x[who == one].mean(0) for one in range(6)])
    d = x.shape[1]

    def rounder(covariance, share):
        return (1 - share) * covariance + (share * np.trace(covariance) / d + TINY) * np.eye(d)

    off = (x - mean[who]) * np.sqrt(12 / 11)
    within = rounder(off.T @ off / len(x), ISOTROPY)
    apart = mean - mean.mean(0)
    between = rounder(apart.T @ apart / 5, ISOTROPY_BETWEEN)
    gain = between @ np.linalg.inv(between + within / 12)
    of_each = [
        multivariate_normal.logpdf(known, mean.mean(0) + gain @ one, within + between - gain @ between) for one in apart
    ]
    of_new = multivariate_normal.logpdf(known, mean.mean(0), within + between)
    assert np.allclose(two_covariances(gallery, known), np.max(of_each, axis=0) - of_new)
