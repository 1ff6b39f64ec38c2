"""Split and merge in a real browser: what the keys do to tracks, what is asked next, and that undo takes it back."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets_tests.web.conftest import Site
from chimp_assets_tests.web.steps import decide, item_on, look, open_label, until, wait_saved


def track_of(site: Site, item: str) -> Any:
    q, k = s.acquisition_queue.c, s.track.c
    with site.home.database.read() as conn:
        return conn.execute(
            sa.select(s.track, q.state.label("item_state"), q.reason)
            .join(s.acquisition_queue, q.track_id == k.track_id)
            .where(q.item_id == int(item))
        ).one()


def live(site: Site) -> set[int]:
    with site.home.database.read() as conn:
        return set(conn.scalars(sa.select(s.track.c.track_id).where(s.track.c.state == "live")))


def test_a_split_cuts_asks_for_both_parts_and_is_undone_by_the_key(context, site):
    """The one who saw where the second animal begins names both at once; a slip costs one key."""
    page = open_label(context, site)
    before, item = live(site), item_on(page)
    whole = track_of(site, item)
    decide(page, "Shift+S")
    wait_saved(page, site, 1)
    parts = sorted(live(site) - before)
    assert before - live(site) == {whole.track_id}
    assert len(parts) == 2
    shown: list[str] = []
    for _ in parts:
        # For a moment the next track is on the screen: the parts come when the server has cut.
        until(
            page,
            "shown => !shown.includes(document.body.dataset.item)"
            " && document.querySelector('.facts')?.textContent.includes('somebody split')",
            shown,
        )
        shown.append(item_on(page))
        decide(page, "6")
    assert [track_of(site, one).track_id for one in shown] == parts
    wait_saved(page, site, 3)
    for _ in range(3):
        now = item_on(page)
        page.keyboard.press("Backspace")
        until(page, "now => document.body.dataset.item !== now", now)
    wait_saved(page, site, 6)
    assert live(site) == before
    until(page, "item => document.body.dataset.item === item", item)
    assert track_of(site, item).item_state in ("pending", "leased")


def test_a_merge_joins_two_tracks_of_the_clip_and_the_other_question_goes(context, site):
    page = open_label(context, site)
    before, item = live(site), item_on(page)
    one = track_of(site, item)
    look(page)
    page.keyboard.press("Shift+M")
    until(page, "() => document.querySelector('dialog[open] .alike, .alike')")
    assert page.locator(".alike button").count() == 1, "the other track of this clip, and none of another"
    page.keyboard.press("Enter")
    wait_saved(page, site, 1)
    gone = before - live(site)
    assert one.track_id in gone
    assert len(gone) == 2
    (joined,) = live(site) - before
    until(page, "() => document.body.dataset.painted === document.body.dataset.item")
    until(page, "() => document.querySelector('.facts')?.textContent.includes('somebody merged')")
    assert track_of(site, item_on(page)).track_id == joined
