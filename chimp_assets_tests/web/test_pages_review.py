"""Reviewing, one's own answers, models and users in a real browser: by keys, with nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from chimp_assets.database import schema as s
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.people.users import add_user
from chimp_assets.home import Home
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.web.conftest import Served, Site, sign_in
from chimp_assets_tests.web.disputed import DOUBTED, FLAGGED, NAMES, make_disputed
from chimp_assets_tests.web.label_home import PASSWORD, make_label_home
from chimp_assets_tests.web.steps import until

VIDEOS = 12


@pytest.fixture(scope="session")
def disputed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 tracks, and something in each queue of the review."""
    root = tmp_path_factory.mktemp("review") / "home"
    home = make_label_home(root, 2 * VIDEOS, planned=4)
    make_disputed(home.database, boxed=VIDEOS)
    add_user(home.database, "ada", "admin")
    set_password(home.database, "ada", PASSWORD)
    home.database.dispose()
    return root


@pytest.fixture
def disputed(disputed_home: Path, tmp_path: Path) -> Iterator[Site]:
    shutil.copytree(disputed_home, tmp_path / "disputed")
    home = Home.open(tmp_path / "disputed")
    served = Served(home)
    yield Site(home, f"http://127.0.0.1:{served.port}")
    served.stop()
    home.database.dispose()


@pytest.fixture
def page_of(browser: Any, disputed: Site) -> Iterator[Callable[..., Page]]:
    """page_of("rita", "/review"): a page of somebody who is signed in; what its console says fails the test."""
    made: list[Any] = []
    said: list[str] = []

    def open_page(name: str, path: str, **more: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, service_workers="block", **more)
        made.append(context)
        sign_in(context, disputed, name)
        page: Page = context.new_page()
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: said.append(str(one)))
        page.goto(f"{disputed.url}{path}")
        return page

    yield open_page
    for context in made:
        context.close()
    # A refusal that the page tells is no fault of the page.
    assert [one for one in said if "status of 422" not in one] == []


def case_on(page: Page, key: str | None = None) -> str:
    """The case on the screen; waits for one, or for this one."""
    if key is None:
        until(page, "() => !!document.body.dataset.case")
    else:
        until(page, "key => document.body.dataset.case === key", key)
    return str(page.evaluate("document.body.dataset.case"))


def press(page: Page, key: str) -> None:
    """A key, when the case has been looked at: nobody decides within 80 ms."""
    page.wait_for_timeout(100)
    page.keyboard.press(key)


def decide(page: Page, site: Site, key: str) -> Any:
    """The event that a key makes, when it is stored."""
    before = len(site.annotations())
    press(page, key)
    return stored(page, site, before)


def stored(page: Page, site: Site, before: int) -> Any:
    """The newest event, as soon as there are more than before."""
    for _ in range(500):
        if len(found := site.annotations()) > before:
            return found[-1]
        page.wait_for_timeout(20)
    raise AssertionError("nothing was stored within 10 s")


def standing(site: Site, track_id: int) -> Any:
    """(kind, anim_id) of the answer that stands."""
    with site.home.database.read() as conn:
        answer = effective_answers(of_tracks=[track_id]).subquery()
        i = s.individual.c
        return conn.execute(
            sa.select(answer.c.kind, i.anim_id).outerjoin_from(
                answer, s.individual, i.individual_id == answer.c.individual_id
            )
        ).one()


def test_one_key_decides_and_then_says_who_said_what(disputed: Site, page_of: Callable[..., Page]) -> None:
    """A decision that costs more than a key, or that is swayed by a known name."""
    page = page_of("rita", "/review")
    assert case_on(page) == f"names:{NAMES}"
    text = page.inner_text("main")
    assert [name for name in ("vera", "vito", "anna") if name in text] == []
    for words in ("Fifi", "Fred", "3.5 s", "8.3 s", "saw no suggestions", "Fifi 62%"):
        assert words in text
    event = decide(page, disputed, "1")
    expect(page.locator(".last")).to_contain_text("Fifi: vera")
    expect(page.locator(".last")).to_contain_text("Fred: vito")
    told = json.loads(event.shown)
    assert (event.kind, told["mode"], told["queue"], told["reason"]) == ("identify", "review", "names", "chose")
    assert (len(told["opinions"]), event.seconds > 0, event.supersedes is not None) == (2, True, True)
    assert tuple(standing(disputed, NAMES)) == ("identify", "FF")
    expect(page.locator(".empty")).to_contain_text("No track has different answers")
    assert decide(page, disputed, "Backspace").kind == "retract"
    assert case_on(page) == f"names:{NAMES}"
    assert tuple(standing(disputed, NAMES)) == ("identify", "FI")


def test_every_key_of_the_screen(disputed: Site, page_of: Callable[..., Page]) -> None:
    """A key that says another thing than its button."""
    page = page_of("rita", "/review?queue=doubtful")
    assert case_on(page) == f"doubtful:{DOUBTED}"
    for key, kind, reason in (
        ("6", "unknown", "unknown"),
        ("8", "not_animal", "not_animal"),
        ("9", "bad_box", "bad_box"),
    ):
        event = decide(page, disputed, key)
        assert (event.kind, json.loads(event.shown)["reason"]) == (kind, reason)
        decide(page, disputed, "Backspace")
        case_on(page, f"doubtful:{DOUBTED}")
    before = len(disputed.annotations())
    page.keyboard.type("titan", delay=15)
    page.keyboard.press("Enter")
    event = stored(page, disputed, before)
    told = json.loads(event.shown)
    assert told["reason"] == "other"
    assert (told["candidates"], told["model_id"] is not None) == ([["FI", 0.95]], True)
    assert tuple(standing(disputed, DOUBTED)) == ("identify", "TT")
    page.locator("[data-queue=flags]").click()
    case_on(page, f"flags:{FLAGGED}")
    expect(page.locator("main")).to_contain_text("whose ears?")
    before = len(disputed.annotations())
    press(page, "Shift+K")
    expect(page.locator(".empty")).to_be_visible()
    assert len(disputed.annotations()) == before, "later is no answer"


def test_a_question_reaches_the_person(disputed: Site, page_of: Callable[..., Page]) -> None:
    """A note that nobody sees; keys that act behind a dialog."""
    page = page_of("rita", "/review?queue=flags")
    case_on(page, f"flags:{FLAGGED}")
    before = len(disputed.annotations())
    press(page, "Shift+Q")
    page.locator("dialog textarea").fill("6 or 9 nipples? Look at 1:05.")
    page.locator("dialog button.primary").click()
    expect(page.locator(".empty")).to_be_visible()
    event = stored(page, disputed, before)
    assert (event.kind, event.note) == ("skip", "6 or 9 nipples? Look at 1:05.")
    vera = page_of("vera", "/mine")
    row = vera.locator("section[aria-labelledby=corrected] tbody tr").filter(has_text="nipples?")
    expect(row).to_contain_text("rita")
    row.get_by_role("button", name="Take back").click()
    vera.locator("#act [data-yes]").click()
    expect(vera.locator("section[aria-labelledby=answers]")).to_contain_text("taken back by me")
    assert disputed.annotations()[-1].kind == "retract"


def test_pairs_boxes_and_new_individuals(disputed: Site, page_of: Callable[..., Page]) -> None:
    """The cases that are no names are the ones that nobody else can settle."""
    page = page_of("rita", "/review?queue=pairs")
    case_on(page)
    assert decide(page, disputed, "2").kind == "different"
    expect(page.locator(".last")).to_contain_text("vito")
    page.locator("[data-queue=conflicts]").click()
    until(page, "() => document.body.dataset.case.startsWith('conflicts')")
    until(page, "() => document.querySelector('.boxed img').naturalWidth > 0")
    event = decide(page, disputed, "2")
    assert (event.kind, round(event.x, 3)) == ("box", 0.3)
    page.locator("[data-queue=provisional]").click()
    case_on(page, "provisional:NEW-1")
    page.keyboard.type("gaia", delay=15)
    page.keyboard.press("Enter")
    expect(page.locator(".last")).to_contain_text("merged into Gaia")
    press(page, "Backspace")
    case_on(page, "provisional:NEW-1")
    press(page, "1")
    expect(page.locator(".empty")).to_be_visible()
    with disputed.home.database.read() as conn:
        row = conn.execute(sa.select(s.individual).where(s.individual.c.anim_id == "NEW-1")).one()
    assert (row.provisional, row.same_as_id) == (False, None)


def test_users_are_made_and_disabled_after_a_question(disputed: Site, page_of: Callable[..., Page]) -> None:
    """A slip of the mouse that locks somebody out; a password that cannot be read again."""
    page = page_of("ada", "/users")
    page.locator("input[name=name]:not([type=hidden])").fill("zoe")
    page.locator("select[name=role]").select_option("identifier")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#act [data-words]")).to_contain_text("zoe may then sign in")
    page.locator("#act [data-no]").click()
    expect(page.locator("#act")).to_be_hidden()
    page.get_by_role("button", name="Add").click()
    page.locator("#act [data-yes]").click()
    secret = page.locator("#act [data-secret]")
    expect(secret).to_be_visible()
    assert len(secret.inner_text()) == 24
    page.keyboard.press("Escape")
    row = page.locator("tbody tr").filter(has_text="zoe").first
    expect(row).to_contain_text("must choose a password")
    row.get_by_role("button", name="Disable").click()
    page.locator("#act [data-yes]").click()
    expect(page.locator("tr.disabled")).to_contain_text("zoe")


def test_a_model_is_promoted_with_a_reason_and_taken_back(disputed: Site, page_of: Callable[..., Page]) -> None:
    """Nobody can tell later why another model answers, or how to get the old one back."""
    with disputed.home.database.write() as conn:
        now = conn.scalar(sa.select(s.model.c.created_at).where(s.model.c.task == "detector"))
        values = {"task": "detector", "version": 2, "name": "new one", "state": "candidate", "config": "{}"}
        conn.execute(sa.insert(s.model).values(created_at=now, **values))
    page = page_of("ada", "/models")
    panel = page.locator("section[aria-labelledby=task-detector]")
    panel.locator("details.act summary").click()
    panel.locator("details.act button").click()
    page.locator("#act [data-yes]").click()
    expect(page.locator("#act [data-fault]")).to_contain_text("needs a reason")
    page.locator("#act [data-no]").click()
    panel.locator("details.act input[name=why]").fill("finds the small ones")
    panel.locator("details.act button").click()
    page.locator("#act [data-yes]").click()
    expect(panel.locator("> p")).to_contain_text("Detector 2")
    expect(page.locator("section[aria-labelledby=decided]")).to_contain_text("finds the small ones")
    panel.get_by_role("button", name="Back to the previous one").click()
    page.locator("#act [data-yes]").click()
    expect(panel.locator("> p")).to_contain_text("Detector 1")


@pytest.mark.parametrize("width", [600, 1280])
def test_the_head_of_the_page_holds_every_screen_in_french(page_of: Callable[..., Page], width: int) -> None:
    """Words of another language push the way out of the page, or over each other."""
    page = page_of("ada", "/data", locale="fr")
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    menu = page.locator("[data-menu]" if width < 1260 else ".others summary")
    menu.click()
    places = page.eval_on_selector_all(
        ".masthead a, .masthead button, .masthead select, .masthead summary",
        "all => all.map((one) => one.getBoundingClientRect())"
        ".filter((r) => r.width).map((r) => [r.x, r.y, r.right, r.bottom])",
    )
    assert len(places) >= 14
    assert [p for p in places if p[0] < 0 or p[2] > width] == []
    over = [
        (a, b) for n, a in enumerate(places) for b in places[:n]
        if min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1
    ]  # fmt: skip
    assert over == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Comptes")).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('[data-menu], .others summary')")


def test_the_review_opens_where_there_are_cases(page_of: Callable[..., Page], disputed: Site) -> None:
    """Three cases of a model's doubt, and the screen opened on "different names (0)": an empty page."""
    _decide_all(disputed, s.annotation.c.track_id != DOUBTED)
    page = page_of("rita", "/review")
    expect(page.locator("[data-queue=doubtful]")).to_have_attribute("aria-pressed", "true")
    assert case_on(page)
    page.locator("[data-queue=names]").click()
    expect(page.locator(".empty")).to_contain_text("No track has different answers.")
    page.get_by_role("button", name="Continue with").click()
    expect(page.locator("[data-queue=doubtful]")).to_have_attribute("aria-pressed", "true")


def test_a_list_that_the_address_names_is_opened_though_it_is_empty(
    page_of: Callable[..., Page], disputed: Site
) -> None:
    _decide_all(disputed, s.annotation.c.track_id != DOUBTED)
    page = page_of("rita", "/review?queue=pairs")
    expect(page.locator("[data-queue=pairs]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".empty")).to_contain_text("No answers contradict each other.")


def test_a_review_without_any_case_says_so(page_of: Callable[..., Page], disputed: Site) -> None:
    _decide_all(disputed, sa.true())
    page = page_of("rita", "/review")
    expect(page.locator(".empty")).to_contain_text("all lists are empty")


def _decide_all(site: Site, which: sa.ColumnElement[bool]) -> None:
    """As if what is disputed had never been said: its events and new individuals are gone."""
    with site.home.database.write() as conn:
        gone = sa.select(s.annotation.c.annotation_id).where(sa.or_(which, s.annotation.c.track_id.is_(None)))
        ids = list(conn.scalars(gone))
        for table in (s.quality_check,):
            conn.execute(sa.delete(table))
        conn.execute(sa.delete(s.standing_answer).where(s.standing_answer.c.annotation_id.in_(ids)))
        conn.execute(sa.update(s.annotation).where(s.annotation.c.annotation_id.in_(ids)).values(supersedes=None))
        conn.execute(sa.delete(s.annotation).where(s.annotation.c.annotation_id.in_(ids)))
        conn.execute(sa.update(s.individual).values(provisional=False))
