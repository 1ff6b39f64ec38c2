"""The list of individuals and the page of one: what is counted as verified, what as the model's, and who is meant."""

import csv
from datetime import date

import pytest

from chimp_assets.database.events import record_events
from chimp_assets.database.merges import merge_individuals
from chimp_assets.insight import lives
from chimp_assets_tests.database.world import event, track


def key_of(conn, code):
    found = lives.find(conn, code)
    assert found is not None
    return found[0]


def test_sightings_are_counted_by_month_camera_and_who_said_so(archive):
    """A guess of the model passes for a sighting that somebody has verified."""
    with archive.database.read() as conn:
        seen = lives.seen(conn, key_of(conn, "FF"))
        assert (seen.verified, seen.model) == (5, 1)
        assert (seen.first, seen.last) == (date(2013, 5, 6), date(2013, 5, 12))
        assert seen.last_verified == date(2013, 5, 11)
        assert [(c.month, c.camera, c.verified, c.model) for c in seen.counts] == [
            ("2013-05", "cam0", 2, 0), ("2013-05", "cam1", 3, 1),
        ]  # fmt: skip
        assert seen.months() == [("2013-05", 5, 1)]
        assert [key for key, _, _ in seen.models] == [2]
        assert lives.seen(conn, key_of(conn, "FD")).models == []


def test_the_gallery_goes_on_after_the_last_picture_of_a_page(archive, monkeypatch):
    """Pictures are shown twice or never where a page ends."""
    with archive.database.read() as conn:
        key = key_of(conn, "FF")
        whole = lives.gallery(conn, key)
        assert [p.track_id for p in whole] == sorted((p.track_id for p in whole), reverse=True)
        pages, before = [], None
        while part := lives.gallery(conn, key, before=before, limit=2):
            pages += part
            before = part[-1].track_id
        assert pages == whole
        assert len(whole) == 6
        assert {p.source for p in lives.gallery(conn, key, "model")} == {"model"}
        decided = lives.decisions(conn, key)
        assert decided[2:] == lives.decisions(conn, key, decided[1].seq)


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
        assert lives.seen(conn, key_of(conn, "FF")).verified == 6
        assert [row.anim_id for row in lives.listing(conn)] == ["FD", "FF", "FI"]


def test_a_decision_that_was_taken_back_stays_in_the_history(archive, client):
    """Nobody could tell why a name is gone."""
    wrong = event("identify", track(8, 0), "FD")
    record_events(archive.database, [wrong, event("retract", supersedes=wrong.annotation_id)])
    with archive.database.read() as conn:
        newest = lives.decisions(conn, key_of(conn, "FD"))[0]
        assert (newest.annotation_id, newest.taken_back) == (wrong.annotation_id, True)
        assert lives.seen(conn, key_of(conn, "FD")).verified == 1
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
    monkeypatch.setattr(lives, "_PART", 2)
    with archive.database.read() as conn:
        assert len(list(lives.sightings(conn, key_of(conn, "FF")))) == 6


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
