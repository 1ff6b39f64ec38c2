"""Occasions on which two individuals were together, for all pairs at once.

Belongs here: the three rules of `together` on columns of tracks. Does not belong here: frames and boxes (`together`),
indices (`network`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.insight.association.filmed_tracks import UNTIMED, NamedTracks
from chimp_assets.insight.association.together import Scope


def meetings(seen: NamedTracks, asked: Scope) -> tuple[np.ndarray, np.ndarray]:
    """Occasions of two: i64 [n, 3] (rows of individuals a < b, and the day); whether persons named both, bool [n]."""
    one, other, day = _near(seen, asked.minutes) if asked.rule == "minutes" else _in_clips(seen, asked.rule == "frame")
    differ = seen.who[one] != seen.who[other]
    one, other, day = one[differ], other[differ], day[differ]
    a, b = np.minimum(seen.who[one], seen.who[other]), np.maximum(seen.who[one], seen.who[other])
    return np.stack([a, b, day], axis=1).reshape(-1, 3), seen.person[one] & seen.person[other]


def _in_clips(seen: NamedTracks, at_once: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of tracks in one clip: row of each track, and the day."""
    order = np.lexsort((seen.first, seen.video))
    video, first, last = seen.video[order], seen.first[order], seen.last[order]
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        same = video[step:] == video[:-step]
        if not same.any():
            break
        if at_once:
            same &= first[step:] <= last[:-step]
        ones.append(order[:-step][same])
        others.append(order[step:][same])
    one, other = np.concatenate(ones), np.concatenate(others)
    return one, other, seen.day[one]


def _near(seen: NamedTracks, minutes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of tracks at one camera where the later begins at most this many minutes after the earlier ends. One pair
    for each two individuals, day, and kind of name.
    """
    gap = minutes * 60_000_000
    timed = np.flatnonzero(seen.begins != UNTIMED)
    order = timed[np.lexsort((seen.begins[timed], seen.place[timed]))]
    place, begins, ends = seen.place[order], seen.begins[order], seen.ends[order]
    who, person, day = seen.who[order], seen.person[order], seen.day[order]
    reach = gap + int((ends - begins).max(initial=0))
    n_who, days = int(who.max(initial=0)) + 1, np.unique(day)
    on = np.searchsorted(days, day)
    found, ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        here = place[step:] == place[:-step]
        if not (here & (begins[step:] - begins[:-step] <= reach)).any():
            break
        one = np.flatnonzero(here & (begins[step:] - ends[:-step] <= gap) & (who[step:] != who[:-step]))
        other = one + step
        low, high = np.minimum(who[one], who[other]), np.maximum(who[one], who[other])
        code = ((low * n_who + high) * len(days) + on[other]) * 2 + (person[one] & person[other])
        once, first = np.unique(code, return_index=True)
        found.append(once)
        ones.append(order[one[first]])
        others.append(order[other[first]])
    _, first = np.unique(np.concatenate(found), return_index=True)
    one, other = np.concatenate(ones)[first], np.concatenate(others)[first]
    return one, other, seen.day[other]
