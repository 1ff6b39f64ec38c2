"""The labelling screen in a real browser: keys, clicks, touch, search, undo, states."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.work.queue import claim
from chimp_assets_tests.web.conftest import PASSWORD, Site, sign_in
from chimp_assets_tests.web.label_home import NAMES
from chimp_assets_tests.web.steps import decide, decide_many, item_on, look, open_label, until, until_moved, wait_saved

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def kinds(site: Site) -> list[str]:
    return [row.kind for row in site.annotations()]


def test_a_held_key_makes_one_decision(context, site):
    """A key that stays down repeats: each repetition would name another track without a look."""
    page = open_label(context, site)
    first = item_on(page)
    look(page)
    for _ in range(12):
        page.keyboard.down("1")
        page.wait_for_timeout(40)
    page.keyboard.up("1")
    wait_saved(page, site, 1)
    assert item_on(page) != first
    assert kinds(site) == ["identify"]


def test_a_click_leaves_no_focus_that_space_would_press_again(context, site):
    """Space plays the clip; with the focus left on the clicked card it would name the next track too."""
    page = open_label(context, site)
    look(page)
    first = item_on(page)
    page.locator(".card").first.click()
    until_moved(page, first)
    page.keyboard.press("Space")
    expect(page.locator(".stage-tools button").first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    wait_saved(page, site, 1)
    assert kinds(site) == ["identify"]


def test_every_answer_key_stores_what_it_says_with_what_was_shown(context, site):
    """A key that stores another kind, or drops what the person saw, poisons the labels silently."""
    page = open_label(context, site)
    for key in ("2", "Numpad3", "6", "8", "9", "Enter", "0", "Shift+K", "Shift+S"):
        decide(page, key)
    wait_saved(page, site, 9)
    rows = site.annotations()
    assert [row.kind for row in rows] == [
        "identify", "identify", "unknown", "not_animal", "bad_box", "identify", "identify", "skip", "split",
    ]  # fmt: skip
    codes = [code for code, _ in NAMES]
    with site.home.database.read() as conn:
        code_of = {row.individual_id: row.anim_id for row in conn.execute(sa.select(s.individual))}
    # The n-th track is of the n-th name, and its second candidate is the next one.
    assert [code_of[rows[n].individual_id] for n in (0, 1, 5, 6)] == [codes[1], codes[3], codes[5], codes[5]]
    assert all(row.item_id is not None and row.seconds is not None for row in rows)
    shown = json.loads(rows[0].shown)
    assert shown["mode"] == "single"
    assert shown["input"] == "key"
    assert [one[0] for one in shown["candidates"]] == codes[:5]
    assert shown["references"]


def test_letters_search_names_and_enter_decides(context, site):
    """Correcting must cost no more than accepting: two letters and Enter name somebody who was not suggested."""
    page = open_label(context, site)
    look(page)
    page.keyboard.press("t")
    box = page.get_by_role("combobox", name=re.compile("Name, code"))
    expect(box).to_be_focused()
    page.keyboard.type("i1")  # digits are typed here, not pressed
    expect(box).to_have_value("ti1")
    page.keyboard.press("Backspace")
    expect(page.locator("#found [role=option]").first).to_contain_text("Titan")
    page.keyboard.press("Enter")
    wait_saved(page, site, 1)
    (row,) = site.annotations()
    with site.home.database.read() as conn:
        named = conn.scalar(sa.select(s.individual.c.anim_id).where(s.individual.c.individual_id == row.individual_id))
    assert (row.kind, named) == ("identify", "TT")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    decide(page, "1")


def test_a_letter_that_follows_a_closed_search_at_once_opens_the_next(context, site):
    """The end of one search must not close the next: the letters of a fast typist would be lost."""
    page = open_label(context, site)
    look(page)
    opened = page.evaluate(
        """async () => {
          const press = (where, key, code) =>
            where.dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true, cancelable: true }));
          const drawn = async (there) => {
            for (let n = 0; n < 1000 && !!document.querySelector(".search") !== there; n += 1) await null;
          };
          press(document.body, "f", "KeyF");
          await drawn(true);
          press(document.querySelector(".search input"), "Escape", "Escape");
          await drawn(false);
          const closed = !document.querySelector(".search");
          press(document.body, "g", "KeyG");
          await drawn(true);
          await new Promise((done) => setTimeout(done, 50));
          return [closed, document.querySelector(".search input")?.value];
        }"""
    )
    assert opened == [True, "g"]


def test_a_new_individual_is_made_after_a_look_at_those_it_could_be(context, site):
    """Without the look-alikes first, known individuals get second entries that nobody finds again."""
    page = open_label(context, site)
    look(page)
    page.keyboard.press("7")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".alike li")).to_have_count(5)
    page.keyboard.press("1")  # keys of the page are off in a dialog
    dialog.get_by_label("Name (optional)").fill("Zuri")
    dialog.get_by_label("Code (optional)").fill("FF")
    dialog.get_by_role("button", name="None of these").click()
    expect(dialog.get_by_role("alert")).to_contain_text("FF already belongs to")
    dialog.get_by_label("Code (optional)").fill("ZU")
    dialog.get_by_role("button", name="None of these").click()
    wait_saved(page, site, 1)
    assert kinds(site) == ["new_individual"]
    look(page)
    page.keyboard.press("z")
    page.keyboard.press("u")
    expect(page.locator("#found [role=option]").first).to_contain_text("Zuri")


def test_fifty_steps_are_taken_back_after_a_reload(context, site):
    """An undo that lives in the page's memory is gone when it is needed: after the crash, the next morning."""
    page = open_label(context, site)
    decide_many(page, "16", 50)
    wait_saved(page, site, 50)
    page.reload()
    # As many as the page likes to have: it asks for no more meanwhile.
    until(page, "() => Number(document.querySelector('.ready')?.dataset.items) >= 16 ")
    left = int(page.locator(".ready").get_attribute("data-items"))
    for n in range(50):
        page.keyboard.press("Backspace")
        until(page, "n => Number(document.querySelector('.ready').dataset.items) === n", left + n + 1)
    wait_saved(page, site, 100)
    rows = site.annotations()
    taken_back = [row.supersedes for row in rows if row.kind == "retract"]
    decided = [row.annotation_id for row in rows if row.kind != "retract"]
    assert taken_back == decided[::-1]
    q = s.acquisition_queue.c
    with site.home.database.read() as conn:
        states = conn.execute(sa.select(q.state, sa.func.count()).where(q.lane == "boundary").group_by(q.state)).all()
    assert {state for state, _ in states} <= {"pending", "leased"}


def test_an_earlier_answer_is_changed_from_the_strip(context, site):
    """The last ten are there to be mended: another answer must replace the first, not go to the track on the screen."""
    page = open_label(context, site)
    first = item_on(page)
    decide(page, "1")
    second = item_on(page)
    page.locator(".history button").first.click()
    until(page, "id => document.body.dataset.painted === id", first)
    expect(page.locator(".before")).to_contain_text("You answered: Fifi")
    decide(page, "6")
    assert item_on(page) == second
    wait_saved(page, site, 2)
    one, two = site.annotations()
    assert (two.kind, two.track_id, two.supersedes) == ("unknown", one.track_id, one.annotation_id)


def test_the_same_individual_twice_in_a_frame_is_asked_again(context, site):
    """Two animals of one frame cannot be the same: a slip of a key is most often seen there."""
    page = open_label(context, site)
    decide(page, "1")
    look(page)
    page.keyboard.press("f")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Fifi is already in this frame")
    wait_saved(page, site, 1)
    assert len(site.annotations()) == 1
    page.keyboard.press("f")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_selector(".history li:nth-child(2)")
    wait_saved(page, site, 2)
    assert len(site.annotations()) == 2


def test_no_tracks_says_who_holds_them(context, site, browser):
    """ "No more tasks" while a colleague holds them all reads as the end of the work."""
    claim(site.home.database, "rita", 500, 30)
    page = context.new_page()
    page.goto(f"{site.url}/label")
    expect(page.locator(".empty")).to_contain_text(re.compile(r"rita holds \d+ tracks until"))


def test_an_ended_session_asks_in_a_dialog_and_loses_nothing(context, site):
    """A 401 that leads away from the page takes the unsent answers and the place with it."""
    page = open_label(context, site)
    address = page.url
    # A page that still fetches tracks learns of the end from that, and its dialog would take the key.
    until(page, "() => Number(document.querySelector('.ready')?.dataset.items ?? 0) >= 16")
    with site.home.database.write() as conn:
        conn.execute(sa.update(s.user_session).values(revoked_at=datetime.now(UTC) - timedelta(hours=1)))
    decide(page, "1")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is lost")
    assert site.annotations() == []
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in", exact=True).click()
    wait_saved(page, site, 1)
    assert page.url == address
    assert kinds(site) == ["identify"]


def test_answers_of_one_person_never_become_those_of_another(context, site):
    """On a shared tablet the next person signs in while answers of the first wait."""
    page = open_label(context, site)
    context.route("**/api/events", lambda route: route.abort())
    decide(page, "1")
    sign_in(context, site, "rita")
    context.unroute("**/api/events")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".status")).to_have_attribute("data-state", "other_user")
    assert site.annotations() == []
    page.goto(f"{site.url}/label")
    page.wait_for_selector("body[data-started]", state="attached")
    expect(page.locator(".status-line")).to_contain_text("Answers by somebody else wait on this device: 1")
    assert site.annotations() == []
    sign_in(context, site, "anna")
    page.goto(f"{site.url}/label")
    wait_saved(page, site, 1)
    assert kinds(site) == ["identify"]


def test_everything_is_done_by_touch_on_a_tablet(browser, site):
    """A tablet in the forest has no keys: each act has a target of at least 44 by 44 pixels."""
    made = browser.new_context(viewport={"width": 810, "height": 1080}, has_touch=True, is_mobile=True)
    sign_in(made, site)
    page = open_label(made, site)
    small = page.evaluate(
        "[...document.querySelectorAll('.label-screen button')].map(b => [b.innerText, b.getBoundingClientRect()])"
        ".filter(([, r]) => r.width && (r.height < 44 || r.width < 44)).map(([text]) => text)"
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 810

    def tap_and_wait(selector: str, n: int) -> None:
        look(page)
        page.locator(selector).first.tap()
        page.wait_for_selector(f".history li:nth-child({n})")

    tap_and_wait(".card", 1)
    tap_and_wait("[data-action=unknown]", 2)
    page.locator("[data-action=search]").tap()
    page.get_by_role("combobox", name=re.compile("Name, code")).fill("gli")
    page.locator("#found [role=option]").first.tap()
    page.wait_for_selector(".history li:nth-child(3)")
    page.locator("[data-action=undo]").tap()
    until(page, "() => document.querySelectorAll('.history li').length === 2")
    page.locator("[data-action=flag]").tap()
    page.get_by_label("Note", exact=True).fill("a scar on the left ear")
    page.get_by_role("button", name="Save the note").tap()
    tap_and_wait("[data-action=skip]", 3)
    wait_saved(page, site, 5)
    rows = site.annotations()
    assert [row.kind for row in rows] == ["identify", "unknown", "identify", "retract", "skip"]
    assert rows[-1].note == "a scar on the left ear"
    assert '"input":"touch"' in rows[0].shown
    assert '"flag":true' in rows[-1].shown
    made.close()


def test_keys_are_changed_and_turned_off_in_the_settings(context, site):
    """WCAG 2.1.4: a person who dictates must be able to turn single keys off; one with another hand, to move them."""
    page = open_label(context, site)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Change the key for Unknown").click()
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_contain_text("First suggestion")
    page.keyboard.press("Shift+U")
    page.get_by_role("button", name="Close").click()
    decide(page, "Shift+U")
    page.reload()
    page.wait_for_selector("body[data-painted]", state="attached")
    decide(page, "Shift+U")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.get_by_role("button", name="Close").click()
    before = item_on(page)
    look(page)
    page.keyboard.press("1")
    page.wait_for_timeout(150)
    assert item_on(page) == before
    wait_saved(page, site, 2)
    assert kinds(site) == ["unknown", "unknown"]
