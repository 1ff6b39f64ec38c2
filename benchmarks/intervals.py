"""`python -m benchmarks.intervals [RUNS]`: do intervals hold what they promise? Each figure beside target and foil.

Simulated answers with a known truth: four tracks a clip, or unequal days, whose answers are correlated by 0.5, as
tracks of one camera-day are. RUNS (default 1): how many times as many runs as usual; the tests of `statistics` and of
the gate run smaller ones.

Belongs here: simulations and what is printed. Does not belong here: the methods (`chimp_assets.statistics`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from chimp_assets.settings import GateSettings
from chimp_assets.statistics.anytime import block_mean_bounds, fall_evidence, mean_bounds
from chimp_assets.statistics.blocks import block_interval, paired_gain, simultaneous
from chimp_assets.statistics.pooling import pooled
from chimp_assets.statistics.shares import wilson
from chimp_assets.vision.evaluation.audit import AuditAnswers, AuditTracks
from chimp_assets.vision.evaluation.gate import against_champion

ALIKE = 0.5
"""Correlation of the answers of one block."""
LOOK_EVERY = 25


@dataclass(frozen=True)
class Rates:
    """How often a method keeps its promise, or breaks it, beside a foil."""

    ours: float
    foil: float


def clustered(
    rng: np.random.Generator, blocks: int, share: float, alike: float = ALIKE, size: int | None = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Answers f64 [n] right with this share, and their blocks i64 [n]; size: None for unequal blocks of 4."""
    sizes = np.full(blocks, size) if size else rng.geometric(0.25, blocks)
    strength = 1 / alike - 1
    of_block = rng.beta(share * strength, (1 - share) * strength, blocks)
    block = np.repeat(np.arange(blocks), sizes)
    return (rng.random(len(block)) < of_block[block]).astype(float), block


def coverage(rng: np.random.Generator, runs: int, blocks: int, share: float, size: int | None = 4) -> Rates:
    """How often 95 % intervals contain the truth: by blocks, and Wilson's by tracks."""
    ours = foil = 0
    for _ in range(runs):
        x, block = clustered(rng, blocks, share, size=size)
        found = block_interval(x, block, rng)
        low, high = wilson(int(x.sum()), len(x))
        ours += found.low <= share <= found.high
        foil += low <= share <= high
    return Rates(ours / runs, foil / runs)


def percentile_coverage(rng: np.random.Generator, runs: int, blocks: int, share: float) -> float:
    """How often the percentile bootstrap of blocks of four contains the truth: what is not used, and why."""
    inside = 0
    for _ in range(runs):
        x, block = clustered(rng, blocks, share)
        hits = np.bincount(block, x, blocks)
        drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), 1000) @ hits / len(x)
        low, high = np.quantile(drawn, [0.025, 0.975])
        inside += low <= share <= high
    return inside / runs


def gain_coverage(rng: np.random.Generator, runs: int, blocks: int, gain: float, differ: float = 0.2) -> Rates:
    """How often 95 % intervals contain the gain of one model over another: by blocks, and Student's t by tracks."""
    ours = foil = 0
    for _ in range(runs):
        mine, theirs, block = two_models(rng, blocks, gain, differ)
        found = paired_gain(mine, theirs, block)
        each = mine.astype(float) - theirs
        half = 1.96 * each.std(ddof=1) / np.sqrt(len(each))
        ours += found.low <= gain <= found.high
        foil += abs(each.mean() - gain) <= half
    return Rates(ours / runs, foil / runs)


def two_models(
    rng: np.random.Generator, blocks: int, gain: float, differ: float = 0.2, size: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers bool [n] of a candidate that is truly better by `gain`, of a champion, and their blocks i64 [n]. They
    differ in a share of answers; where, and who is right then, is much the same within a block."""
    changed, block = clustered(rng, blocks, differ, size=size)
    won = rng.random(blocks) < 0.5 + gain / (2 * differ)
    same = rng.random(len(block)) < 0.75
    mine = np.where(changed > 0, won[block], same)
    return mine, np.where(changed > 0, ~won[block], same), block


def any_misses(rng: np.random.Generator, runs: int, groups: int = 12) -> Rates:
    """In which share of reports the interval of any group misses what is true of all: max-t, and Wilson for each."""
    ours = foil = 0
    for _ in range(runs):
        x, block = clustered(rng, 60, 0.8, size=6)
        group = rng.integers(0, groups, len(x))
        ours += any(not one.low <= 0.8 <= one.high for one in simultaneous(x, block, group, rng, draws=1000))
        limits = [wilson(int(x[group == g].sum()), int((group == g).sum())) for g in range(groups)]
        foil += any(not low <= 0.8 <= high for low, high in limits)
    return Rates(ours / runs, foil / runs)


def contradicted(rng: np.random.Generator, runs: int, n: int = 500, share: float = 0.8) -> Rates:
    """In which share of runs the truth is contradicted at any look: betting, and Wilson every 25 answers."""
    ours = foil = 0
    for _ in range(runs):
        x = (rng.random(n) < share).astype(float)
        low, high = mean_bounds(x)  # they only narrow, so the last look has seen all
        ours += not low <= share <= high
        foil += _wilson_contradicts(x, share)
    return Rates(ours / runs, foil / runs)


def contradicted_in_blocks(rng: np.random.Generator, runs: int, blocks: int = 120, share: float = 0.8) -> Rates:
    """The same with blocks: betting on blocks, and on their tracks as if they were independent."""
    ours = foil = 0
    for _ in range(runs):
        x, block = clustered(rng, blocks, share)
        low, high = block_mean_bounds(x, block)
        ours += not low <= share <= high
        low, high = mean_bounds(x)
        foil += not low <= share <= high
    return Rates(ours / runs, foil / runs)


def _wilson_contradicts(x: np.ndarray, share: float) -> bool:
    hits = np.cumsum(x)
    looks = (wilson(int(hits[k - 1]), k) for k in range(LOOK_EVERY, len(x) + 1, LOOK_EVERY))
    return any(not low <= share <= high for low, high in looks)


def answers_until_noticed(rng: np.random.Generator, runs: int, fall: float, share: float = 0.85) -> np.ndarray:
    """Answers f64 [runs] until the evidence of a fall reaches 100 (1 % false for ever); inf: not within 1,500."""
    found = np.full(runs, np.inf)
    for run in range(runs):
        enough = np.flatnonzero(fall_evidence(rng.random(1500) < share - fall, share) >= 100)
        if len(enough):
            found[run] = enough[0] + 1
    return found


def marked_without_difference(rng: np.random.Generator, runs: int) -> Rates:
    """Individuals said to be worse than the others in a report of 400 answers on 300 individuals (Zipf), all of whom
    are named rightly in 80 %: partially pooled, and by Wilson. The mean number of individuals a report."""
    often = 1 / np.arange(1, 301)
    ours = foil = 0
    for _ in range(runs):
        n = rng.multinomial(400, often / often.sum())
        hits = rng.binomial(n, 0.8)
        found = pooled(hits, n)
        ours += int((found.high < found.mean).sum())
        foil += sum(wilson(int(k), int(m))[1] < hits.sum() / 400 for k, m in zip(hits, n, strict=True) if m)
    return Rates(ours / runs, foil / runs)


@dataclass(frozen=True)
class RepeatedGate:
    """Shares of runs in which one candidate was judged again and again on a growing audit. first: promoted at the first
    look; after_refusal: promoted at a later look, though refused before; beyond: promoted while it truly loses more
    than the verdict rules out; refused: refused at the first look."""

    first: float
    after_refusal: float
    beyond: float
    refused: float


def repeated_gate(
    rng: np.random.Generator, runs: int, gain: float, looks: int = 20, days: int = 100, rows_only: bool = False
) -> RepeatedGate:
    """A candidate that is truly better by `gain`, judged at `looks` sizes of an audit of `days` camera-days of four
    tracks, drawn in random order. rows_only: the foil, a bootstrap of tracks as if each look were the first."""
    gate = GateSettings()
    first = after = beyond = 0
    for _ in range(runs):
        mine, theirs, block = two_models(rng, days, gain)
        order = rng.permutation(len(mine))
        refused = False
        for look, n in enumerate(np.linspace(len(order) // looks * 2, len(order), looks).astype(int)):
            rows = order[:n]
            if rows_only:
                promoted, most = _row_bootstrap(mine[rows].astype(float) - theirs[rows], gate, rng), 1.0
            else:
                verdict = against_champion(*_audit(mine[rows], theirs[rows], block[rows]), 3, gate, refused)
                promoted = verdict.promoted
                most = _ruled_out(verdict.reason) if promoted else 1.0
            if promoted:
                first += look == 0
                after += look > 0
                beyond += -gain > most
                break
            refused = True
    return RepeatedGate(first / runs, after / runs, beyond / runs, 1 - first / runs)


def _row_bootstrap(gain: np.ndarray, gate: GateSettings, rng: np.random.Generator) -> bool:
    drawn = rng.integers(0, len(gain), (500, len(gain)))
    return float((gain[drawn].mean(1) < -gate.tolerance).mean()) <= gate.confidence


def _ruled_out(reason: str) -> float:
    return float(reason.rsplit("more than ", 1)[1].split("%")[0]) / 100


def _audit(mine: np.ndarray, theirs: np.ndarray, block: np.ndarray) -> tuple[AuditTracks, AuditAnswers, AuditAnswers]:
    n = len(mine)
    truth = np.ones(n, dtype=np.int64)
    sex = np.full(n, "", dtype=object)
    return AuditTracks(0, np.arange(n), truth, {"sex": sex}, {}, block, np.arange(n)), _answers(mine), _answers(theirs)


def _answers(right: np.ndarray) -> AuditAnswers:
    n = len(right)
    return AuditAnswers(
        row=np.arange(n),
        ranked=np.where(right[:, None], [[1, 2]], [[2, 3]]),
        probability=np.full(n, 0.9, dtype=np.float32),
        familiarity=np.zeros(n, dtype=np.float32),
        correct=right,
        taught=np.ones(n, dtype=bool),
        training_tracks=np.full(n, 9),
        flagged=np.zeros(n, dtype=bool),
        commonest=1,
        without_embedding=0,
        trained_on=0,
    )


def _line(what: str, ours: str, target: str, foil: str) -> None:
    print(f"{what:62} {ours:>22} {target:>22} {foil:>30}", flush=True)


def _percent(found: Rates) -> tuple[str, str]:
    return f"{found.ours:.1%}", f"{found.foil:.1%}"


def main(times: float = 1.0) -> None:
    """Print every figure beside its target and its foil."""
    rng = np.random.default_rng(20)
    runs = round(1000 * times)
    _line("what", "ours", "target", "foil")
    for size in (4, None):
        for blocks in (10, 30, 100):
            for share in (0.7, 0.95):
                ours, foil = _percent(coverage(rng, runs, blocks, share, size))
                if size:
                    foil += f", percentiles {percentile_coverage(rng, runs, blocks, share):.1%}"
                days = f"{blocks} days of {size or 'unequally many'} tracks, {share:.0%} right"
                _line(f"95 % covers: {days}", ours, "93 to 97 %", f"Wilson {foil}")
    for gain in (0.0, -0.1):
        ours, foil = _percent(gain_coverage(rng, runs, 30, gain))
        _line(f"95 % covers: a gain of {gain:+.0%}, 30 days of 4 tracks", ours, "93 to 97 %", f"t by tracks {foil}")
    ours, foil = _percent(any_misses(rng, runs // 2))
    _line("an interval of 12 alike groups misses the truth", ours, "<= 5 %", f"Wilson for each {foil}")
    ours, foil = _percent(contradicted(rng, runs // 2))
    _line("truth contradicted at any look, 500 answers", ours, "<= 5 %", f"Wilson every 25 {foil}")
    ours, foil = _percent(contradicted_in_blocks(rng, runs // 2))
    _line("the same, 120 days of 4 tracks", ours, "<= 5 %", f"betting on tracks {foil}")
    for fall, target in ((0.1, "median 134"), (0.2, "median 57")):
        until = answers_until_noticed(rng, runs // 2, fall)
        _line(
            f"answers until a fall of {fall:.0%} is noticed",
            f"{np.median(until):.0f}, 90 %: {np.quantile(until, 0.9):.0f}",
            target,
            f"no fall: {np.isfinite(answers_until_noticed(rng, runs // 2, 0.0)).mean():.1%}",
        )
    found = marked_without_difference(rng, runs // 20)
    _line("individuals marked, none differs", f"{found.ours:.2f} a report", "0", f"Wilson {found.foil:.1f} a report")
    for gain in (-0.1, -0.05, -0.02, 0.0, 0.05):
        ours_, foil_ = repeated_gate(rng, runs // 5, gain), repeated_gate(rng, runs // 5, gain, rows_only=True)
        _line(f"gate, 20 looks, {gain:+.0%}: promoted at first", f"{ours_.first:.1%}", "", f"rows {foil_.first:.1%}")
        _line(
            "  promoted later, though refused before",
            f"{ours_.after_refusal:.1%}",
            "<= 2.5 %" if gain < -0.02 else "",
            f"rows {foil_.after_refusal:.1%}",
        )
        _line("  truly loses more than its verdict rules out", f"{ours_.beyond:.1%}", "<= 5 %", "")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
