"""Gold: questions with a known answer among those of the queue, for people who may not correct others.

Belongs here: drawing them, recording them, recognising their answers, and judging these. Does not belong here: what
follows from a wrong answer (a reviewer sees it), wrong tracks in a grid (`plants`).

Nobody can tell these questions from others. Gold takes the place of an item that was just leased to the person: number,
round, place, lane, reason and lease are those of the item; only the track is another one, for which the head is about
as sure. The item waits again after gold was answered. The items are drawn with the page's secret, so the draw stays the
same however often somebody releases items and claims again. Gold never exceeds its share of all questions of a person.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.lanes.frames import frames_reason
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS
from chimp_assets.database.labels.shown import GOLD, Shown
from chimp_assets.database.people.leases import give_back
from chimp_assets.settings import Settings
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.labelling.items import LabellingQuestion, champion_head
from chimp_assets.web.labelling.known_tracks import GOLD_FROM, KnownTrack, known_tracks, record_check

_SETTLING = (*ANSWER_KINDS, "skip", "split", "merge")
"""Kinds of events that settle a question."""
_LIKE = 40
"""Known tracks from which the most similar is taken."""
_ASKED = 10_000
"""Newest gold of a person that is read."""
_WAVERS = re.compile(r"The model wavers between .+ \(\d+%\) and .+ \(\d+%\)\.")
_FRAMES = re.compile(r"\d[\d,]* frames? for some \d+ seconds: the model says .+ \(\d+%\)\..*")
_LOOKS = re.compile(r"(Looks like ).+(, of whom \d[\d,]* tracks? (?:is|are) named so far\.)")


@dataclass(frozen=True)
class _Sureness:
    """The head's first two names for a track, of so many frames. margin: the difference of their probabilities."""

    names: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    frames: int = 0

    @property
    def margin(self) -> float:
        first, second, *_ = (*self.probabilities, 0.0, 0.0)
        return first - second


class Gold:
    """Gold of one database. secret: the page's secret, for the draw."""

    def __init__(self, db: Database, settings: Settings, secret: bytes) -> None:
        self._db, self._settings, self._secret = db, settings, secret

    def among(
        self, person: Person, questions: Sequence[LabellingQuestion], fresh: Collection[int]
    ) -> list[LabellingQuestion]:
        """The questions of a claim, some of them replaced by gold; no gold for people who may correct others.

        fresh: items that this claim leased. Items that the person held before stay as they were.
        """
        names = [q for q in questions if q.other_track_id is None and q.lane not in t.SIDE_LANES]
        if person.role in t.CORRECTING_ROLES or not names:
            return list(questions)
        with self._db.read() as conn:
            asked = self._asked(conn, person.user_id)
            share, n = self._wanted(conn, person.user_id, asked)
        given = {row.item_id: row.track_id for row in asked if row.answered_at is None and row.item_id is not None}
        before = {row.item_id for row in asked}
        draws = {q.item_id: self._draw(person, q.item_id) for q in names}
        lent = [q for q in names if q.item_id in fresh and q.item_id not in before and draws[q.item_id] < share]
        lent = sorted(lent, key=lambda q: draws[q.item_id])[: max(0, n)]
        if lent:
            but = {row.track_id for row in asked} | {q.track_id for q in questions}
            given |= self._lend(person, lent, but)
        return self._in_place(questions, {q.item_id: given[q.item_id] for q in names if q.item_id in given})

    def _in_place(self, questions: Sequence[LabellingQuestion], given: Mapping[int, int]) -> list[LabellingQuestion]:
        """The questions with the given tracks in place of some, and reasons that fit these tracks."""
        if not given:
            return list(questions)
        with self._db.read() as conn:
            sure = _surenesses(conn, list(given.values()))
            worth = _worth(conn, [q for q in questions if q.item_id in given])

        def gold(q: LabellingQuestion, track_id: int) -> LabellingQuestion:
            reason = _reason(q.reason, sure.get(track_id), worth.get(q.round_id))
            return replace(q, track_id=track_id, reason=q.reason if reason is None else reason, as_new=True)

        return [gold(q, given[q.item_id]) if q.item_id in given else q for q in questions]

    def answered_by(self, person: Person, answers: Iterable[tuple[int | None, int | None]]) -> set[tuple[int, int]]:
        """The pairs (item_id, track_id) among a person's answers that are answers to gold."""
        wanted = {(item_id, track_id) for item_id, track_id in answers if item_id is not None and track_id is not None}
        old = {pair for pair in wanted if pair[0] >= GOLD_FROM}
        if person.role in t.CORRECTING_ROLES or not wanted - old:
            return old
        c = t.quality_check.c
        item_ids = sorted({item_id for item_id, _ in wanted - old})
        with self._db.read() as conn:
            mine = sa.select(c.item_id, c.track_id).where(
                c.user_id == person.user_id, c.kind == "gold", c.item_id.in_(item_ids)
            )
            return old | (wanted & {(row.item_id, row.track_id) for row in conn.execute(mine)})

    def learn(self, person: Person, answers: Collection[tuple[int, int]]) -> None:
        """Judge answers to gold, given by (item_id, track_id), and release the items behind it. Safe to repeat."""
        if not answers:
            return
        checks = sorted({item_id - GOLD_FROM for item_id, _ in answers if item_id >= GOLD_FROM})
        lent = sorted({item_id for item_id, _ in answers if item_id < GOLD_FROM})

        def work(conn: sa.Connection) -> None:
            c, a = t.quality_check.c, t.annotation.c
            these = (sa.or_(c.check_id.in_(checks), c.item_id.in_(lent)), c.kind == "gold", c.user_id == person.user_id)
            rows = conn.execute(
                sa.select(c.check_id, c.individual_id, a.kind, a.individual_id.label("said"))
                .join_from(
                    t.quality_check, t.annotation, sa.and_(a.track_id == c.track_id, a.annotator_id == c.user_id)
                )
                .where(*these, c.answered_at.is_(None), a.kind.in_(_SETTLING), a.server_time >= c.asked_at)
                .order_by(a.seq)
            ).all()
            same = merged_ids(conn) if rows else {}
            first: dict[int, bool | None] = {}
            for row in rows:
                named = row.kind in NAMING_KINDS
                right = named and same.get(row.said, row.said) == same.get(row.individual_id, row.individual_id)
                # A skip or a split is no answer about the individual.
                first.setdefault(row.check_id, right if row.kind in ANSWER_KINDS else None)
            for check_id, right in first.items():
                conn.execute(
                    sa.update(t.quality_check)
                    .where(c.check_id == check_id)
                    .values(passed=right, answered_at=datetime.now(UTC))
                )
            done = conn.scalars(sa.select(c.item_id).where(*these, c.item_id.is_not(None), c.answered_at.is_not(None)))
            give_back(conn, person.user_id, done.all())

        self._db.transact(work)

    def _asked(self, conn: sa.Connection, user_id: int) -> Sequence[Any]:
        c = t.quality_check.c
        return conn.execute(
            sa.select(c.check_id, c.track_id, c.item_id, c.answered_at)
            .where(c.user_id == user_id, c.kind == "gold")
            .order_by(c.check_id.desc())
            .limit(_ASKED)
        ).all()

    def _wanted(self, conn: sa.Connection, user_id: int, asked: Sequence[Any]) -> tuple[float, int]:
        """The share of gold for this person now, and how many are still due, of all answered and all held questions."""
        web, a, q = self._settings.web, t.annotation.c, t.acquisition_queue.c
        answered = sa.select(sa.func.count()).where(a.annotator_id == user_id, a.kind.in_(ANSWER_KINDS))
        done = conn.scalar(answered) or 0
        held = set(conn.scalars(sa.select(q.item_id).where(q.state == "leased", q.leased_by == user_id)))
        got = done + len(held)
        first = min(got, web.gold_first)
        due = int(first * web.gold_first_share + (got - first) * web.gold_share + 1e-9)
        there = sum(row.answered_at is not None or row.item_id in held for row in asked)
        return (web.gold_first_share if done < web.gold_first else web.gold_share), due - there

    def _draw(self, person: Person, item_id: int) -> float:
        digest = hmac.digest(self._secret, f"gold:{person.user_id}:{item_id}".encode(), hashlib.sha256)
        return int.from_bytes(digest[:8]) / 2**64

    def _lend(self, person: Person, lent: Sequence[LabellingQuestion], but: Collection[int]) -> dict[int, int]:
        """Known tracks, by the items whose place they take from now on; fewer where few tracks are known."""
        with self._db.read() as conn:
            known = [k for k in known_tracks(conn, person.user_id) if k.track_id not in but]
            sample = random.sample(known, min(_LIKE + len(lent), len(known)))
            sure = _surenesses(conn, [k.track_id for k in sample] + [q.track_id for q in lent])
        found: dict[int, KnownTrack] = {}
        for question in lent:
            margin = sure.get(question.track_id, _NOTHING).margin
            fits = [k for k in sample if _reason(question.reason, sure.get(k.track_id)) is not None]
            best = min(fits, key=lambda k: abs(sure.get(k.track_id, _NOTHING).margin - margin), default=None)
            if best is not None:
                sample.remove(best)
                found[question.item_id] = best

        def work(conn: sa.Connection) -> None:
            for item_id, known in found.items():
                record_check(conn, "gold", None, person.user_id, known, item_id)

        if found:
            self._db.transact(work)
        return {item_id: known.track_id for item_id, known in found.items()}


_NOTHING = _Sureness()


def as_shown(shown: Mapping[str, Any] | None, is_gold: bool) -> dict[str, Any] | None:
    """`shown` from a client, as it is stored: only the server decides whether it was gold."""
    if is_gold:
        return {**(shown or {}), "mode": GOLD}
    if shown is not None and shown.get("mode") == GOLD:
        return {key: value for key, value in shown.items() if key != "mode"}
    return None if shown is None else dict(shown)


def items_of_gold(conn: sa.Connection, user_id: int) -> dict[int, int]:
    """item_id by track_id of the gold that a person got: among own answers gold looks like any item."""
    c = t.quality_check.c
    rows = conn.execute(
        sa.select(c.track_id, c.item_id).where(c.user_id == user_id, c.kind == "gold", c.item_id.is_not(None))
    )
    return {row.track_id: row.item_id for row in rows}


def is_gold(shown: str | None) -> bool:
    """Whether the answer with this stored `shown` was an answer to gold."""
    return Shown.of(shown).mode == GOLD


def _worth(conn: sa.Connection, questions: Sequence[LabellingQuestion]) -> dict[int, FrameWorth]:
    """What the plans of some questions took frames to be worth, by round; of those whose reasons say so."""
    rounds = sorted({q.round_id for q in questions if _FRAMES.fullmatch(q.reason)})
    c = t.acquisition_round.c
    rows = conn.execute(sa.select(c.round_id, c.policy).where(c.round_id.in_(rounds))) if rounds else ()
    return {row.round_id: FrameWorth.kept(json.loads(row.policy)) for row in rows}


def _reason(reason: str, sure: _Sureness | None, worth: FrameWorth | None = None) -> str | None:
    """The reason of the replaced item, with the head's names for the gold track. None if the reason names somebody and
    the head has no name. worth: of the item's plan, which says how many seconds the answer takes.
    """
    names, shares = (sure.names, sure.probabilities) if sure else ((), ())
    if _WAVERS.fullmatch(reason):
        if len(names) < 2:
            return None
        return f"The model wavers between {names[0]} ({shares[0]:.0%}) and {names[1]} ({shares[1]:.0%})."
    if _FRAMES.fullmatch(reason):
        if sure is None or not names:
            return None
        p, price = np.array([shares[0]], np.float32), worth or FrameWorth()
        return frames_reason(sure.frames, float(price.seconds(p)[0]), names[0], float(p[0]), bool(price.counts(p)[0]))
    looks = _LOOKS.fullmatch(reason)
    if looks:
        return f"{looks[1]}{names[0]}{looks[2]}" if names else None
    return reason


def _surenesses(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, _Sureness]:
    head = champion_head(conn)
    if head is None:
        return {}
    p, i, said = t.prediction.c, t.individual.c, t.individual.alias("said").c
    rows = conn.execute(
        sa.select(p.track_id, p.probability, i.anim_id, i.name, t.track.c.n_detections)
        .join_from(t.prediction, said.individual_id.table, said.individual_id == p.individual_id)
        .join(t.individual, i.individual_id == sa.func.coalesce(said.same_as_id, said.individual_id))
        .join(t.track, t.track.c.track_id == p.track_id)
        .where(p.model_id == head["head_id"], p.track_id.in_(sorted(set(track_ids))), p.rank <= 2)
        .order_by(p.track_id, p.rank)
    )
    found: dict[int, _Sureness] = {}
    for row in rows:
        one = found.get(row.track_id, _Sureness())
        found[row.track_id] = _Sureness(
            # As a plan calls them: another way of naming would tell gold from the rest.
            (*one.names, f"{row.name} ({row.anim_id})" if row.name else row.anim_id),
            (*one.probabilities, float(row.probability)),
            row.n_detections,
        )
    return found
