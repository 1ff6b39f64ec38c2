"""What a model says of tracks that measure it is on no page and in no answer of the interface, on old and new ones."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.home import Home
from chimp_assets.web.app import Options, create_app
from chimp_assets_tests.database.world import START, event, predict, track
from chimp_assets_tests.web.server.auth.test_roles import routes_of
from chimp_assets_tests.web.server.conftest import Browser

TOLD = {
    "/search": "?video=1",
    "/video/{video_id}": "",
    "/api/videos/{video_id}/timeline": "",
    "/api/videos/{video_id}/neighbours": "",
    "/individual/{anim_id:path}": "",
    "/together": "?with=FF,GM&names=model&p=0&rule=clip",
    "/questions/{name}": "?limit=50",
    "/api/review/cases": "?queue=doubtful",
}
"""Pages and answers that say of single tracks who the model takes them for, and how they are asked for it."""
DATA = re.compile(r"\.csv|\.svg|\.jpg|\.mp4|\.graphml|^/media/|^/export|/openapi|^/static|^/data$")
"""Files, where what a model says is data beside who said it, and pages about no track."""
FILLED = {"video_id": "1", "track_id": str(track(1)), "anim_id:path": "GM", "name": "where_the_model_is_unsure"}
MENTION = re.compile(rf"Gremlin|\bGM\b|data-picture=\"{track(1)}\"")
GALLERY = "/individual/{anim_id:path}"
PICTURE = re.compile(rf"/media/track/{track(1)}\b")
"""What the page of an individual tells of single tracks is their pictures; months and cameras are counts."""
STATES = ("said nothing", "said something", "of the reserve", "of a test day")


def _said(home: Path, state: str) -> Iterator[tuple[str, int]]:
    """How often each page names Gremlin, whom the model alone sees on two of the three tracks of the first video."""
    reserve = {"audit_reserve": 0.999999 if state == "of the reserve" else 1e-9}
    opened = Home.open(home, acquisition=reserve)
    db = opened.database
    record_events(db, [event("identify", track(1, 1), "FF"), event("identify", track(1, 2), "FI")])
    if state != "said nothing":
        predict(db, track(1), {"GM": 0.9, "FF": 0.1})
        predict(db, track(1, 2), {"GM": 0.95, "FF": 0.05})
    with db.write() as conn:
        split = "test" if state == "of a test day" else "train"
        row = {"video_id": 1, "day_key": "d", "split": split, "assigned_at": START}
        conn.execute(sa.insert(t.split_assignment).values(row))
    app = create_app(opened, Options(make_media=False))
    ada = Browser(app).sign_in("ada")
    for route in routes_of(app):
        path = route.path
        if "GET" not in (route.methods or ()) or DATA.search(path):
            continue
        if path not in TOLD and state == "said something":
            continue
        filled = re.sub(r"\{([^}]+)\}", lambda one: FILLED.get(one[1], "1"), path)
        answer = ada.get(filled + TOLD.get(path, ""))
        assert path not in TOLD or answer.status_code == 200, (path, answer.text[:300])
        yield path, len((PICTURE if path == GALLERY else MENTION).findall(answer.text))
    app.state.db.dispose()
    db.dispose()


@pytest.fixture(scope="module")
def mentions(template_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    found = {}
    for state in STATES:
        root = tmp_path_factory.mktemp("measuring") / "home"
        shutil.copytree(template_home, root)
        found[state] = dict(_said(root, state))
    return found


@pytest.mark.parametrize("path", TOLD)
def test_a_page_that_tells_names_of_the_model_is_seen_to_do_so(mentions: dict[str, dict[str, int]], path: str) -> None:
    """Or the next test looks at pages that never said anything."""
    assert mentions["said something"][path] > mentions["said nothing"][path]


@pytest.mark.parametrize("state", STATES[2:])
@pytest.mark.parametrize("path", [*TOLD, "any other"])
def test_no_page_tells_what_the_model_says_of_a_track_that_measures_it(
    mentions: dict[str, dict[str, int]], state: str, path: str
) -> None:
    """Whoever has read it repeats it, and the audit finds the model better than it is."""
    paths = [path] if path in TOLD else [one for one in mentions[state] if one not in TOLD]
    told = {one: mentions[state][one] for one in paths if mentions[state][one] != mentions["said nothing"][one]}
    assert told == {}
