"""No decision is lost and none is stored twice: killed browsers, broken answers, two tabs, no storage."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from chimp_assets_tests.database import world
from chimp_assets_tests.paths import REPOSITORY
from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.web.conftest import sign_in
from chimp_assets_tests.web.steps import decide, decide_many, item_on, look, open_label, until, wait_saved

playwright_api = pytest.importorskip("playwright.sync_api")
expect = playwright_api.expect

OFFLINE = 100
DECISIONS, AT_ONCE = 1000, 25


def processes_of(folder: Path) -> list[int]:
    """The browser processes of a profile folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"--user-data-dir={folder}" in command:
                found.append(int(entry.name))
    return found


def test_a_hundred_offline_decisions_survive_a_killed_browser(playwright, serve, tmp_path):
    """A laptop's battery dies in the forest: what was decided there must be there in the evening, once each."""
    site = serve()
    profile = tmp_path / "profile"

    def start():
        return playwright.chromium.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, args=ARGUMENTS, viewport={"width": 1280, "height": 800}
        )

    context = start()
    sign_in(context, site)
    page = open_label(context, site)
    until(page, "() => navigator.serviceWorker.controller !== null")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Tracks", exact=True).fill(str(OFFLINE))
    page.get_by_role("button", name=f"Take {OFFLINE} tracks offline").click()
    expect(page.get_by_text("Failed files: 0")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Close").click()
    context.set_offline(True)
    decide_many(page, "1", OFFLINE)
    expect(page.locator(".status")).to_contain_text(f"{OFFLINE} waiting")
    assert site.annotations() == []
    # A browser writes cookies twice a minute: whether it has done so is not asked here, and who must sign in again can.
    signed_in = context.cookies()
    for process in processes_of(profile):
        os.kill(process, signal.SIGKILL)
    context = start()
    context.add_cookies(signed_in)
    page = context.pages[0]
    # The link is still down: the page itself must open from the device, with the rest of the tracks.
    context.set_offline(True)
    page.goto(f"{site.url}/label")
    page.wait_for_selector("body[data-painted]", state="attached")
    expect(page.locator(".status")).to_contain_text(f"{OFFLINE} waiting")
    context.set_offline(False)
    wait_saved(page, site, OFFLINE)
    rows = site.annotations()
    assert len(rows) == OFFLINE
    assert max(Counter(row.track_id for row in rows).values()) == 1
    context.close()


def test_a_thousand_decisions_under_faults_are_stored_once_each(context, site):
    """Answers that are dropped, cut, delayed, doubled or refused: Zooniverse lost labels by one order of clearing its
    queue, and doubled them by the other.
    """
    page = open_label(context, site)
    kinds = ["fine", "dropped", "unsent", "twice", "cut", "empty", "late", "500", "503", "401", "409", "429"]
    order = random.Random(7)
    met: Counter[str] = Counter()

    def broken(route):
        if sum(met.values()) % len(kinds) == 0:
            order.shuffle(kinds)
        kind = kinds[sum(met.values()) % len(kinds)]
        met[kind] += 1
        if kind == "unsent":
            route.abort()
        elif kind == "dropped":
            route.fetch()
            route.abort()
        elif kind == "twice":
            route.fetch()
            route.fulfill(response=route.fetch())
        elif kind == "late":
            answer = route.fetch()
            time.sleep(0.15)
            route.fulfill(response=answer)
        elif kind == "cut":
            answer = route.fetch()
            route.fulfill(status=200, body=answer.body()[: len(answer.body()) // 2], content_type="application/json")
        elif kind == "empty":
            route.fulfill(status=200, json={"results": [], "server_time": "2026-01-01T00:00:00Z"})
        elif kind in ("500", "503", "401", "409", "429"):
            route.fulfill(status=int(kind), json={"error": "no", "remedy": "", "code": "x"})
        else:
            route.continue_()

    context.route("**/api/events", broken)
    track = world.track(1)
    version = page.evaluate("JSON.parse(document.getElementById('boot').textContent).version")
    page.evaluate(
        """async ([version, total, atOnce, track]) => {
          const { keepDecision } = await import(`/static/${version}/lib/store.js`);
          const { flush, signedInAgain, connection } = await import(`/static/${version}/lib/outbox.js`);
          const { uuid } = await import(`/static/${version}/lib/net.js`);
          window.made = [];
          for (let n = 0; n < total; n += atOnce) {
            const events = [];
            for (let i = 0; i < atOnce; i += 1) {
              const id = uuid();
              window.made.push(id);
              const undone = i % 5 === 4 ? window.made.at(-2) : null;
              const event = undone
                ? { annotation_id: id, kind: "retract", supersedes: undone }
                : { annotation_id: id, kind: "unknown", track_id: track };
              events.push({ id, user: "anna", state: "waiting", at: Date.now(), event });
            }
            await keepDecision({ events });
            if (connection.value === "signed_out") await signedInAgain();
            await flush();
          }
        }""",
        [version, DECISIONS, AT_ONCE, track],
    )
    context.unroute("**/api/events")
    for dialog in page.get_by_role("dialog").all():
        dialog.get_by_role("button", name="Later").click()
    page.evaluate(
        "version => import(`/static/${version}/lib/outbox.js`).then(({ signedInAgain }) => signedInAgain())", version
    )
    wait_saved(page, site, DECISIONS)
    made = page.evaluate("window.made")
    stored = [row.annotation_id for row in site.annotations()]
    assert len(made) == DECISIONS
    assert Counter(stored) == Counter(made)
    assert stored == made, "stored in another order than they were decided"
    assert page.locator(".tray").count() == 0
    assert min(met[kind] for kind in kinds) >= 2


def test_two_tabs_never_show_the_same_track_and_send_each_answer_once(context, site):
    """Two tabs of one person share the leases and the outbox: without turns both ask about the same tracks."""
    one, two = open_label(context, site), open_label(context, site)
    seen = []
    for _ in range(8):
        for page in (one, two):
            page.bring_to_front()
            seen.append(item_on(page))
            decide(page, "6")
    for page in (one, two):
        page.bring_to_front()
        wait_saved(page, site, 16)
    assert len(set(seen)) == len(seen)
    assert sorted(str(row.item_id) for row in site.annotations()) == sorted(seen)


def test_a_rejected_answer_waits_in_the_tray_until_its_author_decides(context, site):
    """Zooniverse drops what its server calls invalid; here the person reads why and mends it."""
    page = open_label(context, site)
    refused = []

    def reject(route):
        events = route.request.post_data_json["events"]
        refused.extend(event["annotation_id"] for event in events)
        said = {"status": "rejected", "seq": None, "reason": "there is no track 7", "field": "track_id", "head": None}
        results = [{"annotation_id": event["annotation_id"], **said} for event in events]
        route.fulfill(json={"results": results, "server_time": "2026-01-01T00:00:00Z"})

    context.route("**/api/events", reject)
    decide(page, "1")
    tray = page.locator(".tray")
    expect(tray).to_contain_text("1 answer needs attention")
    expect(tray).to_contain_text("there is no track 7")
    with page.expect_download() as download:
        tray.get_by_role("button", name="Export").click()
    assert refused[0] in Path(download.value.path()).read_text()
    page.reload()
    expect(tray).to_contain_text("1 answer needs attention")
    context.unroute("**/api/events")
    tray.get_by_role("button", name="Retry").click()
    expect(tray).to_have_count(0)
    wait_saved(page, site, 1)
    assert [row.annotation_id for row in site.annotations()] == refused


def test_a_browser_that_keeps_nothing_waits_for_the_server_before_it_moves(context, site):
    """Private mode: an answer that only the page's memory knows is lost with the tab, so the page must not move on."""
    context.add_init_script("Object.defineProperty(globalThis, 'indexedDB', { value: undefined })")
    page = open_label(context, site)
    expect(page.locator(".status-line")).to_contain_text("cannot keep answers offline")
    first = item_on(page)
    cut = [True]
    # Not taken away later: a request that is on its way just then would be answered by nobody.
    context.route("**/api/events", lambda route: route.abort() if cut else route.continue_())
    look(page)
    page.keyboard.press("1")
    expect(page.locator(".status-line")).to_contain_text("Waiting for the server")
    assert item_on(page) == first
    cut.clear()
    until(page, "first => document.body.dataset.item !== first", first)
    assert len(site.annotations()) == 1


def test_vendored_files_are_those_of_the_list():
    """A library that was changed by hand, or half replaced, is found here and not in the field."""
    folder = REPOSITORY / "chimp_assets" / "web" / "static" / "vendor"
    done = subprocess.run(
        [shutil.which("sha256sum") or "sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.split()[-1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert there - listed == {"SHA256SUMS", "README.md"}
    assert all((file / "LICENSE").is_file() for file in folder.iterdir() if file.is_dir())
