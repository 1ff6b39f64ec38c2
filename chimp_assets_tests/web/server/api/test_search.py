"""The page of search: counts, pictures, pages, CSV, and sentences for what nobody knows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from chimp_assets.database.labels.events import record_events
from chimp_assets.home import Home
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
    for word in (f"/video/of/{track(1)}", f"/similar?to={track(1)}", "Fifi", "newest first", 'href="/search?who=FF"'):
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


@pytest.mark.parametrize("query", ["colour=red", "who=NOBODY", "cam=x/y", "p=7", "sort=no", "with=NOBODY", "hour=x"])
def test_a_word_that_is_not_known_is_a_sentence_with_a_remedy(browser: Callable[..., Browser], query: str) -> None:
    answer = browser("lotte").get(f"/search?{query}")
    assert answer.status_code == 422
    assert answer.json()["remedy"]
    assert browser("lotte").get(f"/search.csv?{query}").status_code == 422


def test_nobody_searches_without_signing_in(browser: Callable[..., Browser]) -> None:
    assert browser().get("/search").status_code in (303, 401)
    assert browser().get("/search.csv").status_code in (303, 401)
