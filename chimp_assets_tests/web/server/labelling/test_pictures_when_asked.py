"""Pictures of any track when somebody looks: cut once, kept within a bound, missing in words."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import simplejpeg
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.references import set_references, stand_for
from chimp_assets.home import Home, init_home
from chimp_assets.vision.pictures import stills
from chimp_assets.vision.pictures.item_media import drop_old_pictures, make_item_media
from chimp_assets.web.app import PICTURES
from chimp_assets.web.auth import accounts
from chimp_assets.web.labelling.picture_cache import PictureCache
from chimp_assets_tests.vision.animals import START, answer, make_animals
from chimp_assets_tests.vision.pictures.test_item_media import _ask
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

VIDEOS = 4
HEAD = 7
TRACKS = [t.track_id_of(video, ordinal) for video in range(1, VIDEOS + 1) for ordinal in (0, 1)]
LAST = TRACKS[-1]
"""Nobody has named it; the head takes it for AA and BB. It is of the audit's reserve."""


@pytest.fixture(scope="module")
def named_template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Eight tracks with real frames, all but the last named, the last asked about; no picture and no photo is made."""
    home = init_home(tmp_path_factory.mktemp("named") / "home")
    truth = make_animals(home, videos=VIDEOS)
    answer(home, dict.fromkeys(truth, "AA") | {TRACKS[1]: "BB"}, "typical", tracks=TRACKS[:-1])
    _ask(home, [LAST])
    accounts.set_password(home.database, "expert", PASSWORD)
    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.model).values(
                model_id=HEAD, task="head", version=1, name="h", state="champion", config="{}", created_at=START
            )
        )
        for rank, code in ((1, "AA"), (2, "BB"), (3, "CC")):
            conn.execute(
                sa.insert(t.prediction).values(
                    model_id=HEAD, track_id=LAST, rank=rank, individual_id=key_of(conn, code), probability=0.6 / rank
                )
            )
    home.database.dispose()
    return home


@pytest.fixture
def home(named_template: Home, tmp_path: Path) -> Iterator[Home]:
    shutil.copytree(named_template.settings.home, tmp_path / "home")
    opened = Home.open(tmp_path / "home")
    yield opened
    opened.database.dispose()


@pytest.fixture
def expert(make_app: Any) -> Browser:
    return Browser(make_app(blind_share=0.0)).sign_in("expert")


def key_of(conn: sa.Connection, code: str) -> int:
    key = conn.scalar(sa.select(t.individual.c.individual_id).where(t.individual.c.anim_id == code))
    assert key is not None
    return int(key)


def forget_shards(home: Home, video_id: int | None = None) -> None:
    h = t.frame_shard.c
    with home.database.read() as conn:
        asked = sa.select(h.uri) if video_id is None else sa.select(h.uri).where(h.video_id == video_id)
        for uri in conn.scalars(asked).all():
            home.store.delete(uri)


def kept(home: Home) -> list[Path]:
    return sorted(file for file in (home.settings.home / PICTURES).rglob("*") if file.is_file())


def test_every_picture_of_a_gallery_is_there_the_day_a_demo_ends(home: Home, expert: Browser) -> None:
    """Pictures were made for waiting tracks alone: 2 of 27 in the gallery, and no reference photo."""
    page = expert.get("/individual/AA").text
    urls = re.findall(r'<img src="(/media/[^"]+)"', page)
    shown = {int(n) for url in urls for n in re.findall(r"/media/track/(\d+)\.jpg", url)}
    named = set(TRACKS) - {LAST}
    assert shown == named, "all that people named AA, and for comparison the one of BB, who looks alike"
    for url in set(urls):
        found = expert.get(url)
        assert (found.status_code, found.headers["content-type"]) == (200, "image/jpeg"), url
        assert simplejpeg.decode_jpeg(found.content).shape[0] >= 48
    assert "data-references" in page, "reference photos stand, though nobody has chosen any"
    assert expert.get("/individuals").text.count('src="/media/track/') == 2, "of the two who are named"


def test_every_suggestion_shows_photos_when_it_is_first_made(expert: Browser) -> None:
    """Beside every name stood "No photo yet": who does not know a code by heart cannot compare."""
    (item,) = expert.post("/api/queue/claim", json={"n": 1}).json()["items"]
    shown = {one["anim_id"]: [photo["track_id"] for photo in one["references"]] for one in item["candidates"]}
    assert [len(shown[code]) for code in ("AA", "BB", "CC")] == [3, 1, 0], "CC was named by nobody"
    assert shown["BB"] == [TRACKS[1]]
    assert LAST not in shown["AA"]
    assert expert.get(item["face"]).status_code == 200
    for one in item["candidates"]:
        assert all(expert.get(photo["url"]).status_code == 200 for photo in one["references"])
    people = {one["anim_id"]: one["references"] for one in expert.get("/api/individuals").json()["individuals"]}
    assert (len(people["BB"]), people["CC"]) == (1, [])


def test_photos_by_rule_are_the_same_each_time_and_give_way_to_a_choice(home: Home, expert: Browser) -> None:
    """A face that changes at every look teaches nobody; and an expert knows which picture shows the torn ear."""
    with home.database.read() as conn:
        who, nobody = key_of(conn, "AA"), key_of(conn, "CC")
    seen = [expert.post("/api/queue/claim", json={"n": 1}).json()["items"][0]["candidates"][0] for _ in range(2)]
    assert seen[0]["references"] == seen[1]["references"]
    by_rule = [photo["track_id"] for photo in seen[0]["references"]]
    chosen = next(track for track in reversed(TRACKS[:-1]) if track not in by_rule and track != TRACKS[1])
    set_references(home.database, who, [chosen], "expert")
    (item,) = expert.post("/api/queue/claim", json={"n": 1}).json()["items"]
    assert [photo["track_id"] for photo in item["candidates"][0]["references"]] == [chosen]
    assert stand_for(home.database, [who, nobody]) == 0, "a choice stands, and nobody has named CC"


def test_photos_stand_from_the_first_scoring_on(home: Home) -> None:
    with home.database.read() as conn:
        keys = [key_of(conn, code) for code in ("AA", "BB", "CC")]
    assert stand_for(home.database, keys) > 1
    with home.database.read() as conn:
        r = t.reference_photo.c
        rows = conn.execute(sa.select(r.individual_id, r.track_id, r.user_id)).all()
    assert {row.individual_id for row in rows} == set(keys[:2])
    assert all(row.user_id is None for row in rows)
    assert stand_for(home.database, keys) == 0


def test_a_cut_picture_is_the_one_that_stands_first_among_the_made_ones(home: Home, expert: Browser) -> None:
    """Two ways to one picture: the gallery must not show another moment than the naming page."""
    cut = expert.get(f"/media/track/{TRACKS[0]}.jpg").content
    make_item_media(home.database, home.store, [TRACKS[0]])
    m = t.item_media.c
    with home.database.read() as conn:
        made = conn.scalar(sa.select(m.uri).where(m.track_id == TRACKS[0], m.kind == "crop", m.place == 0))
    assert home.store.get(str(made)) == cut
    assert expert.get(f"/media/track/{TRACKS[0]}.jpg").content == cut


def test_a_picture_is_cut_once_and_asked_for_again_by_its_tag(
    home: Home, expert: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/media/track/{TRACKS[0]}.jpg"
    first = expert.get(url)
    assert expert.get(url, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    monkeypatch.setattr(stills, "cut_face", lambda *_: pytest.fail("it was cut again"))
    assert expert.get(url).content == first.content
    forget_shards(home)
    assert expert.get(url).content == first.content, "what is kept outlives its shard"


def test_who_asks_for_what_is_being_cut_waits_for_it_and_does_not_cut_it_too(
    expert: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class of twenty looks at one page: one cuts, and no more than two at once however many pictures there are."""
    real, lock, go = stills.cut_face, threading.Lock(), threading.Event()
    cuts: list[str] = []
    now, most = 0, 0

    def slowly(db: Any, store: Any, source: Any) -> bytes:
        nonlocal now, most
        with lock:
            cuts.append(source.key)
            now, most = now + 1, max(most, now + 1)
        go.wait(20)
        found = real(db, store, source)
        with lock:
            now -= 1
        return found

    monkeypatch.setattr(stills, "cut_face", slowly)
    # One loop for all requests, as a server has; signing in was within another.
    with expert, ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(expert.get, f"/media/track/{track}.jpg") for track in TRACKS[:4] * 3]
        while len(cuts) < 2:
            time.sleep(0.005)
        go.set()
        answers = [one.result() for one in asked]
    assert [one.status_code for one in answers] == [200] * 12
    assert len(cuts) == len(set(cuts)) == 4
    assert most <= 2
    assert len({one.content for one in answers}) == 4


def test_more_than_can_wait_are_told_to_come_again(expert: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of what is to be cut has an end; a browser asks again, and nobody's memory fills."""
    monkeypatch.setattr("chimp_assets.web.labelling.faces.MOST_WAITING", 0)
    refused = expert.get(f"/media/track/{TRACKS[0]}.jpg")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "2")


@pytest.mark.parametrize(("lang", "word"), [("en", "no longer in the store"), ("fr", "ne sont plus dans le stockage")])
def test_a_lost_shard_is_a_reason_in_words_and_costs_no_other_picture(
    home: Home, expert: Browser, lang: str, word: str
) -> None:
    forget_shards(home, video_id=1)
    expert.cookies.set("lang", lang)
    answer_ = expert.get(f"/media/track/{TRACKS[0]}.jpg")
    assert (answer_.status_code, answer_.json()["code"]) == (404, "no_media")
    assert word in answer_.json()["error"]
    assert answer_.headers["cache-control"] == "no-store", "it may come back"
    assert expert.get(f"/media/track/{TRACKS[2]}.jpg").status_code == 200


def test_a_shard_that_comes_back_brings_its_picture_back(
    home: Home, expert: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chimp_assets.web.labelling.faces.AGAIN_AFTER_S", 0.0)
    h = t.frame_shard.c
    with home.database.read() as conn:
        uri = str(conn.scalar(sa.select(h.uri).where(h.video_id == 1)))
    content = home.store.get(uri)
    home.store.delete(uri)
    assert expert.get(f"/media/track/{TRACKS[0]}.jpg").status_code == 404
    home.store.put(uri, content)
    assert expert.get(f"/media/track/{TRACKS[0]}.jpg").status_code == 200


@pytest.mark.parametrize("track", ["404", str(2**53 - 1), "0"])
def test_a_track_that_is_not_there_is_said(expert: Browser, track: str) -> None:
    assert "track no longer exists" in expert.get(f"/media/track/{track}.jpg").json()["error"]
    assert expert.get(f"/media/track/{track}/clip.mp4").status_code == 404


def test_nobody_sees_a_picture_without_signing_in(make_app: Any) -> None:
    browser = Browser(make_app())
    for path in (
        f"/media/track/{TRACKS[0]}.jpg",
        f"/media/track/{TRACKS[0]}/clip.mp4",
        f"/api/pictures?track={TRACKS[0]}",
    ):
        assert browser.get(path).status_code == 401


def test_pictures_of_a_track_come_whole_when_they_are_asked_for(home: Home, make_app: Any) -> None:
    """The review shows tracks that nobody waits for: crops, clip and frame are made; what is lost has its reason."""
    app = make_app(make_media=True, media_wait_s=20.0)
    expert = Browser(app).sign_in("expert")
    forget_shards(home, video_id=2)
    asked = f"/api/pictures?track={TRACKS[0]}&track={TRACKS[2]}&track=404"
    found = {one["track_id"]: one for one in expert.get(asked).json()["tracks"]}
    assert [found[n]["state"] for n in (TRACKS[0], TRACKS[2], 404)] == ["ready", "missing", "missing"]
    assert "no longer in the store" in found[TRACKS[2]]["reason"]
    assert "track no longer exists" in found[404]["reason"]
    assert expert.get(found[TRACKS[0]]["crops"][0]["url"]).status_code == 200
    assert expert.get(found[TRACKS[0]]["clip"]["url"]).status_code == 200
    film = expert.get(f"/media/track/{TRACKS[1]}/clip.mp4")
    assert film.status_code == 307
    assert expert.get(film.headers["location"]).headers["content-type"] == "video/mp4"


def test_what_is_on_a_screen_is_made_before_what_is_made_ahead(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    making = make_app(make_media=True).state.media
    monkeypatch.setattr(making, "_start", lambda: None)
    making.make_soon(TRACKS[:4], 0.0)
    making.make_soon([TRACKS[6], TRACKS[2]], 0.0, at_once=True)
    assert list(making._waiting) == [TRACKS[6], TRACKS[2], TRACKS[0], TRACKS[1], TRACKS[3]]


def test_a_grid_does_not_tell_by_its_pictures_which_tracks_are_wrong(home: Home, make_app: Any) -> None:
    """Pictures are made ahead of tracks that were asked about, as the wrong ones were: no address may say so."""
    make_item_media(home.database, home.store, TRACKS[:2])
    from chimp_assets.web.api.grid import _tile
    from chimp_assets.web.labelling.items import track_dicts

    with home.database.read() as conn:
        tiles = [_tile(track) for track in track_dicts(conn, TRACKS[:4])]
    assert len({re.sub(r"\d+", "n", str({**tile, "video": 0, "track": 0})) for tile in tiles}) == 1


def test_the_cache_keeps_to_its_bound_and_what_was_looked_at_last(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path / "cache", 10_000)
    keys = [f"{n:064x}" for n in range(0, 2560, 256)]
    for n, key in enumerate(keys):
        cache.put(key, bytes(1500))
        os.utime(cache._file(key), (n, n))
    assert cache.get(keys[-1]) is not None
    assert sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*.jpg")) <= 10_000
    assert cache.get(keys[0]) is None
    cache.put("ff" * 32, bytes(20_000))
    assert cache.get("ff" * 32) is None, "larger than all of it"


def test_a_killed_process_leaves_no_half_picture_and_its_leftovers_go(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path / "cache", 4_000)
    key = "ab" * 32
    half = cache._file(key).with_name(f"{key}.12345678.writing")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"\xff\xd8 half")
    os.utime(half, (0, 0))
    assert cache.get(key) is None
    for n in range(4):
        cache.put(f"{n:02x}" * 32, bytes(1500))
    assert not half.exists()


def test_a_folder_that_keeps_nothing_costs_the_cache_and_no_picture(home: Home, make_app: Any) -> None:
    """A home on a full or read-only disk still shows its animals."""
    (home.settings.home / PICTURES).parent.mkdir()
    (home.settings.home / PICTURES).write_text("a file where the folder should be")
    expert = Browser(make_app()).sign_in("expert")
    assert expert.get(f"/media/track/{TRACKS[0]}.jpg").status_code == 200
    assert kept(home) == []


def test_stored_pictures_have_a_bound_that_spares_who_waits_and_who_stands_for_somebody(home: Home) -> None:
    """Every look at a review would fill the store for ever: the oldest go, their files too once they are old."""
    db = home.database
    make_item_media(db, home.store, TRACKS)
    with db.read() as conn:
        keys = [key_of(conn, "AA"), key_of(conn, "BB")]
        assert drop_old_pictures(db, home.store, 10**9) == 0
    set_references(db, keys[0], [TRACKS[0]], "expert")
    files = sorted((home.settings.home / "store" / "item-media").iterdir())
    for file in files:
        os.utime(file, (0, 0))
    assert drop_old_pictures(db, home.store, 1) == len(TRACKS) - 2
    with db.read() as conn:
        left = set(conn.scalars(sa.select(t.item_media.c.track_id)))
        named = set(conn.scalars(sa.select(t.item_media.c.uri)))
    assert left == {TRACKS[0], LAST}
    there = {f"item-media/{file.name}" for file in (home.settings.home / "store" / "item-media").iterdir()}
    assert there == named
