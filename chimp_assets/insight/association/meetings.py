"""Occasions on which two named tracks were together, for all individuals at once.

Belongs here: the three rules of `together` on columns of tracks. Does not belong here: frames and boxes (`together`),
units (`presence`), indices (`network`, `estimates`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.insight.association.filmed_tracks import UNTIMED, NamedTracks
from chimp_assets.insight.association.presence import Presence
from chimp_assets.insight.association.scope import Scope
from chimp_assets.statistics.association.columns import Meetings


def meetings(seen: NamedTracks, asked: Scope, where: Presence) -> Meetings:
    """All meetings of two tracks, also of two with one name. A meeting is in the unit in which the later of both
    begins; those whose unit is unknown are left out. An occasion is a clip, that of the later track."""
    if asked.unit.kind == "frame":
        rows, others = _in_one(where.unit, where.row)
        row, other, unit = where.row[rows], where.row[others], where.unit[rows]
    else:
        row, other = _near(seen, asked.minutes) if asked.rule == "minutes" else _in_clips(seen, asked.rule == "frame")
        unit = where.begins[other]
    known = unit >= 0 if asked.unit.needs_time else np.ones(len(unit), bool)
    both = np.stack([row[known], other[known]])
    later = both[1]
    occasion = unit[known] if asked.unit.kind == "frame" else seen.video[later]
    return Meetings(both, seen.who[both], seen.person[both], unit[known], seen.day[later], occasion)


def _in_one(unit: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of appearances in one unit, as rows."""
    order = np.lexsort((row, unit))
    sorted_ = unit[order]
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        same = sorted_[step:] == sorted_[:-step]
        if not same.any():
            break
        ones.append(order[:-step][same])
        others.append(order[step:][same])
    return np.concatenate(ones), np.concatenate(others)


def _in_clips(seen: NamedTracks, at_once: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of tracks in one clip: the row of each; the later one second."""
    order = np.lexsort((seen.first, seen.video))
    one, other = _in_one(seen.video[order], np.arange(len(order)))
    one, other = order[one], order[other]
    if at_once:
        overlap = seen.first[other] <= seen.last[one]
        one, other = one[overlap], other[overlap]
    return one, other


def _near(seen: NamedTracks, minutes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of tracks at one camera where the later begins at most this many minutes after the earlier ends. One pair
    for each two individuals, clip of the later, and kind of name.
    """
    gap = minutes * 60_000_000
    timed = np.flatnonzero(seen.begins != UNTIMED)
    order = timed[np.lexsort((seen.begins[timed], seen.place[timed]))]
    place, begins, ends = seen.place[order], seen.begins[order], seen.ends[order]
    who, person, clip = seen.who[order], seen.person[order], seen.video[order]
    reach = gap + int((ends - begins).max(initial=0))
    n_who, clips = int(who.max(initial=0)) + 1, np.unique(clip)
    on = np.searchsorted(clips, clip)
    found, ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        here = place[step:] == place[:-step]
        if not (here & (begins[step:] - begins[:-step] <= reach)).any():
            break
        one = np.flatnonzero(here & (begins[step:] - ends[:-step] <= gap) & (who[step:] != who[:-step]))
        other = one + step
        code = ((who[one] * n_who + who[other]) * len(clips) + on[other]) * 4 + 2 * person[one] + person[other]
        once, first = np.unique(code, return_index=True)
        found.append(once)
        ones.append(order[one[first]])
        others.append(order[other[first]])
    _, first = np.unique(np.concatenate(found), return_index=True)
    return np.concatenate(ones)[first], np.concatenate(others)[first]
