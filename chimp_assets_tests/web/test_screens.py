"""Every screen in a real browser: for everybody, in both themes, on a tablet, and nothing from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.users import add_user
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import alert, open_alert
from chimp_assets.monitoring.contact_sheet import contact_sheet
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.database.world import event, track
from chimp_assets_tests.web.conftest import Served, Site, sign_in
from chimp_assets_tests.web.disputed import make_disputed
from chimp_assets_tests.web.label_home import PASSWORD, write_frames
from chimp_assets_tests.web.names import NAMES, codes
from chimp_assets_tests.web.steps import LOADED
from chimp_assets_tests.web.volunteers.asked import ask_is_it


def _press(key: str, shows: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.keyboard.press(key)
        page.locator(shows).first.wait_for()

    return act


@dataclass(frozen=True)
class Screen:
    """A screen: where it is, what is there once it is drawn, what opens the part that is meant; whose it is."""

    name: str
    path: str
    drawn: str = "main h1"
    opens: Callable[[Page], None] | None = None
    who: str | None = "anna"


SCREENS = [
    Screen("sign-in", "/sign-in", "form", who=None),
    Screen("home", "/"),
    Screen("label", "/label", LOADED),
    Screen("label, search open", "/label", LOADED, _press("f", ".search li")),
    Screen("label, settings", "/label", LOADED, lambda page: page.get_by_label("Settings").click()),
    Screen("label, help", "/label", LOADED, _press("?", "dialog[open]")),
    Screen("label, compare", "/label", LOADED, _press("Shift+1", "dialog[open]")),
    Screen("label, new individual", "/label", LOADED, _press("7", "dialog[open]")),
    Screen("grid", "/label/grid?individual=FF", ".tile"),
    Screen("boxes", "/boxes", ".box-stage img"),
    Screen("pairs", "/pairs", ".pair img"),
    Screen("is this X?", "/is-it", ".asked img", who="vera"),
    Screen("individuals", "/individuals"),
    Screen("individual", "/individual/FF"),
    Screen("together", "/together?with=FF,FI&rule=clip"),
    Screen("together, nobody chosen", "/together"),
    Screen("network", "/together/network?few=1", ".graph"),
    Screen("matrix", "/together/matrix?few=1", ".matrix"),
    Screen("table of pairs", "/together/table?few=1"),
    Screen("merge, looked at first", "/individual/FI?merge_into=FF", ".preview"),
    Screen("password", "/password", "form"),
    Screen("review", "/review", ".opinion"),
    Screen("review of a pair", "/review?queue=pairs", ".pair img"),
    Screen("review of boxes", "/review?queue=conflicts", ".boxed img"),
    Screen("review, asking", "/review?queue=flags", ".opinion", _press("Shift+Q", "dialog[open]")),
    Screen("my answers", "/mine", who="vera"),
    Screen("models", "/models", who="ada"),
    Screen("what changed", "/drift"),
    Screen("one change", "/drift/1", ".contact-sheet img"),
    Screen("fairness", "/fairness", who="ada"),
    Screen("data", "/data", who="ada"),
    Screen("a question", "/questions/residency"),
    Screen("search", "/search?who=FF&who=FI&at=1.0.7"),
    Screen("tables", "/tables", who="rita"),
    Screen("a video", f"/video/54?track={track(54)}", "[data-candidates] button"),
    Screen("reports", "/report"),
    Screen("patterns", "/together/patterns"),
    Screen("over time", "/together/over-time"),
    Screen("a change to choose", "/together/change"),
    Screen("users", "/users", who="ada"),
    Screen("users, asked again", "/users", who="ada", opens=lambda page: page.get_by_text("Disable").first.click()),
]
"""Every screen; whoever makes another adds a line."""

LABEL = Screen("label", "/label", LOADED)
WIDTHS = (390, 600, 810, 1280)


def _notice_change(home: Home) -> None:
    """An open alert in the middle of the days of one camera, with its signal."""
    v = t.video.c
    with home.database.write() as conn:
        shots = conn.execute(
            sa.select(place_of_video().label("camera"), v.recorded_on).where(
                v.camera.is_not(None), v.recorded_on.is_not(None)
            )
        ).all()
        camera = sorted(shot.camera for shot in shots)[0]
        days = sorted({shot.recorded_on for shot in shots if shot.camera == camera})
        since = days[len(days) // 2]
        number = open_alert(
            conn, kind="data", signal="sharpness", camera=camera, since=since, noticed=days[-1], size=-3.0,
            detail={"before": 412.0, "after": 65.0},
        )  # fmt: skip
        for n, day in enumerate(days):
            conn.execute(
                sa.insert(t.drift_block).values(
                    camera=camera,
                    day=day,
                    signal="sharpness",
                    model_id=0,
                    n=2,
                    light="day",
                    spread=20.0,
                    value=65.0 + n if day >= since else 412.0 - n,
                    updated_at=datetime.now(UTC),
                )
            )
    with home.database.read() as conn:
        sheet = contact_sheet(home, alert(conn, number))
    write_frames(home, {video_id for video_id, _ in (*sheet.before, *sheet.after)})


@pytest.fixture(scope="module")
def whole(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The small home with names that people gave, served for all tests here: they only look."""
    root = tmp_path_factory.mktemp("screens") / "home"
    shutil.copytree(small_home, root)
    home = Home.open(root)
    said = [
        event("identify", track(video, place), who) for video in (52, 53, 54) for place, who in ((0, "FF"), (1, "FI"))
    ]
    stored = record_events(home.database, [*said, event("identify", track(51, 0), "GM", note="by the scar")])
    assert {result.status for result in stored} == {"stored"}
    make_disputed(home.database, boxed=54, shift=30)
    add_user(home.database, "ada", "admin")
    set_password(home.database, "ada", PASSWORD)
    ask_is_it(home.database, "FF", 4)
    _notice_change(home)
    served = Served(home)
    yield Site(home, f"http://127.0.0.1:{served.port}")
    served.stop()


@pytest.fixture(scope="module")
def visit(browser: Any, whole: Site) -> Iterator[Callable[[Screen], Page]]:
    """visit(screen) -> its page, drawn; everything that it asked for and that its console said is kept."""
    contexts: dict[str | None, Any] = {}
    pages = []

    def go(screen: Screen) -> Page:
        if screen.who not in contexts:
            contexts[screen.who] = browser.new_context(service_workers="block")
            if screen.who is not None:
                sign_in(contexts[screen.who], whole, screen.who)
        page: Page = contexts[screen.who].new_page()
        pages.append(page)
        page.set_viewport_size({"width": 1280, "height": 800})
        page.said, page.asked = [], []  # type: ignore[attr-defined]
        page.on("console", lambda line: page.said.append(line.text) if line.type == "error" else None)  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.said.append(str(error)))  # type: ignore[attr-defined]
        page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error(event.violatedDirective))"
        )
        page.goto(whole.url + screen.path)
        page.locator(screen.drawn).first.wait_for(state="attached")
        if screen.opens is not None:
            screen.opens(page)
        return page

    yield go
    for context in contexts.values():
        context.close()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_a_screen_is_for_everybody_and_nothing_of_it_comes_from_elsewhere(visit, whole, screen):
    """Somebody who cannot see well, holds a tablet upright, or reaches nothing but this server, is left out."""
    page = visit(screen)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        found = Axe().run(page).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], theme
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1080})
        beside = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
        assert beside <= 0, f"at {width} pixels {beside} of them are beside the screen"
    assert page.said == []
    assert page.asked
    assert [url for url in page.asked if not url.startswith((whole.url, "blob:", "data:"))] == []
    page.close()


def test_a_name_is_found_with_four_keys(visit, whole):
    """Correcting costs more than accepting: whoever must type the whole name takes the suggestion instead."""
    page = visit(LABEL)
    people = [{"anim_id": code, "name": name, "aliases": []} for code, name in zip(codes(), NAMES, strict=True)]
    modules = page.locator("script[src*='label/main.js']").get_attribute("src").replace("main.js", "names.js")
    # Letters of the name, then down to it in the list: the fewest keys before Enter.
    keys = page.evaluate(
        """async ([modules, people]) => {
          const { indexed, plain, search } = await import(modules);
          const index = indexed(people);
          return people.map(({ anim_id, name }) => {
            const typed = plain(name);
            let fewest = Infinity;
            for (let n = 1; n <= typed.length; n += 1) {
              const place = search(index, typed.slice(0, n)).findIndex((one) => one.anim_id === anim_id);
              if (place >= 0) fewest = Math.min(fewest, n + place);
            }
            return fewest;
          });
        }""",
        [modules, people],
    )
    assert len(keys) == 300
    assert sum(n <= 4 for n in keys) >= 0.95 * len(keys), sorted(zip(keys, NAMES, strict=True))[-20:]


def test_names_on_the_cards_are_never_cut(visit, whole):
    """ "Gre…" may be Gremlin or Gregor: a name that is cut is guessed, at the very moment of deciding."""
    page = visit(LABEL)
    for width in (*WIDTHS, 1024):
        page.set_viewport_size({"width": width, "height": 800})
        cut = page.eval_on_selector_all(
            ".card .who strong",
            "names => names.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)",
        )
        assert cut == [], width
    assert page.locator(".card .who strong").count() == 5


def test_the_search_box_takes_a_name_with_four_keys(visit, whole):
    """The list is quick, and the box in front of it swallows a key."""
    page = visit(LABEL)
    page.keyboard.press("g")
    page.keyboard.type("re")
    expect(page.locator(".search li[aria-selected=true] .found-name")).to_have_text("Gremlin")
    expect(page.locator(".search input")).to_have_value("gre")
    page.keyboard.press("Escape")
    expect(page.locator(".search")).to_have_count(0)
