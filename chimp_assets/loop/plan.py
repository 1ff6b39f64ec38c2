"""From SQL and the store to a plan, and back: lets `acquisition` choose from the pool and writes the round.

Belongs here: the champion head, the choice of the phase, the round. Does not belong here: reading the pool (`pool`),
how tracks are chosen (`acquisition`), when a plan is due (`database.work`).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.goal import Reach
from chimp_assets.acquisition.minutes.worth import NO_NAMES, FrameWorth
from chimp_assets.acquisition.plan import Plan, plan
from chimp_assets.acquisition.policy import LaneError, Phase, Policy
from chimp_assets.acquisition.pool import FOLLOWS, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.arithmetic import ArithmeticOf
from chimp_assets.acquisition.pool_pass.on_cpu import OnCpu
from chimp_assets.arrays import BoolArray, I32Array
from chimp_assets.database import schema as t
from chimp_assets.database.labels.rewriting.cutting import forget_undone
from chimp_assets.database.work.queue import write_round
from chimp_assets.errors import ChimpError
from chimp_assets.loop.minutes.askers import askers
from chimp_assets.loop.minutes.asking import Asking
from chimp_assets.loop.minutes.forecasts import keep_forecast
from chimp_assets.loop.minutes.is_it import IsItOffer, read_is_it, volunteer_time
from chimp_assets.loop.minutes.names import read_archive_names
from chimp_assets.loop.minutes.worth import PlanGround, frame_worth, read_plan_ground
from chimp_assets.loop.pool import TrackSnapshot, denied_classes, pool_of, read_snapshot
from chimp_assets.loop.rescore import name_asked_tracks, name_denied_tracks
from chimp_assets.monitoring.groups.lacking import waiting_for_groups, with_groups
from chimp_assets.vision.identity.head import load_head
from chimp_assets.vision.models.checkpoint import ModelRow, champion

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.home import Home
    from chimp_assets.settings import AcquisitionSettings, Settings

WELL_KNOWN = 5
"""From this many labels of an individual on, its boundary with others is worth asking about."""


class PlanningError(ChimpError):
    """The models or the settings do not allow a plan."""


@dataclass(frozen=True)
class PlanReport:
    """What a plan did.

    lanes: items of each lane that asks for names; pairs, disputed: items of the other two; contradictions: answers that
    cannot all be true; follows: tracks whose name follows from answers about others, so that nobody is asked;
    proposals: merges to decide about; n_pool: tracks that could be asked; why: the reason of the phase;
    without_embedding: live tracks that could not be considered because they have no (finite) embedding yet; pages: on
    which many tracks are confirmed at once; is_it: tracks about which volunteers are asked "is this X?".
    """

    round_id: int
    lanes: dict[str, int]
    pairs: int
    disputed: int
    contradictions: int
    follows: int
    proposals: int
    phase: Phase
    n_pool: int
    seconds: float
    why: str
    without_embedding: int
    pages: int = 0
    is_it: int = 0


def build_pool(db: Database, store: BlobStore, settings: Settings) -> TrackPool:
    """Every live track that the champion embedder has embedded, for a plan of your own in a notebook.

    state comes from the effective answers; leased tracks are IN_FLIGHT; those that "same" answers join to a named one
    are FOLLOWS; value is the number of boxes. Memory: the embeddings (f16) and some 20 bytes a track. Raises
    PlanningError where there is no embedder.
    """
    with db.read() as conn:
        embedder = champion(conn, "embedder")
        snapshot = read_snapshot(conn, settings)
    return pool_of(db, store, _required(embedder), snapshot)


def replan(home: Home) -> PlanReport:
    """A new queue, at once the champion head's names for its tracks, and the minutes that are left.

    Raises PlanningError as `plan_queue`.

    First forgets boxes of cuts and joins that were taken back, which the page may not delete, and has tracks named anew
    of which people have said whom they do not show.
    """
    home.database.transact(forget_undone)
    name_denied_tracks(home)
    report = plan_queue(home.database, home.store, home.settings)
    name_asked_tracks(home)
    keep_forecast(home.database, home.settings)
    return report


def plan_queue(
    db: Database, store: BlobStore, settings: Settings, batch: int | None = None, seed: int | None = None
) -> PlanReport:
    """Plan the next batch and make it the queue. The same labels, models, leases and seed give the same items.

    batch, seed: instead of settings.acquisition.batch and settings.seed. Raises PlanningError where there is no
    embedder, or where the settings name a lane that cannot be planned; nothing is written then.
    """
    began = time.perf_counter()
    seed = settings.seed if seed is None else seed
    wanted = settings.acquisition
    ground = _read_ground(db, settings)
    snapshot = ground.snapshot
    pool = pool_of(db, store, ground.embedder, snapshot)
    drift_share = settings.monitoring.drift_share if snapshot.drifted is not None else 0.0
    head, phase, why = _phase(store, settings, ground)
    pool = with_groups(db, settings, pool, ground.head if head is not None else None)
    if head is not None:
        with db.read() as conn:
            pool = replace(pool, denied=denied_classes(conn, pool.track, head.classes, ground.minutes.same))
    # The watermark makes rounds independent of each other: with one stream of random numbers for all of them, the
    # second audit sample would lie beside the first.
    stream = [seed % (1 << 63), snapshot.watermark_seq]
    # A stream of its own for the sample: the lanes draw the same whatever it takes.
    sample_rng = np.random.default_rng([*stream, 1])
    worth, named = frame_worth(pool, head, ground.minutes, sample_rng) if head else (FrameWorth(), None)
    if wanted.named_by == "people":
        worth = replace(worth, threshold=NO_NAMES)
    policy = _policy(wanted, phase, drift_share, worth)
    batch = wanted.batch if batch is None else batch
    n_pool = _n_pool(pool)
    # A plan asks about a track once, whatever the lane: who chooses first leaves the others what remains.
    rng = np.random.default_rng(stream)
    asking = Asking(pool)
    for asker in askers(
        db,
        settings,
        snapshot,
        policy,
        batch,
        head,
        names=ground.names,
        same=ground.minutes.same,
        offer=ground.is_it if head else None,
        planned=lambda left: _planned(left, head, policy, batch, rng, wanted.device),
    ):
        asker(asking)
    round_id = write_round(
        db,
        policy=_in_words(
            policy,
            snapshot,
            batch=batch,
            pairs_per_round=wanted.pairs_per_round,
            why=why,
            **_minutes(ground.minutes, named),
            **waiting_for_groups(asking.pool, asking.items["names"].lane),
        ),
        seed=seed,
        embedder_model_id=ground.embedder.model_id,
        # Also in the cold phase: the plan knew this head, and found it too weak.
        head_model_id=ground.head.model_id if ground.head else None,
        watermark_seq=snapshot.watermark_seq,
        n_pool=n_pool,
        pages=asking.pages,
        **asking.columns(),
    )
    return PlanReport(
        round_id=round_id,
        lanes=asking.lanes(),
        pairs=asking.n("pairs"),
        disputed=asking.n("doubts"),
        contradictions=len(snapshot.conclusions.contradictions),
        follows=int(np.count_nonzero(snapshot.state == FOLLOWS)),
        proposals=len(snapshot.conclusions.proposals),
        phase=phase,
        n_pool=n_pool,
        pages=len(asking.pages),
        is_it=asking.n("is_it"),
        seconds=time.perf_counter() - began,
        why=why,
        without_embedding=len(snapshot.track) - len(pool),
    )


@dataclass(frozen=True)
class _Ground:
    """What a plan starts from. accuracy: of the head on the audit, None where it was not measured; names: of
    individuals, by key; minutes: prices, the goal and the audit's answers."""

    embedder: ModelRow
    head: ModelRow | None
    accuracy: float | None
    names: dict[int, str]
    snapshot: TrackSnapshot
    minutes: PlanGround
    is_it: IsItOffer | None


def _read_ground(db: Database, settings: Settings) -> _Ground:
    with db.read() as conn:
        embedder, head = _required(champion(conn, "embedder")), champion(conn, "head")
        snapshot = read_snapshot(conn, settings)
        accuracy = _audit_accuracy(conn, head.model_id) if head else None
        minutes = read_plan_ground(conn, settings, snapshot.watermark_seq)
        # Every name of the archive is read only where somebody is asked about some.
        asks = bool(volunteer_time(conn).items(settings.acquisition.is_it_per_round))
        naming = read_archive_names(conn, settings) if asks else None
        is_it = read_is_it(conn, settings.acquisition, naming, minutes.goal)
        return _Ground(embedder, head, accuracy, _names(conn), snapshot, minutes, is_it)


def _policy(wanted: AcquisitionSettings, phase: Phase, drift_share: float, worth: FrameWorth) -> Policy:
    return Policy(
        phase,
        wanted.warm_shares if phase == "warm" else wanted.cold_shares,
        spread_by=wanted.spread_by,
        identity_cap=wanted.identity_cap,
        video_cap=wanted.video_cap,
        place_cap=wanted.place_cap,
        value_weight=wanted.value_weight,
        duplicate_likeness=wanted.duplicate_likeness,
        drift_share=drift_share,
        groups_share=wanted.groups_share,
        worth=worth,
    )


def _minutes(ground: PlanGround, named: Reach | None) -> dict[str, Any]:
    """What a round keeps of the goal and of how far its head named the pool, to explain its choices."""
    if named is None:
        return {}
    return {"goal": asdict(ground.goal), "reach": {key: round(value, 6) for key, value in asdict(named).items()}}


def _in_words(policy: Policy, snapshot: TrackSnapshot, **values: Any) -> str:
    """The policy of a round as JSON; of alerts only where there are some that act."""
    kept = {**asdict(policy), **values}
    del kept["groups_share"]  # what came of it is among the values
    if policy.phase == "cold":
        del kept["worth"]  # no lane of it asks what frames are worth
    if snapshot.drifted is None:
        del kept["drift_share"]
    else:
        kept["alerts"] = snapshot.drifted.alert_ids
    return json.dumps(kept, sort_keys=True)


def _planned(
    pool: TrackPool, head: LinearHead | None, policy: Policy, batch: int, rng: np.random.Generator, device: str
) -> Plan:
    try:
        return plan(pool, head, policy, batch, rng, arithmetic_on(device))
    except LaneError as error:
        raise PlanningError(
            f"The {policy.phase} plan cannot be made: {error}.",
            f"Correct acquisition.{policy.phase}_shares in chimp.toml.",
        ) from None


def _n_pool(pool: TrackPool) -> int:
    """Tracks that could be asked."""
    return sum(int(np.count_nonzero(may)) for may in (pool.may_train(), pool.may_audit(), pool.may_examine()))


def arithmetic_on(device: str) -> ArithmeticOf:
    """The arithmetic of a plan on a device ("cpu", "cuda", "cuda:1", "auto"). Raises PlanningError where there is
    none."""
    if device == "auto":
        from chimp_assets.vision.learning.device import device_of  # torch

        device = str(device_of())
    if device == "cpu":
        return OnCpu
    from chimp_assets.acquisition.pool_pass.on_torch import on_torch

    try:
        return on_torch(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise PlanningError(
            f"Plans cannot be computed on {device}: {str(error).splitlines()[0]}",
            'Repair the driver, or set device = "cpu" under [acquisition] in chimp.toml.',
        ) from None


def _required(embedder: ModelRow | None) -> ModelRow:
    if embedder is None:
        raise PlanningError(
            "Nothing can be planned: there is no embedder yet.",
            "It is fitted when there are enough tracks; see `chimp status`.",
        )
    return embedder


def _phase(store: BlobStore, settings: Settings, ground: _Ground) -> tuple[LinearHead | None, Phase, str]:
    """The head to ask, if it is good enough to be asked, the phase, and the reason in words."""
    head, accuracy = ground.head, ground.accuracy
    if head is None:
        return None, "cold", "there is no head yet"
    if head.parent_id != ground.embedder.model_id:
        return None, "cold", f"head {head.model_id} belongs to another embedder"
    if accuracy is None:
        return None, "cold", f"head {head.model_id} has no audit accuracy yet"
    least = settings.acquisition.warm_accuracy
    if accuracy < least and not half_is_well_known(ground.snapshot.state, ground.snapshot.reserve):
        return None, "cold", f"head {head.model_id} names {accuracy:.0%} of the audit right, below {least:.0%}"
    asked = _load_head(store, head, ground.names)
    if asked.n_classes < 2:
        return None, "cold", f"head {head.model_id} knows one individual"
    return asked, "warm", f"head {head.model_id} names {accuracy:.0%} of the audit right"


def _load_head(store: BlobStore, row: ModelRow, names: dict[int, str]) -> LinearHead:
    head = load_head(store, row)
    return LinearHead(
        weight=head.W,
        bias=head.b,
        temperature=head.temperature,
        version=row.model_id,
        names=tuple(names.get(c, str(c)) for c in head.classes.tolist()),
        classes=tuple(head.classes.tolist()),
    )


def half_is_well_known(state: I32Array, reserve: BoolArray) -> bool:
    """Whether at least half of the named individuals, and two of them, have WELL_KNOWN training labels or more."""
    counts = np.unique(state[(state >= 0) & ~reserve], return_counts=True)[1]
    return len(counts) >= 2 and 2 * int((counts >= WELL_KNOWN).sum()) >= len(counts)


def _audit_accuracy(conn: sa.Connection, model_id: int) -> float | None:
    metric = t.evaluation_metric.c
    value = conn.scalar(
        sa.select(metric.value)
        .where(
            metric.model_id == model_id,
            metric.dataset == "audit",
            metric.slice_kind == "all",
            metric.name == "top1",
            metric.n > 0,
        )
        .order_by(metric.metric_id.desc())
        .limit(1)
    )
    return None if value is None else float(value)


def _names(conn: sa.Connection) -> dict[int, str]:
    named, individual = t.individual.alias("named"), t.individual
    rows = conn.execute(
        sa.select(named.c.individual_id, individual.c.name, individual.c.anim_id).join_from(
            named,
            individual,
            individual.c.individual_id == sa.func.coalesce(named.c.same_as_id, named.c.individual_id),
        )
    )
    return {row.individual_id: f"{row.name} ({row.anim_id})" if row.name else row.anim_id for row in rows}
