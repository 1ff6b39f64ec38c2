"""More like this: the examples of the address, what is left out, and words that mean nothing."""

import csv
import io
import urllib.parse

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.insight.search.query import parse
from chimp_assets.insight.search.reading import read_columns, stamp_of
from chimp_assets.insight.similar.answer import live_among
from chimp_assets.insight.similar.asked import AskedError, SimilarAsked, read_asked
from chimp_assets.insight.similar.places import Places
from chimp_assets.insight.similar.tracks import shown_tracks
from chimp_assets.vision.embedding.search_index.catalogue import Catalogue
from chimp_assets.vision.embedding.search_index.living import answering_embedder, landed_files
from chimp_assets.vision.embedding.search_index.scan import VectorIndex
from chimp_assets_tests.database import t_sql, world
from chimp_assets_tests.database.world import event, track
from chimp_assets_tests.vision.embedding.search_index.landing import land_vectors


@pytest.fixture
def looked_at(archive):
    """The archive with vectors: track n is alike to its neighbours by number; returns the live tracks, ascending."""
    with archive.database.read() as conn:
        ids = np.array(sorted(conn.scalars(sa.select(s.track.c.track_id).where(s.track.c.state == "live"))), np.int64)
    turn = np.linspace(0, np.pi / 2, len(ids))
    land_vectors(archive, 1, ids, np.stack([np.cos(turn), np.sin(turn)], axis=1))
    return ids.tolist()


def of(client, query):
    answer = client.get(f"/api/similar?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def video_of(track_id):
    return track_id // s.TRACKS_PER_VIDEO


def test_the_most_alike_come_first_one_of_each_video_and_never_an_example(looked_at, client):
    lotte, one = client("lotte"), looked_at[4]
    every = of(lotte, f"to={one}&spread=none")
    assert {track["track_id"] for track in every["tracks"]} == set(looked_at) - {one}
    alike = [track["alike"] for track in every["tracks"]]
    assert alike == sorted(alike, reverse=True)
    spread = of(lotte, f"to={one}")["tracks"]
    videos = [track["video_id"] for track in spread]
    assert len(set(videos)) == len(videos)
    assert set(videos) == {video_of(track) for track in looked_at} - {video_of(one)}
    best: dict[int, float] = {}
    for found in every["tracks"]:
        best.setdefault(found["video_id"], found["alike"])
    assert [track["alike"] for track in spread] == [best[video] for video in videos]
    first = of(lotte, f"to={one}&spread=none&show=3")
    assert first["tracks"] == every["tracks"][:3]
    assert first["more"]


def test_days_are_spread_and_an_example_of_what_is_not_wanted_turns_the_answer(looked_at, archive, client):
    lotte = client("lotte")
    with archive.database.read() as conn:
        rows = conn.execute(sa.select(s.video.c.video_id, s.video.c.recorded_on))
        day = {row.video_id: row.recorded_on or row.video_id for row in rows}
    found = of(lotte, f"to={looked_at[0]}&spread=day")["tracks"]
    days = [day[track["video_id"]] for track in found]
    assert len(set(days)) == len(days)
    assert day[video_of(looked_at[0])] not in days
    middle = len(looked_at) // 2
    plain = of(lotte, f"to={looked_at[middle]}&spread=none")["tracks"]
    turned = of(lotte, f"to={looked_at[middle]}&not={looked_at[-1]}&spread=none")["tracks"]

    def place(tracks):
        return [track["track_id"] for track in tracks].index(looked_at[-2])

    assert place(turned) > place(plain)
    assert looked_at[-1] not in [track["track_id"] for track in turned]


def test_filters_hold_before_the_nearest_are_chosen(looked_at, archive, client):
    """Nearest first and filter then leaves an empty page of an archive that is full of answers."""
    lotte, one, settings = client("lotte"), looked_at[0], archive.settings
    every = of(lotte, f"to={one}&spread=none")["tracks"]
    camera = f"{every[-1]['site']}/{every[-1]['camera']}"
    first = of(lotte, f"to={one}&spread=none&show=1&cam={camera}")["tracks"]
    assert first == [track for track in every if f"{track['site']}/{track['camera']}" == camera][:1]
    day = every[2]["recorded_at"][:10]
    dated = of(lotte, f"to={one}&spread=none&since={day}&until={day}")["tracks"]
    assert dated == [track for track in every if (track["recorded_at"] or "")[:10] == day] != []
    for name in ("status=named", "status=unnamed", "by=person", "who=FF&who=FI", "who=!FF&by=model&p=0.5-0.9"):
        with archive.database.read() as conn:
            columns = read_columns(conn, settings.seed, settings.acquisition.audit_reserve, stamp_of(conn))
        wanted = set(columns.track[columns.matching(parse(urllib.parse.parse_qsl(name)))].tolist())
        found = of(lotte, f"to={one}&spread=none&{name}")
        assert found["tracks"] == [track for track in every if track["track_id"] in wanted] != [], name
        assert found["searched"] == len(wanted)
    page = lotte.get(f"/similar?to={one}&cam={camera}&status=unnamed&quality=0-1").text
    words = f"cam={urllib.parse.quote(camera, safe='/')}&amp;status=unnamed&amp;quality=0-1"
    assert page.count(words) > 3  # every link keeps them
    assert lotte.get(f"/api/similar?to={one}&cam=nowhere/x").json()["error"].startswith("cam: ")
    nothing = lotte.get(f"/similar?to={one}&since=1990-01-01&until=1990-01-02").text
    assert "No other track passes these filters" in nothing


def test_a_track_that_was_split_since_is_not_shown(looked_at, archive, client):
    """Its vector stays in the file until the bundle is embedded again."""
    k = s.track
    with archive.database.write() as conn:
        conn.execute(sa.update(k).where(k.c.track_id == looked_at[1]).values(state="split"))
    found = of(client("lotte"), f"to={looked_at[0]}&spread=none")["tracks"]
    assert {track["track_id"] for track in found} == set(looked_at) - set(looked_at[:2])
    assert of(client("lotte"), f"to={looked_at[1]}")["without_vector"] == [looked_at[1]]


def test_tracks_that_went_a_moment_ago_are_not_shown_either(looked_at, archive, client):
    """Who is gone is read once a minute, and what is shown is looked up each time."""
    lotte = client("lotte")
    of(lotte, f"to={looked_at[0]}")
    k = s.track
    with archive.database.write() as conn:
        gone = looked_at[1:6]
        conn.execute(sa.update(k).where(k.c.track_id.in_(gone)).values(state="split"))
    left = set(looked_at) - set(looked_at[:6])
    for spread, show in (("none", 3), ("video", 2), ("video", 48)):
        found = of(lotte, f"to={looked_at[0]}&spread={spread}&show={show}")["tracks"]
        assert {track["track_id"] for track in found} <= left
        videos = {video_of(track) for track in left} - {video_of(looked_at[0])}
        assert len(found) == (min(show, len(videos)) if spread == "video" else show)


def test_a_model_names_no_track_that_is_kept_for_measuring(archive):
    """Whoever has read what the model thinks repeats it, and the measured accuracy is the model's own."""
    with archive.database.read() as conn:
        n = s.prediction.c.track_id
        named = sorted(set(conn.scalars(sa.select(n))) & set(conn.scalars(sa.select(s.track.c.track_id))))
        share = 0.5
        kept = audit_reserve_mask(np.array(named, np.int64), 0, share)
        assert kept.any()
        shown = shown_tracks(conn, named, 0, share)
        for track_id, reserved in zip(named, kept.tolist(), strict=True):
            if track_id in shown and reserved:
                assert shown[track_id].reserved
                assert shown[track_id].source in (None, "person")
        one = next(track for track in shown.values() if track.reserved and track.source is None)
    record_events(archive.database, [event("identify", one.track_id, "FF")])
    with archive.database.read() as conn:
        assert shown_tracks(conn, [one.track_id], 0, share)[one.track_id].anim_id == "FF"


def test_the_page_its_address_and_its_csv_say_the_same(looked_at, client):
    lotte = client("lotte")
    query = f"to={looked_at[0]}&not={looked_at[-1]}"
    page = lotte.get(f"/similar?{query}").text
    found = of(lotte, query)
    assert found["query"] == query
    places = [page.index(f'data-track="{track["track_id"]}"') for track in found["tracks"]]
    assert places == sorted(places)
    address = page.split('href="/similar.csv')[1].split('"')[0].replace("&amp;", "&")
    rows = list(csv.DictReader(io.StringIO(lotte.get(f"/similar.csv{address}").text)))
    assert [int(row["track_id"]) for row in rows] == [track["track_id"] for track in found["tracks"]]
    assert {row["query"] for row in rows} == {query}
    assert "data-mark" not in page  # who only looks names nothing
    assert "data-mark" in client("anna").get(f"/similar?{query}").text


def test_an_example_without_a_vector_is_named_and_the_others_answer(looked_at, client):
    lotte = client("lotte")
    found = of(lotte, f"to={looked_at[0]},77")
    assert found["without_vector"] == [77]
    assert found["tracks"]
    assert of(lotte, "to=77")["tracks"] == []
    assert "Track 77 is no longer there" in lotte.get("/similar?to=77").text
    assert lotte.get("/similar").status_code == 200


def test_before_anything_is_embedded_the_page_says_so(archive, client):
    with archive.database.read() as conn:
        one = conn.scalar(sa.select(sa.func.min(s.track.c.track_id)).where(s.track.c.state == "live"))
    page = client("lotte").get(f"/similar?to={one}")
    assert page.status_code == 200
    assert "None of the examples has a vector yet" in page.text


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("to=FIFI", "FIFI"), ("to=-1", "-1"), ("to=1&spread=week", "week"), ("to=1&not=1", "1"), ("to=1.5", "1.5"),
        ("to=9999999999999999999", "9999999999999999999"), ("to=" + ",".join(map(str, range(21))), "21"),
        ("to=%C2%B2", "²"), ("to=1&since=May", "May"), ("to=1&status=mine", "mine"),
        ("to=1&since=2013-05-02&until=2013-05-01", "2013-05-01"), ("to=1&colour=red", "colour"),
        ("to=1&who=NOBODY", "NOBODY"),        ("to=1&sort=doubt", "sort"),
    ],
)  # fmt: skip
def test_a_word_without_a_meaning_is_refused_by_name(archive, client, query, named):
    answer = client("lotte").get(f"/api/similar?{query}")
    assert answer.status_code == 422
    assert named in answer.json()["error"]
    assert answer.json()["remedy"]


def test_the_address_holds_the_whole_question():
    """Every link of the page is made by these."""
    asked = SimilarAsked((1, 2), (3,), "day")
    assert read_asked(["1,2"], ["3"], "day") == asked
    assert asked.query(("cam", "a/cam1")) == "to=1,2&not=3&spread=day&cam=a/cam1"
    assert asked.with_wanted(3) == SimilarAsked((1, 2, 3), (), "day")
    assert asked.with_unwanted(1) == SimilarAsked((2,), (3, 1), "day")
    assert asked.without(3).without(1) == SimilarAsked((2,), (), "day")
    full = read_asked([",".join(map(str, range(20)))], [], "video")
    assert full.with_wanted(99) == full
    assert full.with_wanted(5).wanted[-1] == 5
    with pytest.raises(AskedError):
        read_asked(["1"], ["2", "1"], "video")


def test_every_statement_speaks_t_sql(archive):
    heard = []

    def listen(conn, element, several, parameters, options):
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        with archive.database.read() as conn:
            landed_files(conn, answering_embedder(conn) or 1)
            shown_tracks(conn, [track(1), track(2)], 0, 0.1)
            live_among(conn, [track(1)])
        index = VectorIndex(1, [], Catalogue(), {})
        Places(archive.database.read).there(index)
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    said = [(element, names) for element, names in heard if not isinstance(element, str)]
    assert [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))] == []
    assert len({str(element) for element, _ in said}) >= 6


def test_what_is_shown_is_read_the_same_on_every_database(db: Database):
    world.make_world(db)
    with db.read() as conn:
        shown = shown_tracks(conn, [world.track(2), world.track(1), 5], 0, 0.0)
    assert [*shown] == [world.track(2), world.track(1)]
    assert shown[world.track(1)].camera == "cam1"
