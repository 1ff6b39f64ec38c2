"""Seen together: against a second count of the same study, on a small archive by hand, and as people ask for it."""

import csv
from datetime import date, timedelta
from itertools import combinations

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.together import (
    TogetherQuery,
    example_frames,
    index_of,
    together,
)
from chimp_assets.insight.individuals import directory
from chimp_assets_tests.database.study_database import make_study, write_study
from chimp_assets_tests.database.world import event, track


def keys_of(conn, *codes):
    return tuple(directory.find(conn, code)[0] for code in codes)


def ask(home, *codes, **more):
    with home.database.read() as conn:
        return together(conn, TogetherQuery(keys_of(conn, *codes), Scope(**more)))


def test_indices_are_those_of_the_views(home, tmp_path):
    """Two numbers for one question: nobody could say which one to publish."""
    study = make_study(3)
    write_study(home.database, study, tmp_path)
    expected = study.dyads()
    compared = 0
    with home.database.read() as conn:
        key = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
        for a, b in combinations(study.people, 2):
            index = together(conn, TogetherQuery((key[a], key[b]), Scope("clip", probability=0.0))).indices[0]
            truth = expected.get(("video", "all", a, b))
            if truth is None or not index.days:
                continue
            assert (index.x, index.y_a, index.y_b, index.y_ab) == truth[:4], (a, b)
            assert (index.sri, index.hwi) == pytest.approx(truth[-2:]), (a, b)
            compared += index.x > 0
    assert compared >= 3


def test_verified_only_unless_the_model_is_asked_for(archive):
    """Guesses of a model get into a published network."""
    sure = ask(archive, "FF", "FI")
    assert [o.video_id for o in sure.occasions] == [5, 2, 1]
    assert (sure.n_frames, sure.n_clips, sure.n_days, sure.models) == (30, 3, 3, [])
    guessed = ask(archive, "FF", "FI", probability=0.75)
    assert [o.video_id for o in guessed.occasions] == [7, 5, 3, 2, 1]
    assert [o.verified for o in guessed.occasions] == [False, True, False, True, True]
    assert [key for key, _, _ in guessed.models] == [2]
    assert [o.video_id for o in ask(archive, "FF", "FI", probability=0.8).occasions] == [7, 5, 2, 1]
    assert sure.label_seq == 10


def test_each_rule_and_the_days_decide_what_counts(archive):
    """The rule that is shown is not the rule that was counted."""
    with archive.database.write() as conn:
        # In clip 2 the one leaves before the other comes; clip 4 follows clip 3 at its camera after five minutes.
        conn.execute(sa.delete(s.detection).where(s.detection.c.track_id == track(2, 0), s.detection.c.frame_no > 3))
        conn.execute(sa.delete(s.detection).where(s.detection.c.track_id == track(2, 1), s.detection.c.frame_no < 6))
        k = s.track.c
        conn.execute(sa.update(s.track).where(k.track_id == track(2, 0)).values(last_frame_no=3))
        conn.execute(sa.update(s.track).where(k.track_id == track(2, 1)).values(first_frame_no=6))
        v = s.video.c
        third = conn.execute(sa.select(v.recorded_at, v.recorded_on).where(v.video_id == 3)).one()
        conn.execute(
            sa.update(s.video)
            .where(v.video_id == 4)
            .values(recorded_at=third.recorded_at + timedelta(minutes=5), recorded_on=third.recorded_on, camera="cam1")
        )
    assert [o.video_id for o in ask(archive, "FF", "FI").occasions] == [5, 1]
    clips = ask(archive, "FF", "FI", rule="clip")
    assert [(o.video_id, len(o.frames)) for o in clips.occasions] == [(5, 10), (2, 0), (1, 10)]
    assert [o.video_id for o in ask(archive, "FF", "FI", rule="minutes", minutes=5).occasions] == [5, 4, 2, 1]
    assert [o.video_id for o in ask(archive, "FF", "FI", rule="minutes", minutes=4).occasions] == [5, 2, 1]
    some = ask(archive, "FF", "FI", rule="clip", since=date(2013, 5, 7), until=date(2013, 5, 7))
    assert [o.video_id for o in some.occasions] == [2]
    with archive.database.read() as conn:
        shown = example_frames(conn, clips.occasions)
    boxes = [[[box.key for box in frame.boxes] for frame in frames] for frames in shown]
    both = sorted(clips.n_tracks)
    assert [boxes[0], boxes[2]] == [[both], [both]]
    assert sorted(boxes[1]) == [[key] for key in both], "a frame of each, where no frame shows both"


def test_three_together_need_all_three(archive):
    """Two of three pass for three."""
    three = ask(archive, "FF", "FI", "FD")
    assert [(o.video_id, len({k.key for k in o.tracks})) for o in three.occasions] == [(5, 3)]
    assert len(three.indices) == 3


def test_a_name_that_is_taken_back_takes_the_occasion_with_it(archive):
    """Corrections do not reach what is shown."""
    record_events(archive.database, [event("identify", track(5, 1), "GM")])
    assert [o.video_id for o in ask(archive, "FF", "FI").occasions] == [2, 1]
    assert [o.video_id for o in ask(archive, "FF", "GM").occasions] == [5]


def test_an_index_of_known_days_and_its_interval():
    """The formulas are turned round, or the interval does not hold what was drawn."""
    days = [(True, True, True)] * 6 + [(False, True, True)] * 2 + [(False, True, False)] * 3 + [(False, False, True)]
    index = index_of(1, 2, days)
    assert (index.x, index.y_a, index.y_b, index.y_ab, index.days) == (6, 3, 1, 2, 12)
    assert (index.sri, index.hwi) == (pytest.approx(6 / 12), pytest.approx(6 / 10))
    # A share of 6 in 12 days: the binomial distribution's 2.5 and 97.5 % points are 3 and 9 of 12.
    assert (index.sri_low, index.sri_high) == (pytest.approx(3 / 12), pytest.approx(9 / 12))
    assert index.hwi_low < index.hwi < index.hwi_high
    assert not index.too_few
    assert index_of(1, 2, days[2:]).too_few
    assert index_of(1, 2, []).sri is None


def test_the_address_of_a_question_is_its_answer(archive, client):
    """A link in a report shows something else than its reader was sent."""
    anna = client("anna")
    form = "/together?who=FF&who=fred&who=&rule=clip&since=&until=2013-05-31&names=model&p=0.75&minutes=10"
    address = anna.get(form).headers["location"]
    assert address == "/together?with=FF,FI&rule=clip&until=2013-05-31&names=model&p=0.75"
    page = anna.get(address).text
    by_model = 'class="who-0 by-model"'
    for sentence in ("Fifi + Fred", "head 1 (run 2)", "Labels up to decision 10", "/media/frame/7/", by_model):
        assert sentence in page, sentence
    assert address.replace("&", "&amp;") in page
    assert "together." not in page.replace("/together.csv", "").replace("together.js", "")
    assert "too few sightings" in anna.get("/together?with=FF,FI").text
    assert "too few sightings" not in page
    assert "Choose two" in anna.get("/together?with=FF").text
    assert "NOBODY" in anna.get("/together?with=FF,NOBODY").text


def test_csv_says_what_was_asked_of_which_state(client):
    """An export that nobody can make again."""
    rows = list(csv.DictReader(client("lotte").get("/together.csv?with=FF,FI&names=model&p=0.5").text.splitlines()))
    assert len(rows) == 5 * 10
    first = rows[0]
    assert (first["individuals"], first["rule"], first["names"]) == ("FF FI", "frame", "model >= 0.5")
    assert (first["models"], first["label_seq"], first["video_id"]) == ("head 1 (run 2)", "10", "7")
    assert [row["verified"] for row in rows[::10]] == ["0", "1", "0", "1", "1"]


@pytest.mark.parametrize("query", ["rule=magic", "p=7", "minutes=-1", "minutes=99999", "p=nan"])
def test_what_cannot_be_asked_is_refused(client, query):
    """An error of the server, or an answer to another question."""
    assert client("lotte").get(f"/together?with=FF,FI&{query}").status_code == 422
