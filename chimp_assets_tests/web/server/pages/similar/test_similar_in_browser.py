"""More like this and the gallery in a real browser: keys, marks, the next pictures, what axe finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe

from chimp_assets.database import schema as s
from chimp_assets_tests.vision.embedding.search_index.landing import land_vectors


def serious(page: Any) -> list[Any]:
    found = Axe().run(page).response["violations"]
    return [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]


def annotations(home):
    with home.database.read() as conn:
        return conn.execute(sa.select(s.annotation).order_by(s.annotation.c.seq)).all()


def test_marks_and_pictures_by_keys_alone(page, archive, monkeypatch):
    """One visit of all pages, since each browser takes seconds to begin."""
    with archive.database.read() as conn:
        ids = np.array(sorted(conn.scalars(sa.select(s.track.c.track_id).where(s.track.c.state == "live"))), np.int64)
    land_vectors(archive, 1, ids, np.random.default_rng(0).standard_normal((len(ids), 8)) + 0.3)
    page.set_viewport_size({"width": 390, "height": 844})
    naming_what_is_alike(page, archive, int(ids[0]))
    monkeypatch.setattr("chimp_assets.web.pages.individuals.PAGE", 2)
    going_through_a_gallery(page)
    looking_twice_at_many(page, archive)
    assert page.errors == []


def naming_what_is_alike(page, archive, one):
    before = annotations(archive)
    page.goto(f"/similar?to={one}&spread=none", wait_until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []
    page.fill("[data-confirm] [name=who]", "Fifi")
    page.locator("[data-found] li:has([data-mark])").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-undo]:visible")
    assert "Fifi: 1" in page.text_content("[data-said]")
    (named,) = annotations(archive)[len(before) :]
    assert (named.kind, named.lane) == ("identify", "free")
    assert '"mode":"search"' in named.shown.replace(" ", "")
    page.click("[data-undo]")
    page.wait_for_selector("[data-undo]", state="hidden")
    assert [row.kind for row in annotations(archive)[len(before) :]] == ["identify", "retract"]
    page.locator("[data-found] li").first.focus()
    with page.expect_navigation():
        page.keyboard.press("-")
    assert "not=" in page.url


def looking_twice_at_many(page, archive):
    """Search names six only after a second look, and nothing where a look-alike stayed."""
    before = annotations(archive)
    page.goto("/search?status=unnamed", wait_until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []
    page.fill("[data-confirm] [name=who]", "FF")
    page.locator("[data-found] li").first.focus()
    while (marked := page.locator("li:has([data-mark]:checked)")).count() < 6:
        page.keyboard.press("x")
        page.keyboard.press("ArrowRight")
    ids = marked.evaluate_all("all => all.map(one => one.dataset.track)")
    marked.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-look][open] .tile")
    assert serious(page) == []
    shown = page.eval_on_selector_all("[data-look] .tile", "all => all.map(one => one.dataset.track)")
    assert len(set(shown) - set(ids)) == 2
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-look] [data-problem]:visible")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-confirm] [type=submit]:enabled")
    assert annotations(archive) == before
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-look][open] [data-yes]:visible")
    for other in page.eval_on_selector_all("[data-look] .tile", "all => all.map(one => one.dataset.track)"):
        if other not in ids:
            page.keyboard.press("x")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-undo]:visible")
    named = annotations(archive)[len(before) :]
    assert {str(row.track_id) for row in named} == set(ids)
    assert {(row.kind, row.lane, row.shown_mode) for row in named} == {("identify", "free", "search")}


def going_through_a_gallery(page):
    """A gallery that is loaded again after each word begins at the top."""
    page.goto("/individual/FF", wait_until="networkidle")
    page.locator("#history").scroll_into_view_if_needed()
    page.wait_for_selector("[data-older]", state="detached")
    ids = page.eval_on_selector_all("[data-picture]", "all => all.map(one => Number(one.dataset.picture))")
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == int(page.text_content("#pictures ~ .row [aria-current=true] .count")) == 6
    assert serious(page) == []
    last = page.locator(f'[data-picture="{ids[-1]}"]')
    last.focus()
    page.keyboard.press("Shift+X")
    page.wait_for_selector(f'[data-picture="{ids[-1]}"] [data-take-back]')
    assert page.locator("[data-picture]").count() == len(ids)
    assert page.evaluate("Number(document.activeElement.dataset.picture)") == ids[-1]
    with page.expect_navigation():
        page.keyboard.press("Shift+L")
    assert page.url.endswith(f"/similar?to={ids[-1]}")
