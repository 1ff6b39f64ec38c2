"""The page of one video by keyboard: jumps, single pictures, the right frame, who may see and name."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets_tests.web.conftest import Site, sign_in
from chimp_assets_tests.web.steps import until

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture
def page(browser: Any, site: Site) -> Any:
    context = browser.new_context(
        base_url=site.url, viewport={"width": 1280, "height": 900}, service_workers="block", locale="en"
    )
    sign_in(context, site)
    yield context.new_page()
    context.close()


def filmed(site: Site) -> int:
    """A video whose pictures are stored."""
    with site.home.database.read() as conn:
        return int(conn.scalar(sa.select(sa.func.max(s.video.c.video_id))) or 0)


def frame(page: Any) -> int:
    return int(page.evaluate("document.body.dataset.frame"))


def test_every_key_shows_the_stored_picture_that_it_names(page: Any, site: Site) -> None:
    video_id = filmed(site)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/media/frame/" in request.url else None)
    page.goto(f"/video/{video_id}")
    until(page, "() => document.body.dataset.frame === '0'")
    page.locator("h1").click()
    for key, number in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        until(page, "(n) => document.body.dataset.frame === String(n)", number)
    assert any(url.endswith(f"/media/frame/{video_id}/2.jpg") for url in asked)
    with site.home.database.read() as conn:
        k = s.track.c
        tracks = conn.execute(
            sa.select(k.track_id, k.first_frame_no, k.last_frame_no)
            .where(k.video_id == video_id, k.state == "live")
            .order_by(k.track_id)
        ).all()
    jump = page.locator("[data-jump]").first
    jump.focus()
    page.keyboard.press("Enter")
    chosen = next(row for row in tracks if row.track_id == int(jump.get_attribute("data-jump")))
    until(page, "(n) => document.body.dataset.frame === String(n)", chosen.first_frame_no)
    page.keyboard.press("End")
    until(page, "(n) => document.body.dataset.frame === String(n)", chosen.last_frame_no)
    assert f"track={chosen.track_id}" in page.url, "the address is what is seen"
    page.keyboard.press("Home")
    until(page, "(n) => document.body.dataset.frame === String(n)", chosen.first_frame_no)
    page.locator("h1").click()
    page.keyboard.press(" ")
    until(page, "(n) => Number(document.body.dataset.frame) > n", chosen.first_frame_no)
    found = axe_playwright.Axe().run(page)
    assert [one["id"] for one in found.response["violations"] if one["impact"] in ("serious", "critical")] == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "sideways scrolling on a phone"
    page.goto(f"/video/of/{chosen.track_id}")
    page.wait_for_url(f"**/video/{video_id}?track={chosen.track_id}")


def opened(page: Any, site: Site) -> int:
    """The page of a video with its first picture on the screen."""
    video_id = filmed(site)
    page.goto(f"/video/{video_id}")
    until(page, "() => document.body.dataset.frame === '0'")
    return video_id


def chosen(page: Any, place: int = 0) -> int:
    """Chooses a track by its bar and waits for its candidates."""
    jump = page.locator("[data-jump]").nth(place)
    jump.focus()
    page.keyboard.press("Enter")
    page.locator("[data-candidates] button").first.wait_for()
    return int(jump.get_attribute("data-jump"))


def live(site: Site, video_id: int) -> dict[int, tuple[int, int]]:
    """First and last frame of each live track of a video."""
    k = s.track.c
    with site.home.database.read() as conn:
        rows = conn.execute(
            sa.select(k.track_id, k.first_frame_no, k.last_frame_no).where(k.video_id == video_id, k.state == "live")
        )
        return {row.track_id: (row.first_frame_no, row.last_frame_no) for row in rows}


def test_the_chosen_track_is_named_by_a_digit_or_by_typing(page: Any, site: Site) -> None:
    opened(page, site)
    track_id = chosen(page)
    first = page.locator("[data-candidates] button").first.inner_text()
    assert "62 %" in first
    page.keyboard.press("1")
    until(page, "() => document.querySelector('[data-done]').textContent.startsWith('Named')")
    until(page, "() => document.querySelector('[aria-current] .person')")
    assert page.locator("[data-chosen]").inner_text().split(",")[1].strip() == "people", "how sure, in words"
    page.locator("input[name=who]").fill("fifi")
    page.locator("input[name=who]").press("Enter")
    until(page, "() => document.querySelector('[data-done]').textContent === 'Named Fifi.'")
    until(page, "() => document.querySelector('.lanes').textContent.includes('Fifi')")
    one, other = site.annotations()
    assert (one.kind, one.track_id, one.lane, one.shown_mode) == ("identify", track_id, "free", "video")
    shown = json.loads(one.shown)
    assert shown["candidates"][0][1] == pytest.approx(0.62)
    assert (shown["input"], shown["frame_no"]) == ("key", 0)
    assert other.track_id == track_id
    page.locator("input[name=who]").fill("nobody at all")
    page.locator("input[name=who]").press("Enter")
    until(page, "() => document.querySelector('[data-done]').textContent.includes('nobody at all')")


def test_a_split_is_at_the_stored_picture_on_the_screen_and_is_taken_back(page: Any, site: Site) -> None:
    """What is cut is what was seen, whatever a clock says; the page keeps its place."""
    video_id = opened(page, site)
    before = live(site, video_id)
    whole = chosen(page)
    page.keyboard.press("Shift+S")
    until(page, "() => document.querySelector('[data-done]').textContent.includes('1 to 9')")
    assert site.annotations() == [], "there is nothing before its first picture"
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    until(page, "() => document.body.dataset.frame === '4'")
    page.keyboard.press("Shift+S")
    until(page, "() => document.querySelectorAll('[data-jump]').length === 3")
    (split,) = site.annotations()
    assert (split.kind, split.track_id, split.frame_no, split.shown_mode) == ("split", whole, 4, "video")
    assert json.loads(split.shown)["frame_no"] == 4
    parts = live(site, video_id).keys() - before.keys()
    assert sorted(live(site, video_id)[one] for one in parts) == [(0, 3), (4, 9)]
    assert frame(page) == 4
    second = next(one for one in parts if live(site, video_id)[one] == (4, 9))
    until(page, "(n) => document.querySelector('[aria-current][data-jump]')?.dataset.jump === String(n)", second)
    page.reload()
    until(page, "() => document.body.dataset.frame === '4'")
    page.locator("h1").click()
    page.keyboard.press("Backspace")
    until(page, "() => document.querySelectorAll('[data-jump]').length === 2")
    assert live(site, video_id) == before
    until(page, "(n) => document.querySelector('[aria-current][data-jump]')?.dataset.jump === String(n)", whole)


def test_two_tracks_are_merged_and_one_is_flagged(page: Any, site: Site) -> None:
    video_id = opened(page, site)
    before = set(live(site, video_id))
    one = chosen(page)
    page.keyboard.press("Shift+M")
    until(page, "() => document.querySelector('[data-done]').textContent.includes('second track')")
    page.locator("[data-jump]").nth(1).click(modifiers=["Shift"])
    other = int(page.locator("[data-second]").input_value())
    assert {one, other} == before, "the second is in the list, too"
    page.locator("[data-note]").fill("two animals?")
    page.get_by_role("button", name="Flag for review").click()
    until(page, "() => document.querySelector('[data-done]').textContent.startsWith('Flagged')")
    page.locator("h1").click()
    page.keyboard.press("Shift+M")
    until(page, "() => document.querySelectorAll('[data-jump]').length === 1")
    flag, merge = site.annotations()
    assert (flag.kind, flag.track_id, flag.shown_flag, flag.note) == ("skip", one, True, "two animals?")
    assert (merge.kind, merge.track_id, merge.other_track_id) == ("merge", one, other)
    assert len(live(site, video_id)) == 1
    page.get_by_role("button", name="Take back").click()
    until(page, "() => document.querySelectorAll('[data-jump]').length === 2")
    assert set(live(site, video_id)) == before


def test_whatever_fails_is_said_with_a_remedy_and_stored_once(page: Any, site: Site) -> None:
    opened(page, site)
    chosen(page)
    fault = page.locator("[data-fault]")
    page.route("**/media/frame/*/9.jpg", lambda route: route.abort())
    page.keyboard.press("End")
    fault.wait_for()
    assert "Picture 9 could not be fetched" in fault.inner_text()
    page.keyboard.press("Shift+S")
    until(page, "() => document.querySelector('[data-done]').textContent.includes('not on the screen')")
    page.unroute("**/media/frame/*/9.jpg")
    fault.get_by_role("button", name="Try again").click()
    until(page, "() => document.body.dataset.frame === '9' && document.querySelector('[data-fault]').hidden")
    asked: list[Any] = []

    def lost(route: Any) -> None:
        """The server stores it and the answer is lost."""
        route.fetch()
        asked.append(route.request.post_data_json["events"][0]["annotation_id"])
        route.abort()

    page.route("**/api/events", lost, times=3)
    page.keyboard.press("1")
    fault.wait_for()
    fault.get_by_role("button", name="Try again").click()
    until(page, "() => document.querySelector('[data-done]').textContent.startsWith('Named')")
    assert len(asked) == 3
    (stored,) = site.annotations()
    assert set(asked) == {stored.annotation_id}
    page.context.clear_cookies()
    page.keyboard.press("Shift+F")
    fault.wait_for()
    assert "Sign in again" in fault.inner_text()
    assert "%2Fvideo%2F" in fault.get_by_role("link").get_attribute("href")
    page.context.set_offline(True)
    page.keyboard.press("Shift+F")
    until(page, "() => document.querySelector('[data-fault]').textContent.includes('no connection')")
    page.context.set_offline(False)


def test_who_may_not_name_gets_no_acts_and_no_candidates(browser: Any, site: Site) -> None:
    video_id = filmed(site)
    track_id = min(live(site, video_id))
    context = browser.new_context(base_url=site.url, service_workers="block", locale="en")
    sign_in(context, site, "vera")
    assert context.request.get(f"/api/videos/{video_id}/tracks/{track_id}/candidates").status == 403
    assert "data-acts" not in context.request.get(f"/video/{video_id}").text()
    assert "data-jump" in context.request.get(f"/video/{video_id}/lanes").json()["lanes"]
    event = {"annotation_id": str(uuid.uuid4()), "kind": "split", "track_id": track_id, "frame_no": 4}
    answer = context.request.post("/api/events", data={"events": [event]}, headers={"Origin": site.url}).json()
    assert answer["results"][0]["status"] == "rejected"
    context.close()


ADDRESSES = {
    "/video/999999": 404, "/video/x": 422, "/video/-1": 422, "/video/of/5": 404, "/video/999999/lanes": 404,
    "/api/videos/999999/timeline": 404, "/api/videos/1/boxes?from=0&to=61": 422, "/api/videos/1/boxes?from=5&to=4": 422,
    "/api/videos/1/boxes?from=nan&to=4": 422, "/api/videos/1/tracks/5/candidates": 404,
    "/api/videos/1/tracks/x/candidates": 422, "/api/videos/1/neighbours": 200, "/api/videos/1/timeline": 200,
    "/api/videos/1/boxes?from=0&to=60": 200,
}  # fmt: skip


def test_addresses_are_checked(page: Any) -> None:
    assert {path: page.request.get(path).status for path in ADDRESSES} == ADDRESSES


def test_nobody_sees_a_video_without_signing_in(browser: Any, site: Site, tmp_path: Path) -> None:
    context = browser.new_context(base_url=site.url)
    answer: Callable[..., Any] = context.request.get
    assert answer("/api/videos/1/timeline").status == 401
    assert "/sign-in" in answer("/video/1", headers={"accept": "text/html"}).url
    context.close()
