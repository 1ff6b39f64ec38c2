"""The gate: whether a candidate head may become the champion, and the reason in words. It judges and writes nothing.

Both heads answer the same audit tracks, so their difference is paired and its noise small.
Belongs here: the rules and their order. Does not belong here: measuring (`metrics`), acting on a verdict
(`promotion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from chimp_assets.vision.evaluation.audit import NEW, AuditAnswers, AuditJudge, AuditTracks, slices_of
from chimp_assets.vision.models.checkpoint import champion

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import GateSettings, Settings

# Slices that no promotion may harm; camera and split are reported only.
PROTECTED = ("sex", "age_class", "matriline", "year", "training_tracks")
# A protected slice is harmed if chance alone explains its surplus of newly wrong names less often than this (a sign
# test).
CHANCE = 0.05


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
        now = champion(conn, "head")
    audit = audit or AuditJudge(db, store, settings)
    tracks, judged = audit.answers(candidate_id)
    if now is None:
        return against_commonest(tracks, judged, settings.gate)
    _, before = audit.answers(now.model_id)
    return against_champion(tracks, judged, before, now.version, settings.gate, settings.seed)


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
    tracks: AuditTracks, judged: AuditAnswers, before: AuditAnswers, version: int, gate: GateSettings, seed: int
) -> GateVerdict:
    """Refuses a candidate that is certainly worse than the tolerance allows (paired bootstrap), or that harms a
    protected slice: by more than its tolerance, and by more than chance explains in a handful of tracks.

    judged, before: answers of the candidate and of the champion; only tracks that both answered count.
    """
    both, mine, theirs = np.intersect1d(judged.row, before.row, return_indices=True)
    named = tracks.truth[both] != NEW
    n = int(named.sum())
    if n < gate.min_audit_labels:
        return GateVerdict(False, _too_few(n, gate))
    gain = judged.correct[mine][named].astype(np.float64) - before.correct[theirs][named]
    says = (
        f"{judged.correct[mine][named].mean():.1%} against {before.correct[theirs][named].mean():.1%} of champion"
        f" {version} on the same {n} audit tracks"
    )
    drawn = np.random.default_rng(seed).integers(0, n, (gate.bootstrap, n))
    worse = float((gain[drawn].mean(1) < -gate.tolerance).mean())
    if worse > gate.confidence:
        return GateVerdict(False, f"Worse: {says}; worse than the tolerance in {worse:.0%} of bootstrap draws.")
    slices = slices_of(tracks, before)
    for kind in PROTECTED:
        values = slices[kind][theirs][named]
        for value in sorted(set(values) - {""}):
            inside = values == value
            loss = -float(gain[inside].mean())
            if inside.sum() >= gate.min_slice and loss > gate.slice_tolerance and _is_no_chance(gain[inside]):
                return GateVerdict(
                    False,
                    f"Harms a protected slice: {kind} {value} loses {loss:.1%} of {int(inside.sum())} audit tracks"
                    f" ({gate.slice_tolerance:.0%} may be lost); {says}.",
                )
    return GateVerdict(True, f"Not worse: {says}.")


def _is_no_chance(gain: np.ndarray) -> bool:
    """Whether more names became wrong than right, beyond chance: the sign test on changed tracks (Conover 1971)."""
    lost, won = int((gain < 0).sum()), int((gain > 0).sum())
    return bool(scipy.special.bdtrc(lost - 1, lost + won, 0.5) < CHANCE)  # P(X >= lost)


def _too_few(n: int, gate: GateSettings) -> str:
    return f"Too few audit answers: {n} named audit tracks, {gate.min_audit_labels} are needed to judge a model."
