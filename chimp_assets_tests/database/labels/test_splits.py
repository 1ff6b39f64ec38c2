"""The two assignments that keep the measured accuracy honest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.splits import assign_splits, audit_reserve_mask, hash01
from chimp_assets_tests.database.world import START, add_video, make_world


def add(db: Database, video_id: int, **changed: Any) -> None:
    with db.write() as conn:
        add_video(conn, video_id, tracks=0, frames=0, **changed)


def assign(db: Database, seed: int = 20, **more: Any) -> int:
    with db.write() as conn:
        return assign_splits(conn, seed, **more)


def assigned(db: Database) -> dict[int, tuple[str, str]]:
    c = s.split_assignment.c
    with db.read() as conn:
        return {
            row.video_id: (row.day_key, row.split) for row in conn.execute(sa.select(c.video_id, c.day_key, c.split))
        }


# From splitmix64 in Python's own integers.
PINNED = [0.788453525576692, 0.5541031804537907, 0.7716393327704028, 0.5655911918041961]


def test_the_number_of_a_track_is_the_same_for_ever() -> None:
    """If these change, audit tracks of old homes become training tracks."""
    numbers = hash01(np.array([0, 1, 1 << 20, (1 << 53) - 1]), seed=20)
    assert numbers.tolist() == pytest.approx(PINNED, abs=1e-15)
    assert hash01(np.array([1 << 20]), seed=21)[0] != numbers[2]


def test_the_reserve_is_a_fair_sample_of_tracks_and_videos() -> None:
    """Track ids come in steps of 2**20: a weak hash would take whole videos or none."""
    videos, tracks = np.meshgrid(np.arange(1, 2001), np.arange(10), indexing="ij")
    ids = videos.astype(np.int64) * s.TRACKS_PER_VIDEO + tracks
    mask = audit_reserve_mask(ids.ravel(), seed=20, share=0.2).reshape(ids.shape)
    # Five standard deviations of a binomial.
    assert mask.mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / mask.size))
    assert np.abs(mask.mean(axis=0) - 0.2).max() < 5 * np.sqrt(0.16 / 2000)
    per_video = mask.sum(axis=1)
    assert per_video.var() == pytest.approx(1.6, rel=0.2)
    other = audit_reserve_mask(ids.ravel(), seed=21, share=0.2)
    assert np.corrcoef(mask.ravel(), other)[0, 1] == pytest.approx(0, abs=0.05)


def test_membership_depends_on_nothing_but_seed_and_track() -> None:
    """A track asked in one bundle must not leave the reserve in another."""
    ids = np.arange(1000, dtype=np.int64) * s.TRACKS_PER_VIDEO
    mask = audit_reserve_mask(ids, 20, 0.2)
    order = np.random.default_rng(1).permutation(1000)
    assert (audit_reserve_mask(ids[order], 20, 0.2) == mask[order]).all()
    assert (audit_reserve_mask(ids, 20, 0.4) >= mask).all()
    assert audit_reserve_mask(np.array([], dtype=np.int64), 20, 0.2).shape == (0,)
    with pytest.raises(ValueError):
        audit_reserve_mask(ids, 20, 1.5)


def test_videos_of_one_camera_and_day_stay_together(db: Database) -> None:
    """Neighbouring clips show the same scene: split apart, the test set measures memory (62 % against 31 %)."""
    make_world(db, videos=0)
    for video_id in range(1, 41):
        add(db, video_id, recorded_at=START + timedelta(days=(video_id - 1) // 4, hours=video_id % 4), camera="c")
    assert assign(db) == 40
    assert assign(db) == 0
    found = assigned(db)
    by_day: dict[str, set[str]] = {}
    for key, split in found.values():
        by_day.setdefault(key, set()).add(split)
    assert len(by_day) == 10
    assert all(len(splits) == 1 for splits in by_day.values())
    counts = {split: sum(1 for _, other in found.values() if other == split) for _, split in found.values()}
    assert counts == {"train": 28, "validation": 4, "test": 8}


def test_a_known_day_keeps_its_split_when_more_videos_of_it_arrive(db: Database) -> None:
    """A card that is read late must not move its day to the other side."""
    make_world(db, videos=0)
    for video_id in range(1, 11):
        add(db, video_id, camera="c")
    assign(db)
    before = assigned(db)
    for video_id in range(11, 31):
        add(db, video_id, camera="c", recorded_at=START + timedelta(days=(video_id - 1) % 10, hours=1))
    assign(db, seed=99)
    after = assigned(db)
    assert {video_id: after[video_id] for video_id in before} == before
    split_of_day = dict(before.values())
    assert all(split_of_day[key] == split for key, split in after.values())


def test_the_same_archive_and_seed_give_the_same_split(db: Database, another_db: Database) -> None:
    """Numbers measured in one home must be measurable in another."""
    for home in (db, another_db):
        make_world(home, videos=0)
        for video_id in range(1, 31):
            add(home, video_id)
        assign(home)
    assert assigned(db) == assigned(another_db)


def test_a_day_begins_where_the_camera_stands(db: Database) -> None:
    """At UTC midnight it is three in the morning at Gombe but early evening in America: one scene would be cut."""
    make_world(db, videos=0)
    add(db, 1, camera="c", recorded_at=datetime(2013, 5, 6, 22, 30, tzinfo=UTC))
    add(db, 2, camera="c", recorded_at=datetime(2013, 5, 7, 1, 30, tzinfo=UTC))
    assign(db, timezone="America/Costa_Rica")
    assert {key for key, _ in assigned(db).values()} == {"2013-05-06|a|c"}


def test_videos_of_unknown_day_or_camera_go_by_folder_and_long_names_stay_apart(db: Database) -> None:
    """An unknown date must not scatter one card over all splits; a key that is cut must not join two cameras."""
    make_world(db, videos=0)
    add(db, 1, recorded_at=None)
    add(db, 2, recorded_at=None)
    add(db, 3, site=None, camera=None)
    add(db, 4, site="s" * 100, camera="c" * 99 + "1")
    add(db, 5, site="s" * 100, camera="c" * 99 + "2", recorded_at=START + timedelta(days=3))
    add(db, 6, site="s" * 100, camera="c" * 99 + "1", recorded_at=START + timedelta(days=3))
    assign(db)
    keys = [assigned(db)[video_id][0] for video_id in range(1, 7)]
    assert keys[0] == keys[1] == "unknown-day:a"
    assert keys[2] == "2013-05-08|folder:a"
    assert keys[4] != keys[5]
    assert all(len(key) <= 150 for key in keys)


def test_many_pages_of_videos_are_all_assigned(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive is read in pages: none may be lost at a seam, and a day that lies across one stays together."""
    monkeypatch.setattr("chimp_assets.database.labels.splits.PAGE", 7)
    make_world(db, videos=0)
    for video_id in range(1, 41):
        add(db, video_id, camera="c", recorded_at=START + timedelta(days=(video_id - 1) // 5))
    assert assign(db) == 40
    assert len(set(assigned(db).values())) == 8
