"""Pictures by the hash of their content, and pictures that are made because somebody asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work.due import lacking_pictures
from chimp_assets.home import Home, init_home
from chimp_assets.vision.pictures.item_media import make_item_media
from chimp_assets.web.api.media import _range_of
from chimp_assets.web.app import Options, create_app
from chimp_assets.web.auth import accounts
from chimp_assets_tests.vision.animals import make_animals
from chimp_assets_tests.vision.pictures.test_item_media import _ask
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

TRACK = t.track_id_of(1, 0)


@pytest.fixture(scope="module")
def filmed_template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = init_home(tmp_path_factory.mktemp("filmed") / "home")
    make_animals(home, videos=3)
    _ask(home, [t.track_id_of(v, o) for v in (1, 2, 3) for o in (0, 1)])
    accounts.set_password(home.database, "expert", PASSWORD)
    home.database.dispose()
    return home


@pytest.fixture
def home(filmed_template: Home, tmp_path: Any) -> Iterator[Home]:
    shutil.copytree(filmed_template.settings.home, tmp_path / "home")
    opened = Home.open(tmp_path / "home")
    yield opened
    opened.database.dispose()


@pytest.fixture
def expert(make_app: Any) -> Browser:
    return Browser(make_app()).sign_in("expert")


def rows(home: Home) -> dict[str, Any]:
    make_item_media(home.database, home.store, [TRACK])
    with home.database.read() as conn:
        found = conn.execute(sa.select(t.item_media).where(t.item_media.c.track_id == TRACK)).all()
    return {row.kind: row for row in found}


def test_a_picture_is_kept_for_ever_by_who_may_see_it(home: Home, expert: Browser) -> None:
    """An address that changes with each request defeats every cache (labelflow #718)."""
    media = rows(home)
    for kind, suffix, type_ in (
        ("crop", "jpg", "image/jpeg"), ("clip", "mp4", "video/mp4"), ("boxes", "json", "application/json"),
    ):  # fmt: skip
        url = f"/media/{media[kind].content_hash}.{suffix}"
        answer = expert.get(url)
        assert (answer.status_code, answer.headers["content-type"]) == (200, type_)
        assert answer.content == home.store.get(media[kind].uri)
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert expert.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        assert Browser(expert.app).get(url).status_code == 401
    assert expert.get(f"/media/{media['crop'].content_hash}.mp4").status_code == 404


def test_parts_of_a_clip_are_served(home: Home, expert: Browser) -> None:
    """Safari plays no clip whose server knows no ranges."""
    clip = rows(home)["clip"]
    whole = home.store.get(clip.uri)
    url = f"/media/{clip.content_hash}.mp4"
    for asked, first, last in (("0-1", 0, 1), ("100-", 100, len(whole) - 1), ("-7", len(whole) - 7, len(whole) - 1)):
        part = expert.get(url, headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.content == whole[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    beyond = expert.get(url, headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole)}")


def test_a_part_of_a_clip_is_read_without_the_rest(home: Home, make_app: Any, monkeypatch: Any) -> None:
    clip = rows(home)["clip"]
    app = make_app()
    expert, store = Browser(app).sign_in("expert"), app.state.home.store
    read: list[tuple[str, int, int]] = []
    get_range = store.get_range

    def part(key: str, start: int, length: int) -> bytes:
        read.append((key, start, length))
        return bytes(get_range(key, start, length))

    monkeypatch.setattr(store, "get_range", part)
    monkeypatch.setattr(store, "get", lambda key: pytest.fail(f"{key} was read whole"))
    answer = expert.get(f"/media/{clip.content_hash}.mp4", headers={"Range": "bytes=10-29"})
    assert (answer.status_code, read) == (206, [(clip.uri, 10, 20)])


def test_a_clip_that_was_cut_is_missing_rather_than_short(home: Home, make_app: Any, monkeypatch: Any) -> None:
    clip = rows(home)["clip"]
    app = make_app()
    expert = Browser(app).sign_in("expert")
    monkeypatch.setattr(app.state.home.store, "get_range", lambda key, start, length: b"x")
    answer = expert.get(f"/media/{clip.content_hash}.mp4", headers={"Range": "bytes=10-29"})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_media")


@pytest.mark.parametrize(
    ("header", "wanted"),
    [(None, None), ("bytes=0-", (0, 9)), ("bytes=3-99", (3, 9)), ("bytes=-99", (0, 9)), ("bytes=-", None),
     ("bytes=0-1,3-4", None), ("lines=0-1", None), ("bytes=a-b", None)],
)  # fmt: skip
def test_a_range_that_is_not_understood_is_answered_with_everything(header: str | None, wanted: Any) -> None:
    """RFC 9110: a server may ignore what it does not know, never misread it."""
    assert _range_of(header, 10) == wanted


def test_only_what_the_table_names_is_served(home: Home, expert: Browser) -> None:
    """A store holds models and training sets too, under names of hashes."""
    media = rows(home)
    url = f"/media/{media['crop'].content_hash}.jpg"
    assert expert.get(url).status_code == 200
    with home.database.write() as conn:
        conn.execute(sa.delete(t.item_media))
    assert expert.get(url).json()["code"] == "no_media"


def test_a_file_that_is_gone_is_said_and_the_others_stay_usable(home: Home, expert: Browser) -> None:
    """A broken disk under one picture must not take the item away."""
    media = rows(home)
    home.store.delete(media["clip"].uri)
    assert expert.get(f"/media/{media['clip'].content_hash}.mp4").json()["code"] == "no_media"
    item = expert.post("/api/queue/claim", json={"n": 1}).json()["items"][0]
    assert item["media_missing"] is False
    assert all(expert.get(crop["url"]).status_code == 200 for crop in item["crops"])


def test_a_frame_is_served_as_it_is_stored(home: Home, expert: Browser) -> None:
    """Boxes are drawn on the kept picture, not on one that was scaled."""
    answer = expert.get("/media/frame/1/2.jpg")
    assert (answer.status_code, answer.content[:2]) == (200, b"\xff\xd8")
    assert expert.get("/media/frame/1/2.jpg", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert expert.get("/media/frame/1/99.jpg").status_code == 404


def test_pictures_of_a_new_plan_are_made_when_they_are_asked_for(home: Home, make_app: Any) -> None:
    """The ranker and the command line plan without Dagster; their items must not be blank."""
    app = make_app(make_media=True, media_wait_s=20.0)
    items = Browser(app).sign_in("expert").post("/api/queue/claim", json={"n": 6}).json()["items"]
    assert len(items) == 6
    assert [item["media_missing"] for item in items[:4]] == [False] * 4, "what is on the screen next is waited for"
    app.state.media.end()


def test_a_claim_does_not_wait_for_what_cannot_be_made(home: Home, make_app: Any) -> None:
    """A lost shard must cost a picture, not the expert's morning."""
    with home.database.read() as conn:
        shards = conn.scalars(sa.select(t.frame_shard.c.uri)).all()
    for uri in shards:
        home.store.delete(uri)
    app = make_app(make_media=True, media_wait_s=30.0)
    expert = Browser(app).sign_in("expert")
    items = expert.post("/api/queue/claim", json={"n": 2}).json()["items"]
    assert [item["media_missing"] for item in items] == [True, True]
    asked = [item["track_id"] for item in items]
    app.state.media._make = lambda track_id: pytest.fail("it was tried again at once")
    app.state.media.make_soon(asked, 30.0)
    with home.database.read() as conn:
        assert lacking_pictures(conn, asked) == asked


def test_the_list_of_what_is_to_be_made_has_an_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim of thousands for the field must not fill the memory, nor hold its sender up."""
    app = create_app(home, Options(make_media=True))
    making = app.state.media
    monkeypatch.setattr(making, "_start", lambda: None)
    monkeypatch.setattr("chimp_assets.web.labelling.media_worker.MOST_WAITING", 3)
    making.make_soon([t.track_id_of(v, o) for v in (1, 2, 3) for o in (0, 1)], 0.0)
    assert len(making._waiting) == 3
    app.state.db.dispose()
