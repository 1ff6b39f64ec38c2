"""The gate's rules on answers made by hand."""

from dataclasses import replace

import numpy as np

from chimp_assets.settings import GateSettings, Settings
from chimp_assets.statistics.shares import wilson
from chimp_assets.vision.evaluation.audit import AuditAnswers, AuditTracks
from chimp_assets.vision.evaluation.gate import against_champion, against_commonest
from chimp_assets.vision.evaluation.metrics import are_maternal_kin, confusions, metrics_of, reliability
from chimp_assets.vision.evaluation.plots import confusion_figure, png, reliability_figure
from chimp_assets_tests.support.sentences import untranslated

GATE = GateSettings()


def audit(n: int, **slices: list[str]) -> AuditTracks:
    kinds = {"sex": ["F"] * n, "age_class": ["adult"] * n, "camera": ["cam"] * n, **slices}
    told = {kind: np.array(values, dtype=object) for kind, values in kinds.items()}
    return AuditTracks(7, np.arange(n), np.ones(n, dtype=np.int64), told, {1: 3}, np.arange(n))


def judged(correct: list[int], probability: float = 0.9, flagged: list[int] | None = None) -> AuditAnswers:
    n = len(correct)
    right = np.array(correct, dtype=bool)
    return AuditAnswers(
        row=np.arange(n),
        ranked=np.where(right[:, None], [[1, 2]], [[2, 3]]),
        probability=np.full(n, probability, dtype=np.float32),
        familiarity=np.zeros(n, dtype=np.float32),
        correct=right,
        taught=np.ones(n, dtype=bool),
        training_tracks=np.full(n, 9),
        flagged=np.zeros(n, dtype=bool) if flagged is None else np.array(flagged, dtype=bool),
        commonest=1,
        without_embedding=0,
        trained_on=0,
    )


def verdict(mine: list[int], theirs: list[int], tracks: AuditTracks | None = None, gate: GateSettings = GATE):
    found = against_champion(tracks or audit(len(mine)), judged(mine), judged(theirs), 3, gate)
    assert untranslated([found.reason]) == set()
    return found


def test_the_first_head_must_beat_always_the_commonest():
    """A head that knows one name is right as often as that individual is seen."""
    tracks = audit(20)
    good, poor = (
        against_commonest(tracks, replace(judged(right), commonest=2), GATE) for right in ([1] * 20, [0] * 20)
    )
    few = against_commonest(audit(3), judged([1] * 3), GATE)
    assert (good.promoted, poor.promoted, few.promoted) == (True, False, False)
    assert untranslated(one.reason for one in (good, poor, few)) == set()


def test_noise_does_not_refuse_and_a_sure_loss_does():
    """One track of twenty is noise; a quarter of two hundred is not."""
    assert verdict([1] * 14 + [0] * 6, [1] * 15 + [0] * 5).promoted
    refused = verdict([1] * 100 + [0] * 100, [1] * 150 + [0] * 50)
    assert not refused.promoted
    assert "50.0% against 75.0% of champion 3 on the same 200 audit tracks" in refused.reason


def test_a_gain_for_many_may_not_be_paid_by_a_protected_few():
    """Better on average and blind for females is a model that hides half of the animals."""
    tracks = audit(100, sex=["M"] * 88 + ["F"] * 12)
    candidate, champion = [1] * 88 + [0] * 12, [1] * 60 + [0] * 28 + [1] * 12
    refused = verdict(candidate, champion, tracks)
    assert not refused.promoted
    assert "sex F loses 100.0% of 12 audit tracks" in refused.reason
    assert verdict(candidate, champion, tracks, GateSettings(min_slice=13)).promoted


def test_better_on_average_and_worse_on_infants_is_refused():
    """Infants are few, change fast and carry the questions about mothers: an average would not miss them."""
    tracks = audit(400, age_class=["adult"] * 370 + ["infant"] * 30)
    champion = [1] * 280 + [0] * 90 + [1] * 24 + [0] * 6
    candidate = [1] * 320 + [0] * 50 + [1] * 14 + [0] * 16
    refused = verdict(candidate, champion, tracks)
    assert sum(candidate) > sum(champion)
    assert not refused.promoted
    assert refused.reason.startswith("Harms a protected slice: age_class infant loses 33.3% of 30 audit tracks")
    assert "83.5% against 76.0% of champion 3" in refused.reason
    unborn = audit(400, age_class=["adult"] * 370 + [""] * 30)
    assert verdict(candidate, champion, unborn).promoted, "an age that nobody knows is no slice"


def audits(rng: np.random.Generator, gain: float, n: int = 400) -> tuple[AuditTracks, list[int], list[int]]:
    """A simulated audit of n tracks: right answers of a candidate that is truly better by `gain`, and of a champion
    that is right on 70 %; they disagree on every fifth track, as two heads of one embedder do."""
    kinds = {
        "sex": rng.choice(["F", "M"], n).tolist(),
        "age_class": rng.choice(["infant", "juvenile", "adolescent", "adult"], n, p=[0.08, 0.12, 0.15, 0.65]).tolist(),
    }
    disagree = rng.random(n) < 0.2
    champion = rng.random(n) < 0.7
    better = rng.random(n) < 0.5 + gain / 0.4
    candidate = np.where(disagree, better, champion)
    champion = np.where(disagree, ~better, champion)
    return audit(n, **kinds), candidate.astype(int).tolist(), champion.astype(int).tolist()


def promoted_of(gain: float, times: int = 100) -> int:
    rng = np.random.default_rng(5)
    gate = GateSettings(bootstrap=500)
    return sum(
        verdict(mine, theirs, tracks, gate).promoted
        for tracks, mine, theirs in (audits(rng, gain) for _ in range(times))
    )


def test_a_truly_better_model_is_promoted_95_times_of_100_and_a_bad_one_never():
    """Many protected slices are many chances to refuse a better model by accident."""
    assert promoted_of(0.05) >= 95
    assert promoted_of(-0.15) <= 5


def test_the_unknown_found_and_missed_are_counted():
    """Two of three strangers flagged, one of four known called a stranger: counted on paper."""
    answers = judged([1, 1, 0, 1, 0, 0, 0], flagged=[0, 0, 0, 1, 1, 1, 0])
    answers = replace(
        answers,
        taught=np.array([1, 1, 1, 1, 0, 0, 0], dtype=bool),
        familiarity=np.array([5, 4, 3, 1, 0, 0.5, 2], dtype=np.float32),
    )
    rows = metrics_of(4, audit(7), answers, Settings.model_construct(seed=1, gate=GATE))
    values = {m.name: m.value for m in rows if m.slice_kind == "all"}
    assert values["unknown_found"] == 2 / 3
    assert values["false_alarm"] == 1 / 4
    assert np.isclose(values["balanced_open"], (2 / 4 + 2 / 3) / 2)
    assert np.isclose(values["unknown_auroc"], 11 / 12)
    assert np.isclose(values["unknown_tpr_at_5"], 2 / 3)


def test_kin_are_marked_among_the_confusions():
    """Mistakes between a mother and her child are expected; between strangers they are not."""
    tracks = replace(audit(4), truth=np.array([1, 1, 1, 1]), mother={1: 2})
    assert confusions(tracks, judged([1, 0, 0, 1])) == [(1, 2, 2, True)]
    assert are_maternal_kin(5, 6, {5: 9, 6: 9})
    assert not are_maternal_kin(5, 6, {5: 9, 6: 8})


def test_reliability_counts_each_bin():
    """A diagram whose bins slip by one shows a calibrated head as wrong."""
    bins = reliability(np.array([0.05, 0.15, 0.15, 1.0]), np.array([0, 1, 0, 1]))
    assert [(round(p, 2), share, n) for p, share, _, _, n in bins] == [(0.05, 0, 1), (0.15, 0.5, 2), (1.0, 1, 1)]


def test_the_pictures_of_an_evaluation_are_small_and_mark_kin():
    """Pictures lie in an event log that is never purged, and a diagram without kin hides the mistakes to expect."""
    tracks = replace(audit(300), truth=np.arange(300) % 60 + 1, mother={i: i + 1 for i in range(1, 60)})
    answers = judged([1, 0, 0] * 100)
    figure = confusion_figure(tracks, answers, {1: "FF"})
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(labels) == 20
    assert any(label.endswith("(kin)") for label in labels)
    pictures = {"reliability": png(reliability_figure(answers.probability, answers.correct)), "confusions": png(figure)}
    assert all(0 < len(picture) <= 100_000 for picture in pictures.values())
    assert confusion_figure(audit(3), judged([1, 1, 1]), {}) is None


def test_too_few_audit_answers_promote_nothing():
    """Seven lucky tracks are no measurement."""
    assert verdict([1] * 7, [0] * 7).reason == (
        "Too few audit answers: 7 named audit tracks, 8 are needed to judge a model."
    )


def test_metrics_of_answers_made_by_hand():
    """Swapped numerators look plausible; these were counted on paper."""
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
    for n in range(1, 200):  # rounding must not put a share outside of its own interval: a plot refuses that
        for hits in (0, n):
            low, high = wilson(hits, n)
            assert 0 <= low <= hits / n <= high <= 1
    assert wilson(0, 5)[0] == 0.0
