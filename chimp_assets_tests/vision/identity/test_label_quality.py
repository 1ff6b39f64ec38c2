"""Labels looked at again: who contradicts themselves, and which names nobody else would give."""

from uuid import uuid4

import numpy as np
import pytest

from chimp_assets.database.labels.agreement import self_agreement
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.insight.status import status_of
from chimp_assets.settings import HeadSettings
from chimp_assets.vision.identity.cross_validation import out_of_fold_probabilities
from chimp_assets.vision.identity.label_quality import ranked
from chimp_assets_tests.vision.identity.test_head import vectors
from chimp_assets_tests.vision.identity.unknown_home import fill


def test_a_person_asked_twice_agrees_or_not(home):
    """An expert's own error rate bounds what any model can reach; counting first answers would make it 100 %."""
    fill(home)
    track = [1 << 20, (1 << 20) + 1, (1 << 20) + 2]

    def say(track_id, lane, kind="identify", anim_id="I0"):
        event = LabelEvent(str(uuid4()), kind, "expert", lane=lane, track_id=track_id, anim_id=anim_id)
        assert record_events(home.database, [event])[0].status == "stored"

    for track_id in track:
        say(track_id, "boundary")
    with home.database.read() as conn:
        assert self_agreement(conn) == []
    say(track[0], "repeat")
    say(track[1], "repeat", anim_id="I1")
    say(track[2], "repeat", kind="unknown", anim_id=None)
    with home.database.read() as conn:
        found = self_agreement(conn)[0]
        assert status_of(conn).agreement == [found]
        assert status_of(conn).to_review is None, "the head of this home never said"
    assert (found.annotator, found.n_repeats, found.n_same) == ("expert", 3, 1)
    assert found.share == pytest.approx(1 / 3)
    assert found.ci_low < found.share < found.ci_high


def test_wrong_names_stand_first_in_the_list():
    """A list in which errors are as frequent as elsewhere costs the expert's minutes and finds nothing."""
    x, y, days = vectors(per_class=40, noise=0.5)
    wrong = np.random.default_rng(1).choice(len(y), 12, replace=False)
    said = y.copy()
    said[wrong] = said[wrong] % 40 + 10
    settings = HeadSettings()
    classes, p = out_of_fold_probabilities(x, said, days, settings.l2_grid[1], 0.5, 0)
    order, quality, error = ranked(np.searchsorted(classes, said), p)
    assert np.isin(order[:12], wrong).mean() >= 0.8
    assert error[wrong].mean() > 0.7
    assert quality[wrong].mean() < quality[np.setdiff1d(np.arange(len(y)), wrong)].mean()


def test_rows_that_no_head_could_judge_are_never_doubtful():
    """All zeros are no opinion; read as one they would put every rare animal on the list."""
    p = np.array([[0.9, 0.1], [0, 0], [0.2, 0.8], [0.1, 0.9]], dtype=np.float32)
    order, _, error = ranked(np.array([0, 1, 0, 1]), p)
    assert order.tolist() == [2]
    assert not error[1]
