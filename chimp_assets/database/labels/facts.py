"""What the database knows about the things that a batch of label events names.

Belongs here: reading it in a few statements, and what later events of the batch must know of earlier ones. Does not
belong here: the rules (`judgement`) and the queue (`items`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.database.labels.items import TouchedItems
from chimp_assets.database.labels.kinds import ABOUT_SOMEBODY, EVIDENCE_KINDS
from chimp_assets.database.labels.label_event import LabelEvent, canonical, individual_code
from chimp_assets.database.people.lookup import user_called
from chimp_assets.database.people.names import key_of
from chimp_assets.database.schema import annotation, app_user, individual, individual_alias, track, video
from chimp_assets.database.texts import is_storable


@dataclass
class BatchFacts:
    """What the database knows about the things that a batch of events names; grows as events are accepted.

    users: (user_id, role, disabled) by name; tracks: (video_id, first and last frame_no); individuals: keys by the
    codes that the events name; same: whom merged individuals are, if an event asks it; known: stored events by
    annotation_id; retracted: those of them that were taken back.
    """

    users: dict[str, tuple[int, str, bool]] = field(default_factory=dict)
    tracks: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    videos: set[int] = field(default_factory=set)
    individuals: dict[str, int] = field(default_factory=dict)
    same: dict[int, int] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    retracted: set[str] = field(default_factory=set)
    items: TouchedItems = field(default_factory=lambda: TouchedItems({}))

    @classmethod
    def of(cls, conn: sa.Connection, events: Sequence[LabelEvent]) -> BatchFacts:
        """Reads them in a few statements, however many events there are."""
        facts = cls()
        facts._load_events(conn, events)
        facts._load_users(conn, {event.annotator for event in events})
        facts._load_tracks_and_videos(conn, events)
        codes = {individual_code(event) for event in events if event.kind in ABOUT_SOMEBODY}
        facts._load_individuals(conn, _askable(codes) - {""})
        if any(event.kind in EVIDENCE_KINDS for event in events):
            facts.same = merged_ids(conn)
        targets = (facts.known.get(canonical(event.supersedes)) for event in events if event.kind == "retract")
        facts.items = TouchedItems.of(conn, events, [row for row in targets if row])
        return facts

    def _load_events(self, conn: sa.Connection, events: Sequence[LabelEvent]) -> None:
        ids = _askable(
            {canonical(event.annotation_id) for event in events}
            | {canonical(event.supersedes) for event in events if event.supersedes}
        )
        a = annotation.c
        columns = (
            a.annotation_id, a.seq, a.kind, a.track_id, a.other_track_id, a.item_id, a.annotator_id, a.fingerprint,
            a.lane,
        )  # fmt: skip
        for row in rows_in_parts(conn, lambda part: sa.select(*columns).where(a.annotation_id.in_(part)), ids):
            self.known[row.annotation_id] = dict(row._mapping)
        retractions = sa.select(a.supersedes).where(a.kind == "retract")
        rows = rows_in_parts(conn, lambda part: retractions.where(a.supersedes.in_(part)), ids)
        self.retracted = {row.supersedes for row in rows}

    def _load_users(self, conn: sa.Connection, names: set[str]) -> None:
        names, u = _askable(names), app_user.c
        users = sa.select(u.name, u.user_id, u.role, u.disabled)
        for row in rows_in_parts(conn, lambda part: users.where(u.name.in_(part)), names):
            self.users[row.name] = (row.user_id, row.role, bool(row.disabled))
        for name in names - self.users.keys():
            if (found := user_called(conn, name)) is not None:
                self.users[name] = (found.user_id, found.role, bool(found.disabled))

    def _load_tracks_and_videos(self, conn: sa.Connection, events: Sequence[LabelEvent]) -> None:
        track_ids = {i for event in events for i in (event.track_id, event.other_track_id) if i is not None}
        t, v = track.c, video.c
        tracks = sa.select(t.track_id, t.video_id, t.first_frame_no, t.last_frame_no)
        for row in rows_in_parts(conn, lambda part: tracks.where(t.track_id.in_(part)), track_ids):
            self.tracks[row.track_id] = (row.video_id, row.first_frame_no, row.last_frame_no)
        video_ids = {event.video_id for event in events if event.video_id is not None}
        rows = rows_in_parts(conn, lambda part: sa.select(v.video_id).where(v.video_id.in_(part)), video_ids)
        self.videos = {row.video_id for row in rows}

    def _load_individuals(self, conn: sa.Connection, codes: set[str]) -> None:
        i, alias = individual.c, individual_alias.c
        by_code = sa.select(i.anim_id, i.individual_id)
        for row in rows_in_parts(conn, lambda part: by_code.where(i.anim_id.in_(part)), codes):
            self.individuals[row.anim_id] = row.individual_id
        others = codes - self.individuals.keys()
        if others:
            # Databases disagree about the capitals of other alphabets: Python compares, as it does everywhere else.
            known = {
                key_of(text): individual_id
                for text, individual_id in conn.execute(sa.select(alias.alias, alias.individual_id))
            }
            # Later entries win: a code wins over an alias, and of two codes with one key the older individual.
            known |= {
                key_of(code): individual_id
                for code, individual_id in conn.execute(by_code.order_by(i.individual_id.desc()))
            }
            self.individuals |= {code: known[key_of(code)] for code in others if key_of(code) in known}

    def learn(self, row: dict[str, Any]) -> None:
        """An event was accepted: later events of the batch see it, and so do the queue items."""
        self.known[row["annotation_id"]] = row
        if row["kind"] == "retract":
            self.retracted.add(row["supersedes"])
            self.items.reopen_after(self.known[row["supersedes"]])
        else:
            self.items.settle_by(row)


def _askable(texts: Iterable[str]) -> set[str]:
    """Those texts that a database can be asked for; the others are in none."""
    return {text for text in texts if is_storable(text)}
