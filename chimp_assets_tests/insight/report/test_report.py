"""Dated reports: their numbers are those of the views, they are kept whole, and say what changed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.promises.looks import MERGED, NEW_HEAD, NEW_TRACKS, STALE, WITHDRAWN
from chimp_assets.home import Home
from chimp_assets.insight.report import kept
from chimp_assets.insight.report.kept import keep_report, kept_days, kept_numbers, kept_page, key_of, make_report
from chimp_assets.insight.report.words import ReportError, Words, catalogue, languages
from chimp_assets_tests.database.study_database import make_study, write_study
from chimp_assets_tests.database.world import event, make_world, track
from chimp_assets_tests.support.homes import copied

MONDAY, TUESDAY, FRIDAY = (datetime(2026, 3, day, 5, 0, tzinfo=UTC) for day in (2, 3, 6))


@pytest.fixture(scope="module")
def root(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = copied(empty_home, tmp_path_factory.mktemp("study") / "home")
    write_study(made.database, make_study(3), tmp_path_factory.mktemp("files"))
    made.database.dispose()
    return made.settings.home


@pytest.fixture
def study(root: Path, tmp_path: Path) -> Home:
    return copied(root, tmp_path / "home")


def test_its_numbers_are_those_of_the_views(study: Home) -> None:
    """A report that counts otherwise than the pages makes two truths of one archive."""
    made = make_report(study, at=MONDAY)
    figures = made.numbers.figures()
    with study.database.read() as conn:
        days = conn.scalar(sa.select(sa.func.count()).select_from(sa.table("v_sampling_day")))
        sighting = sa.table("v_sighting", sa.column("individual_id"))
        seen = conn.scalar(sa.select(sa.func.count(sa.distinct(sighting.c.individual_id))))
        names = sa.table("v_named_track", sa.column("source"))
        by_people = conn.scalar(sa.select(sa.func.count()).select_from(names).where(names.c.source == "person"))
        dyad = sa.table("v_dyad", *map(sa.column, ("group_rule", "period_kind", "x", "sri", "anim_id_a", "anim_id_b")))
        rows = conn.execute(
            sa.select(dyad).where(dyad.c.group_rule == "video", dyad.c.period_kind == "all", dyad.c.x > 0)
        ).all()
    assert (figures["days"], figures["seen"], figures["named_by_person"]) == (days, seen, by_people)
    ties = {frozenset((one.a, one.b)): (one.x, one.sri) for one in made.numbers.ties.ties}
    assert {pair: x for pair, (x, _) in ties.items()} == {
        frozenset((row.anim_id_a, row.anim_id_b)): row.x for row in rows
    }
    for row in rows:
        assert ties[frozenset((row.anim_id_a, row.anim_id_b))][1] == pytest.approx(row.sri)


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_page_needs_nothing_else_and_runs_nothing(study: Home, lang: str) -> None:
    page = make_report(study, at=MONDAY).html(lang)
    assert f'<html lang="{lang}">' in page
    for word in ("<script", "http://", "https://", "javascript:", "{{", "onload"):
        assert word not in page.replace("http://www.w3.org/2000/svg", "")
    assert "2026-03-02" in page


def test_every_language_has_every_text() -> None:
    assert [sorted(set(catalogue("en")) ^ set(catalogue(lang))) for lang in languages()] == [[], []]


def test_names_from_outside_are_escaped(study: Home) -> None:
    with study.database.write() as conn:
        conn.execute(sa.text("UPDATE individual SET name = '<b onload=alert(1)>'"))
    page = make_report(study, at=MONDAY).html("en")
    assert "<b onload" not in page
    assert "&lt;b onload" in page


def test_a_name_cannot_reverse_a_line(study: Home) -> None:
    with study.database.write() as conn:
        conn.execute(sa.text("UPDATE individual SET name = :name"), {"name": "Fi\u202efi"})
    page = make_report(study, at=MONDAY).html("en")
    assert "\u202e" not in page
    assert "Fi" in page
    assert "&lt;table" not in page, "what a macro draws stays markup"


def test_it_says_what_changed_since_the_report_before(home: Home) -> None:
    make_world(home.database)
    record_events(home.database, [event("identify", track(1), "FF")])
    keep_report(home, at=MONDAY)
    record_events(home.database, [event("identify", track(2), "GM")])
    assert keep_report(home, at=MONDAY).changes is None, "the same day has nothing before it"
    record_events(home.database, [event("identify", track(2, 1), "FD")])
    changes = keep_report(home, at=FRIDAY).changes
    assert changes is not None
    assert changes.since == "2026-03-02"
    assert changes.newly_seen == ["FD"]
    assert {one.name: one.difference for one in changes.figures}["named_by_person"] == 1
    again = make_report(home, since=date(2026, 3, 4), at=FRIDAY).changes
    assert again is not None
    assert again.since == "2026-03-02"
    with pytest.raises(ReportError, match="No report of 2020"):
        make_report(home, since=date(2020, 1, 1), at=FRIDAY)


def test_a_report_without_its_numbers_is_not_there(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever kills the process: the JSON is written last."""
    make_world(home.database)
    written: list[str] = []
    real = type(home.store).put

    def dies(store: object, key: str, content: bytes) -> object:
        if key.endswith(".json"):
            raise RuntimeError("killed")
        written.append(key)
        return real(store, key, content)  # type: ignore[arg-type]

    monkeypatch.setattr(type(home.store), "put", dies)
    with pytest.raises(RuntimeError):
        keep_report(home, at=MONDAY)
    assert written
    assert kept_days(home.store) == []
    assert kept_page(home.store, MONDAY.date(), "en") is None


def test_the_oldest_go_when_there_are_too_many(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(home.database)
    home.store.put("reports/notes.txt", b"somebody's own")
    few = home.settings.model_copy(
        update={"monitoring": home.settings.monitoring.model_copy(update={"reports_kept": 2})}
    )
    fewer = Home(few)
    for at in (MONDAY, TUESDAY, FRIDAY):
        keep_report(fewer, at=at)
    assert kept_days(home.store) == [FRIDAY.date(), TUESDAY.date()]
    assert kept_numbers(home.store, MONDAY.date()) is None
    assert home.store.head("reports/notes.txt") is not None
    assert kept.key_of(FRIDAY.date(), "json") == key_of(FRIDAY.date(), "json") == "reports/2026-03-06.json"


@pytest.mark.parametrize(
    ("kind", "group", "said"),
    [
        ("age_class", "adult", "classe d’âge adultes"), ("sex_age", "F infant", "femelles, petits"),
        ("camera_light", "ridge/cam 1 night", "ridge/cam 1, nuit"), ("matriline", "FF", "FF"),
        ("age_class", "old", "old"),
    ],
)  # fmt: skip
def test_groups_are_called_in_the_language_of_the_report(kind: str, group: str, said: str) -> None:
    """A French report spoke of adults."""
    assert Words("fr").group(kind, group).endswith(said)


def test_why_a_promise_ended_is_said_in_the_language_of_the_report() -> None:
    """The reason is stored in English."""
    french, english = Words("fr"), Words("en")
    for reason in (NEW_HEAD, MERGED, NEW_TRACKS, WITHDRAWN):
        assert english.ended(reason) == reason
        assert french.ended(reason) != reason
    assert french.ended(f"{STALE} 30 days") == "son échantillon n’a pas eu de réponse à temps"
    assert french.ended("something new") == "something new"
    assert french.ended(None) == french("not_known")
