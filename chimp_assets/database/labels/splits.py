"""Who may teach and who must judge: the audit reserve of tracks and the train, validation and test split of videos.

Belongs here: the two assignments that keep the measured accuracy honest. Both are fixed at first sight and never drawn
again; a video whose recording day or camera is corrected follows its group (`follow_groups`). Does not belong here:
what is asked (`acquisition`) and what is trained (`vision`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.schema import bundle, model, picture_fact, split_assignment, split_move, video

SPLIT_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
PAGE = 5_000
DAY_KEY_LENGTH = 150
_GROUPED_BY = (
    video.c.video_id, video.c.uri, video.c.site, video.c.camera, video.c.recorded_at, bundle.c.folder,
    picture_fact.c.video_id.label("picture_id"),
)  # fmt: skip

_U64 = np.uint64


def hash01(track_ids: NDArray[np.integer], seed: int) -> NDArray[np.float64]:
    """A fixed pseudo-random number of each track. track_ids: i64 [n]; returns f64 [n] in [0, 1).

    splitmix64 (Steele, Lea, Flood 2014) of the track and the mixed seed: the same on every machine, whatever the order.
    """
    offset = _splitmix64(np.array([seed % (1 << 64)], dtype=_U64))[0]
    keys = np.ascontiguousarray(track_ids, dtype=np.int64).view(_U64)
    mixed = _splitmix64(_splitmix64(keys) ^ offset)
    return (mixed >> _U64(11)).astype(np.float64) * 2.0**-53


def audit_reserve_mask(track_ids: NDArray[np.integer], seed: int, share: float) -> NDArray[np.bool_]:
    """Which tracks only the audit lane may ask. track_ids: i64 [n]; share in (0, 1); returns bool [n].

    A simple random sample of all tracks, past and future: membership depends on nothing but the seed and the track.
    Raises ValueError if share lies outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"audit share {share} is outside 0..1")
    return hash01(track_ids, seed) < share


def examined_mask(track_ids: NDArray[np.integer], seed: int) -> NDArray[np.bool_]:
    """Which tracks of the audit reserve are the groups lane's, once it asks at all: half, by another hash. bool [n]."""
    return hash01(track_ids, seed + _EXAMINED) < 0.5


_EXAMINED = 0x67726F757073  # any number: the draw must not depend on that of the reserve


def are_missing(conn: sa.Connection) -> bool:
    """Whether a video has no split yet. Costs two looks at the end of an index.

    Videos get their ids in the order in which they are committed (discoveries take turns) and their splits in the order
    of their ids, so the newest video tells.
    """
    ends = (sa.literal(0).label("place"), video.c.video_id), (sa.literal(1), split_assignment.c.video_id)
    both = sa.union_all(*(sa.select(place, sa.func.max(key).label("last")) for place, key in ends))
    last = {row.place: row.last or 0 for row in conn.execute(both)}  # one question, as it is asked at every listing
    return last[0] > last[1]


def assign_splits(conn: sa.Connection, seed: int, timezone: str = "UTC") -> int:
    """Give each video without a split its split; returns the rows added. conn: inside a write transaction.

    Videos of one site, camera and local recording day stay together (neighbouring clips show the same scene: split
    apart, they would leak); where the day is unknown, videos of one folder do. A known group keeps its split; a new one
    goes where most videos are missing against 70/10/20. timezone: IANA zone in which a day begins.
    """
    take_numbers(conn, "split_assignment", 0)  # two discoveries at once take turns
    zone = ZoneInfo(timezone)
    counts = dict.fromkeys(SPLIT_SHARES, 0)
    for name, n in conn.execute(
        sa.select(split_assignment.c.split, sa.func.count()).group_by(split_assignment.c.split)
    ):
        counts[name] = n
    added = 0
    for page in _pages_without_split(conn):
        groups: dict[str, list[int]] = {}
        for row in page:
            groups.setdefault(_day_key(row, zone), []).append(row.video_id)
        known = _splits_of_days(conn, list(groups))
        ids: list[int] = []
        keys: list[str] = []
        splits: list[str] = []
        for key, members in groups.items():
            split = known.get(key) or _most_missing(counts, len(members), key, seed)
            counts[split] += len(members)
            ids += members
            keys += [key] * len(members)
            splits += [split] * len(members)
        now = [datetime.now(UTC)] * len(ids)
        added += insert_rows(
            conn, split_assignment, {"video_id": ids, "day_key": keys, "split": splits, "assigned_at": now}
        )
    return added


def follow_groups(conn: sa.Connection, video_ids: Sequence[int], timezone: str, now: datetime) -> int:
    """Videos whose recording day or camera was corrected go to the group of it; returns how many changed their split.

    Videos of one camera and day stay together whatever happens, so a group that comes to hold two splits takes one:
    - what a model may have learned from never judges: if a video of the group was open to training when a model was
      fitted, all of it is training, or validation. That costs test videos and leaks nothing, for what has judged may
      teach afterwards: it then judges no more.
    - while no model was fitted since, the day keeps the split that it had: that of the videos that did not move, or the
      one which these videos had on that day before.
    conn: inside a write transaction. Each move leaves a row in split_move.
    """
    take_numbers(conn, "split_assignment", 0)
    zone = ZoneInfo(timezone)
    moved: dict[str, list[sa.Row]] = {}
    for row in _assigned(conn, video.c.video_id, video_ids):
        key = _day_key(row, zone)
        if key != row.day_key:
            moved.setdefault(key, []).append(row)
    if not moved:
        return 0
    fitted = _last_fitting(conn)
    changed = 0
    residents: dict[str, list[sa.Row]] = {}
    gone = {row.video_id for rows in moved.values() for row in rows}
    for row in _assigned(conn, split_assignment.c.day_key, sorted(moved)):
        if row.video_id not in gone:
            residents.setdefault(row.day_key, []).append(row)
    before = _splits_before(conn, sorted(gone))
    for key, comers in sorted(moved.items()):
        there = residents.get(key, [])
        split = _split_of_group(key, comers, there, fitted, before)
        for row in (*comers, *(one for one in there if one.split != split)):
            changed += row.split != split
            conn.execute(
                sa.insert(split_move).values(
                    video_id=row.video_id, day_key_before=row.day_key, split_before=row.split, moved_at=now
                )
            )
            conn.execute(
                sa.update(split_assignment)
                .where(split_assignment.c.video_id == row.video_id)
                .values(day_key=key, split=split, assigned_at=now if row.split != split else row.assigned_at)
            )
    return changed


def _split_of_group(
    key: str,
    comers: Sequence[sa.Row],
    there: Sequence[sa.Row],
    fitted: datetime | None,
    before: dict[tuple[int, str], str],
) -> str:
    held = {row.split for row in (*comers, *there)}
    taught = {
        row.split
        for row in (*comers, *there)
        if row.split != "test" and fitted is not None and fitted >= row.assigned_at
    }
    for split in ("train", "validation"):
        if split in taught:
            return split
    if len({row.split for row in there}) == 1 and there[0].split in held:
        return str(there[0].split)
    for row in comers:
        if (row.video_id, key) in before:
            return before[row.video_id, key]
    return str(min((*there, *comers), key=lambda row: row.video_id).split)


def _assigned(conn: sa.Connection, column: sa.ColumnElement, values: Sequence[int] | Sequence[str]) -> list[sa.Row]:
    found: list[sa.Row] = []
    for start in range(0, len(values), 500):
        found += conn.execute(
            sa.select(
                *_GROUPED_BY, split_assignment.c.day_key, split_assignment.c.split, split_assignment.c.assigned_at
            )
            .join_from(video, bundle, bundle.c.bundle_id == video.c.bundle_id)
            .outerjoin(picture_fact, picture_fact.c.video_id == video.c.video_id)
            .join(split_assignment, split_assignment.c.video_id == video.c.video_id)
            .where(column.in_(values[start : start + 500]))
            .order_by(video.c.video_id)
        ).all()  # fmt: skip
    return found


def _last_fitting(conn: sa.Connection) -> datetime | None:
    """When the newest model was made that was fitted on videos of this home; None if there is none."""
    fitted = sa.or_(model.c.task.in_(("embedder", "head")), model.c.training_set_id.is_not(None))
    return conn.scalar(sa.select(sa.func.max(model.c.created_at)).where(fitted))


def _splits_before(conn: sa.Connection, video_ids: Sequence[int]) -> dict[tuple[int, str], str]:
    """The split that a video had on a day on which it was before; the last one of several."""
    found: dict[tuple[int, str], str] = {}
    for start in range(0, len(video_ids), 500):
        rows = conn.execute(
            sa.select(split_move.c.video_id, split_move.c.day_key_before, split_move.c.split_before)
            .where(split_move.c.video_id.in_(video_ids[start : start + 500]))
            .order_by(split_move.c.split_move_id)
        )
        found.update({(row.video_id, row.day_key_before): row.split_before for row in rows})
    return found


def _splitmix64(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        z = keys + _U64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
        return z ^ (z >> _U64(31))


def _last_with_split(conn: sa.Connection) -> int:
    return conn.scalar(sa.select(sa.func.max(split_assignment.c.video_id))) or 0


def _pages_without_split(conn: sa.Connection) -> Iterator[list[sa.Row]]:
    last = _last_with_split(conn)
    while True:
        rows = list(
            conn.execute(
                sa.select(*_GROUPED_BY)
                .join(bundle, bundle.c.bundle_id == video.c.bundle_id)
                .outerjoin(picture_fact, picture_fact.c.video_id == video.c.video_id)
                .where(video.c.video_id > last)
                .order_by(video.c.video_id)
                .limit(PAGE)
            )
        )
        if not rows:
            return
        yield rows
        last = rows[-1].video_id


def _day_key(row: sa.Row, zone: ZoneInfo) -> str:
    """What videos share that stay together. A picture without a camera is one of many that are cut to one animal, whose
    folder is that animal: by its folder, all that is known of an individual would lie on one side."""
    alone = row.picture_id is not None and not (row.site or row.camera)
    if row.recorded_at is None:
        key = f"unknown-day:{row.folder}" + (f"|{_series_of(row.uri)}" if alone else "")
    else:
        day = row.recorded_at.astimezone(zone).date().isoformat()
        place = "pictures" if alone else f"folder:{row.folder}"
        key = f"{day}|{row.site or ''}|{row.camera or ''}" if row.site or row.camera else f"{day}|{place}"
    if len(key) <= DAY_KEY_LENGTH:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
    return f"{key[: DAY_KEY_LENGTH - 17]}#{digest}"


def _series_of(uri: str) -> str:
    """The name of a picture with its longest number divided by ten: pictures that were taken one after the other are
    numbered so, and look alike."""
    name = uri.rpartition("/")[2].rpartition(".")[0]
    numbers = list(re.finditer(r"\d+", name))
    if not numbers:
        return name
    longest = max(numbers, key=lambda one: (len(one[0]), one.start()))
    return f"{name[: longest.start()]}{longest[0][:-1]}"


def _splits_of_days(conn: sa.Connection, keys: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(keys), 500):
        query = sa.select(split_assignment.c.day_key, split_assignment.c.split).where(
            split_assignment.c.day_key.in_(keys[start : start + 500])
        )
        found.update({key: split for key, split in conn.execute(query.distinct())})
    return found


def _most_missing(counts: dict[str, int], size: int, key: str, seed: int) -> str:
    total = sum(counts.values()) + size

    def deficit(split: str) -> tuple[float, bytes]:
        tie = hashlib.blake2b(f"{seed}|{key}|{split}".encode(), digest_size=8).digest()
        return round(SPLIT_SHARES[split] * total - counts[split], 6), tie

    return max(SPLIT_SHARES, key=deficit)
