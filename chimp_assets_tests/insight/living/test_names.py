"""Names that are kept in memory are those of the view after everything that changes one, and are seldom read anew."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.is_it.trust import follow_carefulness
from chimp_assets.insight.association.errors import LiveErrors, name_errors
from chimp_assets.insight.association.network_cache import NetworkCache
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.living import names as module
from chimp_assets.insight.living.names import LiveNames, name_columns
from chimp_assets.insight.living.stamps import stamp_of
from chimp_assets_tests.database.world import HEAD, START, event, make_world, plan, predict, track


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db, videos=3)
    record_events(db, [event("identify", track(1, 0), "FF")])
    predict(db, track(1, 1), {"GM": 0.97, "FF": 0.03})
    predict(db, track(2, 1), {"FD": 0.6, "FF": 0.4})
    return db


def rescored(db: Database) -> None:
    """The champion names a bundle again, as when a camera's clock was corrected."""
    with db.write() as conn:
        fd = conn.scalar(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == "FD"))
        conn.execute(sa.update(s.prediction).where(s.prediction.c.rank == 1).values(individual_id=fd))
        conn.execute(sa.delete(s.bundle_score))
        at = START + timedelta(days=int(uuid.uuid4().int % 1_000))
        conn.execute(sa.insert(s.bundle_score).values(model_id=HEAD, bundle_id=1, n_tracks=9, created_at=at))


def guesses(db: Database, name: str) -> None:
    """Six hidden checks of six were wrong: what she says no longer counts. No event says so."""
    plan(db, [track(3, 0)], "is_it", individual_ids=[1])
    with db.write() as conn:
        user = conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == name))
        item = conn.scalar(sa.select(sa.func.max(s.acquisition_queue.c.item_id)))
        for _ in range(6):
            conn.execute(
                sa.insert(s.quality_check).values(
                    kind="gold", user_id=user, track_id=track(3, 0), individual_id=1, asked_at=START,
                    answered_at=START, passed=False, item_id=item,
                )
            )  # fmt: skip
        follow_carefulness(conn, user)


def test_kept_names_are_those_of_the_view_after_everything(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    live, errors, whole = LiveNames(), LiveErrors(), 0
    real = module.name_columns

    def counted(conn: sa.Connection, tracks: list[int] | None = None) -> module.NameColumns:
        nonlocal whole
        whole += tracks is None
        return real(conn, tracks)

    monkeypatch.setattr(module, "name_columns", counted)

    def check(after: str, read_anew: int) -> None:
        before = whole
        with world.read() as conn:
            found, fresh = live.current(conn, stamp_of(conn)), name_columns(conn)
            kept, read = errors.current(conn, stamp_of(conn), HEAD, 0.5), name_errors(conn, HEAD, 0.5)
        for one in ("true", "named", "strangers"):
            assert np.array_equal(getattr(kept, one), getattr(read, one)), f"{one} after {after}"
        for name in ("track", "who", "model", "probability", "by_person"):
            assert np.array_equal(getattr(found, name), getattr(fresh, name)), f"{name} after {after}"
        assert whole - before == read_anew, after

    check("the start", 1)
    asked = [event("identify", track(1, 1), "FI", lane="audit"), event("unknown", track(2, 1), lane="audit")]
    record_events(world, asked)
    check("answers of the audit", 0)
    with world.read() as conn:
        assert errors.current(conn, stamp_of(conn), HEAD, 0.5).n_answers == 1
    told = event("identify", track(2, 1), "FI")
    record_events(world, [told, event("identify", track(2, 2), "GM"), event("not_animal", track(1, 0))])
    check("names", 0)
    record_events(world, [event("retract", None, None, supersedes=told.annotation_id)])
    check("a name that was taken back", 0)
    record_events(world, [event("is_individual", track(3, 1), "FI", annotator=who) for who in ("vera", "vito")])
    check("two volunteers who agree", 0)
    guesses(world, "vera")
    check("one of them who guesses", 1)
    record_events(world, [event("split", track(2, 2), frame_no=5)])
    check("a cut", 1)
    merge_individuals(world, "FI", "FD", why="one animal", force=True)
    check("a merge", 1)
    unmerge_individual(world, "FI")
    check("its undo", 1)
    rescored(world)
    check("a bundle that was scored anew", 1)
    with world.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 1).values(state="retired"))
    check("a video that went", 1)
    with world.write() as conn:
        conn.execute(sa.update(s.model).where(s.model.c.model_id == HEAD).values(state="retired"))
    check("a head that went", 1)


def test_a_network_that_is_kept_is_that_of_now(world: Database) -> None:
    """Days of a camera whose clock was corrected were counted as before for as long as five minutes."""
    kept = NetworkCache()
    scope = Scope("clip", probability=0.5)

    def asked(cache: NetworkCache) -> list[object]:
        with world.read() as conn:
            found = cache.network(conn, scope)
            return [found.nodes, [vars(edge) for edge in found.edges], cache.counted(conn, scope).effort]

    changes: list[Callable[[], object]] = [
        lambda: record_events(world, [event("identify", track(1, 2), "FI")]),
        lambda: rescored(world),
        lambda: _moved(world),
        lambda: merge_individuals(world, "FI", "FD", why="one animal", force=True),
    ]
    before = asked(kept)
    assert before == asked(kept)
    for change in changes:
        change()
        now = asked(kept)
        assert now == asked(NetworkCache())
        assert now != before
        before = now


def _moved(db: Database) -> None:
    with db.write() as conn:
        later = START + timedelta(days=1)
        conn.execute(
            sa.update(s.video)
            .where(s.video.c.video_id == 1)
            .values(recorded_at=later, recorded_on=later.date(), updated_at=later + timedelta(days=9_000))
        )
