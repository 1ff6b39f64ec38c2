"""What a device forgets when somebody leaves it, and what it must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chimp_assets_tests.web.conftest import Site, sign_in
from chimp_assets_tests.web.steps import decide, open_label, until, wait_saved

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

KEPT = """async () => {
  const database = await new Promise((give, refuse) => {
    const asked = indexedDB.open("chimp-labels");
    asked.onsuccess = () => give(asked.result);
    asked.onerror = () => refuse(asked.error);
  });
  const all = (name) => new Promise((give) => {
    database.transaction(name).objectStore(name).getAll().onsuccess = (event) => give(event.target.result);
  });
  const rows = {};
  for (const name of ["outbox", "items", "history"]) rows[name] = await all(name);
  rows.individuals = await new Promise((give) => {
    const asked = database.transaction("settings").objectStore("settings").get("individuals");
    asked.onsuccess = () => give(asked.result ?? null);
  });
  database.close();
  const pages = [];
  const pictures = [];
  for (const name of await caches.keys())
    for (const request of await (await caches.open(name)).keys()) {
      const path = new URL(request.url).pathname;
      if (name === "media") pictures.push(path);
      else if (!path.startsWith("/static/")) pages.push(path);
    }
  return { ...rows, pages, pictures };
}"""


@pytest.fixture
def offline_context(browser: Any, site: Site) -> Iterator[Any]:
    """A device with its service worker, on which anna is signed in."""
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    sign_in(made, site)
    yield made
    made.close()


def test_signing_out_clears_the_device_and_keeps_unsent_answers_for_their_author_alone(
    offline_context: Any, site: Site
) -> None:
    """Twelve tracks stayed on a shared tablet; an answer that had no connection yet must outlive its author's visit."""
    context = offline_context
    page = open_label(context, site)
    page.evaluate("navigator.serviceWorker.ready.then(() => {})")
    until(page, "() => navigator.serviceWorker.controller !== null")
    page.evaluate("fetch(document.querySelector('.still').src, { headers: { 'X-Keep': 'yes' } }).then(() => {})")
    decide(page, "1")
    wait_saved(page, site, 1)
    context.route("**/api/events", lambda route: route.abort())
    decide(page, "2")
    before = page.evaluate(KEPT)
    assert len(before["items"]) >= 10
    assert (len(before["outbox"]), len(before["history"])) == (1, 2)
    assert before["individuals"]
    assert len(before["pictures"]) >= 1

    page.locator("[data-sign-out]").click()
    page.wait_for_url("**/sign-in")
    kept = page.evaluate(KEPT)
    assert (kept["items"], kept["individuals"], kept["pages"]) == ([], None, [])
    assert [path for path in kept["pictures"] if "owner" not in path] == []
    assert [one["user"] for one in kept["outbox"]] == ["anna"]
    assert [one["id"] for one in kept["history"]] == [one["id"] for one in kept["outbox"]]

    context.unroute("**/api/events")
    sign_in(context, site, "rita")
    page = open_label(context, site)
    expect(page.locator(".status-line")).to_contain_text("Answers by somebody else wait on this device: 1")
    page.evaluate("dispatchEvent(new Event('online'))")
    decide(page, "3")
    wait_saved(page, site, 2)
    assert [row.annotator_id for row in site.annotations()].count(site.annotations()[0].annotator_id) == 1
    assert page.locator(".history li").count() == 1, "rita sees her own decisions alone"

    sign_in(context, site, "anna")
    page = open_label(context, site)
    wait_saved(page, site, 3)
    authors = [row.annotator_id for row in site.annotations()]
    assert authors[0] == authors[2] != authors[1]
    assert page.evaluate(KEPT)["outbox"] == []


def test_who_comes_after_a_session_that_ended_without_a_word_finds_nothing_of_it(
    offline_context: Any, site: Site
) -> None:
    """Nobody signs out at the end of a day: the session runs out, and the next person opens another page."""
    context = offline_context
    page = open_label(context, site)
    decide(page, "1")
    wait_saved(page, site, 1)
    until(page, "() => navigator.serviceWorker.controller !== null")
    page.evaluate("fetch(document.querySelector('.still').src, { headers: { 'X-Keep': 'yes' } }).then(() => {})")
    sign_in(context, site, "rita")
    page.goto(f"{site.url}/individuals")
    until(page, f"async () => !(await ({KEPT})()).items.length")
    kept = page.evaluate(KEPT)
    assert (kept["items"], kept["history"], kept["outbox"], kept["individuals"]) == ([], [], [], None)
    assert [path for path in kept["pictures"] if "owner" not in path] == []
    page = open_label(context, site)
    assert {one["user"] for one in page.evaluate(KEPT)["items"]} == {"rita"}


def test_the_sign_in_page_clears_after_a_session_that_ended_and_not_while_one_lives(
    offline_context: Any, site: Site
) -> None:
    """Who signs in again in another window must not take the tracks from the one that is open."""
    context = offline_context
    page = open_label(context, site)
    other = context.new_page()
    other.goto(f"{site.url}/sign-in")
    assert other.locator("form#sign-in[data-nobody]").count() == 0
    assert len(other.evaluate(KEPT)["items"]) >= 10
    page.close()
    context.clear_cookies()
    other.goto(f"{site.url}/sign-in")
    until(other, f"async () => !(await ({KEPT})()).items.length")
