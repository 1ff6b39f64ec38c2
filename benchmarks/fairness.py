"""Are groups that are named worse found, and only those? What monitoring must reach, beside what is usually done.

`python -m benchmarks.fairness` (minutes; `--quick` for fewer draws). Simulated audits: answers of four tracks a clip
whose errors are correlated. Foils: Wilson's interval for each slice, Benjamini-Hochberg over single binomial tests
without pooling, a bootstrap over rows.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import scipy.stats

from chimp_assets.acquisition.lanes.groups import draw_in_turn, lure_weights
from chimp_assets.monitoring.groups.comparison import ALPHA, GroupMetric, MetricRows, compare
from chimp_assets.monitoring.groups.individuals import individual_tests
from chimp_assets.settings import GateSettings
from chimp_assets.statistics.blocks import block_interval
from chimp_assets.statistics.multiplicity import benjamini_hochberg
from chimp_assets.statistics.shares import wilson
from chimp_assets.vision.evaluation.audit import AuditAnswers, AuditTracks
from chimp_assets.vision.evaluation.gate import against_champion

PEOPLE, EACH = 300, 4
LEAST = 5


@dataclass(frozen=True)
class SimulatedAudit:
    """right: bool [n]; slices: by kind, str [n]; who: str [n]; block: i64 [n], clips."""

    right: np.ndarray
    slices: dict[str, np.ndarray]
    who: np.ndarray
    block: np.ndarray


def simulated_audit(
    rng: np.random.Generator, n: int = 400, alike: float = 0.5, accuracy: float = 0.8, gap: float = 0.0
) -> SimulatedAudit:
    """An audit of 300 individuals seen by Zipf's law; infants (a fifth) are named rightly `gap` less often.

    alike: correlation of the errors of one clip. Two tracks share their chance with probability `alike`.
    """
    seen = 1 / np.arange(1, PEOPLE + 1)
    ages = rng.permutation(np.repeat(["infant", "juvenile", "adolescent", "adult"], [60, 60, 50, 130]))
    sexes, mothers = rng.choice(["F", "M"], PEOPLE), rng.integers(0, 25, PEOPLE)
    clip = np.arange(n) // EACH
    clips = clip[-1] + 1
    who = rng.choice(PEOPLE, n, p=seen / seen.sum())
    shared = rng.random(n) < np.sqrt(alike)
    chance = np.where(shared, rng.random(clips)[clip], rng.random(n))
    texts = {
        "sex": sexes[who],
        "age_class": ages[who],
        "matriline": np.char.add("m", mothers[who].astype(str)),
        "camera": np.char.add("c", rng.integers(0, 20, clips).astype(str))[clip],
        "light": rng.choice(["day", "twilight", "night"], clips, p=[0.8, 0.1, 0.1])[clip],
        "year": rng.choice(["2021", "2022", "2023"], clips)[clip],
    }
    return SimulatedAudit(
        chance < accuracy - gap * (ages[who] == "infant"),
        {kind: values.astype(object) for kind, values in texts.items()},
        np.char.add("i", who.astype(str)).astype(object),
        clip.astype(np.int64),
    )


def report(audit: SimulatedAudit, rng: np.random.Generator) -> list[GroupMetric]:
    """Recall of all groups, and a second metric that is the same for all groups."""
    n = len(audit.right)
    rows = np.arange(n)
    other = simulated_audit(rng, n).right
    metrics = [
        MetricRows(name, rows, right.astype(float), (0.0, 1.0), higher_is_better=True)
        for name, right in (("recall", audit.right), ("precision", other))
    ]
    slices = {metric.name: audit.slices for metric in metrics}
    return compare(metrics, slices, audit.block, np.ones(n), LEAST, rng, draws=50)


def names_any(audit: SimulatedAudit, rng: np.random.Generator) -> bool:
    """Whether a report names a group or an individual."""
    individuals = individual_tests(audit.right, audit.who, audit.block, LEAST).adjusted
    return any(one.state in ("worse", "better") for one in report(audit, rng)) or bool((individuals <= ALPHA).any())


def by_wilson(audit: SimulatedAudit) -> int:
    """Individuals whose Wilson interval does not hold the share of all."""
    mean = audit.right.mean()
    found = 0
    for one in np.unique(audit.who.astype(str)):
        mine = audit.right[audit.who == one]
        low, high = wilson(int(mine.sum()), len(mine))
        found += not low <= mean <= high
    return found


def by_rows(audit: SimulatedAudit) -> int:
    """Groups and individuals named by single binomial tests of rows, Benjamini-Hochberg at 5 %, without pooling."""
    mean = float(audit.right.mean())
    values = [audit.who, *audit.slices.values()]
    p = [
        scipy.stats.binomtest(int(audit.right[labels == one].sum()), int((labels == one).sum()), mean).pvalue
        for labels in values
        for one in np.unique(labels.astype(str))
    ]
    return int((benjamini_hochberg(np.array(p)) <= 0.05).sum())


def coverage(
    rng: np.random.Generator, draws: int, clips: int = 60, accuracy: float = 0.8
) -> tuple[float, float, float]:
    """How often 95 % intervals of one share hold it: blocks, Wilson, bootstrap of rows. Four tracks a clip, .5."""
    hold = np.zeros(3)
    for _ in range(draws):
        audit = simulated_audit(rng, clips * EACH, 0.5, accuracy)
        right = audit.right.astype(float)
        one = block_interval(right, audit.block, rng)
        low, high = wilson(int(right.sum()), len(right))
        rows = right[rng.integers(0, len(right), (300, len(right)))].mean(1)
        a, b = np.quantile(rows, [0.025, 0.975])
        hold += [one.low <= accuracy <= one.high, low <= accuracy <= high, a <= accuracy <= b]
    return tuple((hold / draws).tolist())


def together(rng: np.random.Generator, draws: int, alike: float = 0.5) -> float:
    """How often all groups of one kind (four age classes) lie in their intervals together."""
    hold = 0
    for _ in range(draws):
        audit = simulated_audit(rng, 800, alike)
        rows = [MetricRows("recall", np.arange(800), audit.right.astype(float), (0.0, 1.0), True)]
        told = compare(
            rows, {"recall": {"age_class": audit.slices["age_class"]}}, audit.block, np.ones(800), LEAST, rng
        )
        hold += all(one.low <= 0.8 <= one.high for one in told if one.slice_kind == "age_class")
    return hold / draws


def without_difference(rng: np.random.Generator, draws: int, alike: float) -> tuple[float, float, float]:
    """(share of reports that name anything, individuals that Wilson marks, share of reports in which rows name any)."""
    any_named, marked, rows = 0, 0, 0
    for _ in range(draws):
        audit = simulated_audit(rng, alike=alike)
        any_named += names_any(audit, rng)
        marked += by_wilson(audit)
        rows += by_rows(audit) > 0
    return any_named / draws, marked / draws, rows / draws


def infants_found(rng: np.random.Generator, draws: int, alike: float) -> tuple[float, float]:
    """(share of reports that name infants worse, their answers on average), infants 20 points worse, n >= 150."""
    found, answers, done = 0, 0, 0
    while done < draws:
        audit = simulated_audit(rng, 1000, alike, gap=0.2)
        n = int((audit.slices["age_class"] == "infant").sum())
        if n < 150:
            continue
        done, answers = done + 1, answers + n
        told = report(audit, rng)
        found += any((one.slice_value, one.name, one.state) == ("infant", "recall", "worse") for one in told)
    return found / draws, answers / draws


def gate_refuses(rng: np.random.Generator, draws: int) -> float:
    """How often a candidate that is better on average and 30 points worse for infants is refused."""
    refused = 0
    for _ in range(draws):
        n = 400
        infant = np.arange(n) < 60
        before = rng.random(n) < 0.75
        after = np.where(infant, before & (rng.random(n) < 0.55), before | (rng.random(n) < 0.5))
        slices = {kind: np.full(n, "", dtype=object) for kind in ("sex", "camera")}
        slices["matriline"] = np.char.add("m", rng.integers(0, 15, n).astype(str)).astype(object)
        slices["age_class"] = np.where(infant, "infant", "adult").astype(object)
        rows, clips = np.arange(n), rng.permutation(n) // EACH
        tracks = AuditTracks(1, rows, np.ones(n, np.int64), slices, {}, clips, rows)
        verdict = against_champion(tracks, _answers(after), _answers(before), 1, GateSettings())
        refused += not verdict.promoted and after.mean() > before.mean()
    return refused / draws


def _answers(right: np.ndarray) -> AuditAnswers:
    n = len(right)
    return AuditAnswers(
        np.arange(n), np.where(right[:, None], [[1, 2]], [[2, 3]]), np.full(n, 0.9, np.float32),
        np.zeros(n, np.float32), right, np.ones(n, bool), np.full(n, 9), np.zeros(n, bool), 1, 0, 0,
    )  # fmt: skip


def examined_recall(rng: np.random.Generator, draws: int) -> tuple[float, float, float, float]:
    """Recall of a tenth of 900 tracks of which the head misses a third, most by another group's name: (mean with
    weights, without, true, answers about the group per answer of the lane over those of the audit)."""
    sums = np.zeros(5)
    for _ in range(draws):
        n = 900
        mine = np.arange(n) < 90
        right = np.where(mine, rng.random(n) < 0.65, rng.random(n) < 0.9)
        proposed = (mine & (right | (rng.random(n) < 0.4))) | (~mine & ~right & (rng.random(n) < 0.2))
        drawn, chance = draw_in_turn(proposed[None, :], 60, rng)
        weight = lure_weights(chance, n - np.arange(60.0))
        group, hit = mine[drawn], right[drawn]
        sums += [
            (weight * group * hit).sum(),
            (weight * group).sum(),
            (group & hit).sum(),
            group.sum(),
            right[mine].mean(),
        ]
    return sums[0] / sums[1], sums[2] / sums[3], sums[4] / draws, sums[3] / draws / 6


def main() -> None:
    """Print each figure beside its target and its foils."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer draws")
    few = parser.parse_args().quick
    rng = np.random.default_rng(20)
    say = print

    def line(what: str, target: str, ours: str, foils: str) -> None:
        say(f"{what:<58} {target:<12} {ours:<22} {foils}", flush=True)

    line("what", "must be", "ours", "foils")
    for clips in (20, 60):
        ours, plain, rows = coverage(rng, 300 if few else 2000, clips)
        line(f"interval of a share holds it, {clips} clips of 4, .5", "93 to 97 %", f"{ours:.1%}",
             f"Wilson {plain:.1%}, bootstrap of rows {rows:.1%}")  # fmt: skip
    line(
        "all age classes lie in their intervals together, .5",
        "93 to 97 %",
        f"{together(rng, 200 if few else 1000):.1%}",
        "",
    )
    for alike in (0.0, 0.5):
        ours, marked, rows = without_difference(rng, 40 if few else 400, alike)
        line(f"no difference, 400 answers, correlation {alike}: any named", "<= 5 %", f"{ours:.1%} of reports",
             f"Wilson marks {marked:.0f} individuals; BH over rows in {rows:.0%} of reports")  # fmt: skip
    for alike in (0.2, 0.5):
        ours, answers = infants_found(rng, 60 if few else 400, alike)
        line(
            f"infants 20 points worse, correlation {alike}, n >= 150", ">= 90 %", f"{ours:.1%} (n = {answers:.0f})", ""
        )
    line("better on average, worse for infants: refused", "always", f"{gate_refuses(rng, 50 if few else 200):.1%}", "")
    ours, plain, true, more = examined_recall(rng, 300 if few else 3000)
    line("recall of a group asked about on purpose", f"{true:.1%}", f"{ours:.1%}",
         f"without weights {plain:.1%}; {more:.1f} times the answers")  # fmt: skip


if __name__ == "__main__":
    main()
