"""The page of search: counts, pictures, pages, CSV, and sentences for what nobody knows."""

from __future__ import annotations

import csv
import html
import io
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.labels.events import record_events
from chimp_assets.home import Home
from chimp_assets.insight.search import living, reading
from chimp_assets.web.pages.search import screen
from chimp_assets_tests.database.world import event, track
from chimp_assets_tests.web.server.conftest import Browser


def rows(browser: Browser, query: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(browser.get(f"/search.csv?{query}").text)))


def test_the_csv_has_as_many_rows_as_the_page_says(home: Home, browser: Callable[..., Browser]) -> None:
    record_events(home.database, [event("identify", track(1), "FF"), event("identify", track(2, 1), "GM")])
    lotte = browser("lotte")
    for query, n in (("", 6), ("who=FF", 1), ("who=FF&who=GM", 2), ("status=unnamed", 4), ("who=FF&status=unnamed", 0)):
        page = lotte.get(f"/search?{query}").text
        assert f"{n} tracks" in page
        assert len(rows(lotte, query)) == n
    assert rows(lotte, "who=FF")[0]["anim_id"] == "FF"
    page = lotte.get("/search?who=FF").text
    for word in (
        f"/video/of/{track(1)}",
        f"/similar?to={track(1)}",
        "Fifi",
        "newest first",
        'href="/search?who=FF&amp;at=2.2.1"',
    ):
        assert word in page
    empty = lotte.get("/search?who=FF&status=unnamed").text
    assert "Nothing matches" in empty
    assert "Without Fifi: 4 tracks" in empty
    assert "pistes" in lotte.get("/search", headers={"accept-language": "fr"}).text


def test_pages_follow_each_other_and_show_each_track_once(
    home: Home, browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "PAGE", 4)
    lotte = browser("lotte")
    first = lotte.get("/search").text
    behind = first.partition("after=")[2].partition('"')[0]
    second = lotte.get(f"/search?after={behind}").text
    ids = [track(video, n) for video in (1, 2) for n in range(3)]
    assert sorted(one for one in ids if f'/video/of/{one}"' in first + second) == ids
    assert not [one for one in ids if f'/video/of/{one}"' in first and f'/video/of/{one}"' in second]
    assert "after=" not in second


def test_an_address_that_was_kept_says_how_many_there_were(home: Home, browser: Callable[..., Browser]) -> None:
    lotte = browser("lotte")
    record_events(home.database, [event("identify", track(1), "FF")])
    assert "As of decision 1, model 2." in lotte.get("/search").text
    assert "1 tracks, as when this address was kept (decision 1)" in lotte.get("/search?who=FF&at=1.2.1").text
    record_events(home.database, [event("identify", track(2), "FF")])
    assert "1 tracks when this address was kept (decision 1), 2 now." in lotte.get("/search?who=FF&at=1.2.1").text
    assert len(rows(lotte, "who=FF&at=1.2.1")) == 2


def test_somebody_is_found_by_name_too(home: Home, browser: Callable[..., Browser]) -> None:
    lotte = browser("lotte")
    record_events(home.database, [event("identify", track(1), "FF"), event("identify", track(2), "GM")])
    assert [row["anim_id"] for row in rows(lotte, "who=fifi")] == ["FF"]
    assert [row["query"] for row in rows(lotte, "who=!Fifi&status=named")] == ["who=%21FF&status=named"]
    assert len(rows(lotte, "with=Gremlin")) == 3


def test_an_export_of_a_search_counts_the_same_tracks(home: Home, browser: Callable[..., Browser]) -> None:
    lotte = browser("lotte")
    record_events(home.database, [event("identify", track(1), "FF"), event("unknown", track(2))])
    for query in ("", "who=FF&sex=F", "who=!FF&status=unnamed", "status=unknown", "with=FF&light=not_known&hour=0-23"):
        page = lotte.get(f"/search?{query}").text
        n = page.partition(" tracks</h2>")[0].rpartition(">")[2]
        link = html.unescape(page.partition('href="/export?')[2].partition('"')[0])
        assert int(n)
        assert f"{n} tracks of " in lotte.get(f"/export?{link}").text, query
    both = lotte.get("/search?by=person&by=volunteers").text
    link = html.unescape(both.partition('href="/export?')[2].partition('"')[0])
    assert 'value="person,volunteers" checked' in lotte.get(f"/export?{link}").text, "what is sent on has it too"
    refused = lotte.get("/search?by=person&status=unnamed").text
    assert "/export?" not in refused


def test_the_csv_is_of_one_moment_while_a_new_head_is_read(
    home: Home, browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    lotte = browser("lotte")
    record_events(home.database, [event("identify", track(1), "FF")])
    assert "being read" not in lotte.get("/search").text
    with home.database.write() as conn:
        conn.execute(sa.update(s.model).where(s.model.c.task == "head").values(state="retired"))
    gate = threading.Event()
    monkeypatch.setattr(living, "read_columns", lambda *given: gate.wait(60) and reading.read_columns(*given))
    page = lotte.get("/search").text
    assert "being read" in page
    assert "As of decision 1, model 2." in page
    gate.set()
    assert len(rows(lotte, "status=named")) == 1


@pytest.mark.parametrize(
    "query",
    [
        "age=old",
        "light=red",
        "flag=no",
        "at=1",
        "colour=red",
        "who=NOBODY",
        "cam=x/y",
        "p=7",
        "sort=no",
        "with=NOBODY",
        "hour=x",
    ],
)
def test_a_word_that_is_not_known_is_a_sentence_with_a_remedy(browser: Callable[..., Browser], query: str) -> None:
    answer = browser("lotte").get(f"/search?{query}")
    assert answer.status_code == 422
    assert answer.json()["remedy"]
    assert browser("lotte").get(f"/search.csv?{query}").status_code == 422


def test_nobody_searches_without_signing_in(browser: Callable[..., Browser]) -> None:
    assert browser().get("/search").status_code in (303, 401)
    assert browser().get("/search.csv").status_code in (303, 401)
