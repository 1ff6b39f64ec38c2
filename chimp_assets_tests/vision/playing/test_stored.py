"""Which pictures are in which piece, and the word that names what is stored."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.vision.playing.stored import (
    MOST_GAP_S,
    MOST_PICTURES,
    MOST_THUMBS,
    pieces_of,
    stored,
    thumbs_of,
    version_of,
)
from chimp_assets_tests.database import world


@pytest.mark.parametrize(
    ("times", "firsts"),
    [
        ([], ()),
        ([3.0], (0,)),
        ([0.2 * n for n in range(101)], (0, 50, 100)),
        ([0.0, 30.0, 60.0], (0, 1, 2)),  # a slide show: no piece is empty
        ([0.0, 5.0, 9.99, 10.0, 19.0, 40.0], (0, 3, 5)),
        ([0.0, 1.0, 2.0 + MOST_GAP_S], ()),
        ([n / 1000 for n in range(MOST_PICTURES + 1)], (0, MOST_PICTURES)),
    ],
)
def test_a_piece_begins_at_a_picture_and_lasts_about_ten_seconds(times: list[float], firsts: tuple[int, ...]) -> None:
    assert pieces_of(times) == firsts


def test_small_pictures_lie_evenly_and_are_bounded() -> None:
    assert thumbs_of([]) == ()
    assert thumbs_of([1.0]) == (0,)
    found = thumbs_of(np.arange(0, 100, 0.2))
    assert (len(found), found[0], found[-1]) == (50, 0, 489)
    assert set(np.diff(found)) <= {9, 10}
    assert len(thumbs_of(np.arange(0, 7200, 0.5))) == MOST_THUMBS


def test_the_version_changes_with_what_is_stored_and_with_nothing_else(db: Database) -> None:
    world.make_world(db, videos=2, tracks=1, frames=120)

    def now(video_id: int = 1) -> str | None:
        with db.read() as conn:
            return version_of(conn, video_id)

    def change(statement: sa.Update) -> None:
        with db.write() as conn:
            conn.execute(statement)

    first, other = now(), now(2)
    assert first is not None
    assert first != other
    change(sa.update(s.video).values(camera="elsewhere"))
    assert now() == first
    seen = {first}
    for statement in (
        sa.update(s.frame_shard).values(content_hash="1" * 64),
        sa.update(s.frame).where(s.frame.c.frame_no == 119).values(time_s=99.5),
        sa.update(s.frame).where(s.frame.c.frame_no == 0).values(byte_length=91),
    ):
        change(statement)
        version = now()
        assert version not in seen
        seen.add(version or "")
    with db.read() as conn:
        plan = stored(conn, 1, now() or "")
    assert plan.pieces == (0, 50, 100, 119)
    spans = [second for n in range(4) for second in plan.span(n)]
    assert spans == pytest.approx([0, 10, 10, 20, 20, 99.5, 99.5, 99.7])
    message = plan.piece_message(2, {})
    assert message["time_s"].tolist() == pytest.approx([20 + n / 5 for n in range(19)])
    assert message["offset"].tolist() == [512 + 100 * n for n in range(100, 119)]
    assert message["uris"] == ["shards/1.tar"]
    assert sum(map(len, plan.strip_moments())) == len(plan.thumbs)
    change(sa.update(s.video).values(state="retired"))
    assert now() is None
