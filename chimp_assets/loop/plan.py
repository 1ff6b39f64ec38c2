"""From SQL and the store to a plan, and back: lets `acquisition` choose from the pool and writes the round.

Belongs here: the champion head, the choice of the phase, the round. Does not belong here: reading the pool
(`pool_reading`), how tracks are chosen (`acquisition`), when a plan is due (`database.work`).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.plan import LaneError, Phase, Policy, plan
from chimp_assets.acquisition.pool import FOLLOWS, Head, TrackPool
from chimp_assets.acquisition.scores import ArithmeticOf, OnCpu
from chimp_assets.arrays import BoolArray, I32Array
from chimp_assets.database import schema as t
from chimp_assets.database.work.queue import write_round
from chimp_assets.errors import ChimpError
from chimp_assets.loop.pairs import doubts_to_ask, pairs_to_ask
from chimp_assets.loop.pool import pool_of, read_known

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings
    from chimp_assets.vision.models.checkpoint import ModelRow

WELL_KNOWN = 5
"""Labels of an individual from which its boundary with others is worth asking about."""


class PlanningError(ChimpError):
    """A plan cannot be made from what is there."""


@dataclass(frozen=True)
class PlanReport:
    """What a plan did.

    lanes: items of each lane that asks for names; pairs, disputed: items of the other two; contradictions: answers that
    cannot all be true; follows: tracks whose name follows from what was said of others, so that nobody is asked;
    proposals: merges to decide about; n_pool: tracks that could be asked; why: the reason of the phase;
    without_embedding: live tracks that could not be considered because they have no (finite) embedding yet.
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


def build_pool(db: Database, store: BlobStore, settings: Settings) -> TrackPool:
    """Every live track that the champion embedder has embedded. Raises PlanningError where there is no embedder.

    state comes from the effective answers; leased tracks are IN_FLIGHT; those that "same" answers join to a named one
    are FOLLOWS; value is the number of boxes. Memory: the embeddings (f16) and some 20 bytes a track.
    """
    from chimp_assets.vision.models.checkpoint import champion

    with db.read() as conn:
        embedder = champion(conn, "embedder")
        known = read_known(conn, settings)
    return pool_of(db, store, _required(embedder), known)


def replan(
    db: Database, store: BlobStore, settings: Settings, batch: int | None = None, seed: int | None = None
) -> PlanReport:
    """Plan the next batch and make it the queue. The same labels, models, leases and seed give the same items.

    batch, seed: instead of settings.acquisition.batch and settings.seed. Raises PlanningError where there is no
    embedder, or where the settings name a lane that cannot be planned; nothing is written then.
    """
    from chimp_assets.vision.models.checkpoint import champion

    began = time.perf_counter()
    batch = settings.acquisition.batch if batch is None else batch
    seed = settings.seed if seed is None else seed
    with db.read() as conn:
        embedder = _required(champion(conn, "embedder"))
        head_row = champion(conn, "head")
        known = read_known(conn, settings)
        accuracy = _audit_accuracy(conn, head_row.model_id) if head_row else None
        names = _names(conn)
    pool = pool_of(db, store, embedder, known)
    head, phase, why = _phase(
        store, settings, embedder, head_row, accuracy, half_is_well_known(known.state, known.reserve), names
    )
    shares = settings.acquisition.warm_shares if phase == "warm" else settings.acquisition.cold_shares
    wanted = settings.acquisition
    policy = Policy(
        phase,
        shares,
        spread_by=wanted.spread_by,
        identity_cap=wanted.identity_cap,
        video_cap=wanted.video_cap,
        place_cap=wanted.place_cap,
        value_weight=wanted.value_weight,
        duplicate_likeness=wanted.duplicate_likeness,
    )
    # The watermark makes rounds independent of each other: with one stream of random numbers for all of them, the
    # second audit sample would lie beside the first.
    rng = np.random.default_rng([seed % (1 << 63), known.watermark_seq])
    try:
        made = plan(pool, head, policy, batch, rng, arithmetic_on(wanted.device))
    except LaneError as error:
        raise PlanningError(
            f"The {phase} plan cannot be made: {error}.", f"Mend acquisition.{phase}_shares in chimp.toml."
        ) from None
    found = pairs_to_ask(db, pool, known, made.rows, policy, wanted.pairs_per_round)
    doubtful = doubts_to_ask(known, set(pool.track[made.rows].tolist()), wanted.pairs_per_round)
    n_pool = int(np.count_nonzero(pool.may_train())) + int(np.count_nonzero(pool.may_audit()))
    round_id = write_round(
        db,
        policy=json.dumps(
            {**asdict(policy), "batch": batch, "pairs_per_round": wanted.pairs_per_round, "why": why}, sort_keys=True
        ),
        seed=seed,
        embedder_model_id=embedder.model_id,
        # Also in the cold phase: the plan knew this head, and found it too weak.
        head_model_id=head_row.model_id if head_row else None,
        watermark_seq=known.watermark_seq,
        n_pool=n_pool,
        track_ids=[*pool.track[made.rows].tolist(), *(d.track_id for d in doubtful), *pool.track[found.one].tolist()],
        other_track_ids=[
            *[None] * len(made),
            *(d.other_track_id for d in doubtful),
            *pool.track[found.other].tolist(),
        ],
        lanes=[*made.lanes, *[t.DISPUTED] * len(doubtful), *[t.PAIRS] * len(found.one)],
        # Doubts and pairs follow from the pool and the answers: nothing is drawn.
        propensity=[*made.propensity.tolist(), *[1.0] * (len(doubtful) + len(found.one))],
        reasons=[*made.reasons, *(d.reason for d in doubtful), *found.reasons],
    )
    return PlanReport(
        round_id=round_id,
        lanes={lane: made.lanes.count(lane) for lane in sorted(set(made.lanes))},
        pairs=len(found.one),
        disputed=len(doubtful),
        contradictions=len(known.concluded.contradictions),
        follows=int(np.count_nonzero(known.state == FOLLOWS)),
        proposals=len(known.concluded.proposals),
        phase=phase,
        n_pool=n_pool,
        seconds=time.perf_counter() - began,
        why=why,
        without_embedding=len(known.track) - len(pool),
    )


def arithmetic_on(device: str) -> ArithmeticOf:
    """The arithmetic of a plan on a device ("cpu", "cuda", "cuda:1"). Raises PlanningError where there is none."""
    if device == "cpu":
        return OnCpu
    from chimp_assets.acquisition.torch_scores import on_torch

    try:
        return on_torch(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise PlanningError(
            f"Plans cannot be computed on {device}: {str(error).splitlines()[0]}",
            'Mend the driver, or set device = "cpu" under [acquisition] in chimp.toml.',
        ) from None


def _required(embedder: ModelRow | None) -> ModelRow:
    if embedder is None:
        raise PlanningError(
            "Nothing can be planned: there is no embedder yet.",
            "It is fitted when enough tracks are there; see chimp status.",
        )
    return embedder


def _phase(
    store: BlobStore,
    settings: Settings,
    embedder: ModelRow,
    head_row: ModelRow | None,
    accuracy: float | None,
    well_known: bool,
    names: dict[int, str],
) -> tuple[Head | None, Phase, str]:
    """The head to ask, if it is good enough to be asked. well_known: half of the individuals have enough labels."""
    if head_row is None:
        return None, "cold", "there is no head yet"
    if head_row.parent_id != embedder.model_id:
        return None, "cold", f"head {head_row.model_id} belongs to another embedder"
    if accuracy is None:
        return None, "cold", f"head {head_row.model_id} has no audit accuracy yet"
    least = settings.acquisition.warm_accuracy
    if accuracy < least and not well_known:
        return None, "cold", f"head {head_row.model_id} names {accuracy:.0%} of the audit right, below {least:.0%}"
    head = _load_head(store, head_row, names)
    if head.n_classes < 2:
        return None, "cold", f"head {head_row.model_id} knows one individual"
    return head, "warm", f"head {head_row.model_id} names {accuracy:.0%} of the audit right"


def _load_head(store: BlobStore, row: ModelRow, names: dict[int, str]) -> Head:
    from chimp_assets.vision.identity.head import load_head

    head = load_head(store, row)
    return Head(
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
    said, i = t.individual.alias("said"), t.individual
    rows = conn.execute(
        sa.select(said.c.individual_id, i.c.name, i.c.anim_id).join_from(
            said, i, i.c.individual_id == sa.func.coalesce(said.c.same_as_id, said.c.individual_id)
        )
    )
    return {row.individual_id: f"{row.name} ({row.anim_id})" if row.name else row.anim_id for row in rows}
