"""One individual as people look at it: who it is, where and when it was seen, its pictures, what was decided about it.

Belongs here: these facts, each as "verified" (a person's name that stands) or "model" (the champion head's first rank).
Does not belong here: changing any of it (`database.individuals`, `database.merges`), drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import root_of, standing_edges
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS
from chimp_assets.database.labels.references import best_named
from chimp_assets.database.people.lookup import Called, individual_called
from chimp_assets.insight.labelling.progress import verified_tracks

PAGE = 60
_PART = 1_000
named_track = sa.table(
    "v_named_track",
    sa.column("track_id", sa.BigInteger),
    sa.column("video_id", sa.BigInteger),
    sa.column("individual_id", sa.BigInteger),
    sa.column("anim_id", sa.Unicode(40)),
    sa.column("source", sa.Unicode(6)),
    sa.column("probability", sa.Double),
    sa.column("annotation_id", sa.Unicode(36)),
    sa.column("model_id", sa.BigInteger),
)
"""The view of tracks that have a name: the columns that are read here."""
_effective = sa.table(
    "v_effective_answer",
    sa.column("track_id", sa.BigInteger),
    sa.column("kind", sa.Unicode(16)),
    sa.column("said_individual_id", sa.BigInteger),
)


@dataclass(frozen=True)
class Listed:
    """A line of the list. photo: content hash of the first reference photo's crop, where it is made; photo_track: its
    track."""

    anim_id: str
    name: str | None
    sex: str
    provisional: bool
    verified: int
    photo: str | None
    photo_track: int | None


@dataclass(frozen=True)
class Life:
    """Who an individual is. mother, father: (anim_id, name); communities: (name, from, until); merged: former codes."""

    individual_id: int
    anim_id: str
    name: str | None
    sex: str
    birth_date: date | None
    bd_min: date | None
    bd_max: date | None
    entry_date: date | None
    depart_date: date | None
    depart_type: str | None
    provisional: bool
    mother: tuple[str, str | None] | None
    father: tuple[str, str | None] | None
    communities: list[tuple[str, date, date | None]]
    aliases: list[tuple[str, date | None, date | None]]
    merged: list[tuple[str, str | None]]


@dataclass(frozen=True)
class Count:
    """Tracks of an individual in a month at a camera."""

    month: str
    site: str
    camera: str
    verified: int
    model: int


@dataclass(frozen=True)
class Seen:
    """When and where an individual was seen. first, last: days; undated: tracks of videos whose day nobody knows.

    models: (model_id, name, version) of the heads whose guesses are counted.
    """

    verified: int
    model: int
    first: date | None
    last: date | None
    first_verified: date | None
    last_verified: date | None
    undated: int
    counts: list[Count]
    models: list[tuple[int, str, int]]

    def months(self) -> list[tuple[str, int, int]]:
        """(month, verified, model), in order."""
        return _summed((count.month, count) for count in self.counts)

    def cameras(self) -> list[tuple[str, int, int]]:
        """(site / camera, verified, model), in order."""
        return _summed((f"{count.site} / {count.camera}", count) for count in self.counts)


@dataclass(frozen=True)
class Picture:
    """The best crop of one track; content_hash None: its picture is not made, and is cut when it is looked at."""

    track_id: int
    content_hash: str | None
    source: str
    probability: float
    recorded_at: datetime | None
    camera: str | None
    is_reference: bool


@dataclass(frozen=True)
class Photo:
    """A reference photo. by: who chose it, None: chosen by rule."""

    track_id: int
    content_hash: str | None
    recorded_at: datetime | None
    camera: str | None
    by: str | None


@dataclass(frozen=True)
class Alike:
    """Somebody whom the champion head confuses with an individual.

    taken_for: tracks that people named as the individual and the head as this one; taken_as: the other way round;
    second: tracks whose first name is the individual and whose second is this one.
    """

    anim_id: str
    name: str | None
    taken_for: int
    taken_as: int
    second: int
    photos: list[Photo]


@dataclass(frozen=True)
class Moved:
    """What a merge or its undoing would show otherwise. tracks: named by persons, by the model."""

    anim_id: str
    name: str | None
    into_anim_id: str
    into_name: str | None
    verified: int
    model: int


@dataclass(frozen=True)
class Decision:
    """One decision that names an individual. state: stands or taken_back (by itself, whatever others said later)."""

    seq: int
    annotation_id: str
    kind: str
    track_id: int | None
    by: str
    at: datetime
    lane: str
    note: str | None
    shown: str | None
    taken_back: bool
    said_anim_id: str


def newest_communities(conn: sa.Connection) -> dict[int, str]:
    """The name (or code) of the community that each individual joined last."""
    m, c = t.community_membership.c, t.community.c
    rows = conn.execute(
        sa.select(m.individual_id, c.comm_id, c.name)
        .join_from(t.community_membership, t.community, c.community_id == m.community_id)
        .order_by(m.start_date)
    )
    return {row.individual_id: row.name or row.comm_id for row in rows}


def listing(conn: sa.Connection, after: str | None = None, limit: int = 300) -> list[Listed]:
    """Individuals that are not merged into another, in order of their codes, after one of them."""
    i, r, m = t.individual.c, t.reference_photo.c, t.item_media.c
    asked = sa.select(i.individual_id, i.anim_id, i.name, i.sex, i.provisional).where(i.same_as_id.is_(None))
    if after is not None:
        asked = asked.where(i.anim_id > after)
    people = conn.execute(asked.order_by(i.anim_id).limit(limit)).all()
    counts = verified_tracks(conn)
    photos: dict[int, tuple[str | None, int]] = {}
    for row in conn.execute(
        sa.select(r.individual_id, r.track_id, m.content_hash)
        .outerjoin_from(
            t.reference_photo, t.item_media, sa.and_(m.track_id == r.track_id, m.kind == "crop", m.place == 0)
        )
        .order_by(r.individual_id, r.place)
    ):
        photos.setdefault(row.individual_id, (row.content_hash, row.track_id))
    lacking = [p.individual_id for p in people if counts.get(p.individual_id) and p.individual_id not in photos]
    photos |= {key: (None, tracks[0]) for key, tracks in (best_named(conn, lacking) if lacking else {}).items()}
    return [
        Listed(
            p.anim_id, p.name, p.sex, bool(p.provisional), counts.get(key, 0), *photos.get(key, (None, None))
        )
        for p in people
        for key in (p.individual_id,)
    ]  # fmt: skip


def find(conn: sa.Connection, code: str) -> tuple[int, str] | None:
    """The key and the anim_id of who is called so: by code, else by alias; who was merged is the other."""
    return _now(conn, individual_called(conn, code))


def find_named(conn: sa.Connection, word: str) -> int | None:
    """The key of who is called so: by code, alias, or a name that nobody else has."""
    found = _now(conn, individual_called(conn, word, by_name=True))
    return None if found is None else found[0]


def _now(conn: sa.Connection, called: Called | None) -> tuple[int, str] | None:
    if called is None:
        return None
    i = t.individual.c
    return called.root_id, str(conn.scalar(sa.select(i.anim_id).where(i.individual_id == called.root_id)))


def key_of_code(conn: sa.Connection, code: str) -> int | None:
    """The key of exactly this code, merged or not."""
    if "\x00" in code:
        return None
    i = t.individual.c
    return conn.scalar(sa.select(i.individual_id).where(i.anim_id == code))


def names(conn: sa.Connection) -> Sequence[Any]:
    """anim_id and name of everybody who is not merged into another, by code."""
    i = t.individual.c
    return conn.execute(sa.select(i.anim_id, i.name).where(i.same_as_id.is_(None)).order_by(i.anim_id)).all()


def life_of(conn: sa.Connection, key: int) -> Life:
    """What is known of an individual."""
    i = t.individual.c
    row = conn.execute(sa.select(t.individual).where(i.individual_id == key)).one()
    parents = {}
    for name, parent in (("mother", row.mom_id), ("father", row.dad_id)):
        found = conn.execute(sa.select(i.anim_id, i.name).where(i.individual_id == parent)).first() if parent else None
        parents[name] = (found.anim_id, found.name) if found else None
    m, c, a = t.community_membership.c, t.community.c, t.individual_alias.c
    communities = conn.execute(
        sa.select(c.comm_id, c.name, m.start_date, m.end_date)
        .join_from(t.community_membership, t.community, c.community_id == m.community_id)
        .where(m.individual_id == key)
        .order_by(m.start_date)
    ).all()
    known_as = sa.select(a.alias, a.valid_from, a.valid_to).where(a.individual_id == key).order_by(a.alias)
    aliases = conn.execute(known_as).all()
    merged = conn.execute(sa.select(i.anim_id, i.name).where(i.same_as_id == key).order_by(i.anim_id)).all()
    return Life(
        individual_id=key, anim_id=row.anim_id, name=row.name, sex=row.sex, birth_date=row.birth_date,
        bd_min=row.bd_min, bd_max=row.bd_max, entry_date=row.entry_date, depart_date=row.depart_date,
        depart_type=row.depart_type, provisional=bool(row.provisional),
        communities=[(r.name or r.comm_id, r.start_date, r.end_date) for r in communities],
        aliases=[(r.alias, r.valid_from, r.valid_to) for r in aliases],
        merged=[(r.anim_id, r.name) for r in merged], **parents,
    )  # fmt: skip


def seen(conn: sa.Connection, key: int) -> Seen:
    """When and where an individual was seen, verified and by the model."""
    n, v = named_track.c, t.video.c
    rows = conn.execute(
        sa.select(v.site, v.camera, v.recorded_on, n.source, n.model_id, sa.func.count().label("n"))
        .join_from(named_track, t.video, v.video_id == n.video_id)
        .where(n.individual_id == key)
        .group_by(v.site, v.camera, v.recorded_on, n.source, n.model_id)
    ).all()
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        if row.recorded_on is not None:
            pair = counts.setdefault((str(row.recorded_on)[:7], row.site or "–", row.camera or "–"), [0, 0])
            pair[row.source == "model"] += row.n
    days = sorted(row.recorded_on for row in rows if row.recorded_on is not None)
    sure = sorted(row.recorded_on for row in rows if row.recorded_on is not None and row.source == "person")
    heads = sorted({row.model_id for row in rows if row.model_id is not None})
    m = t.model.c
    models = conn.execute(
        sa.select(m.model_id, m.name, m.version).where(m.model_id.in_(heads)).order_by(m.model_id)
    ).all()
    return Seen(
        verified=sum(row.n for row in rows if row.source == "person"),
        model=sum(row.n for row in rows if row.source == "model"),
        first=days[0] if days else None,
        last=days[-1] if days else None,
        first_verified=sure[0] if sure else None,
        last_verified=sure[-1] if sure else None,
        undated=sum(row.n for row in rows if row.recorded_on is None),
        counts=[Count(*where, *pair) for where, pair in sorted(counts.items())],
        models=[(row.model_id, row.name, row.version) for row in models],
    )


def gallery(
    conn: sa.Connection, key: int, source: str | None = None, before: int | None = None, limit: int = PAGE
) -> list[Picture]:
    """The best crop of each track of an individual, newest track first, before one of them. source: person, model."""
    n, v, m, r = named_track.c, t.video.c, t.item_media.c, t.reference_photo.c
    asked = (
        sa.select(
            n.track_id, n.source, n.probability, m.content_hash, v.recorded_at, v.camera, r.track_id.label("reference")
        )
        .join_from(named_track, t.video, v.video_id == n.video_id)
        .outerjoin(t.item_media, sa.and_(m.track_id == n.track_id, m.kind == "crop", m.place == 0))
        .outerjoin(t.reference_photo, sa.and_(r.individual_id == key, r.track_id == n.track_id))
        .where(n.individual_id == key)
    )
    if source is not None:
        asked = asked.where(n.source == source)
    if before is not None:
        asked = asked.where(n.track_id < before)
    return [
        Picture(
            row.track_id, row.content_hash, row.source, row.probability, row.recorded_at, row.camera,
            row.reference is not None,
        )
        for row in conn.execute(asked.order_by(n.track_id.desc()).limit(limit))
    ]  # fmt: skip


def photos(conn: sa.Connection, key: int) -> list[Photo]:
    """The reference photos of an individual, in their order; where none were chosen yet, those of the rule."""
    r, u = t.reference_photo.c, t.app_user.c
    chosen = {
        row.track_id: row.name
        for row in conn.execute(
            sa.select(r.track_id, u.name)
            .outerjoin_from(t.reference_photo, t.app_user, u.user_id == r.user_id)
            .where(r.individual_id == key)
            .order_by(r.place)
        )
    }
    shown = chosen or dict.fromkeys(best_named(conn, [key]).get(key, []))
    k, m, v = t.track.c, t.item_media.c, t.video.c
    rows = conn.execute(
        sa.select(k.track_id, m.content_hash, v.recorded_at, v.camera)
        .join_from(t.track, t.video, v.video_id == k.video_id)
        .outerjoin(t.item_media, sa.and_(m.track_id == k.track_id, m.kind == "crop", m.place == 0))
        .where(k.track_id.in_(list(shown)))
    )
    found = {row.track_id: row for row in rows}
    return [
        Photo(one, found[one].content_hash, found[one].recorded_at, found[one].camera, by)
        for one, by in shown.items()
        if one in found
    ]


def asked_for_review(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Flagged tracks about which nobody who may correct has decided since: (annotation_id, by whom)."""
    a, u = t.annotation.c, t.app_user.c
    back, later, who = t.annotation.alias("taken_back"), t.annotation.alias("later"), t.app_user.alias("decider")
    taken_back = sa.exists().where(back.c.supersedes == a.annotation_id, back.c.kind == "retract")
    decided = (
        sa.exists()
        .where(later.c.track_id == a.track_id, later.c.seq > a.seq, later.c.kind.in_(ANSWER_KINDS))
        .where(who.c.user_id == later.c.annotator_id, who.c.role.in_(t.CORRECTING_ROLES))
    )
    rows = conn.execute(
        sa.select(a.track_id, a.annotation_id, u.name)
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.track_id.in_(list(track_ids)), a.shown_flag == sa.true(), ~taken_back, ~decided)
        .order_by(a.seq)
    )
    return {row.track_id: (row.annotation_id, row.name) for row in rows}


def lookalikes(conn: sa.Connection, key: int, limit: int = 3) -> list[Alike]:
    """Whom the champion head confuses most with an individual; mistakes first, then close seconds."""
    m, i, p, n, e = t.model.c, t.individual.c, t.prediction.c, named_track.c, _effective.c
    head = conn.scalar(sa.select(m.model_id).where(m.task == "head", m.state == "champion"))
    if head is None:
        return []
    root = {
        row.individual_id: row.same_as_id or row.individual_id
        for row in conn.execute(sa.select(i.individual_id, i.same_as_id))
    }
    members = [one for one, last in root.items() if last == key]
    first, second = t.prediction.alias("first"), t.prediction.alias("second")
    mine = sa.and_(p.model_id == head, p.rank == t.FIRST_RANK)
    counts: dict[int, list[float]] = {}

    def add(rows: Any, column: int) -> None:
        for other, count in rows:
            if root[other] != key:
                counts.setdefault(root[other], [0, 0, 0, 0.0])[column] += count

    by_person = sa.and_(n.track_id == p.track_id, n.source == "person")
    add(
        conn.execute(
            sa.select(p.individual_id, sa.func.count())
            .join_from(named_track, t.prediction, by_person)
            .where(mine, n.individual_id == key)
            .group_by(p.individual_id)
        ),
        0,
    )
    add(
        conn.execute(
            sa.select(e.said_individual_id, sa.func.count())
            .join_from(t.prediction, _effective, e.track_id == p.track_id)
            .join(t.track, t.track.c.track_id == p.track_id)
            .join(t.video, t.video.c.video_id == t.track.c.video_id)
            .where(
                mine,
                p.individual_id.in_(members),
                e.kind.in_(NAMING_KINDS),
                t.track.c.state == "live",
                t.video.c.state != "retired",
            )
            .group_by(e.said_individual_id)
        ),
        1,
    )
    close = conn.execute(
        sa.select(second.c.individual_id, sa.func.count(), sa.func.sum(second.c.probability))
        .join_from(
            first,
            second,
            sa.and_(second.c.model_id == first.c.model_id, second.c.track_id == first.c.track_id, second.c.rank == 2),
        )
        .where(first.c.model_id == head, first.c.rank == t.FIRST_RANK, first.c.individual_id.in_(members))
        .group_by(second.c.individual_id)
    ).all()
    add([(row[0], row[1]) for row in close], 2)
    add([(row[0], row[2]) for row in close], 3)
    likeliest = sorted(counts, key=lambda one: (-counts[one][0] - counts[one][1], -counts[one][3], one))[:limit]
    names = {
        row.individual_id: row
        for row in conn.execute(sa.select(i.individual_id, i.anim_id, i.name).where(i.individual_id.in_(likeliest)))
    }
    return [
        Alike(
            names[one].anim_id, names[one].name, int(counts[one][0]), int(counts[one][1]), int(counts[one][2]),
            photos(conn, one)[:3],
        )
        for one in likeliest
    ]  # fmt: skip


def if_merged(conn: sa.Connection, key: int, into: int) -> Moved:
    """What would show otherwise if an individual were another."""
    n = named_track.c
    by_source = sa.select(n.source, sa.func.count()).where(n.individual_id == key).group_by(n.source)
    counts: dict[str, int] = {row[0]: row[1] for row in conn.execute(by_source)}
    return _moved(conn, key, into, counts.get("person", 0), counts.get("model", 0))


def if_unmerged(conn: sa.Connection, key: int) -> Moved | None:
    """What would show otherwise if a merged individual were itself again; None for one that is not merged."""
    edges = standing_edges(conn)
    if key not in edges:
        return None
    members = [one for one in edges if one == key or _passes(one, key, edges)]
    e, p, m = _effective.c, t.prediction.c, t.model.c
    verified = conn.scalar(
        sa.select(sa.func.count())
        .select_from(_effective)
        .where(e.said_individual_id.in_(members), e.kind.in_(NAMING_KINDS))
    )
    answered = sa.exists().where(_effective.c.track_id == p.track_id)
    model = conn.scalar(
        sa.select(sa.func.count())
        .join_from(t.prediction, t.model, m.model_id == p.model_id)
        .where(m.task == "head", m.state == "champion", p.rank == t.FIRST_RANK, p.individual_id.in_(members), ~answered)
    )
    return _moved(conn, root_of(key, edges), key, verified or 0, model or 0)


def _passes(one: int, by: int, edges: Mapping[int, int]) -> bool:
    while one in edges:
        one = edges[one]
        if one == by:
            return True
    return False


def _moved(conn: sa.Connection, here: int, into: int, verified: int, model: int) -> Moved:
    i = t.individual.c
    rows = {
        row.individual_id: row
        for row in conn.execute(sa.select(i.individual_id, i.anim_id, i.name).where(i.individual_id.in_([here, into])))
    }
    a, b = rows[here], rows[into]
    return Moved(a.anim_id, a.name, b.anim_id, b.name, verified, model)


def decisions(conn: sa.Connection, key: int, before: int | None = None, limit: int = PAGE) -> list[Decision]:
    """Decisions that name an individual, or one that was merged into it, newest first, before one of them."""
    a, i, u = t.annotation.c, t.individual.c, t.app_user.c
    back = t.annotation.alias("taken_back")
    theirs = sa.select(i.individual_id).where(sa.or_(i.individual_id == key, i.same_as_id == key))
    # First which ones, from the index alone: an individual may have been named 100,000 times.
    newest = sa.select(a.seq).where(a.individual_id.in_(list(conn.scalars(theirs)))).order_by(a.seq.desc()).limit(limit)
    if before is not None:
        newest = newest.where(a.seq < before)
    asked = (
        sa.select(
            a.seq, a.annotation_id, a.kind, a.track_id, u.name, a.server_time, a.lane, a.note, a.shown,
            back.c.annotation_id.label("undone"), i.anim_id,
        )
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .join(t.individual, i.individual_id == a.individual_id)
        .outerjoin(back, sa.and_(back.c.kind == "retract", back.c.supersedes == a.annotation_id))
        .where(a.seq.in_(list(conn.scalars(newest))))
    )  # fmt: skip
    return [
        Decision(
            row.seq, row.annotation_id, row.kind, row.track_id, row.name, row.server_time, row.lane, row.note,
            row.shown, row.undone is not None, row.anim_id,
        )
        for row in conn.execute(asked.order_by(a.seq.desc()))
    ]  # fmt: skip


def biography_changes(conn: sa.Connection, key: int, limit: int = PAGE) -> list[Any]:
    """The newest changes of what is known of an individual: made_at, by, description, rationale."""
    g, u = t.biography_log.c, t.app_user.c
    return list(
        conn.execute(
            sa.select(g.made_at, u.name.label("by"), g.description, g.rationale)
            .outerjoin_from(t.biography_log, t.app_user, u.user_id == g.user_id)
            .where(g.individual_id == key)
            .order_by(g.log_id.desc())
            .limit(limit)
        )
    )


SIGHTING_COLUMNS = (
    "anim_id", "track_id", "uri", "site", "camera", "recorded_at", "recorded_at_source", "first_s", "last_s", "source",
    "probability", "annotation_id", "model_id",
)  # fmt: skip


def sightings(conn: sa.Connection, key: int) -> Iterator[Sequence[Any]]:
    """Every track of an individual as a row of SIGHTING_COLUMNS, in order of track_id, in parts."""
    n, v, k = named_track.c, t.video.c, t.track.c
    after = 0
    while True:
        rows = conn.execute(
            sa.select(
                n.anim_id, n.track_id, v.uri, v.site, v.camera, v.recorded_at, v.recorded_at_source, k.first_s,
                k.last_s, n.source, n.probability, n.annotation_id, n.model_id,
            )
            .join_from(named_track, t.video, v.video_id == n.video_id)
            .join(t.track, k.track_id == n.track_id)
            .where(n.individual_id == key, n.track_id > after)
            .order_by(n.track_id)
            .limit(_PART)
        ).all()  # fmt: skip
        yield from (tuple(row) for row in rows)
        if len(rows) < _PART:
            return
        after = rows[-1].track_id


def _summed(rows: Iterator[tuple[str, Count]]) -> list[tuple[str, int, int]]:
    sums: dict[str, list[int]] = {}
    for word, count in rows:
        pair = sums.setdefault(word, [0, 0])
        pair[0] += count.verified
        pair[1] += count.model
    return [(word, verified, model) for word, (verified, model) in sorted(sums.items())]
