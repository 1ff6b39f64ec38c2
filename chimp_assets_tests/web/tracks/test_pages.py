"""Pages of many tracks on the screen: answered by keys, taken back after a reload, kept without a connection."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.work.pages import PageOfMany
from chimp_assets_tests.database.world import HEAD, event, plan, track
from chimp_assets_tests.web.conftest import Site

PAGE = 8
READY = ".tile"


@pytest.fixture
def members(site: Site) -> list[list[int]]:
    """Two planned pages of the tracks that the head gives Fifi; Fred and Freud, whom it gives them next, are known."""
    db = site.home.database
    ids = [track(video, ordinal) for video in range(1, 55) for ordinal in (0, 1)]
    fifi = ids[0::12]
    known = [event("identify", i, code) for first, code in ((1, "FI"), (2, "FD")) for i in ids[first::12][:3]]
    assert {result.status for result in record_events(db, known)} == {"stored"}
    others = ids[5::12]  # named by nobody, and as good as any
    with db.read() as conn:
        who = conn.execute(sa.select(t.individual.c.individual_id).where(t.individual.c.anim_id == "FF")).scalar_one()
    pages = [fifi[:PAGE], others[:PAGE]]
    offered = [
        PageOfMany(
            who, tracks, [0.62] * len(tracks), f"{PAGE} tracks, 80 frames, some 11 seconds: the model says Fifi (FF)."
        )
        for tracks in pages
    ]
    plan(db, [ids[4]], head_model_id=HEAD, pages=offered)
    return pages


def plants(site: Site) -> list[int]:
    c = t.quality_check.c
    with site.home.database.read() as conn:
        newest = conn.scalar(sa.select(c.page_id).order_by(c.check_id.desc()).limit(1))
        return list(conn.scalars(sa.select(c.track_id).where(c.page_id == newest)))


def mark(page: Page, site: Site, wanted: list[int]) -> None:
    """Takes tracks out with the keys alone."""
    order = page.evaluate("() => fetch('/api/grid').then((answer) => answer.json())")["tracks"]
    for place, one in enumerate(order):
        if one["track_id"] in wanted:
            page.keyboard.press("x")
        if place < len(order) - 1:
            page.keyboard.press("ArrowRight")


def of_pages(site: Site) -> list[tuple[str, int]]:
    return [(row.kind, row.track_id) for row in site.annotations() if row.lane == t.GRID]


def test_a_page_is_answered_by_keys_taken_back_and_kept_without_a_connection(
    context: Any, site: Site, members: list[list[int]]
) -> None:
    """Two dozen names lost with the connection, or that stay after they were taken back, cost more than they gave."""
    page = context.new_page()
    page.goto(f"{site.url}/label/grid")
    page.locator(READY).first.wait_for()
    expect(page.locator("main")).to_contain_text(
        f"{PAGE} tracks, 80 frames, some 11 seconds: the model says Fifi (FF)."
    )
    expect(page.locator("main")).to_contain_text("One more page after this one.")
    assert page.locator(READY).count() == PAGE + 2
    mark(page, site, [members[0][0], *plants(site)])
    expect(page.locator(".tile[aria-pressed=true]")).to_have_count(3)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(f"{PAGE - 1} tracks named Fifi.")
    assert sorted(of_pages(site)) == sorted(
        [("not_individual", members[0][0]), *(("identify", i) for i in members[0][1:])]
    )
    page.locator(READY).first.wait_for()
    # Taken back with one key, the page is there again as it was answered.
    page.keyboard.press("Backspace")
    expect(page.locator(".tile[aria-pressed=true]")).to_have_count(3)
    assert [kind for kind, _ in of_pages(site)].count("retract") == PAGE
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(f"{PAGE - 1} tracks named Fifi.")
    # Another tab, or the next day: the last page can still be taken back.
    page.reload()
    page.locator(READY).first.wait_for()
    page.get_by_role("button", name="Undo this page").click()
    page.locator(READY).first.wait_for()
    expect(page.get_by_role("button", name="Undo this page")).to_have_count(0)
    assert [kind for kind, _ in of_pages(site)].count("retract") == 2 * PAGE
    # Without a connection the answer waits on the device, and is stored once.
    before = len(of_pages(site))
    mark(page, site, plants(site))
    context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("is kept on this device")
    assert len(of_pages(site)) == before
    context.set_offline(False)
    expect(page.locator("[data-state=saved]")).to_have_count(1)
    kinds = [kind for kind, _ in of_pages(site)[before:]]
    assert kinds == ["identify"] * PAGE
    with site.home.database.read() as conn:
        states = sorted(conn.scalars(sa.select(t.grid_page.c.state)))
    assert states.count("answered") == 1


def test_a_page_that_pays_less_than_single_questions_is_not_pressed_on_anybody(context: Any, site: Site) -> None:
    """A page of what the machine carries for nothing loses to random: 99 minutes to 82."""
    page = context.new_page()
    record_events(site.home.database, [event("identify", track(1, 1), "FI")])
    page.goto(f"{site.url}/label/grid")
    expect(page.locator("main")).to_contain_text("No page is worth it now")
    page.get_by_role("button", name="A page all the same").click()
    page.locator(READY).first.wait_for()
