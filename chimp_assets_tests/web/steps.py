"""What tests do on the labelling screen. No test belongs here."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page, expect

from chimp_assets_tests.web.conftest import Site

LOADED = "body[data-painted]"


def open_label(context: Any, site: Site) -> Page:
    """The labelling screen with its first track painted."""
    page: Page = context.new_page()
    page.goto(f"{site.url}/label")
    page.wait_for_selector(LOADED, state="attached")
    return page


def item_on(page: Page) -> str:
    """The item on the screen."""
    return str(page.evaluate("document.body.dataset.item"))


def until(page: Page, condition: str, arg: Any = None, timeout_s: float = 10) -> None:
    """Wait for a JavaScript function to say yes. (Playwright's own waiting needs eval, which our policy refuses.)"""
    end = time.monotonic() + timeout_s
    while not page.evaluate(condition, arg):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {condition} {arg!r}")
        page.wait_for_timeout(10)


def look(page: Page) -> None:
    """See the track: nobody decides within 80 ms of seeing one, and the page takes nobody for such a one."""
    until(page, "() => performance.now() - (performance.getEntriesByName('painted').at(-1)?.startTime ?? 1e9) > 85")


def decide(page: Page, key: str) -> None:
    """Press a key that decides, and wait until another track is painted (or none is left)."""
    until(page, "() => document.body.dataset.item && document.body.dataset.painted === document.body.dataset.item")
    before = item_on(page)
    look(page)
    page.keyboard.press(key)
    until_moved(page, before)


def until_moved(page: Page, before: str) -> None:
    """Until another track than this is painted (or none is left)."""
    until(
        page,
        "before => document.body.dataset.item !== before && "
        "(!document.body.dataset.item || document.body.dataset.painted === document.body.dataset.item)",
        before,
    )


def decide_many(page: Page, keys: str, n: int) -> None:
    """n decisions by the keys in turn, each when its track is painted; from inside the page, which is much faster."""
    page.evaluate(
        """async ([keys, n]) => {
          const body = document.body.dataset;
          const end = performance.now() + 90_000;
          const frame = () => {
            if (performance.now() > end) throw new Error(`stuck at ${JSON.stringify({ ...body })}`);
            return new Promise((done) => setTimeout(done, 4));
          };
          const painted = () => performance.getEntriesByName("painted").at(-1)?.startTime ?? Infinity;
          for (let i = 0; i < n; i += 1) {
            // A page that is faster than its server has no track for a moment.
            while (!body.item || body.painted !== body.item || performance.now() - painted() < 85) await frame();
            const before = body.item;
            const code = `Digit${keys[i % keys.length]}`;
            document.body.dispatchEvent(new KeyboardEvent("keydown", { code, bubbles: true, cancelable: true }));
            while (body.item === before) await frame();
          }
        }""",
        [keys, n],
    )


def wait_saved(page: Page, site: Site, n: int, timeout_s: float = 15) -> None:
    """Until n events are stored and the status line says so.

    The line alone will not do: it says "saved" of what came before until the page has drawn that something waits.
    """
    end = time.monotonic() + timeout_s
    while (stored := len(site.annotations())) < n:
        if time.monotonic() > end:
            raise AssertionError(f"{stored} of {n} events are stored after {timeout_s} s")
        page.wait_for_timeout(20)
    expect(page.locator(".status")).to_have_attribute("data-state", "saved", timeout=timeout_s * 1000)
    expect(page.locator(".status")).to_have_attribute("data-waiting", "0")
