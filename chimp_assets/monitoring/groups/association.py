"""What wrong names do to association indices, by group: too rough to correct with, enough to see whom it touches.

An animal that is named rightly with chance r (recall), and of whose names a share p (precision) is right, is seen
together with another one in r x r' of their true meetings, and alone or together in r / p of its true sightings. So the
half-weight index of the two, x / ((a + b) / 2) (Cairns and Schwager 1987), becomes

    r r' / ((r / p + r' / p') / 2)

of what it would be without wrong names. It takes one track for a sighting and wrong names for strangers: more tracks of
a sighting make it less, names that go to companions (kin) more or less.

Belongs here: this factor and its interval. Does not belong here: indices (`insight.association`), their correction.
"""

from __future__ import annotations

import math

import numpy as np

from chimp_assets.monitoring.groups.answers import JudgedTracks
from chimp_assets.monitoring.groups.comparison import GroupMetric
from chimp_assets.statistics.blocks import GAIN, block_statistic

NAME = "association_bias"
KINDS = ("sex", "age_class", "matriline")
DRAWS = 400


def association_bias(
    judged: JudgedTracks, told: list[GroupMetric], least: int, rng: np.random.Generator
) -> list[GroupMetric]:
    """By how much indices between a group and all others come out too small (below 0), by sex, age class, matriline.

    told: what was said of recall and precision: a group that is named worse has worse indices; none is compared anew.
    """
    said = {(one.slice_kind, one.slice_value, one.name): one for one in told}
    found = []
    for kind in KINDS:
        of, by = judged.of.get(kind), judged.by.get(kind)
        if of is None or by is None:
            continue
        names = sorted({*of[judged.known].tolist()} - {""})
        for value in names if len(names) > 1 else []:
            recall, precision = (said.get((kind, value, name)) for name in ("recall", "precision"))
            if recall is None:
                continue
            enough = recall.n >= least and precision is not None and precision.n >= least
            one = block_statistic(_factor(judged, of, by, value), judged.block, rng, DRAWS, limits=GAIN)
            states = {recall.state, precision.state if precision else "too_few"}
            state = "worse" if "worse" in states else "too_few" if not enough or "too_few" in states else "same"
            nothing = math.nan
            found.append(
                GroupMetric(
                    kind, value, NAME, one.value if enough else nothing, one.low if enough else nothing,
                    one.high if enough else nothing, None, recall.n, recall.blocks, state,
                    recall.needed if state == "too_few" else None,
                )
            )  # fmt: skip
    return found


def factor(recall: float, precision: float, other_recall: float, other_precision: float) -> float:
    """The factor on an index of two animals less 1; NaN where one is never named rightly."""
    if not min(recall, precision, other_recall, other_precision) > 0:
        return math.nan
    return recall * other_recall / ((recall / precision + other_recall / other_precision) / 2) - 1


def _factor(judged: JudgedTracks, of: np.ndarray, by: np.ndarray, value: str):  # type: ignore[no-untyped-def]
    right = judged.right & judged.named

    def share(rows: np.ndarray, mine: np.ndarray) -> float:
        chosen = rows[mine[rows]]
        weight = judged.weight[chosen]
        return float((weight * right[chosen]).sum() / weight.sum()) if len(chosen) else math.nan

    true, other = judged.known & (of == value), judged.known & (of != value) & (of != "")
    said, said_other = judged.named & (by == value), judged.named & (by != value) & (by != "")

    def statistic(rows: np.ndarray) -> float:
        return factor(share(rows, true), share(rows, said), share(rows, other), share(rows, said_other))

    return statistic
