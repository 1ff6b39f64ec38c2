"""`python -m benchmarks.strangers --crops CSV`: is an animal that nobody named flagged within its first three tracks?

Real crops (the format of `benchmarks.identity`), an embedder learned from zero on the known individuals of each split,
the head fitted on their training tracks. A fifth of the individuals is hidden from everything; a track is up to five
consecutive crops of one individual in one session. Strangers and known individuals (in sessions kept for the test) are
asked alike: is any of three of its tracks, drawn at random, called unknown? What a false alarm is makes a large
difference, so both are shown, with 95 % intervals over splits:

- of tracks: 10 % of the tracks of known individuals are called unknown (some 20 to 30 % of the individuals by any of
  three tracks), as `head.unknown_false_alarm` means it;
- of individuals: of the known ones 10 % have any of three tracks called unknown, the same as is asked of strangers.

With --scores, a second table: other scores of the same tracks, split by split against the head's own (`scores`).

The names that begin with `flagged` without `exact` are at the head's own threshold, which comes from cross-validation
over training sessions at 10 % of tracks: no test track sets it. The others say what the same scores give where the
threshold has exactly the false alarms.

Belongs here: this measurement. Does not belong here: the splits (`support.crops`), the head, other
scores (`scores`).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.strangers.scores import Gallery, all_scores
from benchmarks.support.crops import HIDDEN_SHARE, TEST_SHARE, CropTable, held_out, interval, read_table

TRACK_CROPS = 5  # as embed.crops_per_track
FIRST = 3
DRAWS = 20
FALSE_ALARM = 0.10
JUDGING_SHARE = 0.25  # of training sessions that the embedder does not learn from, so that they tell how sure to be
NAMES = (
    "flagged_within_3",
    "false_alarm_of_tracks",
    "false_alarm_of_individuals",
    "track_auroc",
    "flagged_within_3_at_exact_10_of_tracks",
    "flagged_within_3_at_exact_10_of_individuals",
)


@dataclass(frozen=True)
class Split:
    """All numbers of one split; by_score: of each score, AUROC and flagged within 3 at exactly 10 % of tracks."""

    numbers: dict[str, float]
    by_score: dict[str, tuple[float, float]]


def measure_split(table: CropTable, split: int, views: int, pretrained: bool = False, scores: bool = False) -> Split:
    """One split; scores: of the other scores too."""
    import torch

    from chimp_assets.settings import HeadSettings
    from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn
    from chimp_assets.vision.evaluation.metrics import auroc
    from chimp_assets.vision.identity.fitting import fit_head

    torch.set_num_threads(1)
    rng = np.random.default_rng((split, 2))
    x, y, group = table.pictures, table.target, table.group
    test = held_out(y, group, rng, TEST_SHARE)
    hidden = np.isin(y, rng.permutation(table.n_individuals)[: max(1, round(HIDDEN_SHARE * table.n_individuals))])
    teach = ~test & ~hidden
    aside = np.zeros(len(y), dtype=bool)
    aside[teach] = held_out(y[teach], group[teach], rng, JUDGING_SHARE)
    embeds = teach & ~aside
    learned = learn(
        Crops(x[embeds], y[embeds]), replace(Recipe(), min_views=views, epochs=0, pretrained=pretrained), seed=split
    )
    crops = learned.embedder.embed(x)
    vector, who, when, kind = _tracks(crops, y, group, np.where(hidden, 3, np.where(test, 2, np.where(aside, 1, 0))))
    taught, known, strange = kind <= 1, kind == 2, kind == 3
    known &= np.isin(who, who[taught])
    settings = HeadSettings(unknown_false_alarm=FALSE_ALARM)
    head = fit_head(vector[taught], who[taught], when[taught], settings, split, kind[taught] == 1).head
    familiarity = head.familiarity(vector, head.logits(vector))
    of_tracks = float(np.quantile(familiarity[known], FALSE_ALARM))
    strangers, familiars = (_least_of_three(familiarity, who, among, rng) for among in (strange, known))
    of_individuals = float(np.quantile(familiars, FALSE_ALARM))
    asked = known | strange
    numbers = {
        "flagged_within_3": float((strangers < head.unknown_threshold).mean()),
        "false_alarm_of_tracks": float((familiarity[known] < head.unknown_threshold).mean()),
        "false_alarm_of_individuals": float((familiars < head.unknown_threshold).mean()),
        "track_auroc": auroc(known[asked], familiarity[asked]),
        "flagged_within_3_at_exact_10_of_tracks": float((strangers < of_tracks).mean()),
        "flagged_within_3_at_exact_10_of_individuals": float((strangers < of_individuals).mean()),
        "strangers": float(len(np.unique(who[strange]))),
        "known_tracks": float(known.sum()),
    }
    by_score = {}
    if scores:
        gallery = Gallery(head, vector[taught].astype(np.float64), np.searchsorted(head.classes, who[taught]))
        for name, score in all_scores(gallery, vector).items():
            least = _least_of_three(score, who, strange, np.random.default_rng((split, 3)))
            limit = np.quantile(score[known], FALSE_ALARM)
            by_score[name] = auroc(known[asked], score[asked]), float((least < limit).mean())
    return Split(numbers, by_score)


def _tracks(
    crops: np.ndarray, who: np.ndarray, group: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Unit means of up to TRACK_CROPS crops of one individual, session and kind, in their order."""
    vectors, rows = [], []
    for key in sorted(set(zip(who.tolist(), group.tolist(), kind.tolist(), strict=True))):
        inside = np.flatnonzero((who == key[0]) & (group == key[1]) & (kind == key[2]))
        for part in np.array_split(inside, -(-len(inside) // TRACK_CROPS)):
            mean = crops[part].mean(0)
            vectors.append(mean / np.linalg.norm(mean))
            rows.append(key)
    table = np.array(rows, dtype=np.int64)
    return np.stack(vectors).astype(np.float32), table[:, 0], table[:, 1], table[:, 2]


def _least_of_three(
    familiarity: np.ndarray, who: np.ndarray, among: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The least familiarity of three tracks, drawn at random, of the individuals among some tracks: f32 [DRAWS x k]."""
    return np.array(
        [
            familiarity[rng.permutation(np.flatnonzero(among & (who == one)))[:FIRST]].min()
            for one in np.unique(who[among])
            for _ in range(DRAWS)
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strangers", description=__doc__.split("\n")[0])
    parser.add_argument("--crops", required=True, type=Path, help="CSV with path, individual, session, photo")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--first-split", type=int, default=0, help="number of the first one, each is another draw")
    parser.add_argument("--views", type=int, default=6_000, help="crops shown while the embedder learns, each split")
    parser.add_argument("--pretrained", action="store_true", help="with what ImageNet teaches (not from zero)")
    parser.add_argument("--scores", action="store_true", help="other scores too, against the head's")
    asked = parser.parse_args(arguments)
    table = read_table(asked.crops)
    rows = []
    for split in range(asked.first_split, asked.first_split + asked.splits):
        rows.append(measure_split(table, split, asked.views, asked.pretrained, asked.scores))
        print(json.dumps(rows[-1].numbers), file=sys.stderr, flush=True)
    result: dict[str, object] = {"crops": len(table.target), "individuals": table.n_individuals, "splits": asked.splits}
    for name in NAMES:
        result[name] = _summary(np.array([row.numbers[name] for row in rows]))
    if asked.scores:
        result["scores"] = _against_the_head([row.by_score for row in rows])
    print(json.dumps(result))
    return 0


def _summary(values: np.ndarray) -> dict[str, float]:
    """Mean and 95 % interval of one number f64 [splits]."""
    low, high = interval(values, TEST_SHARE / (1 - TEST_SHARE))
    return {"mean": float(values.mean()), "low": low, "high": high}


def _against_the_head(rows: list[dict[str, tuple[float, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Of every score, AUROC and flagged within 3, and both less the head's on the same splits."""
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    own = next(iter(values.values()))  # the head's is the first
    return {
        name: {
            "track_auroc": _summary(found[:, 0]),
            "track_auroc_more": _summary(found[:, 0] - own[:, 0]),
            "flagged_within_3": _summary(found[:, 1]),
            "flagged_within_3_more": _summary(found[:, 1] - own[:, 1]),
        }
        for name, found in values.items()
    }


if __name__ == "__main__":
    sys.exit(main())
