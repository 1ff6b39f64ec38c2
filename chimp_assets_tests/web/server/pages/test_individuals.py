"""The list of individuals and the page of one: what is counted as verified, what as the model's, and who is meant."""

import csv
from datetime import date

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.individuals import decisions, directory, lookalikes, pictures, sightings
from chimp_assets.insight.search.reading import read_columns, stamp_of
from chimp_assets.web.labelling.items import picture_url
from chimp_assets_tests.database.world import HEAD, START, event, track


def key_of(conn, code):
    found = directory.find(conn, code)
    assert found is not None
    return found[0]


def test_sightings_are_counted_by_month_camera_and_who_said_so(archive):
    """A guess of the model passes for a sighting that somebody has verified."""
    with archive.database.read() as conn:
        seen = sightings.sighting_summary(conn, key_of(conn, "FF"))
        assert (seen.verified, seen.model) == (5, 1)
        assert (seen.first, seen.last) == (date(2013, 5, 6), date(2013, 5, 12))
        assert seen.last_verified == date(2013, 5, 11)
        assert [(c.month, c.camera, c.verified, c.model) for c in seen.counts] == [
            ("2013-05", "cam0", 2, 0), ("2013-05", "cam1", 3, 1),
        ]  # fmt: skip
        assert seen.months() == [("2013-05", 5, 1)]
        assert [key for key, _, _ in seen.models] == [2]
        assert sightings.sighting_summary(conn, key_of(conn, "FD")).models == []


def test_the_gallery_goes_on_after_the_last_picture_of_a_page(archive, monkeypatch):
    """Pictures are shown twice or never where a page ends."""
    with archive.database.read() as conn:
        key = key_of(conn, "FF")
        columns = read_columns(conn, 0, 0.0, stamp_of(conn))
        ids = pictures.gallery_tracks(columns, "FF").tolist()
        assert ids == sorted(ids, reverse=True)
        assert [p.track_id for p in pictures.gallery(conn, key, ids)] == ids
        assert len(ids) == 6
        named_by_it = pictures.gallery_tracks(columns, "FF", "model").tolist()
        assert {p.source for p in pictures.gallery(conn, key, named_by_it)} == {"model"}
        decided = decisions.decisions(conn, key)
        assert decided[2:] == decisions.decisions(conn, key, decided[1].seq)


def test_a_merged_individual_is_the_other_with_all_that_was_said(archive, client):
    """Half of an animal's life disappears when two entries become one."""
    record_events(archive.database, [event("identify", track(8, 0), "GM", note="a scar on the left ear")])
    merge_individuals(archive.database, "GM", "FF", why="the same scar")
    anna = client("anna")
    assert anna.get("/individual/GM").headers["location"] == "/individual/FF"
    page = anna.get("/individual/FF").text
    assert "a scar on the left ear" in page
    assert "Gremlin" in page.split("Merged into this one")[1]
    with archive.database.read() as conn:
        assert sightings.sighting_summary(conn, key_of(conn, "FF")).verified == 6
        assert [row.anim_id for row in directory.listing(conn)] == ["FD", "FF", "FI"]


def test_a_decision_that_was_taken_back_stays_in_the_history(archive, client):
    """Nobody could tell why a name is gone."""
    wrong = event("identify", track(8, 0), "FD")
    record_events(archive.database, [wrong, event("retract", supersedes=wrong.annotation_id)])
    with archive.database.read() as conn:
        newest = decisions.decisions(conn, key_of(conn, "FD"))[0]
        assert (newest.annotation_id, newest.taken_back) == (wrong.annotation_id, True)
        assert sightings.sighting_summary(conn, key_of(conn, "FD")).verified == 1
    assert "taken back" in client("lotte").get("/individual/FD").text


def test_csv_has_every_track_with_who_said_so(archive, client):
    """An analysis would mix guesses with names, or open as a formula."""
    with archive.database.write() as conn:
        conn.exec_driver_sql("UPDATE video SET camera = '=1+1' WHERE video_id = 7")
    answer = client("lotte").get("/individual/FF.csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["source"] for row in rows] == ["person"] * 5 + ["model"]
    assert all(bool(row["annotation_id"]) == (row["source"] == "person") for row in rows)
    assert (rows[-1]["model_id"], rows[-1]["probability"], rows[-1]["camera"]) == ("2", "0.875", "'=1+1")
    assert rows[0]["recorded_at"] == "2013-05-06T07:00:00.000Z"
    assert "sightings_FF.csv" in answer.headers["content-disposition"]


def test_sightings_are_read_in_parts_without_a_gap(archive, monkeypatch):
    """The export of a well-known animal ends after the first part."""
    monkeypatch.setattr(sightings, "_PART", 2)
    with archive.database.read() as conn:
        assert len(list(sightings.sightings(conn, key_of(conn, "FF")))) == 6


def test_the_page_says_who_it_is_and_what_it_rests_on(client):
    """A mother, a guess or a model run without a name."""
    page = client("lotte").get("/individual/FI").text
    for sentence in (">Fifi</a>", "2010-03-01", "verified", "head 1 (run 2)", "75 %", "2013-05", "a / cam1"):
        assert sentence in page, sentence
    assert "individual." not in page.replace("individual.js", "")


@pytest.mark.parametrize("code", ["NOBODY", "%00", "..%2F..%2Fetc", "X.csv", "A" * 5000])
def test_who_is_not_there_is_not_found(client, code):
    """An unknown code must be an answer, not an error of the server."""
    assert client("lotte").get(f"/individual/{code}").status_code == 404


def sent(browser, path, **body):
    answer = browser.post(path, json=body)
    return answer.status_code, answer.json()


def test_photos_are_chosen_and_ordered_by_people(archive, client):
    """The photos by which everybody recognises an animal are of another one, or in an order that nobody chose."""
    anna = client("anna")
    first, second = track(1, 0), track(5, 0)
    assert sent(anna, "/api/individuals/FF/references", tracks=[second, first])[0] == 200
    with archive.database.read() as conn:
        chosen = pictures.photos(conn, key_of(conn, "FF"))
        assert [(photo.track_id, photo.by) for photo in chosen] == [(second, "anna"), (first, "anna")]
    assert sent(anna, "/api/individuals/FF/references", tracks=[first])[1]["before"] == [second, first]
    for wrong in ([track(1, 1)], [track(7, 0)], [10**9], [first] + [track(v, 0) for v in range(2, 8)]):
        assert sent(anna, "/api/individuals/FF/references", tracks=wrong)[0] == 422, wrong
    with archive.database.read() as conn:
        assert [photo.track_id for photo in pictures.photos(conn, key_of(conn, "FF"))] == [first]
        assert conn.scalar(sa.select(sa.func.count()).where(s.audit_event.c.action == "individual.references")) == 2
    assert "chosen by anna" in client("lotte").get("/individual/FF").text
    assert sent(client("vera"), "/api/individuals/FF/references", tracks=[])[0] == 403


def test_not_this_one_asks_a_reviewer_and_can_be_taken_back(archive, client):
    """A wrong picture is seen by everybody and mended by nobody, or a slip cannot be undone."""
    anna = client("anna")
    _, said = sent(anna, "/api/individuals/FF/not-this-one", track_id=track(7, 0))
    with archive.database.read() as conn:
        assert decisions.asked_for_review(conn, [track(7, 0), track(1, 0)]) == {
            track(7, 0): (said["annotation_id"], "anna")
        }
        assert sightings.sighting_summary(conn, key_of(conn, "FF")).model == 1, "a question is no answer"
    assert "anna asks for a review" in anna.get("/individual/FF").text
    record_events(archive.database, [event("retract", supersedes=said["annotation_id"])])
    sent(anna, "/api/individuals/FI/not-this-one", track_id=track(7, 1))
    record_events(archive.database, [event("identify", track(7, 1), "GM", annotator="rita")])
    with archive.database.read() as conn:
        assert decisions.asked_for_review(conn, [track(7, 0), track(7, 1)]) == {}


def test_a_mistyped_code_is_mended_on_the_page_and_back(archive, client):
    """A wrong code stood on every page and in every table for ever."""
    rita = client("rita")
    assert "data-rename" in rita.get("/individual/FD").text
    assert sent(rita, "/api/individuals/FD/rename", to=" fq ", why="typed wrong") == (
        200,
        {"anim_id": "FQ", "former": "FD", "alias": True},
    )
    moved = rita.get("/individual/FD")
    assert (moved.status_code, moved.headers["location"]) == (303, "/individual/FQ")
    page = rita.get("/individual/FQ").text
    assert "anim_id: FD -&gt; FQ (typed wrong)" in page
    assert sent(rita, "/api/individuals/FQ/rename", to="FD")[1]["alias"] is False
    with archive.database.read() as conn:
        acts = [
            row.subject
            for row in conn.execute(sa.select(s.audit_event).where(s.audit_event.c.action == "individual.rename"))
        ]
    assert acts == ["FQ", "FD"]
    for wrong, says in (
        ("GM", "another individual"),
        ("F\u202e", "U+202E"),
        ("F\u0425", "mixes alphabets"),
        ("", "characters"),
    ):
        status, answer = sent(rita, "/api/individuals/FD/rename", to=wrong)
        assert (status, says in answer["error"]) == (422, True), answer
    assert sent(client("vera"), "/api/individuals/FD/rename", to="X")[0] == 403
    assert "data-rename" not in client("vera").get("/individual/FD").text


def test_signs_that_nobody_sees_are_written_out_on_pages(archive, client):
    """A name of a camera turned the line round in which it stood."""
    with archive.database.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 7).values(camera="a\u202eb\u200bc\x1bd<i>"))
        conn.execute(sa.update(s.individual).where(s.individual.c.anim_id == "FI").values(name="F\u202ered"))
    lotte = client("lotte")
    for path in ("/individual/FF", "/individual/FI", "/individuals", "/together/network", "/together/network.graphml"):
        text = lotte.get(path).text
        assert not {"\u202e", "\u200b", "\x1b"} & set(text), path
    assert "a\\u202eb\\u200bc\\x1bd&lt;i&gt;" in lotte.get("/individual/FF").text
    assert "F\\u202ered" in lotte.get("/individuals").text


def test_signs_that_nobody_sees_are_written_out_by_the_islands(archive, page):
    """What a browser draws from JSON never passes the templates."""
    with archive.database.write() as conn:
        conn.execute(sa.update(s.individual).where(s.individual.c.anim_id == "FF").values(name="F\u202ered\u200b"))
    page.goto("/label/grid?individual=ff")
    page.get_by_text("F\\u202ered\\u200b").first.wait_for()
    assert not {"\u202e", "\u200b"} & set(page.inner_text("main"))


def test_a_merge_shows_first_what_it_changes_and_can_be_undone(archive, client):
    """Hundreds of tracks get another name by a slip, and nobody can tell which."""
    rita = client("rita")
    look = rita.get("/individual/FI?merge_into=fifi").text
    assert "Fred (FI) turns out to be Fifi (FF)." in look
    assert "6 tracks will be shown as Fifi." in look
    assert "4 of these were named by people, 2 by the model." in look
    assert "There is no other individual" in rita.get("/individual/FI?merge_into=FI").text
    status, said = sent(rita, "/api/individuals/FI/merge", into="FF")
    assert (status, "they cannot be one" in said["error"]) == (422, True)
    assert sent(rita, "/api/individuals/FI/merge", into="FF", force=True, why="the same scar")[0] == 200
    with archive.database.read() as conn:
        seen = sightings.sighting_summary(conn, key_of(conn, "FF"))
        assert (seen.verified, seen.model) == (9, 3)
    look = rita.get("/individual/FF?unmerge=FI").text
    assert "Fred (FI) is not Fifi after all." in look
    assert "6 tracks will be shown as Fred." in look
    assert sent(rita, "/api/individuals/FI/unmerge")[0] == 200
    with archive.database.read() as conn:
        assert sightings.sighting_summary(conn, key_of(conn, "FF")).verified == 5
        actions = conn.scalars(sa.select(s.audit_event.c.action).order_by(s.audit_event.c.audit_event_id)).all()
    assert actions[-2:] == ["individual.merge", "individual.unmerge"]
    vera = client("vera")
    assert sent(vera, "/api/individuals/FI/merge", into="FF")[0] == 403
    assert "turns out" not in vera.get("/individual/FI?merge_into=FF").text


def test_lookalikes_are_those_the_model_takes_for_each_other(archive, client):
    """A reviewer compares with whom nobody confuses."""
    with archive.database.write() as conn:
        who = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
        # Two tracks of Fifi are taken for Gremlin; once Fred is the second guess.
        for key, rank, code in ((track(1, 0), 1, "GM"), (track(2, 0), 1, "GM"), (track(7, 0), 2, "FI")):
            values = {"model_id": HEAD, "track_id": key, "rank": rank, "individual_id": who[code], "probability": 0.1}
            conn.execute(sa.insert(s.prediction).values(values))
    with archive.database.read() as conn:
        found = [(a.anim_id, a.taken_for, a.taken_as, a.second) for a in lookalikes.lookalikes(conn, who["FF"])]
        assert found == [("GM", 2, 0, 0), ("FI", 0, 0, 1)]
        assert [(a.anim_id, a.taken_as) for a in lookalikes.lookalikes(conn, who["GM"])] == [("FF", 2)]
    assert "The model confuses them on 2 verified tracks" in client("lotte").get("/individual/FF").text


def test_the_numbers_of_the_gallery_are_what_can_be_paged(archive, client):
    """A gallery that counts other tracks than it shows hides some for ever."""
    with archive.database.read() as conn:
        key = key_of(conn, "FF")
        seen = sightings.sighting_summary(conn, key)
        counted = {"person": seen.verified, "volunteers": seen.volunteers, "model": seen.model}
        columns = read_columns(conn, 0, 0.0, stamp_of(conn))
        assert counted == {source: len(pictures.gallery_tracks(columns, "FF", source)) for source in counted}
    page = client("lotte").get("/individual/FF?source=model").text
    assert f'<span class="count">{sum(counted.values())}</span>' in page
    assert page.count("data-picture=") == counted["model"]
    assert page.count('href="/similar?to=') == counted["model"]


def test_the_gallery_shows_no_name_by_the_model_of_a_track_that_measures_it(archive, client):
    """Under her name it said what the model thinks, and whoever answered the audit repeated it."""
    one, named = track(7, 0), track(6, 0)
    lotte = client("lotte")
    assert f'data-picture="{one}"' in lotte.get("/individual/FF").text
    with archive.database.write() as conn:
        for video_id in (6, 7):
            tested = {"video_id": video_id, "day_key": "a", "split": "test", "assigned_at": START}
            conn.execute(sa.insert(s.split_assignment).values(tested))
    page = lotte.get("/individual/FF").text
    assert f'data-picture="{one}"' not in page
    assert f'data-picture="{named}"' in page
    assert "1 more tracks are counted above and not shown" in page
    assert "data-picture" not in lotte.get("/individual/FF?source=model").text


def test_each_picture_of_a_gallery_is_there_or_says_why_not(archive, client):
    """An empty square says neither that a film is lost nor that a picture is on its way."""
    lotte = client("lotte")
    with archive.database.read() as conn:
        ids = pictures.gallery_tracks(read_columns(conn, 0, 0.0, stamp_of(conn)), "FF").tolist()
        shown = pictures.gallery(conn, key_of(conn, "FF"), ids)
    assert shown
    for one in shown:
        answer = lotte.get(picture_url(one.track_id, one.content_hash))
        if answer.status_code == 200:
            assert answer.headers["content-type"] == "image/jpeg"
        else:
            assert answer.json()["error"]
            assert answer.json()["remedy"]
