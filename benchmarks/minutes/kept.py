"""Whether a promise is kept: many synthetic archives, and usual ways that break it.

Each archive has clips of four tracks whose names are wrong together (correlation .5) and lengths lognormal (sigma 1).
Half of its named frames are a person's; of the tested ones the machine is sure enough to carry one half, pages named
the other and missed some wrong ones. True shares are set, not learned: a promise is tried just above what it promises.

Belongs here: those archives, the product's promise on them, foils. Does not belong here: the replay of an expert
(`replay`), the test itself (`chimp_assets.acquisition.minutes.promises`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats

from benchmarks.minutes.promise import look

CLIP = 4
CORRELATION = 0.5
TESTED = 0.5
"""Share of the named frames that no person named alone."""
AUDITS = 120
LOOKS = 12
CONFIDENCE = 0.95


@dataclass(frozen=True)
class NamedTracks:
    """n tracks that are named, none by a person alone. frames: f64 [n]; wrong: bool [n]; sure: f64 [n], what a head
    gives its name; clip: i64 [n]; on_page: bool [n], confirmed there; reserve: bool [n], those of the machine's names
    that the audit lane may ask."""

    frames: np.ndarray
    wrong: np.ndarray
    sure: np.ndarray
    clip: np.ndarray
    on_page: np.ndarray
    reserve: np.ndarray

    @property
    def error(self) -> float:
        """True share of the frames whose name is wrong."""
        return float(self.frames[self.wrong].sum() / self.frames.sum())


def named_tracks(n: int, error: float, rng: np.random.Generator) -> NamedTracks:
    """Tracks of which at least a share `error` of the frames is wrong, by as little as tracks allow."""
    clip = np.arange(n) // CLIP
    # A track is as its clip with the root of the correlation: two of a clip then agree by chance as often as it says.
    as_clip = rng.random(n) < np.sqrt(CORRELATION)
    latent = np.where(as_clip, rng.random(clip[-1] + 1)[clip], rng.random(n))
    frames = np.exp(rng.standard_normal(n))
    order = np.argsort(latent, kind="stable")
    wrong = np.zeros(n, bool)
    wrong[order[: int(np.searchsorted(np.cumsum(frames[order]), error * frames.sum())) + 1]] = True
    sure = 1 / (1 + np.exp(-(2.0 + 1.5 * rng.standard_normal(n) - 0.7 * wrong)))
    # Pages show what the machine does not carry yet.
    on_page = sure < np.median(sure)
    return NamedTracks(frames, wrong, sure, clip, on_page, ~on_page & (rng.random(n) < 0.2))


def promised(tracks: NamedTracks, most: float, rng: np.random.Generator, looks: int = 1) -> bool:
    """The product's promise: fresh draws by frames from all of these names, bets; up to some looks."""
    return any(look(tracks.frames, tracks.wrong, most, k, rng)[0] for k in range(1, looks + 1))


def one_look(tracks: NamedTracks, most: float, rng: np.random.Generator) -> bool:
    """A foil, and an honest one: random tracks unweighted, Clopper-Pearson once."""
    rows = rng.choice(len(tracks.wrong), AUDITS)
    return _clopper_pearson(int(tracks.wrong[rows].sum()), AUDITS) <= most


def whole_clips(tracks: NamedTracks, most: float, rng: np.random.Generator) -> bool:
    """A foil: whole clips are audited as if their tracks were drawn one by one."""
    clips = rng.choice(tracks.clip[-1] + 1, AUDITS // CLIP, replace=False)
    rows = np.isin(tracks.clip, clips)
    return _clopper_pearson(int(tracks.wrong[rows].sum()), int(rows.sum())) <= most


def twelve_looks(tracks: NamedTracks, most: float, rng: np.random.Generator) -> bool:
    """A foil: the same interval, looked at after every tenth audit, until it says what one wants."""
    rows = rng.choice(len(tracks.wrong), LOOKS * AUDITS // 6)
    wrong = np.cumsum(tracks.wrong[rows])
    return any(
        _clopper_pearson(int(wrong[n - 1]), n) <= most
        for n in range(len(rows) // LOOKS, len(rows) + 1, len(rows) // LOOKS)
    )


def best_of_thresholds(tracks: NamedTracks, most: float, rng: np.random.Generator) -> bool:
    """A foil: of 20 thresholds the lowest whose audit passes. True where it passes and names above it break the
    promise."""
    rows = rng.choice(len(tracks.wrong), 2 * AUDITS)
    for threshold in np.quantile(tracks.sure, np.linspace(0, 0.5, 20)):
        above = rows[tracks.sure[rows] >= threshold]
        if _clopper_pearson(int(tracks.wrong[above].sum()), len(above)) <= most:
            carried = tracks.sure >= threshold
            return float(tracks.frames[carried & tracks.wrong].sum() / tracks.frames[carried].sum()) > most
    return False


def running_audit(tracks: NamedTracks, most: float, rng: np.random.Generator) -> bool:
    """A foil: the audit lane's own answers, from a reserve that no page shows, stand for all names.

    What pages missed is among the names and not in the reserve.
    """
    rest = np.flatnonzero(tracks.reserve)
    rows = rng.choice(rest, AUDITS)
    n, wrong = AUDITS, int(tracks.wrong[rows].sum())
    centre = (wrong + 1.353) / (n + 2.706)  # Wilson's one-sided limit at 95 %
    half = 1.645 / (n + 2.706) * np.sqrt(wrong * (n - wrong) / n + 1.645**2 / 4)
    return bool(centre + half <= most)


def _clopper_pearson(wrong: int, n: int) -> float:
    return 1.0 if wrong >= n else float(scipy.stats.beta.ppf(CONFIDENCE, wrong + 1, n - wrong))


FOILS = {
    "random tracks, one look, Clopper-Pearson": one_look,
    "whole clips of four": whole_clips,
    "twelve looks": twelve_looks,
    "best of 20 thresholds": best_of_thresholds,
    "running audit lane with pages, Wilson": running_audit,
}


def said(way: str, most: float, error: float, archives: int, seed: int = 0, n: int = 800) -> float:
    """Share of archives with this true error of all names of which a way says "at most `most`".

    way: promise, or one of FOILS; all of them test the part that no person named alone.
    """
    times = 0
    for number in range(archives):
        rng = np.random.default_rng((seed, number, 22))
        tracks = named_tracks(n, error / TESTED, rng)
        times += promised(tracks, most / TESTED, rng) if way == "promise" else FOILS[way](tracks, most / TESTED, rng)
    return times / archives


def limit_of(archives: int, share: float = 0.05) -> float:
    """The largest share that chance allows (99 %) in so many archives where `share` is allowed."""
    return float(scipy.stats.binom.ppf(0.99, archives, share)) / archives
