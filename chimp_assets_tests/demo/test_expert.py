"""The simulated expert: right but for the stated errors, and only through the doors that people use."""

import math

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.work.queue import write_round
from chimp_assets.demo.expert import ExpertAnswer, ExpertError, SimulatedExpert, seen_in
from chimp_assets.demo.truth import ArchiveTruth, TrueAnimal, TrueIndividual, TrueVideo
from chimp_assets_tests.support.rows import add_bundle, add_model, add_track, add_video

CAST = [
    TrueIndividual("FF", "Fifi", "F", "1985-01-01"),
    TrueIndividual("FI", "Fred", "M", "2008-01-01", mom="FF"),
    TrueIndividual("TU", "Tumbo", "M", "1979-01-01"),
    TrueIndividual("XA", "Xavi", "M", "1994-01-01", newcomer=True),
]
TIMES = [n / 15 for n in range(60)]


def _stay(anim_id, box, times=TIMES):
    return TrueAnimal(anim_id, list(times), [box] * len(times), [1.0] * len(times))


def _video(*animals, uri="v1.mp4"):
    return TrueVideo(uri, "site", "cam", "2026-03-01T08:00:00+00:00", 640, 360, 15, 4.0, animals=list(animals))


def _track(box, times):
    return np.array([[time, *box] for time in times])


HERE, THERE = (0.1, 0.1, 0.2, 0.3), (0.6, 0.1, 0.2, 0.3)


def test_a_track_is_the_animal_that_most_of_its_boxes_lie_on():
    """A track that ends on a passer-by is still the first animal's."""
    video = _video(_stay("FF", HERE), _stay("FI", THERE))
    boxes = np.vstack([_track((0.11, 0.12, 0.2, 0.3), [0.0, 0.2, 0.4, 0.6, 0.8]), _track(THERE, [1.0])])
    assert seen_in(video, boxes) == ExpertAnswer("identify", "FF")


def test_two_animals_mixed_about_equally_cannot_be_told():
    """A forced name for half a track would teach the head nonsense."""
    video = _video(_stay("FF", HERE), _stay("FI", THERE))
    boxes = np.vstack([_track(HERE, [0.0, 0.2, 0.4]), _track(THERE, [0.6, 0.8])])
    assert seen_in(video, boxes) == ExpertAnswer("cannot_tell")


def test_boxes_on_leaves_are_no_animal_and_so_are_boxes_at_another_time():
    """Position alone is not enough: the animal left before the leaves moved."""
    early = _stay("FF", HERE, TIMES[:15])
    assert seen_in(_video(early), _track(THERE, [0.0, 0.2, 0.4])) == ExpertAnswer("not_animal")
    assert seen_in(_video(early), _track(HERE, [2.0, 2.2, 2.4])) == ExpertAnswer("not_animal")
    assert seen_in(_video(early), _track(HERE, [0.0, 0.2, 0.4])) == ExpertAnswer("identify", "FF")
    assert seen_in(_video(), _track(HERE, [0.0])) == ExpertAnswer("not_animal")


def test_a_box_on_part_of_an_animal_shows_that_animal():
    """Motion often lights up the head only; a person still sees who it is."""
    assert seen_in(_video(_stay("TU", HERE)), _track((0.2, 0.1, 0.08, 0.1), [0.0, 0.2])) == ExpertAnswer(
        "identify", "TU"
    )


@pytest.fixture
def asked(home):
    """A home with three tracks each of Fifi, Tumbo and a newcomer, and a function that asks about all of them."""
    db = home.database
    add_model(db, 1, "detector")
    add_model(db, 2, "embedder")
    add_bundle(db, 1)
    videos, tracks = [], []
    for video_id, anim_id in ((1, "FF"), (2, "TU"), (3, "XA")):
        add_video(db, video_id, 1, "tracked")
        videos.append(_video(_stay(anim_id, HERE), uri=f"v{video_id}.mp4"))
        tracks += [add_track(db, video_id, ordinal) for ordinal in range(3)]
    truth = ArchiveTruth(1, CAST, videos)

    def ask():
        write_round(
            db, policy="{}", seed=1, embedder_model_id=2, watermark_seq=0, n_pool=9, track_ids=tracks,
            lanes=["typical"] * 8 + ["audit"], propensity=[0.5] * 9, reasons=["because"] * 9,
        )  # fmt: skip

    return db, truth, tracks, ask


def _answers(db):
    answer = effective_answers().subquery()
    joined = sa.outerjoin(answer, t.individual, t.individual.c.individual_id == answer.c.individual_id)
    with db.read() as conn:
        return {
            row.track_id: (row.kind, row.anim_id, row.lane)
            for row in conn.execute(
                sa.select(answer.c.track_id, answer.c.kind, answer.c.lane, t.individual.c.anim_id).select_from(joined)
            )
        }


def test_the_queue_is_answered_through_claims_and_events(asked):
    """The demo must use the doors that people use, or it proves nothing about them."""
    db, truth, tracks, ask = asked
    ask()
    expert = SimulatedExpert(db, truth, seed=3, wrong=0, unknown=0)
    counts = expert.answer_queue(100)
    assert counts == {"identify": 8, "new_individual": 1}
    answers = _answers(db)
    assert [answers[track][1] for track in tracks] == ["FF"] * 3 + ["TU"] * 3 + ["XA"] * 3
    assert answers[tracks[-1]][2] == "audit"
    with db.read() as conn:
        assert set(conn.scalars(sa.select(t.acquisition_queue.c.state))) == {"answered"}
        individuals = {
            row.anim_id: row
            for row in conn.execute(sa.select(t.individual.c.anim_id, t.individual.c.name, t.individual.c.provisional))
        }
    assert set(individuals) == {"FF", "FI", "TU", "XA"}
    assert (individuals["XA"].name, individuals["XA"].provisional) == ("Xavi", True)
    assert not individuals["FF"].provisional
    assert expert.answer_queue(100) == {}


def test_at_most_the_wanted_number_is_answered(asked):
    """The demo shows a curve: it must be able to stop between rounds."""
    db, truth, _, ask = asked
    ask()
    assert sum(SimulatedExpert(db, truth, seed=3).answer_queue(4).values()) == 4
    assert len(_answers(db)) == 4


def test_an_answer_whose_acknowledgement_was_lost_is_stored_once(asked):
    """A demo that is killed and continued must not count answers twice."""
    db, truth, _, ask = asked
    ask()
    first = SimulatedExpert(db, truth, seed=3)
    first.answer_queue(100)
    with db.write() as conn:
        conn.execute(sa.update(t.acquisition_queue).values(state="pending"))
        before = conn.scalar(sa.select(sa.func.count()).select_from(t.annotation))
    SimulatedExpert(db, truth, seed=3).answer_queue(9)
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) == before == 9


def test_errors_come_at_the_stated_rates_and_stay_the_same(home):
    """An expert without errors would make the demo look better than life; one who wavers cannot be compared."""
    db = home.database
    add_model(db, 1, "detector")
    add_bundle(db, 1)
    add_video(db, 1, 1, "tracked")
    n = 1500
    with db.write() as conn:
        ids = [t.track_id_of(1, ordinal) for ordinal in range(n)]
        conn.execute(
            sa.insert(t.track),
            [
                {
                    "track_id": i, "video_id": 1, "first_frame_no": 0, "last_frame_no": 0, "first_s": 0.0,
                    "last_s": 0.0, "n_detections": 1,
                    "quality": 0.5, "model_id": 1, "state": "live",
                }
                for i in ids
            ],
        )  # fmt: skip
        conn.execute(
            sa.insert(t.detection),
            [
                {
                    "video_id": 1, "frame_no": 0, "detection_no": k, "track_id": i, "x": 0.1, "y": 0.1, "w": 0.2,
                    "h": 0.3, "score": 0.9,
                }
                for k, i in enumerate(ids)
            ],
        )  # fmt: skip
    truth = ArchiveTruth(1, CAST, [_video(_stay("FF", HERE))])
    answers = SimulatedExpert(db, truth, seed=3, wrong=0.1, unknown=0.2).answers(ids)
    assert set(answers.values()) == {
        ExpertAnswer("identify", "FF"),
        ExpertAnswer("identify", "FI"),
        ExpertAnswer("unknown"),
    }
    for wanted, what in ((0.1, ExpertAnswer("identify", "FI")), (0.2, ExpertAnswer("unknown"))):
        share = sum(answer == what for answer in answers.values()) / n
        assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / n)
    again = SimulatedExpert(db, truth, seed=3, wrong=0.1, unknown=0.2)
    assert all(again.answer(i) == answers[i] for i in ids[::200])
    assert SimulatedExpert(db, truth, seed=4, wrong=0.1, unknown=0.2).answers(ids) != answers
    assert set(SimulatedExpert(db, truth, seed=3, wrong=0.1, unknown=0.2).really(ids).values()) == {
        ExpertAnswer("identify", "FF")
    }


def test_a_home_of_another_archive_is_refused(asked):
    """Answers from the wrong truth would look like a bad model."""
    db, truth, tracks, _ = asked
    other = ArchiveTruth(1, CAST, [_video(uri="elsewhere.mp4")])
    with pytest.raises(ExpertError, match=r"v1\.mp4"):
        SimulatedExpert(db, other, seed=1).answer(tracks[0])
    with pytest.raises(ExpertError, match="no track 99"):
        SimulatedExpert(db, truth, seed=1).answer(99)
