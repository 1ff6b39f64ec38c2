"""`python -m benchmarks.identity --crops CSV`: how well an embedder learned from zero names animals on other sessions.

The CSV has the columns path (relative to the file), individual, and session or photo. Each split keeps whole sessions
(photos, where there is no session) for the test; every individual keeps one to learn from. Per split, one process:

1. a fifth of the individuals is hidden, an embedder is learned from the others (`vision.metric_learning`), less a fifth
   of their sessions; a head (`vision.head`) on its vectors is asked which test crops show somebody it knows:
   open_set_auroc. The sessions left out give the temperature;
2. the hidden individuals and the sessions left out join, learning goes on, and a new head names the test crops: top1,
   top5, macro_accuracy, ece.

Beside it, on the same test crops: the nearest training crop by its 32 x 32 grey pixels, and with --plain a torchvision
ResNet-18 trained from zero with cross-entropy (top1_above_plain: the difference, split by split). Ends with one line of
JSON. Intervals: 95 %, over splits, widened for splits that share crops (Nadeau and Bengio 2003).

Does not belong here: the recipe (what this measures is what the product runs), the crops (`support.crops`).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from benchmarks.support.crops import (
    HIDDEN_SHARE,
    MIN_PHOTOS,
    SIDE,
    TEST_SHARE,
    CropsError,
    CropTable,
    held_out,
    interval,
    read_table,
)
from benchmarks.support.harness import cores

HELD_OUT_SHARE = 0.2
MOST_EPOCHS = 120
VIEW_S = 0.006
"""Seconds of one core that a view costs, forth and back; how many fit into --minutes follows from it, not from a clock,
so that the same command learns the same on a faster machine."""
VIEWS_SHARE = 0.55
"""Of the minutes; the rest goes into patches, heads and vectors."""
BINS = 15
NAMES = ("top1", "top5", "macro_accuracy", "open_set_auroc", "ece")


def measure_split(table: CropTable, split: int, views: int, plain: bool, pretrained: bool = False) -> dict[str, float]:
    """All numbers of one split. One thread: two splits run beside each other, and their bits do not depend on it."""
    import torch

    from chimp_assets.settings import HeadSettings
    from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn
    from chimp_assets.vision.identity.fitting import fit_head

    torch.set_num_threads(1)
    began = time.monotonic()
    rng = np.random.default_rng((split, 1))
    x, y, group = table.pictures, table.target, table.group
    test = held_out(y, group, rng, TEST_SHARE)
    if not test.any():
        raise CropsError("No session can be kept for the test: every individual has only one.")
    teach = ~test
    who = rng.permutation(table.n_individuals)
    who = who[np.isin(who, y[test])]  # a stranger who is never asked about measures nothing
    hidden = np.isin(y, who[: max(1, round(HIDDEN_SHARE * table.n_individuals))])
    known = teach & ~hidden
    aside = np.zeros(len(y), dtype=bool)
    aside[known] = held_out(y[known], group[known], rng, HELD_OUT_SHARE)
    first = known & ~aside

    phases = replace(Recipe(), min_views=views // 2, epochs=0, pretrained=pretrained)
    before = learn(Crops(x[first], y[first], group=group[first]), phases, seed=split)
    vectors = before.embedder.embed(x)
    settings = HeadSettings()
    judged = fit_head(vectors[first], y[first], group[first], settings, split)
    head = judged.head
    temperature = _temperature(head.logits(vectors[aside]), np.searchsorted(head.classes, y[aside]))
    everything = fit_head(vectors[known], y[known], group[known], settings, split).head
    strange = hidden[test]
    auroc = _auroc(everything.logits(vectors[test]).max(1), ~strange)

    after = learn(Crops(x[teach], y[teach], group=group[teach]), phases, seed=split, start=before.network)
    vectors = after.embedder.embed(x)
    # A temperature holds for logits of one size, and so for one penalty.
    same = settings.model_copy(update={"l2_grid": (judged.out_of_fold.l2,)})
    head = fit_head(vectors[teach], y[teach], group[teach], same, split).head
    logits = head.logits(vectors[test]) / (temperature or head.temperature)
    result = _named(scipy.special.softmax(logits.astype(np.float64), axis=1), np.searchsorted(head.classes, y[test]))
    result["open_set_auroc"] = auroc
    grey = _grey(x)
    nearest = y[teach][(grey[test] @ grey[teach].T).argmax(1)]
    result["grey_pixels_1nn_top1"] = float((nearest == y[test]).mean())
    result["n_test"], result["n_train"] = float(test.sum()), float(teach.sum())
    result["seconds"] = time.monotonic() - began
    if plain:
        result |= {f"plain_resnet18_{name}": value for name, value in _plain(x, y, teach, test, split, views).items()}
    return result


def _named(probability: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    order = np.argsort(-probability, axis=1, kind="stable")
    right = order[:, 0] == truth
    top = probability.max(1)
    bins = np.minimum((top * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].mean() - top[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return {
        "top1": float(right.mean()),
        "top5": float((order[:, :5] == truth[:, None]).any(1).mean()),
        "macro_accuracy": float(np.mean([right[truth == one].mean() for one in np.unique(truth)])),
        "ece": float(np.sum(gaps)),
    }


def _temperature(logits: np.ndarray, truth: np.ndarray) -> float | None:
    """The temperature that makes crops of held-out sessions likeliest; None with fewer than 8 of them."""
    if len(truth) < 8:
        return None

    def unlikelihood(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        return float((scipy.special.logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth]).mean())

    found = scipy.optimize.minimize_scalar(unlikelihood, bounds=(math.log(0.05), math.log(50)), method="bounded")
    return float(math.exp(found.x))


def _auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """How often a known animal scores above a stranger; nan without one of the two."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return math.nan
    return float((scipy.stats.rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def _grey(pictures: np.ndarray) -> np.ndarray:
    """Unit vectors of 32 x 32 grey pixels less their mean, f32 [n, 1024]."""
    small = np.stack(
        [cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA) for p in pictures]
    )
    flat = small.reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(1e-6, np.linalg.norm(flat, axis=1, keepdims=True))


def _plain(
    x: np.ndarray, y: np.ndarray, teach: np.ndarray, test: np.ndarray, seed: int, views: int
) -> dict[str, float]:
    """What one would write first: torchvision's ResNet-18, cross-entropy, shifted and mirrored crops, as many views."""
    import torch
    import torchvision
    from torch.nn import functional

    torch.manual_seed(seed)
    classes = np.unique(y[teach])
    network = torchvision.models.resnet18(num_classes=len(classes))
    pictures = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 - 0.45
    rows, row = np.flatnonzero(teach), torch.from_numpy(np.searchsorted(classes, y))
    rng = np.random.default_rng(seed)
    steps = math.ceil(views / 32)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    network.train()
    for _ in range(steps):
        some = rng.choice(rows, 32)
        at, mirrored = rng.integers(0, 17, 2), rng.random() < 0.5
        views_of = functional.pad(pictures[some], (8, 8, 8, 8), mode="reflect")[
            :, :, at[0] : at[0] + SIDE, at[1] : at[1] + SIDE
        ]
        loss = functional.cross_entropy(network(views_of.flip(3) if mirrored else views_of), row[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(part) for part in pictures[torch.from_numpy(np.flatnonzero(test))].split(64)])
    return _named(logits.softmax(1).double().numpy(), row[test].numpy())


def views_for(minutes: float, n_crops: int, splits: int, processes: int) -> int:
    """Views of one split: what fits into the minutes, but no crop more than MOST_EPOCHS times."""
    seconds = minutes * 60 * VIEWS_SHARE * min(processes, splits) / splits
    return max(640, min(int(seconds / VIEW_S), MOST_EPOCHS * n_crops))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Exit code 2, with a sentence, for a CSV that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__.split("\n")[0])
    parser.add_argument("--crops", required=True, type=Path, help="CSV with path, individual, session, photo")
    parser.add_argument("--json", action="store_true", help="print the line of JSON alone")
    parser.add_argument("--splits", type=int, default=6, help="5 or more")
    parser.add_argument("--minutes", type=float, default=14.0, help="on as many cores as there are")
    parser.add_argument("--min-photos", type=int, default=MIN_PHOTOS, help="individuals with fewer are left out")
    parser.add_argument("--plain", action="store_true", help="a plain ResNet-18 on the same splits too (slow)")
    parser.add_argument(
        "--pretrained", action="store_true", help="beside patches, what ImageNet teaches (not from zero)"
    )
    parser.add_argument("--processes", type=int, default=cores())
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        table = read_table(asked.crops, asked.min_photos)
        for note in table.notes:
            print(f"{note}.", file=sys.stderr)
        # A budget for two cores whatever there is: what is learned must not depend on the machine.
        views = views_for(asked.minutes, round(len(table.target) * (1 - TEST_SHARE)), asked.splits, 2)
        found = []
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max(1, min(asked.processes, asked.splits)), mp_context=context) as pool:
            waiting = [
                pool.submit(measure_split, table, split, views, asked.plain, asked.pretrained)
                for split in range(asked.splits)
            ]
            for split, one in enumerate(waiting):
                found.append(one.result())
                if not asked.json:
                    shown = ", ".join(f"{name} {value:.3f}" for name, value in found[-1].items())
                    print(f"split {split + 1} of {asked.splits}: {shown}", file=sys.stderr, flush=True)
    except CropsError as error:
        print(error, file=sys.stderr)
        return 2
    line: dict[str, object] = {
        "benchmark": "identity",
        "crops": len(table.target),
        "individuals": table.n_individuals,
        "sessions": int(table.group.max()) + 1,
        "splits": len(found),
        "views": views,
        "pretrained": asked.pretrained,
        "seconds": round(time.monotonic() - began, 1),
        "notes": table.notes,
    }
    ratio = float(np.mean([one["n_test"] / one["n_train"] for one in found]))
    plain_names = (
        [f"plain_resnet18_{name}" for name in ("top1", "top5", "macro_accuracy", "ece")] if asked.plain else []
    )
    for each in found if asked.plain else []:
        each["top1_above_plain"] = each["top1"] - each["plain_resnet18_top1"]
    plain_names += ["top1_above_plain"] if asked.plain else []
    for name in (*NAMES, "grey_pixels_1nn_top1", *plain_names):
        values = np.array([one[name] for one in found])
        values = values[np.isfinite(values)]
        low, high = interval(values, ratio)
        least = -1.0 if name == "top1_above_plain" else 0.0
        line[name] = round(float(values.mean()), 4) if len(values) else None
        line[f"{name}_interval"] = None if math.isnan(low) else [round(max(least, low), 4), round(min(1.0, high), 4)]
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
