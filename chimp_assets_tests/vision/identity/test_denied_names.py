"""Whom people said a track is not, no head says again: written names, ranks, doubts, and the way back."""

from uuid import uuid4

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.evidence import denials_of, tracks_to_name_again
from chimp_assets.loop.rescore import name_asked_tracks, name_denied_tracks
from chimp_assets.vision.identity.assignment import NOBODY
from chimp_assets.vision.identity.context import TrackContext
from chimp_assets.vision.identity.predict import predict_bundles, score_tracks
from chimp_assets_tests.vision.identity.test_predict import KNOWN, crowded, shown

BUNDLES = ["site-0001", "site-0002"]


def deny(home, track: int, *whom: int) -> list[str]:
    events = [
        LabelEvent(str(uuid4()), "not_individual", "expert", track_id=int(track), anim_id=f"I{who - 1}") for who in whom
    ]
    assert {one.status for one in record_events(home.database, events)} == {"stored"}
    return [one.annotation_id for one in events]


def take_back(home, *ids: str) -> None:
    record_events(home.database, [LabelEvent(str(uuid4()), "retract", "expert", supersedes=one) for one in ids])


def again(home) -> list[int]:
    with home.database.read() as conn:
        return tracks_to_name_again(conn, 100)


def test_no_name_that_people_denied_is_written(home):
    """The names behind it move up; where nobody is left, the animal is unknown. Other videos are as they were."""
    _, head_id, track, *_ = crowded(home)
    predict_bundles(home.database, home.store, BUNDLES, home.settings)
    before, *_ = shown(home)
    firsts = [(int(one), before[int(one)][0][0]) for one in track[:14:3]]
    for one, who in firsts[1:]:
        deny(home, one, who)
    nobody = firsts[0][0]
    deny(home, nobody, *range(1, KNOWN + 1))
    predict_bundles(home.database, home.store, BUNDLES, home.settings)
    names, unknown, _ = shown(home)
    with home.database.read() as conn:
        p, s = t.prediction.c, t.track_score.c
        margin = {one: value for one, value in conn.execute(sa.select(s.track_id, s.margin))}
        rank = [row for row in conn.execute(sa.select(p.track_id, p.rank).order_by(p.track_id, p.rank))]
        kept = [row for row in conn.execute(sa.select(t.denied_prediction).where(t.denied_prediction.c.rank == 1))]
        wrong = dict(denials_of(conn, head_id))
    assert nobody not in names
    assert unknown[nobody]
    assert margin[nobody] == 0
    for one, who in firsts[1:]:
        said = [name for name, _ in names[one]]
        assert who not in said
        assert [r for i, r in rank if i == one] == list(range(1, KNOWN))
        assert {*said, who} == {name for name, _ in before[one]}
        shares = [share for _, share in names[one]]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
        assert abs(margin[one] - (shares[0] - shares[1])) < 1e-6
    touched = {one >> 20 for one, _ in firsts}
    assert {i: said for i, said in names.items() if i >> 20 not in touched} == {
        i: said for i, said in before.items() if i >> 20 not in touched
    }
    assert {row.track_id for row in kept} == set(wrong) <= {one for one, _ in firsts}
    assert nobody in wrong
    assert all(0 < share <= 1 for share in wrong.values())


def test_the_probability_of_who_is_denied_is_shared_out(home):
    """Of a track by itself: among the others and nobody, in proportion."""
    head, _, track, x, *_ = crowded(home)
    n = len(track)
    zeros = np.zeros(n)
    alone = score_tracks(head, x, TrackContext(-1 - np.arange(n), zeros, zeros, None, np.arange(n)))
    first = np.searchsorted(head.classes, alone.class_id[:, 0])
    pairs = np.column_stack([np.arange(n), first])
    denied = score_tracks(head, x, TrackContext(-1 - np.arange(n), zeros, zeros, None, np.arange(n), pairs))
    assert (denied.class_id[:, :-1] == alone.class_id[:, 1:]).all(), "all ranks move up"
    assert (denied.class_id[:, -1] == NOBODY).all()
    assert (denied.probability[:, -1] == 0).all()
    left, before = denied.probability[:, :-1], alone.probability[:, 1:]
    assert (left[:, 0] >= before[:, 0]).all()
    assert np.allclose(left / left.sum(1, keepdims=True), before / before.sum(1, keepdims=True), atol=1e-4)
    assert np.allclose(denied.margin, left[:, 0] - left[:, 1], atol=1e-6)
    assert denied.is_unknown.sum() > alone.is_unknown.sum(), "who looks like one animal only is a stranger without it"
    assert (denied.denied.rank == 1).all()
    assert np.allclose(denied.denied.probability, head.probabilities(head.logits(x)).max(1))


def test_what_is_denied_is_named_anew_with_the_next_plan_and_so_is_what_was_taken_back(home):
    """Until a new head has scored the archive is too long to wait; nobody else's names are touched."""
    _, head_id, track, *_ = crowded(home)
    predict_bundles(home.database, home.store, BUNDLES, home.settings)
    before = shown(home)
    one, other = int(track[3]), int(track[20])
    assert again(home) == []
    ids = deny(home, one, before[0][one][0][0]) + deny(home, other, before[0][other][2][0])
    assert again(home) == [other, one], "the newest denial first"
    with home.database.read() as conn:
        assert dict(denials_of(conn, head_id)).keys() == {one}, "the second was not the first name"
    assert name_asked_tracks(home) == 2
    assert again(home) == []
    after = shown(home)
    assert {i for i in before[0] if before[0][i] != after[0][i]} == {one, other}
    with home.database.read() as conn:
        assert dict(denials_of(conn, head_id)).keys() == {one}
    take_back(home, *ids)
    assert again(home) == sorted((one, other))
    assert name_denied_tracks(home) == 2
    back = shown(home)
    for i in (one, other):
        assert np.allclose(np.array(before[0][i], float), np.array(back[0][i], float), atol=1e-6)
    with home.database.read() as conn:
        assert denials_of(conn, head_id) == []


def test_a_denial_holds_for_whom_a_class_has_become(home):
    """The head learned two names of what is one animal now."""
    _, _, track, *_ = crowded(home)
    predict_bundles(home.database, home.store, BUNDLES, home.settings)
    before, *_ = shown(home)
    merge_individuals(home.database, "I4", "I3")
    deny(home, track[0], 4)
    assert name_asked_tracks(home) == 1
    names, *_ = shown(home)
    assert {name for name, _ in before[int(track[0])]} - {name for name, _ in names[int(track[0])]} == {4, 5}
