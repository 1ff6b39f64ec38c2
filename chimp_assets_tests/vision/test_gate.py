"""The gate's rules on answers made by hand."""

import numpy as np

from chimp_assets.settings import GateSettings
from chimp_assets.vision.evaluate import AuditTracks, Judged, metrics_of, wilson
from chimp_assets.vision.gate import against_champion

GATE = GateSettings()


def audit(n: int, sex: str = "F") -> AuditTracks:
    text = np.array([sex] * n, dtype=object)
    return AuditTracks(7, np.arange(n), np.ones(n, dtype=np.int64), text, text, text)


def judged(correct: list[int], probability: float = 0.9) -> Judged:
    n = len(correct)
    right = np.array(correct, dtype=bool)
    return Judged(
        row=np.arange(n),
        ranked=np.where(right[:, None], [[1, 2]], [[2, 3]]),
        probability=np.full(n, probability, dtype=np.float32),
        max_logit=np.zeros(n, dtype=np.float32),
        correct=right,
        taught=np.ones(n, dtype=bool),
        training_tracks=np.full(n, 9),
        commonest=1,
        without_embedding=0,
        trained_on=0,
    )


def verdict(mine: list[int], theirs: list[int], tracks: AuditTracks | None = None, gate: GateSettings = GATE):
    return against_champion(tracks or audit(len(mine)), judged(mine), judged(theirs), 3, gate, 0)


def test_noise_does_not_refuse_and_a_sure_loss_does():
    """One track of twenty is noise; a quarter of two hundred is not."""
    assert verdict([1] * 14 + [0] * 6, [1] * 15 + [0] * 5).promoted
    refused = verdict([1] * 100 + [0] * 100, [1] * 150 + [0] * 50)
    assert not refused.promoted
    assert "50.0% against 75.0% of champion 3 on the same 200 audit tracks" in refused.reason


def test_a_gain_for_many_may_not_be_paid_by_a_protected_few():
    """Better on average and blind for females is a model that hides half of the animals."""
    sex = np.array(["M"] * 88 + ["F"] * 12, dtype=object)
    tracks = AuditTracks(7, np.arange(100), np.ones(100, dtype=np.int64), sex, sex, sex)
    candidate, champion = [1] * 88 + [0] * 12, [1] * 60 + [0] * 28 + [1] * 12
    refused = verdict(candidate, champion, tracks)
    assert not refused.promoted
    assert "sex F loses 100.0% of 12 audit tracks" in refused.reason
    assert verdict(candidate, champion, tracks, GateSettings(min_slice=13)).promoted


def test_too_few_audit_answers_promote_nothing():
    """Seven lucky tracks are no measurement."""
    assert verdict([1] * 7, [0] * 7).reason == (
        "Too few audit answers: 7 named audit tracks, 8 are needed to judge a model."
    )


def test_metrics_of_answers_made_by_hand():
    """Swapped numerators look plausible; these were counted on paper."""
    from chimp_assets.settings import Settings

    rows = metrics_of(4, audit(10), judged([1] * 8 + [0] * 2), Settings.model_construct(seed=1, gate=GATE))
    values = {m.name: m.value for m in rows if m.slice_kind == "all"}
    assert values["top1"] == 0.8
    assert values["top5"] == 0.8
    assert values["macro"] == 0.8
    assert np.isclose(values["ece"], 0.1, atol=1e-6)
    assert "unknown_auroc" not in values


def test_wilson_agrees_with_the_published_example():
    """Wilson 1927 at 95 %: 8 of 10 gives 0.49 to 0.94; none gives everything."""
    assert np.allclose(wilson(8, 10), (0.4902, 0.9433), atol=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 5)[0] == 0.0
