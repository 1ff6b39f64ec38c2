"""Which track has taken the place of which, and for which track an answer counts since.

Belongs here: recording heirs, the rule by which answers follow them, `answer_heir`, which keeps its result. Does not
belong here: who makes heirs (`cutting`, re-tracking), questions of the queue (`questions`), which answer stands
(`labels.answers`).

An answer is never moved: it stays an event about the track that its author saw. It counts for
- that track while the track is there;
- the heirs that carry (a join; a track that was found anew at the same place), and their heirs in turn;
- the track that was cut, once the cut is taken back, if both parts had been given one name;
- nobody otherwise: who cuts a track says that its name is wrong for a part of it. Such answers are listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.database.labels.answers import derived_answers, keep_standing
from chimp_assets.database.labels.evidence import keep_evidence
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.labels.rewriting.questions import follow_heirs
from chimp_assets.database.schema import (
    TRACKS_PER_VIDEO,
    answer_heir,
    individual,
    standing_answer,
    track,
    track_heir,
    training_set,
)

THERE = ("live", "junk")
"""States of tracks that no other has taken the place of."""


@dataclass(frozen=True)
class Heir:
    """That a track takes the place of another. share: of the other's boxes that it has, 0 to 1; carries: answers about
    the other are answers about it; annotation_id: the event that cut or joined."""

    track_id: int
    heir_track_id: int
    cause: str
    share: float
    carries: bool
    annotation_id: str | None = None


@dataclass(frozen=True)
class Followed:
    """What following did: answered tracks whose answers count for heirs now, and those whose answers count for none."""

    carried: list[int] = field(default_factory=list)
    unfollowed: list[int] = field(default_factory=list)


def follow(conn: sa.Connection, heirs: Sequence[Heir], seq: int | None = None) -> Followed:
    """Records heirs and makes answers and the waiting questions of the tracks before them follow, in the caller's write
    transaction, which has given all these tracks their states.

    seq: number of the event that made them; None: nobody's event did, and no label is stored meanwhile.
    """
    if not heirs:
        return Followed()
    from_seq = _now(conn) if seq is None else seq
    answered = _answered(conn, {heir.track_id for heir in heirs})
    n = len(heirs)
    insert_rows(
        conn,
        track_heir,
        {
            "track_id": [heir.track_id for heir in heirs],
            "heir_track_id": [heir.heir_track_id for heir in heirs],
            "cause": [heir.cause for heir in heirs],
            "annotation_id": [heir.annotation_id for heir in heirs],
            "share": [min(max(heir.share, 0.0), 1.0) for heir in heirs],
            "carries": [heir.carries for heir in heirs],
            "made_at": [datetime.now(UTC)] * n,
            "from_seq": [from_seq] * n,
            "until_seq": [None] * n,
        },
    )
    gone = {heir.track_id for heir in heirs}
    lost = replace_answers(conn, gone | {heir.heir_track_id for heir in heirs}, from_seq)
    if seq is None:
        # Who cuts and joins has the questions follow once all events of a batch are stored. What could not follow is
        # asked again where something lies in its place.
        follow_heirs(conn, gone, born={heir.heir_track_id for heir in heirs if heir.track_id in answered & lost})
    return Followed(sorted(answered - lost), sorted(answered & lost))


def follow_none(conn: sa.Connection, track_ids: Collection[int]) -> Followed:
    """The same for tracks that are gone and have no heir: their answers count for none, and nobody is asked."""
    answered = _answered(conn, track_ids)
    lost = replace_answers(conn, track_ids, _now(conn))
    follow_heirs(conn, track_ids)
    return Followed([], sorted(answered & lost))


def _now(conn: sa.Connection) -> int:
    """The first watermark of labels at which a change that no event made is seen; takes the turn of label events.

    It is the present one, unless a training set was made of it already: that must be rebuilt as it was.
    """
    last = take_numbers(conn, ANNOTATION, 0) - 1
    used = conn.scalar(sa.select(sa.func.max(training_set.c.watermark_seq)))
    return last + 1 if used is not None and used >= last else last


def _answered(conn: sa.Connection, track_ids: Iterable[int]) -> set[int]:
    s = standing_answer.c
    rows = rows_in_parts(conn, lambda part: sa.select(s.track_id).where(s.track_id.in_(part)), set(track_ids))
    return {row.track_id for row in rows}


def replace_answers(conn: sa.Connection, track_ids: Collection[int], seq: int) -> set[int]:
    """Brings `answer_heir`, `standing_answer` and `track_evidence` to what follows from heirs, in the videos of these
    tracks; returns the tracks there whose answers count for none.

    seq: the first watermark at which it is seen.
    """
    found = Succession.of(conn, track_ids)
    wanted = {
        (track_id, heir)
        for track_id in found.tracks | (set(track_ids) & found.state.keys())
        for heir in _kept(track_id, found.counts_for(track_id))
    }
    h = answer_heir.c
    holding: set[tuple[int, int]] = set()
    for part in in_parts(sorted({*found.tracks, *track_ids})):
        rows = conn.execute(sa.select(h.track_id, h.heir_track_id).where(h.track_id.in_(part), h.until_seq.is_(None)))
        holding |= {(row.track_id, row.heir_track_id) for row in rows}
    for track_id, heir in sorted(holding - wanted):
        conn.execute(
            sa.update(answer_heir)
            .where(h.track_id == track_id, h.heir_track_id == heir, h.until_seq.is_(None))
            .values(until_seq=seq)
        )
    new = sorted(wanted - holding)
    if new:
        # What ended at this very watermark and holds again had never ended.
        again = {
            (row.track_id, row.heir_track_id)
            for part in in_parts(sorted({track_id for track_id, _ in new}))
            for row in conn.execute(
                sa.select(h.track_id, h.heir_track_id).where(h.track_id.in_(part), h.from_seq == seq)
            )
        }
        for track_id, heir in sorted(again & set(new)):
            conn.execute(
                sa.update(answer_heir)
                .where(h.track_id == track_id, h.heir_track_id == heir, h.from_seq == seq)
                .values(until_seq=None)
            )
        new = [one for one in new if one not in again]
        insert_rows(
            conn,
            answer_heir,
            {
                "track_id": [track_id for track_id, _ in new],
                "heir_track_id": [heir for _, heir in new],
                "from_seq": [seq] * len(new),
                "until_seq": [None] * len(new),
            },
        )
    changed = {one for pair in holding ^ wanted for one in pair}
    keep_standing(conn, changed | set(track_ids))
    keep_evidence(conn, changed | set(track_ids))
    return {track_id for track_id, heir in wanted if heir == track_id}


def _kept(track_id: int, heirs: set[int]) -> set[int]:
    """As `answer_heir` keeps it: nothing for a track that is there, the track itself for one without heirs."""
    if heirs == {track_id}:
        return set()
    return heirs or {track_id}


def keep_following(conn: sa.Connection, track_ids: Collection[int], seq: int) -> set[int]:
    """Updates the answers that stand after events about tracks; returns the tracks that others took the place of.

    seq: of the newest of these events.
    """
    h = answer_heir.c
    gone: set[int] = set()
    heirs: set[int] = set()
    for part in in_parts(sorted(track_ids)):
        rows = conn.execute(sa.select(h.track_id, h.heir_track_id).where(h.track_id.in_(part), h.until_seq.is_(None)))
        for row in rows.all():
            gone.add(row.track_id)
            heirs.add(row.heir_track_id)
    if gone:
        # Both parts of a cut that was taken back may have come to bear one name, or two.
        replace_answers(conn, gone | heirs, seq)
    keep_standing(conn, set(track_ids) | heirs)
    return gone


@dataclass(frozen=True)
class HeirLink:
    """One row of `track_heir`; stands: nobody took it back."""

    track_id: int
    heir: int
    cause: str
    carries: bool
    annotation_id: str | None
    share: float
    stands: bool


@dataclass(frozen=True)
class Succession:
    """Who took the place of whom in some videos.

    state: of the tracks that are concerned; named: individuals, as merged, that people named in tracks which a cut had
    made that was taken back.
    """

    heirs: dict[int, list[HeirLink]]
    parents: dict[int, list[HeirLink]]
    state: dict[int, str]
    named: dict[int, int]

    @classmethod
    def of(cls, conn: sa.Connection, track_ids: Collection[int]) -> Succession:
        """Reads all heirs in the videos of these tracks."""
        h, k = track_heir.c, track.c
        heirs: dict[int, list[HeirLink]] = defaultdict(list)
        parents: dict[int, list[HeirLink]] = defaultdict(list)
        for video_id in sorted({track_id // TRACKS_PER_VIDEO for track_id in track_ids}):
            first = video_id * TRACKS_PER_VIDEO
            rows = conn.execute(
                sa.select(track_heir)
                .where(h.track_id.between(first, first + TRACKS_PER_VIDEO - 1))
                .order_by(h.track_id, h.heir_track_id)
            )
            for row in rows.all():
                link = HeirLink(
                    row.track_id, row.heir_track_id, row.cause, bool(row.carries), row.annotation_id,
                    float(row.share), row.until_seq is None,
                )  # fmt: skip
                heirs[link.track_id].append(link)
                parents[link.heir].append(link)
        concerned = heirs.keys() | parents.keys() | set(track_ids)
        states = sa.select(k.track_id, k.state)
        rows_ = rows_in_parts(conn, lambda part: states.where(k.track_id.in_(part)), concerned)
        state = {row.track_id: row.state for row in rows_}
        undone = [track_id for track_id in parents if state.get(track_id) == "undone"]
        return cls(dict(heirs), dict(parents), state, _own_names(conn, undone))

    @property
    def tracks(self) -> set[int]:
        """All that have heirs or are some."""
        return set(self.heirs) | set(self.parents)

    def standing(self, track_id: int) -> list[HeirLink]:
        """The heirs that a track has now."""
        return [link for link in self.heirs.get(track_id, []) if link.stands]

    def counts_for(self, track_id: int) -> set[int]:
        """The tracks for which answers about a track count; itself while it is there."""
        links = self.standing(track_id)
        if links:
            return {one for link in links if link.carries for one in self.counts_for(link.heir)}
        state = self.state.get(track_id)
        if state in THERE:
            return {track_id}
        return self._agreed(track_id) if state == "undone" else set()

    def _agreed(self, track_id: int) -> set[int]:
        """For a part of a cut that was taken back: the whole, if all parts were given one name."""
        found: set[int] = set()
        for link in self.parents.get(track_id, []):
            if link.cause != "split" or link.stands:
                continue
            parts = [one.heir for one in self.heirs[link.track_id] if one.annotation_id == link.annotation_id]
            names = {self.named.get(part) for part in parts}
            if len(names) == 1 and None not in names:
                found |= self.counts_for(link.track_id)
        return found

    def descendants(self, track_id: int) -> list[int]:
        """The tracks that are there in place of a track, whether its answers count for them or not; the largest share
        first."""
        if self.state.get(track_id) in THERE:
            return [track_id]
        found: list[int] = []
        for link in sorted(self.standing(track_id), key=lambda one: (-one.share, one.heir)):
            found += [one for one in self.descendants(link.heir) if one not in found]
        return found


def _own_names(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    same = individual.alias("same")
    for part in in_parts(track_ids):
        own = derived_answers(of_tracks=part, inherited=False).subquery("own").c
        rows = conn.execute(
            sa.select(own.track_id, sa.func.coalesce(same.c.same_as_id, own.individual_id).label("who"))
            .join(same, same.c.individual_id == own.individual_id)
            .where(own.kind.in_(NAMING_KINDS))
        )
        found |= {row.track_id: row.who for row in rows}
    return found
