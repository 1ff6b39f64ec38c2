"""The queue items that label events answer, skip, withdraw or reopen.

Belongs here: which items a batch of events may touch, what each event does to them, and storing that. Does not belong
here: claiming and giving back (`work.queue`), and whether an event is accepted (`judgement`).

An item of the lane `is_it` waits until enough people have spoken: no single event settles it,
`is_it.ballots` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.labels.answers import answer_kinds, answered_pairs
from chimp_assets.database.labels.is_it import ballots
from chimp_assets.database.labels.kinds import (
    ANSWER_KINDS,
    EVIDENCE_KINDS,
    UNDECIDED_KINDS,
    is_word,
    pair_of,
    subject_of,
)
from chimp_assets.database.labels.label_event import LabelEvent
from chimp_assets.database.schema import DISPUTED, IS_IT, PAIRS, acquisition_queue, individual

WAITING = ("pending", "leased")
DONE = ("answered", "skipped")


@dataclass
class AskedItem:
    """A queue item as a batch of events finds it and leaves it. individual_id: of the lane is_it, as merged."""

    track_id: int
    lane: str
    propensity: float
    state: str
    round_id: int
    other_track_id: int | None
    leased_by: int | None = None
    leased_until: datetime | None = None
    individual_id: int | None = None

    @property
    def subject(self) -> frozenset[int]:
        """The track, or both of a pair."""
        return frozenset({self.track_id} if self.other_track_id is None else {self.track_id, self.other_track_id})

    @property
    def waits(self) -> bool:
        """Whether nobody has answered it yet."""
        return self.state in WAITING

    def is_held_by_another(self, user_id: int, now: datetime) -> bool:
        """Whether somebody else holds its lease: answers of others do not settle it."""
        held = self.state == "leased" and self.leased_until is not None and self.leased_until > now
        return held and self.leased_by != user_id

    def is_answered_by(self, row: dict[str, Any]) -> bool:
        """Whether an event answers it: a box answers no item, an event about a pair none about one track, and what is
        said about one individual no question for a name."""
        kind, pair = row["kind"], pair_of(row)
        if self.lane == IS_IT:
            passes = kind in UNDECIDED_KINDS and not pair
            return row["track_id"] == self.track_id and (passes or self._is_about_whom(row))
        if self.other_track_id is not None:
            return bool(pair)
        return kind == "merge" or (not pair and kind in (*ANSWER_KINDS, "skip", "split"))

    def _is_about_whom(self, row: dict[str, Any]) -> bool:
        return row["kind"] in EVIDENCE_KINDS and row["as_merged"] == self.individual_id

    def asks_about(self, row: dict[str, Any]) -> bool:
        """Whether an event can be an answer to it, or take one back."""
        if self.other_track_id is None:
            return self.track_id in (row["track_id"], row["other_track_id"])
        return row["track_id"] in self.subject if row["kind"] == "retract" else pair_of(row) == self.subject


class TouchedItems:
    """The items that a batch may touch, and what its accepted events have done to them so far."""

    def __init__(self, items: dict[int, AskedItem]) -> None:
        self._items = items
        self._settled: dict[int, str] = {}
        self._reopened: set[int] = set()
        self._spoken_of: set[int] = set()

    @classmethod
    def of(
        cls, conn: sa.Connection, events: Sequence[LabelEvent], retracted: Collection[dict[str, Any]]
    ) -> TouchedItems:
        """Reads them. retracted: the stored events that retractions of the batch take back."""
        item_ids = {event.item_id for event in events if event.item_id is not None}
        item_ids |= {row["item_id"] for row in retracted if row["item_id"] is not None}
        live_of = {event.track_id for event in events if event.track_id is not None}
        done_of = {row["track_id"] for row in retracted if row["track_id"] is not None}
        # Whether enough people have spoken may change either way when a word is taken back.
        live_of |= {row["track_id"] for row in retracted if is_word(row)}
        q, same = acquisition_queue.c, individual.c.same_as_id
        whom = sa.func.coalesce(same, q.individual_id).label("individual_id")
        items = sa.select(
            q.item_id, q.round_id, q.track_id, q.lane, q.propensity, q.state, q.other_track_id, q.leased_by,
            q.leased_until, whom,
        ).outerjoin_from(acquisition_queue, individual, individual.c.individual_id == q.individual_id)  # fmt: skip

        def of_tracks(track: sa.ColumnElement[int], states: tuple[str, ...]) -> Callable[[list[Any]], sa.Select[Any]]:
            return lambda part: items.where(track.in_(part), q.state.in_(states))

        found: dict[int, AskedItem] = {}
        for rows in (
            rows_in_parts(conn, lambda part: items.where(q.item_id.in_(part)), item_ids),
            # A pair is found by either of its tracks: an index each, where "or" would be none.
            rows_in_parts(conn, of_tracks(q.track_id, WAITING), live_of),
            rows_in_parts(conn, of_tracks(q.other_track_id, WAITING), live_of),
            rows_in_parts(conn, of_tracks(q.track_id, DONE), done_of),
            rows_in_parts(conn, of_tracks(q.other_track_id, DONE), done_of),
        ):
            for row in rows:
                found[row.item_id] = AskedItem(
                    row.track_id, row.lane, row.propensity, row.state, row.round_id, row.other_track_id, row.leased_by,
                    row.leased_until, row.individual_id,
                )  # fmt: skip
        return cls(found)

    def get(self, item_id: int | None) -> AskedItem | None:
        """An item by its number; None if there is none."""
        return None if item_id is None else self._items.get(item_id)

    def settle_by(self, row: dict[str, Any]) -> None:
        """An event was accepted, and it is no retraction: it settles the item that asked and those with its subject."""
        kind = row["kind"]
        if is_word(row):
            self._spoken_of |= self._about_whom(row)
            return
        touched = {row["item_id"]} if row["item_id"] is not None else set()
        if kind in ANSWER_KINDS or pair_of(row) or kind == "skip":
            subject, author, now = subject_of(row), row["annotator_id"], row["server_time"]
            touched |= {
                item_id
                for item_id, item in self._items.items()
                if item.waits
                and item.lane != IS_IT
                and item.subject == subject
                and not item.is_held_by_another(author, now)
            }
        self._settle(touched, "skipped" if kind == "skip" else "answered")
        if kind in ANSWER_KINDS and kind != "unknown" and not pair_of(row):
            pairs = {item_id for item_id, item in self._items.items() if item.waits and item.lane == PAIRS}
            self._settle({i for i in pairs if row["track_id"] in self._items[i].subject}, "withdrawn")
        if kind in ANSWER_KINDS and not pair_of(row):
            # What people say about one individual counts only where nobody has answered.
            of_track = (i for i, item in self._items.items() if item.waits and item.track_id == row["track_id"])
            self._settle({i for i in of_track if self._items[i].lane == IS_IT}, "withdrawn")

    def _about_whom(self, row: dict[str, Any]) -> set[int]:
        """Items of the lane is_it that an event, or taking it back, may settle or reopen."""
        found = {row["item_id"]} if row["item_id"] is not None else set()
        if is_word(row):
            found |= {i for i, item in self._items.items() if item.track_id == row["track_id"]}
        return {i for i in found if i in self._items and self._items[i].lane == IS_IT}

    def reopen_after(self, retracted: dict[str, Any]) -> None:
        """An event was retracted: the item that asked for it waits again."""
        item_id, subject = retracted["item_id"], subject_of(retracted)
        if is_word(retracted):
            self._spoken_of |= self._about_whom(retracted)
            return
        done = {i: item for i, item in self._items.items() if item.state in DONE and item.lane != IS_IT}
        if item_id is None:
            # The answer came unasked: the newest item that it had settled is asked again.
            item_id = max((i for i, item in done.items() if item.subject == subject), default=None)
        if item_id in done:
            self._items[item_id].state = "pending"
            self._settled.pop(item_id, None)
            self._reopened.add(item_id)

    def _settle(self, item_ids: Iterable[int], state: str) -> None:
        for item_id in item_ids:
            self._items[item_id].state = self._settled[item_id] = state
            self._reopened.discard(item_id)

    def store(self, conn: sa.Connection) -> None:
        """Writes the states. What was retracted is asked again only where no other answer stands."""
        for state in (*DONE, "withdrawn"):
            _write_state(conn, state, [item_id for item_id, settled in self._settled.items() if settled == state])
        ballots.settle(conn, self._spoken_of)
        if not self._reopened:
            return
        items = {item_id: self._items[item_id] for item_id in sorted(self._reopened)}
        named = answer_kinds(conn, {item.track_id for item in items.values() if item.other_track_id is None})
        settled = answered_pairs(conn, {item.subject for item in items.values() if item.lane == PAIRS})
        waiting = [
            item_id
            for item_id, item in items.items()
            # What is disputed is answered already: that it is asked again is the point.
            if item.lane == DISPUTED or not (item.subject in settled or item.subject <= named.keys())
        ]
        _write_state(conn, "pending", waiting)


def _write_state(conn: sa.Connection, state: str, item_ids: Collection[int]) -> None:
    q = acquisition_queue
    for part in in_parts(item_ids):
        conn.execute(sa.update(q).where(q.c.item_id.in_(part)).values(state=state, leased_by=None, leased_until=None))
