"""More like this: the examples of the address, what is left out, and words that mean nothing."""

import csv
import io

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.insight.similar.asked import AskedError, SimilarAsked, read_asked
from chimp_assets.insight.similar.tracks import shown_tracks
from chimp_assets_tests.database.world import event
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
    for track in every["tracks"]:
        best.setdefault(track["video_id"], track["alike"])
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


def test_a_track_that_was_split_since_is_not_shown(looked_at, archive, client):
    """Its vector stays in the file until the bundle is embedded again."""
    k = s.track
    with archive.database.write() as conn:
        conn.execute(sa.update(k).where(k.c.track_id == looked_at[1]).values(state="split"))
    found = of(client("lotte"), f"to={looked_at[0]}&spread=none")["tracks"]
    assert {track["track_id"] for track in found} == set(looked_at) - set(looked_at[:2])


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
        ("to=%C2%B2", "²"),
    ],
)  # fmt: skip
def test_a_word_without_a_meaning_is_refused_by_name(archive, client, query, named):
    answer = client("lotte").get(f"/api/similar?{query}")
    assert answer.status_code == 400
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


def test_what_is_shown_is_read_the_same_on_every_database(db: Database):
    from chimp_assets_tests.database import world

    world.make_world(db)
    with db.read() as conn:
        shown = shown_tracks(conn, [world.track(2), world.track(1), 5], 0, 0.0)
    assert [*shown] == [world.track(2), world.track(1)]
    assert shown[world.track(1)].camera == "cam1"
