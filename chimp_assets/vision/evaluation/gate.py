"""The gate: whether a candidate head may become the champion, and the reason in words. It judges and writes nothing.

Both heads answer the same audit tracks, so their difference is paired and its noise small. Whether one is better on
days to come is asked of camera-days, not of tracks: a day on which one fails is one day (`docs/research/intervals.md`).

The audit grows and the gate is asked again. What holds however often it is asked, and whenever a candidate passes:

* a candidate that passes truly loses no more than its reason names, but in 5 of 100 pairs of models (betting on
  camera-days in the order in which they entered the audit);
* a candidate that was refused on its answers passes later only if that bound excludes a loss beyond the tolerance. One
  that is truly worse by more than the tolerance so gets past a refusal in at most 2.5 of 100 pairs. Asked anew as if
  for the first time, chance would let it pass sooner or later.

A first look refuses only what is surely worse: with few answers it lets a worse candidate pass, and says how much worse
it may be.

Belongs here: the rules and their order. Does not belong here: measuring (`metrics`), acting on a verdict
(`promotion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from chimp_assets.statistics.anytime import block_mean_bounds
from chimp_assets.statistics.blocks import paired_gain
from chimp_assets.statistics.multiplicity import holm
from chimp_assets.vision.evaluation.audit import NEW, AuditAnswers, AuditJudge, AuditTracks, slices_of
from chimp_assets.vision.models.checkpoint import champion, model_of

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import GateSettings, Settings

# Slices that no promotion may harm; camera and split are reported only.
PROTECTED = ("sex", "age_class", "training_tracks")
# A protected slice is harmed if chance alone explains its surplus of newly wrong names less often than this.
CHANCE = 0.05
MIN_BLOCKS = 5
"""Camera-days below which the gate counts tracks: it protects an archive, so where days say nothing tracks must."""
WORSE, HARMS, NOT_SHOWN = "Worse", "Harms a protected slice", "Not shown to be as good"
"""How the reasons begin of candidates that were refused on their answers."""


@dataclass(frozen=True)
class GateVerdict:
    """The gate's decision on a candidate, with the reason in one sentence."""

    promoted: bool
    reason: str


def judge(
    db: Database, store: BlobStore, candidate_id: int, settings: Settings, audit: AuditJudge | None = None
) -> GateVerdict:
    """The verdict on a candidate against the champion, on the same audit tracks.

    Without a champion it must beat always naming the individual with the most training tracks. audit: what was
    evaluated, where it is at hand. Raises ModelError if the model is unknown or no head.
    """
    with db.read() as conn:
        now, candidate = champion(conn, "head"), model_of(conn, candidate_id)
    audit = audit or AuditJudge(db, store, settings)
    tracks, judged = audit.answers(candidate_id)
    if now is None:
        return against_commonest(tracks, judged, settings.gate)
    _, before = audit.answers(now.model_id)
    again = was_refused_on_answers(candidate.state, candidate.reason)
    return against_champion(tracks, judged, before, now.version, settings.gate, again)


def was_refused_on_answers(state: str, reason: str | None) -> bool:
    """Whether a model was refused because of its answers, rather than for want of audit answers or of a champion."""
    return state == "refused" and (reason or "").startswith((WORSE, HARMS, NOT_SHOWN))


def against_commonest(tracks: AuditTracks, judged: AuditAnswers, gate: GateSettings) -> GateVerdict:
    """The first head must be right more often than the commonest name of its labels."""
    named = tracks.truth[judged.row] != NEW
    n = int(named.sum())
    if n < gate.min_audit_labels:
        return GateVerdict(False, _too_few(n, gate))
    accuracy = float(judged.correct[named].mean())
    floor = float((tracks.truth[judged.row][named] == judged.commonest).mean())
    says = f"names {accuracy:.1%} of {n} audit tracks rightly; always the commonest individual: {floor:.1%}"
    return (
        GateVerdict(True, f"First head: {says}.")
        if accuracy > floor
        else GateVerdict(False, f"Not better than chance: {says}.")
    )


def against_champion(
    tracks: AuditTracks,
    judged: AuditAnswers,
    before: AuditAnswers,
    version: int,
    gate: GateSettings,
    again: bool = False,
) -> GateVerdict:
    """Refuses a candidate that is certainly worse than the tolerance allows, or that harms a protected slice.

    judged, before: answers of the candidate and of the champion; only tracks that both answered count. again: it was
    refused on its answers before, and has to show now that it is not worse (see the module).
    """
    both, mine, theirs = np.intersect1d(judged.row, before.row, return_indices=True)
    named = tracks.truth[both] != NEW
    n = int(named.sum())
    if n < gate.min_audit_labels:
        return GateVerdict(False, _too_few(n, gate))
    right, was_right = judged.correct[mine][named], before.correct[theirs][named]
    unit = _units(tracks.block[both][named], tracks.track_id[both][named])
    says = (
        f"{right.mean():.1%} against {was_right.mean():.1%} of champion {version} on the same {n} audit tracks of"
        f" {len(np.unique(tracks.block[both][named]))} camera-days"
    )
    if paired_gain(right, was_right, unit, 2 * gate.confidence - 1).high < -gate.tolerance:
        return GateVerdict(
            False, f"{WORSE}: {says}; a loss of more than {gate.tolerance:.1%} is {gate.confidence:.0%} sure."
        )
    gain = right.astype(np.float64) - was_right
    slices = {kind: values[theirs][named] for kind, values in slices_of(tracks, before).items()}
    harmed = harmed_slice(slices, gain, unit, gate)
    if harmed is not None:
        return GateVerdict(False, f"{harmed.sentence(gate)}; {says}.")
    most_lost = max(0.0, 1 - 2 * block_mean_bounds((gain + 1) / 2, unit)[0])
    if again and most_lost > gate.tolerance:
        return GateVerdict(
            False,
            f"{NOT_SHOWN}: {says}; it was refused before, and a loss of up to {most_lost:.1%} is not ruled out"
            f" ({gate.tolerance:.1%} may be lost).",
        )
    return GateVerdict(True, f"Not worse: {says}; a loss of more than {most_lost:.1%} is ruled out, at every look.")


@dataclass(frozen=True)
class HarmedSlice:
    """A protected slice that a candidate harms: of n audit tracks it loses this share."""

    kind: str
    value: str
    loss: float
    n: int

    def sentence(self, gate: GateSettings) -> str:
        """What the gate says of it, without the full stop."""
        return (
            f"{HARMS}: {self.kind} {self.value} loses {self.loss:.1%} of {self.n} audit tracks"
            f" ({gate.slice_tolerance:.0%} may be lost)"
        )


def harmed_slice(
    slices: dict[str, np.ndarray], gain: np.ndarray, unit: np.ndarray, gate: GateSettings
) -> HarmedSlice | None:
    """The first protected slice that loses more than its tolerance, and more than chance takes from so few units.

    slices: str [n] by kind of PROTECTED ("" is no slice; kinds that are missing are not judged); gain: f64 [n], 1 newly
    right, -1 newly wrong; unit: i64 [n], camera-days. Many slices are many chances to refuse a better model by
    accident, so their sign tests are adjusted together (Holm).
    """
    found: list[HarmedSlice] = []
    chances: list[float] = []
    for kind in PROTECTED:
        values = slices.get(kind, np.zeros(0, dtype=object))
        for value in sorted(set(values) - {""}):
            inside = values == value
            if inside.sum() >= gate.min_slice:
                found.append(HarmedSlice(kind, str(value), -float(gain[inside].mean()), int(inside.sum())))
                chances.append(_chance(gain[inside], unit[inside]))
    adjusted = holm(np.array(chances))
    return next(
        (
            one
            for one, chance in zip(found, adjusted, strict=True)
            if one.loss > gate.slice_tolerance and chance < CHANCE
        ),
        None,
    )


def _units(block: np.ndarray, track_id: np.ndarray) -> np.ndarray:
    """Camera-days; where there are too few of them to say anything, tracks: then the verdict is on this archive."""
    return block if len(np.unique(block)) >= MIN_BLOCKS else track_id


def _chance(gain: np.ndarray, unit: np.ndarray) -> float:
    """How often chance alone makes so many units worse and so few better: the sign test (Conover 1971)."""
    _, row = np.unique(unit, return_inverse=True)
    net = np.bincount(row, gain)
    lost, won = int((net < 0).sum()), int((net > 0).sum())
    return float(scipy.special.bdtrc(lost - 1, lost + won, 0.5)) if lost else 1.0  # P(X >= lost)


def _too_few(n: int, gate: GateSettings) -> str:
    return f"Too few audit answers: {n} named audit tracks, {gate.min_audit_labels} are needed to judge a model."
