"""Which tracks volunteers are asked about: "is this X?", X being the first name that the head proposes.

Two people who say yes give the track its name, and none of the expert's seconds are spent. So the tracks that bring
most frames for each second of volunteers come first: frames x chance / (seconds of an answer x people still needed). A
name that is carried anyway gains nothing, one below VOLUNTEERS_FROM is mostly denied.

Belongs here: which and how many, on plain arrays. Does not belong here: who volunteers and what they said
(`chimp_assets.loop.minutes.is_it`), when two have agreed (`chimp_assets.database.labels.is_it.ballots`).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.minutes.goal import VOLUNTEERS_FROM
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.arrays import F64Array, I64Array

LEAST = 40
"""Items of a plan where somebody volunteers, however little was answered lately: half an hour for two people."""


@dataclass(frozen=True)
class FirstNames:
    """The m tracks that volunteers may be asked about, as row-aligned arrays.

    track i64 [m], ascending; individual i64 [m], of the head's first name; frames f64 [m]; chance f64 [m], that the
    name is right; needed i64 [m] >= 1, people who must still say so; video i64 [m]
    """

    track: I64Array
    individual: I64Array
    frames: F64Array
    chance: F64Array
    needed: I64Array
    video: I64Array

    def __len__(self) -> int:
        return len(self.track)


@dataclass(frozen=True)
class IsItQuestions:
    """What volunteers are asked, best first: track and individual i64 [k], propensity f64 [k], reasons [k]."""

    track: I64Array
    individual: I64Array
    propensity: F64Array
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.track)


NO_QUESTIONS = IsItQuestions(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), [])


def is_it_questions(
    names: FirstNames,
    threshold: float,
    b: int,
    prices: Prices,
    video_cap: float = 0.1,
    individual_cap: float = 0.25,
) -> IsItQuestions:
    """At most b tracks to ask about, those first that bring most frames for a second of volunteers.

    threshold: chance from which machine names are carried. video_cap, individual_cap: largest share of b from one
    video and of one individual: who sees X twenty times in a row says yes. Nothing is drawn, so each propensity is 1.
    """
    may = (names.chance >= VOLUNTEERS_FROM) & (names.chance < threshold) & (names.needed > 0)
    rows = np.flatnonzero(may)
    rate = names.frames * names.chance / (prices.is_it * np.maximum(names.needed, 1))
    most = {kind: max(1, math.ceil(cap * b)) for kind, cap in (("video", video_cap), ("individual", individual_cap))}
    seen: Counter[tuple[str, int]] = Counter()
    chosen: list[int] = []
    for row in rows[np.lexsort((names.track[rows], -rate[rows]))].tolist():
        if len(chosen) >= b:
            break
        groups = [("video", int(names.video[row])), ("individual", int(names.individual[row]))]
        if all(seen[group] < most[group[0]] for group in groups):
            seen.update(groups)
            chosen.append(row)
    reasons = [reason_of(frames) for frames in names.frames[chosen].tolist()]
    return IsItQuestions(names.track[chosen], names.individual[chosen], np.ones(len(chosen)), reasons)


def reason_of(frames: float) -> str:
    """Why it is asked; the same for all tracks of so many frames, whatever else is known of them."""
    n = round(frames)
    return f"Two people who say yes give {n:,} {'frame' if n == 1 else 'frames'} a name."


def how_many(answers: int, plans: int, has_volunteers: bool) -> int:
    """Items of a plan: as many as volunteers answered between two plans lately, at least LEAST; 0 without volunteers.

    answers, plans: of the same days. Each item takes two people, so that many items last for two such times.
    """
    return max(LEAST, math.ceil(answers / max(1, plans))) if has_volunteers else 0
