"""The screen "is this X?", held in one hand: buttons, a swipe, keys, undo, and answers without a connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from chimp_assets_tests.web.conftest import Site, sign_in
from chimp_assets_tests.web.steps import item_on, until
from chimp_assets_tests.web.volunteers.asked import REASON, ask_is_it

SWIPE = """([from, to]) => {
  const asked = document.querySelector(".asked");
  const at = (type, x) => asked.dispatchEvent(new PointerEvent(type, { pointerType: "touch", bubbles: true, clientX: x, clientY: 200 }));
  at("pointerdown", from);
  at("pointermove", to);
  at("pointerup", to);
}"""  # noqa: E501


@pytest.fixture
def phone(browser: Any, site: Site) -> Iterator[Page]:
    """A phone on which vera, a volunteer, is signed in."""
    context = browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True, service_workers="block"
    )
    sign_in(context, site, "vera")
    yield context.new_page()
    context.close()


def test_a_volunteer_answers_with_a_thumb_and_nothing_is_lost(phone: Page, site: Site) -> None:
    ids = ask_is_it(site.home.database, "FF", 6)
    claimed: list[Any] = []
    phone.on("response", lambda answer: claimed.append(answer.json()) if answer.url.endswith("/claim") else None)
    phone.goto(f"{site.url}/")
    phone.locator("main a[href='/is-it']").first.click()
    expect(phone.get_by_role("heading", name="Is this Fifi?")).to_be_visible()
    expect(phone.get_by_text(REASON)).to_be_visible()
    phone.locator(".known img").first.wait_for()
    seen: list[str] = []

    def moved() -> str:
        until(phone, "(seen) => document.body.dataset.item && !seen.includes(document.body.dataset.item)", seen)
        seen.append(item_on(phone))
        # Nobody decides within 80 ms of seeing a track, and the page takes nobody for such a one.
        phone.wait_for_timeout(120)
        return seen[-1]

    moved()
    for name in ("No", "Cannot tell", "Yes"):
        box = phone.get_by_role("button", name=name, exact=True).bounding_box()
        assert box is not None
        assert min(box["height"], box["width"]) >= 60
        assert box["y"] + box["height"] <= 640, "all three are under the thumb, without scrolling"
    phone.get_by_role("button", name="Yes", exact=True).tap()
    moved()
    phone.evaluate(SWIPE, [250, 120])
    moved()
    phone.keyboard.press("?")
    moved()
    phone.keyboard.press("n")
    until(phone, "(last) => document.body.dataset.item !== last", seen[-1])
    phone.get_by_role("button", name="Undo").tap()
    until(phone, "(last) => document.body.dataset.item === last", seen[-1])
    phone.wait_for_timeout(120)
    phone.context.set_offline(True)
    phone.keyboard.press("y")
    moved()
    phone.context.set_offline(False)
    until(phone, "() => document.querySelector('.status').dataset.waiting === '0'", timeout_s=20)
    said = [(row.kind, str(row.item_id), row.lane) for row in site.annotations()]
    first, second, third, fourth, _ = seen
    assert said == [
        ("is_individual", first, "is_it"),
        ("not_individual", second, "is_it"),
        ("cannot_tell", third, "is_it"),
        ("not_individual", fourth, "is_it"),
        ("retract", "None", "free"),
        ("is_individual", fourth, "is_it"),
    ]
    assert set(seen) <= set(map(str, ids))
    assert all(row.seconds > 0 for row in site.annotations() if row.kind != "retract")
    items = [item for answer in claimed for item in answer["items"]]
    assert {item["individual"]["anim_id"] for item in items} == {"FF"}
    assert "probability" not in json.dumps(items), "who knows how sure the head is says what it says"
