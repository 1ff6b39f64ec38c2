"""The picture of the boxes screen is as large as its room."""

from __future__ import annotations

from typing import Any

import pytest

from chimp_assets_tests.web.conftest import Site, sign_in
from chimp_assets_tests.web.steps import until

MEASURED = """() => {
  const of = (selector) => {
    const { left, top, right, bottom, width, height } = document.querySelector(selector).getBoundingClientRect();
    return { left, top, right, bottom, width, height };
  };
  return { image: of(".box-stage img"), boxes: of(".box-stage svg"), tools: of(".box-tools"), bar: of(".bar"),
    head: of(".masthead"), facts: of(".boxes-sheet > .facts"), width: document.documentElement.scrollWidth };
}"""


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 860), (1920, 1080), (1024, 768), (1366, 700), (820, 1180), (1180, 820)]
)
def test_the_picture_takes_the_room_that_is_there(browser: Any, site: Site, width: int, height: int) -> None:
    """A fifth of the screen above the picture was empty, where boxes of small animals are drawn to the pixel."""
    context = browser.new_context(viewport={"width": width, "height": height}, service_workers="block")
    sign_in(context, site)
    page = context.new_page()
    page.goto(f"{site.url}/boxes")
    page.wait_for_selector(".box-stage .box", state="attached")
    # Its size is known when it is loaded.
    until(page, "() => document.querySelector('.box-stage svg').getAttribute('viewBox') === '0 0 640 400'")
    seen = page.evaluate(MEASURED)
    image, tools = seen["image"], seen["tools"]
    assert image == seen["boxes"], "boxes lie over the picture and nowhere else"
    assert image["width"] / image["height"] == pytest.approx(1.6, abs=0.02), "as it was filmed"
    assert image["top"] - seen["facts"]["bottom"] <= 16, "nothing between the words and the picture"
    assert seen["facts"]["bottom"] - seen["head"]["bottom"] <= 0.08 * height
    assert seen["width"] <= width
    beside = tools["left"] >= image["right"]
    room = (tools["left"] if beside else width) - image["left"]
    assert image["width"] >= 0.95 * (room - 28) or image["bottom"] >= 0.8 * seen["bar"]["top"]
    if beside:
        assert image["bottom"] <= seen["bar"]["top"] + 1
    context.close()
