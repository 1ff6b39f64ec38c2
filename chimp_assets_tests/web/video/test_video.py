"""The page of one video by keyboard: jumps, single pictures, the right frame, who may see and name."""

from __future__ import annotations

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


def test_the_chosen_track_is_named_from_there(page: Any, site: Site) -> None:
    video_id = filmed(site)
    page.goto(f"/video/{video_id}")
    until(page, "() => document.body.dataset.frame === '0'")
    jump = page.locator("[data-jump]").first
    track_id = int(jump.get_attribute("data-jump"))
    jump.click()
    page.locator("input[name=who]").fill("ff")
    with page.expect_navigation():
        page.locator("input[name=who]").press("Enter")
    (stored,) = site.annotations()
    assert (stored.kind, stored.track_id, stored.lane) == ("identify", track_id, "free")
    assert "Fifi" in page.locator(".lanes").inner_text()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/video/999999", 404), ("/video/x", 422), ("/video/-1", 422), ("/video/of/5", 404),
        ("/api/videos/999999/timeline", 404), ("/api/videos/1/boxes?from=0&to=61", 422),
        ("/api/videos/1/boxes?from=5&to=4", 422), ("/api/videos/1/boxes?from=nan&to=4", 422),
        ("/api/videos/1/neighbours", 200), ("/api/videos/1/timeline", 200), ("/api/videos/1/boxes?from=0&to=60", 200),
    ],
)  # fmt: skip
def test_addresses_are_checked(page: Any, path: str, status: int) -> None:
    assert page.request.get(path).status == status


def test_nobody_sees_a_video_without_signing_in(browser: Any, site: Site, tmp_path: Path) -> None:
    context = browser.new_context(base_url=site.url)
    answer: Callable[..., Any] = context.request.get
    assert answer("/api/videos/1/timeline").status == 401
    assert "/sign-in" in answer("/video/1", headers={"accept": "text/html"}).url
    context.close()
