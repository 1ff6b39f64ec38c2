"""The gate: whether a candidate head becomes the champion, and the reason in words.

Both heads answer the same audit tracks, so their difference is paired and its noise small.
Belongs here: the rules and their order. Does not belong here: measuring (`evaluate`), the rows' life (`checkpoint`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from chimp_assets.vision.evaluation.audit import NEW, AuditJudge, AuditTracks, Judged, slices_of
from chimp_assets.vision.models.checkpoint import champion, model_of, refuse
from chimp_assets.vision.models.registry import promote_by_gate

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import GateSettings, Settings

# Slices that no promotion may harm; camera and split are reported only.
PROTECTED = ("sex", "age_class", "training_tracks")
# A protected slice has lost if as many more tracks lost their name as won one happen by chance this seldom (sign test).
CHANCE = 0.05


@dataclass(frozen=True)
class Verdict:
    """What the gate decided of a candidate, and why in one sentence."""

    promoted: bool
    reason: str


def decide(
    db: Database, store: BlobStore, candidate_id: int, settings: Settings, audit: AuditJudge | None = None
) -> Verdict:
    """Judge a candidate against the champion on the same audit tracks, and promote or refuse it.

    Without a champion it must beat always naming the individual with the most training tracks. A refused model may be
    judged again when there are more audit answers. A promotion is an `audit_event`. audit: what was evaluated, where it
    is at hand. Raises ModelError if the model is unknown or no head.
    """
    with db.read() as conn:
        candidate = model_of(conn, candidate_id)
    if candidate.state == "champion":
        return Verdict(True, candidate.reason or "It is the champion.")
    verdict = judge(db, store, candidate_id, settings, audit)
    if verdict.promoted:
        promote_by_gate(db, candidate_id, verdict.reason)
    else:
        refuse(db, candidate_id, verdict.reason)
    return verdict


def judge(
    db: Database, store: BlobStore, candidate_id: int, settings: Settings, audit: AuditJudge | None = None
) -> Verdict:
    """What `decide` would decide; nothing is written."""
    with db.read() as conn:
        now = champion(conn, "head")
    audit = audit or AuditJudge(db, store, settings)
    tracks, judged = audit.answers(candidate_id)
    if now is None:
        return against_commonest(tracks, judged, settings.gate)
    _, before = audit.answers(now.model_id)
    return against_champion(tracks, judged, before, now.version, settings.gate, settings.seed)


def against_commonest(tracks: AuditTracks, judged: Judged, gate: GateSettings) -> Verdict:
    """The first head must be right more often than the one name that its labels hold most often."""
    named = tracks.truth[judged.row] != NEW
    n = int(named.sum())
    if n < gate.min_audit_labels:
        return Verdict(False, _too_few(n, gate))
    accuracy = float(judged.correct[named].mean())
    floor = float((tracks.truth[judged.row][named] == judged.commonest).mean())
    says = f"names {accuracy:.1%} of {n} audit tracks rightly; always the commonest individual: {floor:.1%}"
    return (
        Verdict(True, f"First head: {says}.")
        if accuracy > floor
        else Verdict(False, f"Not better than chance: {says}.")
    )


def against_champion(
    tracks: AuditTracks, judged: Judged, before: Judged, version: int, gate: GateSettings, seed: int
) -> Verdict:
    """Refused if it is surely worse than the tolerance (paired bootstrap), or if a protected slice loses too much: more
    than its tolerance, and more than chance would take from a handful of tracks.

    judged, before: the answers of the candidate and of the champion; only tracks that both could judge count.
    """
    both, mine, theirs = np.intersect1d(judged.row, before.row, return_indices=True)
    named = tracks.truth[both] != NEW
    n = int(named.sum())
    if n < gate.min_audit_labels:
        return Verdict(False, _too_few(n, gate))
    gain = judged.correct[mine][named].astype(np.float64) - before.correct[theirs][named]
    says = (
        f"{judged.correct[mine][named].mean():.1%} against {before.correct[theirs][named].mean():.1%} of champion"
        f" {version} on the same {n} audit tracks"
    )
    drawn = np.random.default_rng(seed).integers(0, n, (gate.bootstrap, n))
    worse = float((gain[drawn].mean(1) < -gate.tolerance).mean())
    if worse > gate.confidence:
        return Verdict(False, f"Worse: {says}; worse than the tolerance in {worse:.0%} of bootstrap draws.")
    slices = slices_of(tracks, before)
    for kind in PROTECTED:
        values = slices[kind][theirs][named]
        for value in sorted(set(values) - {""}):
            inside = values == value
            loss = -float(gain[inside].mean())
            if inside.sum() >= gate.min_slice and loss > gate.slice_tolerance and _is_no_chance(gain[inside]):
                return Verdict(
                    False,
                    f"Harms a protected slice: {kind} {value} loses {loss:.1%} of {int(inside.sum())} audit tracks"
                    f" ({gate.slice_tolerance:.0%} may be lost); {says}.",
                )
    return Verdict(True, f"Not worse: {says}.")


def _is_no_chance(gain: np.ndarray) -> bool:
    """Whether more names were lost than won beyond chance: the sign test on tracks that changed (Conover 1971)."""
    lost, won = int((gain < 0).sum()), int((gain > 0).sum())
    return bool(scipy.special.bdtrc(lost - 1, lost + won, 0.5) < CHANCE)  # P(X >= lost)


def _too_few(n: int, gate: GateSettings) -> str:
    return f"Too few audit answers: {n} named audit tracks, {gate.min_audit_labels} are needed to judge a model."
