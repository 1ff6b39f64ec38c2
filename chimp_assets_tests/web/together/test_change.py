"""How did the company of a mother change after her infant was born? By browser alone, in at most five clicks."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chimp_assets.home import init_home
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.database.days_together import BIRTH, make_days_together
from chimp_assets_tests.web.conftest import Site, sign_in
from chimp_assets_tests.web.label_home import PASSWORD

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = init_home(tmp_path_factory.mktemp("days") / "home")
    make_days_together(home.database)
    set_password(home.database, "lotte", PASSWORD)
    home.database.dispose()
    return home.settings.home


@pytest.fixture
def page(browser: Any, serve: Callable[..., Site], days: Path) -> Any:
    site = serve(days)
    context = browser.new_context(
        base_url=site.url, viewport={"width": 1280, "height": 800}, service_workers="block", locale="en"
    )
    sign_in(context, site, "lotte")
    yield context.new_page()
    context.close()


def follow(page: Any, name: str) -> None:
    """By keyboard: to the link, and Enter."""
    link = page.get_by_role("link", name=name, exact=True).first
    link.focus()
    page.keyboard.press("Enter")


def test_the_question_of_the_mission_takes_three_keys_and_says_what_is_known(page: Any) -> None:
    page.goto("/")
    follow(page, "Seen together")
    page.wait_for_url("**/together")
    follow(page, "What changed")
    page.wait_for_url("**/together/change")
    follow(page, f"Birth of Fred, child of Fifi, on {BIRTH}")
    page.wait_for_url("**/change?birth=FI")
    said = page.locator("section[aria-labelledby=said]").inner_text()
    assert "The company of Fifi" in said
    assert "Gremlin" in said
    assert "less together" in said
    assert "Freud" not in said, "no change of his is claimed"
    assert "Fred was not there before" in said
    rows = {row.locator("th").inner_text(): row.inner_text() for row in page.locator("tbody tr").all()[2:]}
    (freud,) = (text for name, text in rows.items() if "Freud" in name)
    assert "none found; half as strong would be found in" in freud
    assert page.locator("svg.graph").count() == 2
    places = [
        page.locator("svg.graph").nth(side).locator(".node circle, .node rect").first.bounding_box() for side in (0, 1)
    ]
    assert all(places)
    found = axe_playwright.Axe().run(page)
    assert [one["id"] for one in found.response["violations"] if one["impact"] in ("serious", "critical")] == []
    answer = page.request.get(f"{page.url.replace('/change?', '/change.csv?')}")
    lines = list(csv.DictReader(io.StringIO(answer.text())))
    by_name = {frozenset((row["a"], row["b"])): row for row in lines}
    assert by_name[frozenset(("FF", "GM"))]["changed"] == "1"
    assert by_name[frozenset(("FF", "FD"))]["changed"] == "0"
    assert by_name[frozenset(("FF", "FI"))]["newborn"] == "1"
    assert by_name[frozenset(("FF", "GM"))]["after_from"] == str(BIRTH)
    if shots := os.environ.get("CHIMP_TEST_SHOTS"):
        page.screenshot(path=f"{shots}/change.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "sideways scrolling on a phone"
    page.goto("/individual/FF")
    follow(page, f"around the birth of Fred, {BIRTH}")
    page.wait_for_url("**/change?birth=FI")


def test_windows_follow_each_other_by_keys_and_everybody_stays_in_place(page: Any) -> None:
    page.goto("/together")
    follow(page, "Over time")
    page.wait_for_url("**/together/over-time")
    there = {}
    for _ in range(2):
        place = page.locator("svg.graph g.node", has_text="Fifi").locator("circle").bounding_box()
        there[page.locator("h2#window").inner_text()] = (round(place["x"] + place["width"] / 2), place["y"] > 0)
        page.locator("h2#window").click()
        with page.expect_navigation():
            page.keyboard.press("ArrowLeft")
    assert len(there) == 2
    assert len(set(there.values())) == 1, "she moved"
    found = axe_playwright.Axe().run(page)
    assert [one["id"] for one in found.response["violations"] if one["impact"] in ("serious", "critical")] == []
    if shots := os.environ.get("CHIMP_TEST_SHOTS"):
        page.screenshot(path=f"{shots}/over_time.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "sideways scrolling on a phone"
    assert page.request.get("/together/over-time?step=year").status == 200
    assert page.request.get("/together/over-time?at=1900-01-01").status == 200
    assert page.request.get("/together/over-time?at=soon").status == 422
    assert page.request.get("/together/over-time?step=week").status == 422


def test_patterns_say_what_was_tested_and_what_is_too_few(page: Any) -> None:
    page.goto("/together/patterns")
    rows = page.locator("tbody tr").all_inner_texts()
    assert len(rows) == 4
    assert all("fewer than 3 individuals" in row or "than by chance" in row for row in rows)
    found = axe_playwright.Axe().run(page)
    assert [one["id"] for one in found.response["violations"] if one["impact"] in ("serious", "critical")] == []


def test_addresses_that_say_nothing_comparable_are_refused_with_a_remedy(page: Any) -> None:
    for query in ("birth=GM", "departure=FF", "a_since=2013-05-06&a_until=2013-05-09",
                  "a_since=2013-05-06&a_until=2013-05-09&b_since=2013-05-08&b_until=2013-05-12", "birth=NOBODY",
                  "a_since=x&a_until=y&b_since=z&b_until=w"):  # fmt: skip
        answer = page.request.get(f"/together/change?{query}")
        assert answer.status in (404, 422), query
        assert answer.json()["remedy"]
    two = page.request.get(
        "/together/change?a_since=2013-05-06&a_until=2013-06-06&b_since=2013-06-07&b_until=2013-07-07"
    )
    assert two.status == 200
    assert page.request.get("/together/change.csv").status == 422
