"""Pages of a plan: from SQL to rows of pages, and what a plan then asks alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work.pages import claim_page, page_of
from chimp_assets.home import Home
from chimp_assets.loop.plan import plan_queue
from chimp_assets.loop.pool import read_snapshot
from chimp_assets_tests.loop.test_planning import World, unit


@pytest.fixture
def world(home: Home) -> World:
    """A world whose champion head gives every track a name with 0.7: FI where its number is 3 in four, else FF."""
    made = World(home)
    made.add_head(0.9)
    head_says(made, 0.7)
    return made


def head_says(world: World, probability: float) -> None:
    """Vectors to which the head of `World.add_head` gives FF or FI with this probability."""
    first = np.log(probability / (1 - probability)) / 10
    for n, track_id in enumerate(world.tracks):
        rest = unit(world.embeddings[track_id][1:]) * np.sqrt(1 - first**2)
        world.embeddings[track_id] = np.r_[-first if n % 4 == 3 else first, rest]
    world.write_embeddings()


def pages(world: World, state: str = "pending") -> list[Any]:
    with world.db.read() as conn:
        ids = conn.scalars(
            sa.select(t.grid_page.c.page_id).where(t.grid_page.c.state == state).order_by(t.grid_page.c.page_id)
        ).all()
        return [page_of(conn, page_id) for page_id in ids]


def planned(world: World, **changed: Any) -> Any:
    settings = world.settings
    if changed:
        settings = settings.model_copy(update={"acquisition": settings.acquisition.model_copy(update=changed)})
    return plan_queue(world.db, world.home.store, settings, batch=10)


def test_a_plan_offers_pages_and_asks_their_tracks_nowhere_else(world: World) -> None:
    """A track asked alone and on a page is an answer paid twice; one of the reserve spoils the measurement."""
    answered = world.open_to_training[0]
    world.answer("identify", answered, "FF")
    report = planned(world)
    found = pages(world)
    assert report.pages == len(found) > 0
    shown = [track_id for page in found for track_id in page.track_ids]
    assert set(shown) <= set(world.open_to_training) - {answered}
    assert not set(shown) & {item[0] for item in world.items()}
    (first, *_) = found
    n_hidden = 2  # look-alikes that are taken out
    seconds = 2 + 0.35 * (len(first.track_ids) + n_hidden) + 2 * (0.3 * len(first.track_ids) + n_hidden)
    assert first.reason == (
        f"{len(first.track_ids)} tracks, {4 * len(first.track_ids)} frames, some {seconds:.0f} seconds:"
        " the model says Fifi (FF)."
    )
    assert (first.propensity, first.round_id) == (1.0, report.round_id)
    assert first.probabilities == pytest.approx([0.7] * len(first.track_ids), abs=0.01)


def test_denied_names_and_copies_are_on_no_page(world: World) -> None:
    """Shown again as what people said that it is not, a track costs twice; a copy costs as much as its original."""
    denied, original, copy, *_ = [i for n, i in enumerate(world.tracks) if i in world.open_to_training and n % 4 != 3]
    world.embeddings[copy] = world.embeddings[original]
    world.write_embeddings()
    with world.db.write() as conn:
        conn.execute(
            sa.insert(t.track_evidence).values(
                track_id=denied, individual_id=world.individual_id("FF"), n_yes=0, n_no=1, state="denied", seq=0
            )
        )
    planned(world)
    shown = {track_id for page in pages(world) for track_id in page.track_ids}
    assert denied not in shown
    alone = {item[0] for item in world.items()}
    assert not alone & shown
    assert len((alone | shown) & {original, copy}) == 1, "alone or on a page"


def test_pages_take_tracks_before_single_questions_only_where_somebody_opens_them(world: World) -> None:
    """Whoever never opens a page must not wait for the tracks on it; whoever does gets the best of them."""
    alone = [item[0] for item in planned(world) and world.items()]
    planned(world)
    assert [item[0] for item in world.items()] == alone, "nobody has opened one"
    # The longest tracks are worth most, alone and on a page: who comes first has them.
    longest = [i for n, i in enumerate(world.tracks) if i in world.open_to_training and n % 4 != 3][-8:]
    with world.db.write() as conn:
        conn.execute(sa.update(t.track).where(t.track.c.track_id.in_(longest)).values(n_detections=4000))
    planned(world)
    assert set(longest) - {i for page in pages(world) for i in page.track_ids}
    now = datetime.now(UTC)
    with world.db.write() as conn:
        conn.execute(sa.insert(t.app_user).values(name="ida", role="identifier", created_at=now))
        ida = conn.execute(sa.select(t.app_user.c.user_id).where(t.app_user.c.name == "ida")).scalar_one()
        held = claim_page(conn, ida, now, now - timedelta(minutes=5))
    assert held is not None
    planned(world)
    assert set(longest) <= {i for page in pages(world) for i in page.track_ids}
    # A page on somebody's screen stays hers, and nobody else is asked about its tracks.
    with world.db.write() as conn:
        held = claim_page(conn, ida, now, now + timedelta(minutes=5))
    assert held is not None
    planned(world)
    assert [page.page_id for page in pages(world, "leased")] == [held.page_id]
    elsewhere = {item[0] for item in world.items()} | {i for page in pages(world) for i in page.track_ids}
    assert not set(held.track_ids) & elsewhere


def test_where_people_alone_name_sure_tracks_are_on_pages_too(world: World) -> None:
    """The machine may carry nothing there: what it is sure of is what a page names fastest."""
    head_says(world, 0.99)
    assert planned(world).pages == 0
    assert planned(world, named_by="people").pages > 0


def test_the_seconds_of_pages_are_no_price_of_single_answers(world: World) -> None:
    """A share of a page is half a second: single answers would look eight times as cheap as they are."""
    tracks = world.open_to_training[:40]
    for n, track_id in enumerate(tracks):
        event_id = world.answer("identify", track_id, "FF", lane="grid" if n % 2 else "typical")
        with world.db.write() as conn:
            conn.execute(
                sa.update(t.annotation)
                .where(t.annotation.c.annotation_id == event_id)
                .values(seconds=0.5 if n % 2 else 4.0)
            )
    with world.db.read() as conn:
        assert np.unique(read_snapshot(conn, world.settings).cost).tolist() == [1.0], "20 single answers are too few"
    for n, track_id in enumerate(world.open_to_training[:40]):
        if n % 2:
            event_id = world.answer("identify", track_id, "FF")
            with world.db.write() as conn:
                conn.execute(
                    sa.update(t.annotation).where(t.annotation.c.annotation_id == event_id).values(seconds=4.0)
                )
    with world.db.read() as conn:
        assert np.unique(read_snapshot(conn, world.settings).cost).tolist() == [4.0]
