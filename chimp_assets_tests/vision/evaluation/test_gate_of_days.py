"""The gate and the metrics count camera-days, and a gate that is asked again and again keeps its promise."""

from dataclasses import replace
from datetime import date

import numpy as np

from benchmarks.intervals import repeated_gate
from chimp_assets.settings import GateSettings, Settings
from chimp_assets.vision.evaluation.audit import camera_days
from chimp_assets.vision.evaluation.gate import against_champion, harmed_slice, was_refused_on_answers
from chimp_assets.vision.evaluation.metrics import metrics_of
from chimp_assets_tests.support.sentences import untranslated
from chimp_assets_tests.vision.evaluation.test_gate import GATE, audit, judged


def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def test_a_refused_candidate_does_not_pass_by_being_asked_again():
    """Judged 20 times on a growing audit, a worse head passed sooner or later in one run of eight, by chance alone.
    Promised is at most 2.5 of 100, and that no head loses more than its verdict rules out in more than 5 of 100."""
    for gain in (-0.1, -0.05):
        ours, rows = repeated_gate(rng(), 40, gain), repeated_gate(rng(), 40, gain, rows_only=True)
        assert ours.after_refusal <= 0.025
        assert ours.beyond <= 0.05
        assert rows.after_refusal > 0.08


def test_a_candidate_within_the_tolerance_is_refused_as_seldom_as_promised():
    """gate.confidence 0.9: one that loses just the tolerance is refused in one look of ten; by tracks it was in two."""
    ours = repeated_gate(rng(), 150, -GATE.tolerance, looks=1, days=60)
    rows = repeated_gate(rng(), 150, -GATE.tolerance, looks=1, days=60, rows_only=True)
    assert ours.refused <= 0.16  # 0.1 and two and a half standard errors
    assert rows.refused > ours.refused


def test_one_bad_day_is_one_day():
    """Thirty tracks of one foggy day say nothing about other days."""
    mine, theirs = [0] * 30 + [1] * 70, [1] * 30 + [1] * 70
    by_track = against_champion(audit(100), judged(mine), judged(theirs), 3, GATE)
    days = replace(audit(100), block=np.concatenate([np.zeros(30, int), np.arange(70) + 1]))
    by_day = against_champion(days, judged(mine), judged(theirs), 3, GateSettings(slice_tolerance=1))
    assert not by_track.promoted
    assert by_day.promoted
    assert "of 71 camera-days" in by_day.reason
    assert untranslated([by_day.reason]) == set()


def test_a_blind_model_does_not_pass_because_all_tracks_are_of_one_day():
    """One day says nothing about days to come; it says enough about this archive."""
    one_day = replace(audit(60), block=np.zeros(60, dtype=int))
    assert not against_champion(one_day, judged([0] * 60), judged([1] * 60), 3, GATE).promoted


def test_a_candidate_that_was_refused_has_to_show_that_it_is_as_good():
    """The first look gives the benefit of the doubt, the second does not."""
    mine, theirs = [1] * 30 + [0] * 2, [1] * 32
    first, again = (
        against_champion(audit(32), judged(mine), judged(theirs), 3, GATE, asked) for asked in (False, True)
    )
    assert first.promoted
    assert not again.promoted
    assert "is not ruled out (2.0% may be lost)" in again.reason
    shown = against_champion(audit(900), judged([1] * 900), judged([1] * 600 + [0] * 300), 3, GATE, True)
    assert shown.promoted
    assert "a loss of more than 0.0% is ruled out" in shown.reason
    assert untranslated([first.reason, again.reason, shown.reason]) == set()
    assert was_refused_on_answers("refused", again.reason)
    assert not was_refused_on_answers("refused", "Too few audit answers: 7 named audit tracks, 8 are needed.")
    assert not was_refused_on_answers("candidate", None)


def test_many_slices_are_not_many_chances_to_refuse():
    """Five slices, each tested at 5 %, refuse a better model in one audit of five."""
    gain = np.array([-1.0] * 5 + [0.0] * 15)
    alone = {"age_class": np.array(["infant"] * 20, dtype=object)}
    assert harmed_slice(alone, gain, np.arange(20), GATE).value == "infant"
    many = {"age_class": np.repeat(np.array(list("abcde"), dtype=object), 20)}
    assert harmed_slice(many, np.concatenate([gain, np.zeros(80)]), np.arange(100), GATE) is None
    same_day = np.concatenate([np.zeros(5, int), np.arange(15) + 1])
    assert harmed_slice(alone, gain, same_day, GATE) is None, "five tracks of one day are one bad day"


def test_metrics_say_what_they_are_about():
    """The audit drew its tracks one by one, so the archive is counted by tracks; cameras and days to come by days."""
    tracks = replace(audit(40), block=np.repeat(np.arange(10), 4))
    rows = metrics_of(4, tracks, judged(([1] * 4 + [0] * 4) * 5), Settings.model_construct(seed=1, gate=GATE))
    found = {(m.slice_kind, m.name): m for m in rows}
    archive, days, ever = (found["all", name] for name in ("top1", "top1_days", "top1_ever"))
    assert (archive.about, archive.blocks) == ("archive", None)
    assert (days.about, days.blocks) == (ever.about, ever.blocks) == ("days", 10)
    assert archive.value == days.value == ever.value == 0.5
    assert days.ci_high - days.ci_low > 1.5 * (archive.ci_high - archive.ci_low)
    assert ever.ci_high - ever.ci_low > days.ci_high - days.ci_low
    assert found["camera", "top1"].blocks == 10
    assert found["sex", "top1"].blocks is None


def test_a_block_is_a_camera_and_a_day():
    """A video without a day is a block of its own: it may be of any."""
    one, other = date(2020, 1, 1), date(2020, 1, 2)
    where = [
        ("A", one, 1),
        ("A", one, 2),
        ("B", one, 3),
        ("A", other, 4),
        ("A", None, 5),
        ("A", None, 6),
        (None, one, 7),
    ]
    assert camera_days(where).tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert camera_days([]).dtype == np.int64
