"""What a model may learn from, and that it can be known for ever."""

import uuid

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.individuals.merges import last_merge, merge_individuals, unmerge_individual
from chimp_assets.database.labels.events import LabelEvent, last_seq, record_events
from chimp_assets.vision.datasets.training_set import (
    build_training_set,
    describe_training_set,
    member_bytes,
    newest_training_set,
    read_members,
    rebuild_members,
    training_members,
)
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit


def members_of(home):
    """The members as of now."""
    with home.database.read() as conn:
        return training_members(conn, last_seq(conn), last_merge(conn), home.settings)


def rebuilt(home, training_set_id):
    """The bytes of a training set, found anew in the database."""
    with home.database.read() as conn:
        return member_bytes(rebuild_members(conn, training_set_id, home.settings))


def test_only_tracks_outside_the_audit_and_test_days_teach(home):
    """A leak of one audit track makes the measured accuracy a lie."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    answer(home, truth, "typical")  # an expert who was asked about everything, reserve and test days too
    members = members_of(home)
    assert members.track_id.tolist() == teach
    with home.database.read() as conn:
        names = dict(conn.execute(sa.select(schema.individual.c.individual_id, schema.individual.c.anim_id)).all())
    assert [names[c] for c in members.class_id] == [truth[i] for i in teach]
    assert len(set(members.group.tolist())) == len({i // schema.TRACKS_PER_VIDEO for i in teach})


def test_a_correction_of_an_audit_answer_does_not_make_it_teach(home):
    """The correction comes through another lane; by its lane alone the audited track would slip into training."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    answer(home, truth, "audit", teach[:1])
    answer(home, truth, "free", teach)
    assert members_of(home).track_id.tolist() == teach[1:]


def test_any_past_training_set_can_be_made_again_byte_for_byte(home):
    """Later answers, corrections and retractions must not reach back behind a watermark."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    answer(home, truth, "typical", teach[:14])
    first = build_training_set(home.database, home.store, home.settings)
    with home.database.read() as conn:
        row = describe_training_set(conn, first)
        given = conn.scalars(sa.select(schema.annotation.c.annotation_id).order_by(schema.annotation.c.seq)).all()
    before = home.store.get(row.member_uri)
    answer(home, truth, "typical", teach[14:])
    record_events(home.database, [LabelEvent(str(uuid.uuid4()), "retract", "expert", supersedes=given[0])])
    assert rebuilt(home, first) == before
    second = build_training_set(home.database, home.store, home.settings)
    assert second != first
    again = read_members(home.database, home.store, second)
    assert again.track_id.tolist() == teach[1:]
    assert member_bytes(read_members(home.database, home.store, first)) == before


def test_a_past_training_set_does_not_learn_of_later_merges(home):
    """A set that is rebuilt with today's identities is not what the model learned from."""
    truth = make_animals(home)
    answer(home, truth, "typical")
    sets = [build_training_set(home.database, home.store, home.settings)]

    def built():
        sets.append(build_training_set(home.database, home.store, home.settings))

    merge_individuals(home.database, "AA", "CC")
    built()
    merge_individuals(home.database, "CC", "EE")
    built()
    unmerge_individual(home.database, "CC")
    built()
    unmerge_individual(home.database, "AA")
    built()
    assert len(set(sets)) == 5
    with home.database.read() as conn:
        rows = [describe_training_set(conn, key) for key in sets]
        ids = dict(conn.execute(sa.select(schema.individual.c.anim_id, schema.individual.c.individual_id)).all())
    assert [row.merge_watermark for row in rows] == [0, 1, 2, 3, 4]
    assert [row.n_classes for row in rows] == [5, 4, 3, 4, 5]
    files = [home.store.get(row.member_uri) for row in rows]
    assert files[0] == files[4] != files[1] == files[3] != files[2]
    assert [rebuilt(home, key) for key in sets] == files
    chained = read_members(home.database, home.store, sets[2])
    assert set(chained.class_id.tolist()) == {ids["BB"], ids["DD"], ids["EE"]}


def test_a_step_that_is_run_twice_leaves_one_row(home):
    """A sensor that retries a killed run would otherwise train twice on one watermark."""
    truth = make_animals(home)
    answer(home, truth, "typical")
    first = build_training_set(home.database, home.store, home.settings)
    assert build_training_set(home.database, home.store, home.settings) == first
    with home.database.read() as conn:
        assert newest_training_set(conn) == first
        row = describe_training_set(conn, first)
    members = members_of(home)
    assert (row.n_tracks, row.n_classes) == (len(members.track_id), len(np.unique(members.class_id)))


def test_answers_that_name_nobody_and_tracks_that_were_cut_teach_nothing(home):
    """A track that a person split shows two animals: its old name is wrong for half of its crops."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    answer(home, truth, "typical", teach[:5])
    answer(home, truth, "typical", teach[5:7], kind="unknown")
    cut = LabelEvent(
        str(uuid.uuid4()),
        "split",
        "expert",
        track_id=teach[0],
        video_id=teach[0] // schema.TRACKS_PER_VIDEO,
        frame_no=3,
    )
    assert [r.status for r in record_events(home.database, [cut])] == ["stored"]
    assert members_of(home).track_id.tolist() == teach[1:5]
    record_events(home.database, [LabelEvent(str(uuid.uuid4()), "retract", "expert", supersedes=cut.annotation_id)])
    assert members_of(home).track_id.tolist() == teach[:5]


def test_another_vocabulary_is_another_query(home):
    """Nothing in the training code may assume that a class is an individual."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    answer(home, truth, "typical")

    def sexes(watermark, merge_watermark):
        from chimp_assets.database.labels.answers import effective_answers

        named = effective_answers(watermark, merge_watermark).subquery()
        return sa.select(
            named.c.track_id,
            sa.case((schema.individual.c.sex == "F", 1), else_=0).label("class_id"),
            named.c.annotation_id,
        ).join(schema.individual, schema.individual.c.individual_id == named.c.individual_id)

    key = build_training_set(home.database, home.store, home.settings, sexes)
    members = read_members(home.database, home.store, key)
    assert members.class_id.tolist() == [int(truth[i] in "AA CC EE") for i in teach]


def test_too_few_labels_and_one_class_are_said_in_a_sentence(home):
    """The expert must learn that her audit answers did not count, not that an array was empty."""
    truth = make_animals(home)
    teach, _ = teaching_and_audit(home, truth)
    answer(home, truth, "typical", teach[:3])
    with pytest.raises(ModelError, match="3 labels are usable for training; the first head needs 12"):
        build_training_set(home.database, home.store, home.settings)
    answer(home, dict.fromkeys(truth, "AA"), "free", teach)
    with pytest.raises(ModelError, match="name one class"):
        build_training_set(home.database, home.store, home.settings)
    with home.database.read() as conn:
        assert newest_training_set(conn) is None
        with pytest.raises(ModelError, match="no training set 9"):
            describe_training_set(conn, 9)


def test_a_member_file_that_changed_is_not_learned_from(home):
    """A file edited by hand would teach what nobody answered."""
    truth = make_animals(home)
    answer(home, truth, "typical")
    key = build_training_set(home.database, home.store, home.settings)
    with home.database.read() as conn:
        row = describe_training_set(conn, key)
    home.store.put(row.member_uri, home.store.get(row.member_uri).replace(b"\n", b"\r\n"))
    with pytest.raises(ModelFileError, match="changed"):
        read_members(home.database, home.store, key)
