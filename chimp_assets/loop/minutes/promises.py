"""A promise about the names of the archive: when it is worth testing, what is frozen and drawn, and where it stands.

Belongs here: freezing names, drawing, the questions of a plan, status. Does not belong here: levels, draws, verdicts
(`acquisition.minutes.promises`), goals as rows and comparing answers as they land (`database.labels.promises`).

Each plan tends the promise: it ends what has been overtaken, freezes names where the goal is within reach, and asks the
next draws. Everything about a look is written in one transaction, draws and all, so that a plan that is killed leaves
either no look or a whole one, and the next plan asks about it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.goal import (
    BY_A_PERSON,
    NOBODY_ASKED,
    ON_A_PAGE,
    PAGE_ERROR,
    Goal,
    Reach,
    ToGo,
    reach,
    to_go,
)
from chimp_assets.acquisition.minutes.promises import alpha_of, draws
from chimp_assets.acquisition.pool import IN_FLIGHT, TrackPool
from chimp_assets.arrays import F64Array, I64Array, located
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_one, insert_rows
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.merges import last_merge, merged_ids
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.promises.draws import AnsweredDraw, answered_draws, settle_look, verdict_of
from chimp_assets.database.labels.promises.goals import NamingGoal, anew, current_goal
from chimp_assets.database.labels.promises.looks import (
    NEW_TRACKS,
    STALE,
    PromiseLook,
    changes_since,
    end_look,
    is_stale,
    newest_look,
    open_look,
)
from chimp_assets.database.work.due import unscored_bundles
from chimp_assets.loop.minutes.names import TrackNaming, read_archive_names
from chimp_assets.statistics.betting import answers_to_rarity

if TYPE_CHECKING:
    from chimp_assets.acquisition.plan import Plan
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

PromiseState = Literal["to reach", "auditing", "kept", "failed", "ended"]

BETWEEN_LOOKS = 40
"""Label events after a look that failed or ended before names are frozen again (minutes.md 2)."""
FEWEST_ASKED = 10
"""Draws that a plan asks at least: each plan costs a run."""
REASON = "Drawn to test the promise about names. Say who it is, or that you cannot tell."


@dataclass(frozen=True)
class PromiseQuestions:
    """What a plan asks for a promise: track_id, propensity, one each. Empty where nothing is tested."""

    track_ids: list[int]
    propensity: list[float]

    def before(self, items: dict[str, Any]) -> dict[str, Any]:
        """The columns of a round's items with these first. What else would have been asked of their tracks is not."""
        if not self.track_ids:
            return items
        mine = set(self.track_ids)
        pairs = zip(items["track_ids"], items["other_track_ids"], strict=True)
        kept = [row for row, asked in enumerate(pairs) if not mine & set(asked)]
        n = len(self.track_ids)
        first: dict[str, list[Any]] = {
            "track_ids": self.track_ids,
            "other_track_ids": [None] * n,
            "lanes": [t.PROMISE] * n,
            "propensity": self.propensity,
            "reasons": [REASON] * n,
        }
        columns = {name: first.get(name, [None] * n) for name in items}
        return {name: [*mine_first, *(items[name][row] for row in kept)] for name, mine_first in columns.items()}

    def without(self, pool: TrackPool) -> TrackPool:
        """The pool for everything else that a plan asks: what is drawn counts as in flight."""
        if not self.track_ids:
            return pool
        here, row = located(pool.track, np.array(self.track_ids, np.int64))
        state = pool.state.copy()
        state[row[here]] = IN_FLIGHT
        return replace(pool, state=state)

    def counted(self, made: Plan, track_id: I64Array) -> dict[str, int]:
        """Items of each lane that asks for names. made: the plan of the other lanes; track_id: i64, of its items."""
        lanes = [lane for lane, one in zip(made.lanes, track_id.tolist(), strict=True) if one not in self.track_ids]
        lanes += [t.PROMISE] * len(self.track_ids)
        return {lane: lanes.count(lane) for lane in sorted(set(lanes))}


@dataclass(frozen=True)
class PromiseStatus:
    """Where the promise stands. goal, confidence, is_promised: False where the goal is only something to reach; reach:
    None without a champion head; alone, with_volunteers: what is left until the names are worth freezing; look: the
    newest look of the goal; to_answer: answers that an open look is expected to need still; sentence: all of it in
    one paragraph for a person."""

    goal: Goal
    confidence: float
    is_promised: bool
    state: PromiseState
    reach: Reach | None
    alone: ToGo | None
    with_volunteers: ToGo | None
    look: PromiseLook | None
    to_answer: int
    sentence: str


@dataclass(frozen=True)
class _FrozenNames:
    """Names whose look is about to begin: rows of the naming, and who names each."""

    threshold: float
    reach: Reach
    track_id: I64Array
    frames: F64Array
    individual_id: I64Array
    source: list[str]


def tend_promise(db: Database, settings: Settings, batch: int) -> PromiseQuestions:
    """Ends, freezes and draws as the archive stands now; returns the questions of the next plan, at most batch."""
    now = datetime.now(UTC)
    with db.read() as conn:
        look, due = open_look(conn), _over(conn, settings, now)
        frozen = None if due or look is not None else _worth_freezing(conn, settings)
    if due:
        db.transact(lambda conn: _end(conn, settings, now))
    if frozen is not None:
        goal, naming, names = frozen
        db.transact(lambda conn: _freeze(conn, settings, goal, naming, names, now))
    with db.read() as conn:
        look = open_look(conn)
        return PromiseQuestions([], []) if look is None else _questions(conn, look, batch)


def promise_status(conn: sa.Connection, settings: Settings, naming: TrackNaming | None = None) -> PromiseStatus:
    """Where the promise stands now. naming: of this connection, where it is at hand; it is read otherwise."""
    goal = current_goal(conn, settings)
    wanted = Goal(goal.named, goal.error)
    naming = read_archive_names(conn, settings) if naming is None else naming
    there = alone = helped = None
    if naming is not None:
        there = reach(naming.names, wanted)
        alone = to_go(naming.names, wanted, naming.prices)
        helped = to_go(naming.names, wanted, naming.prices, volunteers=True)
    look = None if goal.promise_id is None else newest_look(conn, goal.promise_id)
    state: PromiseState = "to reach"
    ended: tuple[str, datetime | None] | None = None
    to_answer = 0
    if look is not None:
        state = look.state  # type: ignore[assignment]  # the states of a look are states of a promise
        if look.state == "ended":
            ended = (look.end_reason or "", look.ended_at)
        elif look.state == "kept" and (changed := changes_since(conn, look)) is not None:
            state, ended = "ended", changed
        elif look.state == "auditing":
            to_answer = verdict_of(answered_draws(conn, look), look, goal.error).more
    sentence = _sentence(goal, state, there, alone, helped, look, ended, to_answer)
    return PromiseStatus(
        wanted, goal.confidence, goal.is_promised, state, there, alone, helped, look, to_answer, sentence
    )


def is_worth_testing(db: Database, settings: Settings) -> bool:
    """Whether the next plan would freeze the names and draw a sample of them.

    Names change with every promotion, and are whole again when the last bundle is scored: later than the plan that the
    promotion led to.
    """
    with db.read() as conn:
        return _over(conn, settings, datetime.now(UTC)) is None and _worth_freezing(conn, settings) is not None


def look_in_words(conn: sa.Connection) -> str:
    """The newest look in a few words, without reading any track."""
    look = newest_look(conn)
    if look is None:
        return "nothing was tested yet"
    said = f"look {look.look_no}: {look.state}, {look.n_answered} answered, {look.n_wrong} wrong"
    return f"{said} ({look.end_reason})" if look.end_reason else said


def _over(conn: sa.Connection, settings: Settings, now: datetime) -> str | None:
    """Why the newest look is over though its row does not say so; None: it is not."""
    look = newest_look(conn)
    if look is None or look.state not in ("auditing", "kept"):
        return None
    changed = changes_since(conn, look)
    # Tracks that were named since are no part of what is tested: only a promise that stands says nothing of them.
    if changed is not None and (look.state == "kept" or changed[0] != NEW_TRACKS):
        return changed[0]
    if look.state == "auditing" and is_stale(look, settings.promise.hold_days, now):
        return f"{STALE} {settings.promise.hold_days:g} days"
    return None


def _end(conn: sa.Connection, settings: Settings, now: datetime) -> None:
    seq = take_numbers(conn, ANNOTATION, 0) - 1
    look, why = newest_look(conn), _over(conn, settings, now)
    if look is not None and why is not None:
        changed = changes_since(conn, look)
        end_look(conn, look.look_id, why, (changed and changed[1]) or now, seq)


def _worth_freezing(conn: sa.Connection, settings: Settings) -> tuple[NamingGoal, TrackNaming, _FrozenNames] | None:
    goal = current_goal(conn, settings)
    if not goal.is_promised:
        return None
    look = newest_look(conn)
    if look is not None and look.state in ("auditing", "kept"):
        return None
    seq = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0
    # Only what failed must be taught first: names that a new head has given are others, and cost the next level.
    if look is not None and look.state == "failed" and seq - (look.teaches_from_seq or 0) < BETWEEN_LOOKS:
        return None
    if unscored_bundles(conn):  # names that come tomorrow would end it tomorrow
        return None
    naming = read_archive_names(conn, settings)
    wanted = Goal(goal.named, goal.error)
    if naming is None or not reach(naming.names, wanted).meets(wanted):
        return None
    return goal, naming, _frozen(conn, naming, wanted)


def _frozen(conn: sa.Connection, naming: TrackNaming, goal: Goal) -> _FrozenNames:
    """The names that are tested. Of all thresholds the highest that names as many frames as are promised: the surest
    names need the fewest draws."""
    names = naming.names
    by_machine = (names.asked == NOBODY_ASKED) & (names.chance > 0)
    named = float(names.frames[(names.asked == BY_A_PERSON) | (names.asked == ON_A_PAGE)].sum())
    order = np.flatnonzero(by_machine)[np.argsort(-naming.probability[by_machine], kind="stable")]
    carried = named + np.cumsum(names.frames[order])
    total = float(names.frames.sum())
    enough = int(np.searchsorted(carried, goal.named * total - 1e-9)) if named < goal.named * total else -1
    # As the database holds it, a step lower: it is compared with numbers of single precision.
    lowest = naming.probability[order[min(enough, len(order) - 1)]] if enough >= 0 else 1.0
    threshold = float(np.nextafter(np.float32(lowest), np.float32(0)))
    counted = by_machine & (naming.probability >= threshold)
    tested = counted | (names.asked == ON_A_PAGE)
    individual_id = naming.individual_id.copy()
    sources = _given_names(conn, naming.track_id[names.asked == ON_A_PAGE], individual_id, naming.track_id)
    rows = np.flatnonzero(tested & (individual_id >= 0))
    frames = float(names.frames[rows].sum())
    person = float(names.frames[names.asked == BY_A_PERSON].sum())
    wrong = float((names.frames * (1 - names.chance))[counted].sum())
    page = float(names.frames[names.asked == ON_A_PAGE].sum())
    all_named = max(person + frames, 1e-12)
    there = Reach(threshold, (person + frames) / total, (wrong + PAGE_ERROR * page) / all_named, frames / all_named)
    return _FrozenNames(
        threshold,
        there,
        naming.track_id[rows],
        names.frames[rows],
        individual_id[rows],
        [sources.get(track_id, "model") for track_id in naming.track_id[rows].tolist()],
    )


def _given_names(
    conn: sa.Connection, track_ids: I64Array, individual_id: I64Array, all_tracks: I64Array
) -> dict[int, str]:
    """Writes the names that pages and volunteers gave into individual_id i64 [n]; returns who gave each."""
    same = merged_ids(conn)
    sources: dict[int, str] = {}
    answer, said = effective_answers().subquery("answer"), t.track_evidence.c
    kinds = {
        "volunteers": lambda part: sa.select(said.track_id, said.individual_id).where(
            said.track_id.in_(part), said.state == "agreed"
        ),
        "page": lambda part: sa.select(answer.c.track_id, answer.c.individual_id).where(
            answer.c.track_id.in_(part), answer.c.individual_id.is_not(None)
        ),
    }
    for source, statement in kinds.items():
        for row in rows_in_parts(conn, statement, track_ids.tolist()):
            place = int(np.searchsorted(all_tracks, row.track_id))
            individual_id[place] = same.get(row.individual_id, row.individual_id)
            sources[row.track_id] = source
    return sources


def _freeze(
    conn: sa.Connection,
    settings: Settings,
    goal: NamingGoal,
    naming: TrackNaming,
    names: _FrozenNames,
    now: datetime,
) -> None:
    """Writes the look and all of its draws, unless somebody has begun one meanwhile or the names have changed."""
    seq = take_numbers(conn, ANNOTATION, 0) - 1
    if open_look(conn) is not None or seq != naming.watermark_seq or current_goal(conn, settings) != goal:
        return
    promise_id = goal.promise_id
    before = None if promise_id is None else newest_look(conn, promise_id)
    if promise_id is None or (before is not None and before.state == "ended" and before.decided_at is not None):
        promise_id, before = anew(conn, goal, now), None  # one that was kept has ended: the next counts from 1
    look_no = 1 if before is None else before.look_no + 1
    seed = [settings.seed % (1 << 63), naming.watermark_seq, promise_id, look_no]
    frames, there = names.frames, names.reach
    look_id = insert_one(
        conn,
        t.promise_look,
        promise_id=promise_id,
        look_no=look_no,
        alpha=alpha_of(look_no, goal.confidence),
        head_model_id=naming.head_model_id,
        threshold=names.threshold,
        tested_share=there.tested,
        named_share=there.named,
        expected_error=there.error,
        n_tracks=len(names.track_id),
        n_frames=int(frames.sum()),
        seed=settings.seed,
        watermark_seq=naming.watermark_seq,
        merge_watermark=last_merge(conn),
        state="auditing",
        n_answered=0,
        n_wrong=0,
        wealth=1.0,
        frozen_at=now,
    )
    if len(names.track_id) and frames.sum() > 0:
        row = draws(frames, settings.promise.most_draws, np.random.default_rng(seed))
        insert_rows(
            conn,
            t.promise_draw,
            {
                "look_id": [look_id] * len(row),
                "draw_no": list(range(len(row))),
                "track_id": names.track_id[row].tolist(),
                "individual_id": names.individual_id[row].tolist(),
                "source": [names.source[i] for i in row.tolist()],
            },
        )
    look = newest_look(conn)
    assert look is not None
    settle_look(conn, look, seq)


def _questions(conn: sa.Connection, look: PromiseLook, batch: int) -> PromiseQuestions:
    """The next draws of a look that nobody has answered or is answering, as many as it needs if no more is wrong."""
    error = conn.scalar(sa.select(t.promise.c.error).where(t.promise.c.promise_id == look.promise_id)) or 0.0
    found = answered_draws(conn, look)
    said = verdict_of(found, look, float(error))
    if said.name != "go on":
        return PromiseQuestions([], [])
    wanted = min(batch, max(FEWEST_ASKED, _needed_if_right(said.wealth, look, float(error))))
    tracks = _next_tracks(found, wanted, said.n_answered)
    asked = _leased(conn, tracks)
    tracks = [one for one in tracks if one not in asked]
    k = t.track.c
    frames = {
        row.track_id: row.n_detections
        for row in rows_in_parts(
            conn, lambda part: sa.select(k.track_id, k.n_detections).where(k.track_id.in_(part)), tracks
        )
    }
    n = said.n_answered + wanted
    chances = [-math.expm1(n * math.log1p(-min(frames[one] / max(look.n_frames, 1), 1 - 1e-9))) for one in tracks]
    return PromiseQuestions(tracks, [min(1.0, max(chance, 1e-9)) for chance in chances])


def _needed_if_right(wealth: float, look: PromiseLook, error: float) -> int:
    limit = min(1.0, error / look.tested_share) if look.tested_share > 0 else 1.0
    return math.ceil(1.3 * answers_to_rarity(0.0, min(limit, 1 - 1e-9), 1 / (look.alpha * max(wealth, 1e-9))))


def _next_tracks(found: list[AnsweredDraw], wanted: int, n_answered: int) -> list[int]:
    """Tracks of open draws, in the order of the draws, among the next `wanted` that count."""
    tracks: dict[int, None] = {}
    counted = 0
    for one in found:
        counted += one.is_open or one.wrong is not None
        if counted > n_answered + wanted:
            break
        if one.is_open:
            tracks.setdefault(one.track_id)
    return list(tracks)


def _leased(conn: sa.Connection, track_ids: Collection[int]) -> set[int]:
    q = t.acquisition_queue.c
    rows = rows_in_parts(
        conn,
        lambda part: sa.select(q.track_id).where(
            q.track_id.in_(part), q.state == "leased", q.leased_until > datetime.now(UTC)
        ),
        track_ids,
    )
    return {row.track_id for row in rows}


def _sentence(
    goal: NamingGoal,
    state: PromiseState,
    there: Reach | None,
    alone: ToGo | None,
    helped: ToGo | None,
    look: PromiseLook | None,
    ended: tuple[str, datetime | None] | None,
    to_answer: int,
) -> str:
    what = (
        f"at most {_share(goal.error)} of the named frames carry a wrong name, and at least {_share(goal.named)} of all"
        f" frames carry one ({_share(goal.confidence)} sure)"
    )
    now = (
        "" if there is None else f" Now {_share(there.named)} carry a name, of which {_share(there.error)} are expected"
    )
    now += " to be wrong." if now else ""
    left = _left(alone, helped)
    if state == "kept" and look is not None:
        bound = "" if look.error_bound is None else f" The sample's upper limit is {_share(look.error_bound)}."
        return (
            f"Promised of the names of {look.frozen_at:%Y-%m-%d}: {what}. It holds until names change; names of the"
            f" model count from a probability of {look.threshold:.3f}.{bound}"
        )
    if state == "auditing" and look is not None:
        return (
            f"Being tested on the names of {look.frozen_at:%Y-%m-%d}: {what}. {look.n_answered} of the fresh sample are"
            f" answered, {look.n_wrong} of them named somebody else; some {to_answer} more are needed. Until then no"
            " training starts by itself."
        )
    if state == "failed" and look is not None:
        return (
            f"Not shown: {what}. Of {look.n_answered} names drawn from those of {look.frozen_at:%Y-%m-%d}"
            f" {look.n_wrong} were wrong. Those answers teach now; after {BETWEEN_LOOKS} more a test begins.{now}"
        )
    if state == "ended" and look is not None and ended is not None:
        day = "" if ended[1] is None else f" on {ended[1]:%Y-%m-%d}"
        said = "The promise" if look.decided_at is not None else "The test"
        return (
            f"{said} of the names of {look.frozen_at:%Y-%m-%d} has ended{day}: {ended[0]}. Wanted: {what}.{now}{left}"
        )
    if there is None:
        return f"To reach: {what}. No head names the archive yet."
    wait = " It is tested when a promise is made (chimp promise)." if not goal.is_promised else ""
    return f"To reach: {what}.{now}{left}{wait}"


def _left(alone: ToGo | None, helped: ToGo | None) -> str:
    if alone is None or alone.answers == 0:
        return ""
    if not math.isfinite(alone.seconds):
        return " No number of answers reaches it as the names are now."
    said = f" Some {math.ceil(alone.seconds / 60)} minutes of one person's answers are left"
    if helped is None or not math.isfinite(helped.seconds) or helped.seconds >= 0.9 * alone.seconds:
        return said + "."
    return said + f", {math.ceil(helped.seconds / 60)} with volunteers."


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"
