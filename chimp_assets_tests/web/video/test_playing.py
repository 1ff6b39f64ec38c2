"""The page of a video plays: picture and boxes belong together, jumps are right, and without a film it plays too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from chimp_assets.database.schema import track_id_of
from chimp_assets_tests.vision.playing.counted import left_of, store_counted, uneven
from chimp_assets_tests.web.conftest import Site, sign_in
from chimp_assets_tests.web.steps import until
from chimp_assets_tests.web.video.seen import LOOK, WATCH

VIDEO = 900
PICTURES = 200


@pytest.fixture
def page(browser: Any, site: Site) -> Iterator[Any]:
    store_counted(site.home, VIDEO, uneven(PICTURES), 640, 360)
    context = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900}, service_workers="block")
    sign_in(context, site)
    page = context.new_page()
    page.goto(f"/video/{VIDEO}?track={track_id_of(VIDEO, 0)}")
    until(page, "() => document.body.dataset.frame === '0'")
    page.locator("h1").click()
    yield page
    context.close()


def seen(page: Any) -> tuple[int, int, float]:
    """(the number that the page says, the number in the picture, where its box begins)."""
    told, shown, left = page.evaluate(LOOK)
    return told, shown, left


def test_a_film_shows_the_boxes_of_what_is_seen_and_pauses_at_a_stored_picture(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press(" ")
    watched = page.evaluate(WATCH, 20)
    assert len({told for told, _, _ in watched}) > 5
    assert [shown for _, shown, _ in watched] == [told for told, _, _ in watched]
    assert [left for _, _, left in watched] == pytest.approx([left_of(n) for n, _, _ in watched], abs=0.012)
    assert any(url.endswith("/0.mp4") for url in asked)
    assert page.evaluate("document.querySelector('[data-trouble]').value") == ""
    del asked[:]
    page.keyboard.press(" ")
    told, _, _ = seen(page)
    until(
        page,
        "(path) => performance.getEntriesByName(path).length",
        f"{page.url.split('/video')[0]}/media/frame/{VIDEO}/{told}.jpg",
    )
    assert seen(page)[:2] == (told, told)
    page.keyboard.press("ArrowRight")
    until(page, "(n) => document.body.dataset.frame === String(n)", told + 1)
    assert seen(page)[1] == told + 1
    # Far away, in another piece, by the strip; from there it plays on.
    link = page.locator("[data-moment]").nth(-2)
    page.locator("[data-moment][aria-current]").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    moment = float(link.get_attribute("data-moment"))
    number = next(n for n, time_s in reversed(list(enumerate(uneven(PICTURES)))) if time_s <= moment + 1e-6)
    until(page, "(n) => document.body.dataset.frame === String(n)", number)
    assert seen(page)[:2] == (number, number)
    assert page.evaluate("document.activeElement.ariaCurrent") == "true"
    page.locator("[data-play]").click()
    until(page, "(n) => Number(document.body.dataset.frame) > n + 3", number)
    until(page, "(n) => document.body.dataset.frame === String(n)", PICTURES - 1, timeout_s=30)
    until(page, "() => document.querySelector('[data-play]').textContent === 'Play'")
    assert seen(page)[:2] == (PICTURES - 1, PICTURES - 1)


def test_without_a_film_stored_pictures_play_and_the_page_says_so(page: Any) -> None:
    page.route(re.compile(r"/proxy/"), lambda route: route.fulfill(status=404, json={"error": "gone"}))
    page.keyboard.press(" ")
    until(page, "() => Number(document.body.dataset.frame) > 8")
    assert "one by one" in page.evaluate("document.querySelector('[data-trouble]').value")
    told, shown, _ = seen(page)
    assert told == shown
