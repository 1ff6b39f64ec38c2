"""Addresses that nobody thought of, of words that are known: search, video, tables, reports, questions, together.

Each is answered, with a page or with a sentence and a remedy. `test_hostile` asks every route with values without
sense; here most words have one, and what stands beside them has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimp_assets.database.labels.events import record_events
from chimp_assets.home import Home
from chimp_assets_tests.database.world import event, predict, track
from chimp_assets_tests.web.server.api.test_tables import upload
from chimp_assets_tests.web.server.conftest import Browser

ROUTES = (
    "/search", "/search.csv", "/similar", "/similar.csv", "/api/similar", "/video/{n}", "/video/of/{n}",
    "/api/videos/{n}/timeline", "/api/videos/{n}/boxes", "/api/videos/{n}/neighbours", "/tables", "/tables/{name}",
    "/tables/{name}/rows.csv", "/tables/{name}/there", "/tables/{name}/around", "/tables/{name}/around/joined.csv",
    "/report", "/report/{day}.html", "/report/{day}.json", "/questions", "/questions/{question}",
    "/questions/{question}/answer.csv", "/questions/{question}/picture.svg", "/together", "/together.csv",
    "/together/network", "/together/matrix", "/together/table", "/together/change", "/together/change.csv",
    "/together/over-time", "/together/patterns", "/together/network.csv", "/together/network.graphml",
    "/individual/{who}", "/individual/{who}.csv",
)  # fmt: skip
WORDS = (
    "who", "with", "cam", "status", "by", "p", "quality", "hour", "since", "until", "video", "sort", "after", "to",
    "not", "spread", "t", "from", "days", "names", "rule", "minutes", "unit", "few", "birth", "departure", "before",
    "window", "step", "between", "lang", "limit", "community", "camera", "first", "last", "source", "merge_into",
)  # fmt: skip
VALUES = (
    "FF", "!FF", "ff", "FF,FI", "FF,FF", "NOBODY", "GM", "a/cam1", "a/", "/cam1", "2013-05-06", "2013-05-08",
    "2013-02-30",
    "0-1", "0.5-0.2", "1e-9-1", "6-9", "23-1", "24-25", "0", "1", "-1", "2", "7", "10", "3660", "99999", "0.5", "nan",
    "inf",
    "model", "person", "volunteers", "named", "unnamed", "verified", "clip", "frame", "minutes", "day", "year", "month",
    "new", "doubt", "0.9~1", f"0.5~{track(1)}", "nan~1", str(track(1)), str(track(2, 2)), str(2**53), str(2**63), "",
    " ",
    "٣", "\x00", "\u202e", "x" * 300, "%", "a b", "fr", "wounds", "1,2,3,4,5,6,7,8,9",
)  # fmt: skip
FILLED = {
    "n": ("1", "2", "3", "0", "-1", str(track(1)), str(2**63), "x", "٣"),
    "name": ("wounds", "ext_wounds", "WOUNDS", "none", "video", "a'b"),
    "question": ("residency", "where_the_model_is_unsure", "seen_with_whom", "mother_and_infant", "none", "../x"),
    "day": ("2013-05-06", "2026-02-30", "0000-00-00", "x", "9999-12-31"),
    "who": ("FF", "ff", "GM", "NOBODY", "F/F", ".."),
}


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """An address of one of these pages, with up to five words."""
    path = re.sub(r"\{(\w+)\}", lambda one: quote(draw(st.sampled_from(FILLED[one[1]]))), draw(st.sampled_from(ROUTES)))
    value = st.one_of(
        st.sampled_from(VALUES), st.text(max_size=8).map(lambda text: text.encode("utf-8", "ignore").decode())
    )
    words = draw(st.lists(st.tuples(st.sampled_from(WORDS), value), max_size=5))
    return path + ("?" + "&".join(f"{key}={quote(text)}" for key, text in words) if words else "")


@pytest.fixture
def lotte(home: Home, browser: Callable[..., Browser]) -> Browser:
    """Who may only look, in a home with a name by a person, one by the model, and an imported table."""
    record_events(home.database, [event("identify", track(1), "FF"), event("identify", track(1, 1), "FI")])
    predict(home.database, track(2), {"GM": 0.8, "FF": 0.2})
    text = "Chimp,Date,Wound\nFF,2013-05-06,ear\nGM,2013-05-07,foot\n"
    browser("rita").post("/api/tables/import", json=upload(text, name="wounds", dry_run=False))
    return browser("lotte")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=addresses())
def test_every_question_is_answered(lotte: Browser, address: str) -> None:
    """A traceback on a shared link costs a day in the field."""
    answer = lotte.get(address)
    assert answer.status_code in (200, 303, 307, 404, 413, 422), (address, answer.status_code, answer.text[:300])
    if answer.status_code >= 400 and answer.headers["content-type"].startswith("application/json"):
        said = answer.json()
        assert len(said["error"]) > 8, address
        assert said["error"].rstrip()[-1] in ".?!", (address, said)
        assert said["remedy"] or answer.status_code == 404, (address, said)


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_looks_without_signing_in(browser: Callable[..., Browser], path: str) -> None:
    filled = re.sub(r"\{(\w+)\}", lambda one: FILLED[one[1]][0], path)
    assert browser().get(filled).status_code == 401
