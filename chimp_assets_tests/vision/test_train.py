"""Embedder to promoted head and predictions in a small home: training, evaluation, gate, scoring."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.work import due
from chimp_assets.database.work.due import unscored_bundles
from chimp_assets.settings import load_settings
from chimp_assets.vision.datasets.training_set import build_training_set, member_bytes, read_members, rebuild_members
from chimp_assets.vision.embedding.bundle import embed_bundle
from chimp_assets.vision.embedding.embedder import fit_embedder
from chimp_assets.vision.evaluation.audit import NEW, AuditJudge, heads_to_evaluate, judge_audit
from chimp_assets.vision.evaluation.metrics import evaluate_head
from chimp_assets.vision.evaluation.promotion import decide
from chimp_assets.vision.identity.fitting import fit_head
from chimp_assets.vision.identity.head import head_tensors, load_head
from chimp_assets.vision.identity.label_quality import doubtful_labels, write_csv
from chimp_assets.vision.identity.predict import predict_bundles, score_tracks
from chimp_assets.vision.identity.training import train_head
from chimp_assets.vision.models.checkpoint import ModelError, champion, model_of, promote, register_model
from chimp_assets.vision.models.code_version import code_version
from chimp_assets.vision.models.registry import show_model
from chimp_assets.vision.train import main
from chimp_assets_tests.support.homes import copied, fill
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit

KEYS = ["site-0001", "site-0002"]
EMBED = {"crop_side": 48, "dimensions": 16, "weights": "self_supervised"}


@pytest.fixture(scope="module")
def labelled_home(empty_home, tmp_path_factory):
    """30 videos, embedded; the training pool answered but for EE on most days; the audit answered. folder, truth."""
    home = copied(empty_home, tmp_path_factory.mktemp("labelled") / "home")
    truth = make_animals(home, videos=30)
    settings = load_settings(home.settings.home, embed=EMBED)
    fit_embedder(home.database, home.store, settings)
    for key in KEYS:
        embed_bundle(home.database, home.store, key, settings)
    teach, audit = teaching_and_audit(home, truth)
    answer(home, truth, "typical", [i for i in teach if truth[i] != "EE"])
    answer(home, truth, "audit", audit)
    home.database.dispose()
    return home.settings.home, truth


@pytest.fixture
def labelled(home, labelled_home):
    """Fills the home with `labelled_home`: settings, truth."""
    root, truth = labelled_home
    fill(home, root)
    return load_settings(home.settings.home, embed=EMBED), truth


def trained(home, settings):
    return train_head(home.database, home.store, settings, build_training_set(home.database, home.store, settings))


def test_a_candidate_is_trained_once_and_knows_where_it_comes_from(home, labelled):
    """A killed run that is run again must not fill the model table with twins."""
    settings, _ = labelled
    first = trained(home, settings)
    again = trained(home, settings)
    assert again.model_id == first.model_id
    assert (first.classes, first.without_embedding) == (4, 0)
    with home.database.read() as conn:
        row, embedder = model_of(conn, first.model_id), champion(conn, "embedder")
        assert embedder is not None
        assert heads_to_evaluate(conn) == [first.model_id]
    assert (row.state, row.parent_id, row.training_set_id) == ("candidate", embedder.model_id, first.training_set_id)
    assert row.config["labels"] == first.labels


def test_a_head_is_made_again_from_its_row(home, labelled):
    """A result that cannot be made again cannot be checked: the same labels, seed and code give the same bytes."""
    settings, truth = labelled
    made = trained(home, settings)
    with home.database.read() as conn:
        row = model_of(conn, made.model_id)
        said = show_model(conn, made.model_id)["made_again_by"]
    _, audit = teaching_and_audit(home, truth)
    answer(home, truth, "typical", audit[:3])  # what is answered later is not part of it
    assert f"--training-set {row.training_set_id}" in said
    assert code_version() in said
    with home.database.write() as conn:
        conn.execute(sa.delete(schema.model).where(schema.model.c.model_id == made.model_id))
    home.store.delete(row.checkpoint_uri)
    again = train_head(home.database, home.store, settings, row.training_set_id)
    with home.database.read() as conn:
        assert model_of(conn, again.model_id).checkpoint_hash == row.checkpoint_hash
        members = rebuild_members(conn, row.training_set_id, settings)
    assert member_bytes(members) == member_bytes(read_members(home.database, home.store, row.training_set_id))


def test_a_wrong_label_is_on_the_list_to_look_at_again(home, labelled, tmp_path):
    """A slip of the key teaches the head for ever unless somebody is shown it."""
    settings, truth = labelled
    teach, _ = teaching_and_audit(home, truth)
    slipped = next(i for i in teach if truth[i] == "AA")
    answer(home, {slipped: "BB"}, "boundary")
    promote(home.database, trained(home, settings).model_id, "test")
    found = doubtful_labels(home.database, home.store, settings)
    assert found[0].track_id == slipped
    assert (found[0].labelled, found[0].suggested) == ("BB", "AA")
    write_csv(found, tmp_path / "review.csv")
    assert (tmp_path / "review.csv").read_text().startswith("rank,track_id,annotation_id,labelled,suggested")


def test_the_audit_says_how_good_a_head_is_and_the_untaught_counts_as_wrong(home, labelled):
    """Leaving animals that the head was never taught out of the accuracy would flatter it."""
    settings, truth = labelled
    model_id = trained(home, settings).model_id
    metrics = evaluate_head(home.database, home.store, model_id, settings)
    _, audit = teaching_and_audit(home, truth)
    untaught = sum(truth[i] == "EE" for i in audit)
    assert untaught > 0
    top1 = next(m for m in metrics if (m.name, m.slice_kind) == ("top1", "all"))
    assert top1.n == len(audit)
    assert top1.value <= 1 - untaught / len(audit) + 1e-9
    assert top1.value > 0.5
    assert top1.ci_low < top1.value < top1.ci_high
    names = {m.name for m in metrics}
    assert names == {
        "top1", "top5", "macro", "ece", "kin_confusion", "unknown_auroc", "unknown_tpr_at_1", "unknown_tpr_at_5",
        "unknown_found", "false_alarm", "balanced_open", "said", "top1_days",
        "top1_ever",
    }  # fmt: skip
    kinds = {m.slice_kind for m in metrics}
    assert kinds >= {"all", "individual", "sex", "camera", "light", "length", "split", "labels", "training_tracks"}
    assert sum(m.n for m in metrics if m.slice_kind == "sex") == len(audit)
    bins = [m for m in metrics if (m.name, m.slice_kind) == ("top1", "probability")]
    assert sum(m.n for m in bins) == len(audit)
    assert sum(m.n * m.value for m in bins) == pytest.approx(top1.n * top1.value)
    evaluate_head(home.database, home.store, model_id, settings)
    with home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(schema.evaluation_metric)) == len(metrics)


def test_a_verdict_is_of_the_answers_that_were_measured(home, labelled):
    """Audit answers that land between measuring and deciding would compare two heads on different tracks."""
    settings, truth = labelled
    _, audit = teaching_and_audit(home, truth)
    first, second = trained(home, settings), trained(home, settings.model_copy(update={"seed": 7}))
    judge = AuditJudge(home.database, home.store, settings)
    tracks, judged = judge.answers(first.model_id)
    answer(home, truth, "audit", audit[:2], kind="unknown")
    later, _ = judge.answers(second.model_id)
    assert later is tracks
    assert judge.answers(first.model_id)[1] is judged
    assert (judge_audit(home.database, home.store, first.model_id)[0].truth == NEW).sum() == 2


def test_a_head_is_fitted_without_torch(home, labelled):
    """Its import takes as long as fitting a small head, each time that labels land."""
    settings, _ = labelled
    training_set = build_training_set(home.database, home.store, settings)
    code = (
        "import sys; from chimp_assets.vision.train import main;"
        f" assert main(['--home', {str(home.settings.home)!r}, '--training-set', '{training_set}']) == 0;"
        " sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_track_called_unknown_measures_the_unknown_and_not_the_names(home, labelled):
    """A person's "unknown" has no name to be right about; counted as wrong it would punish honesty."""
    settings, truth = labelled
    _, audit = teaching_and_audit(home, truth)
    answer(home, truth, "audit", audit[:1], kind="unknown")
    model_id = trained(home, settings).model_id
    tracks, judged = judge_audit(home.database, home.store, model_id)
    assert (tracks.truth == NEW).sum() == 1
    assert not judged.correct[tracks.truth[judged.row] == NEW].any()
    top1 = next(m for m in evaluate_head(home.database, home.store, model_id, settings) if m.name == "top1")
    assert top1.n == len(audit) - 1


def test_without_an_audit_there_is_a_row_that_says_so_and_no_promotion(home):
    """An accuracy of nothing must not be read as an accuracy."""
    truth = make_animals(home)
    settings = load_settings(home.settings.home, embed=EMBED)
    fit_embedder(home.database, home.store, settings)
    for key in KEYS:
        embed_bundle(home.database, home.store, key, settings)
    answer(home, truth, "typical")
    model_id = trained(home, settings).model_id
    metrics = evaluate_head(home.database, home.store, model_id, settings)
    assert [(m.name, m.n) for m in metrics] == [("top1", 0), ("top5", 0)]
    verdict = decide(home.database, home.store, model_id, settings)
    assert not verdict.promoted
    assert verdict.reason.startswith("Too few audit answers: 0")


def test_a_good_head_is_promoted_and_a_worse_one_refused_with_numbers(home, labelled):
    """A worse model that replaces a better one undoes the expert's work overnight."""
    settings, _ = labelled
    good = trained(home, settings).model_id
    verdict = decide(home.database, home.store, good, settings)
    assert verdict.promoted
    assert "always the commonest individual" in verdict.reason
    assert decide(home.database, home.store, good, settings) == verdict
    with home.database.read() as conn:
        row = model_of(conn, good)
    head = load_head(home.store, row)
    worse = _register(home, row, {**head_tensors(head), "W": -head.W})
    refused = decide(home.database, home.store, worse, settings)
    assert not refused.promoted
    assert refused.reason.startswith("Worse: ")
    same = _register(home, row, {**head_tensors(head), "b": head.b + 0.0})
    assert decide(home.database, home.store, same, settings).promoted
    with home.database.read() as conn:
        states = [model_of(conn, m).state for m in (good, worse, same)]
    assert states == ["retired", "refused", "champion"]


def test_a_head_no_better_than_one_name_for_all_is_refused(home, labelled):
    """The first head has nobody to be compared with; without a floor anything would be promoted."""
    settings, _ = labelled
    with home.database.read() as conn:
        row = model_of(conn, trained(home, settings).model_id)
    head = load_head(home.store, row)
    constant = _register(home, row, {**head_tensors(head), "W": head.W * 0, "b": -np.arange(4, dtype=np.float32)})
    assert decide(home.database, home.store, constant, settings).reason.startswith("Not better than chance")


def test_every_live_track_gets_its_ranks_and_scores_once(home, labelled):
    """Running a killed scoring again doubled rows or left some of the old head's."""
    settings, truth = labelled
    model_id = trained(home, settings).model_id
    with pytest.raises(ModelError, match="no champion head"):
        predict_bundles(home.database, home.store, KEYS, settings)
    promote(home.database, model_id, "test")
    with home.database.read() as conn:
        assert unscored_bundles(conn) == KEYS
    first = predict_bundles(home.database, home.store, KEYS, settings)
    rows = _rows(home)
    second = predict_bundles(home.database, home.store, KEYS, settings)
    assert _rows(home) == rows
    assert (first.n_tracks, first.n_rows, first.left) == (len(truth), 4 * len(truth), [])
    assert second.n_rows == first.n_rows
    with home.database.read() as conn:
        assert due.unscored_bundles(conn) == []
        names = dict(conn.execute(sa.select(schema.individual.c.individual_id, schema.individual.c.anim_id)).all())
    total: dict[int, float] = {}
    for track_id, _, _, probability in rows[0]:
        total[track_id] = total.get(track_id, 0) + probability
    # Less than 1 where a likely name is that of another animal seen at the same time.
    assert all(0 < t <= 1.0001 for t in total.values())
    assert np.median(list(total.values())) > 0.99
    best = {track_id: names[who] for track_id, rank, who, _ in rows[0] if rank == 1}
    known = [i for i in truth if truth[i] != "EE"]
    assert np.mean([best[i] == truth[i] for i in known]) > 0.8
    novelty = {track_id: value for track_id, value in rows[1]}
    teach, _ = teaching_and_audit(home, truth)
    assert all(novelty[i] < 0.01 for i in teach if truth[i] != "EE")


def test_a_split_track_loses_its_predictions_and_stale_embeddings_are_made_first(home, labelled):
    """A junk track with a name would be counted as a sighting."""
    settings, truth = labelled
    promote(home.database, trained(home, settings).model_id, "test")
    predict_bundles(home.database, home.store, KEYS, settings)
    gone = min(truth)
    with home.database.write() as conn:
        conn.execute(sa.update(schema.track).where(schema.track.c.track_id == gone).values(state="split"))
    predict_bundles(home.database, home.store, KEYS[:1], settings)
    assert gone not in {row[0] for row in _rows(home)[0]}


def test_a_budget_stops_after_the_bundle_that_passes_it(home, labelled):
    """Re-scoring must never run over the whole archive because a model was promoted."""
    settings, _ = labelled
    promote(home.database, trained(home, settings).model_id, "test")
    small = load_settings(settings.home, embed=EMBED, score={"tracks_per_run": 1})
    done = predict_bundles(home.database, home.store, KEYS, small)
    assert (done.n_bundles, done.left) == (1, KEYS[1:])


def test_a_head_of_another_embedder_is_not_applied(home, labelled):
    """Vectors of a new embedder under an old head give confident nonsense."""
    settings, _ = labelled
    promote(home.database, trained(home, settings).model_id, "test")
    fit_embedder(home.database, home.store, settings)
    with pytest.raises(ModelError, match="belongs to embedder"):
        predict_bundles(home.database, home.store, KEYS, settings)


def test_scores_say_how_sure_and_how_new():
    """Margin, entropy and novelty steer what the expert is asked."""
    x = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    head = fit_head(x, np.array([5, 5, 6, 6, 7, 7]), np.array([0, 1, 0, 1, 0, 1]), load_settings().head, 0).head
    asked = np.array([[1, 0, 0, 0, 0, 0], [0.7071, 0.7071, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]], dtype=np.float32)
    scores = score_tracks(head, asked)
    assert scores.class_id.shape == (3, 3)
    assert scores.class_id[0, 0] == 5
    assert scores.margin[0] > 0.5 > 0.05 > scores.margin[1]
    assert scores.entropy[0] < scores.entropy[1]
    assert np.allclose(scores.novelty, [0, 1 - 0.7071, 1], atol=0.01)


def test_the_command_prints_one_line_of_json_and_errors_in_words(home, labelled, capfd):
    """Dagster, Azure ML and a person in a shell all start training by this command."""
    settings, _ = labelled
    training_set_id = build_training_set(home.database, home.store, settings)
    done = subprocess.run(
        [sys.executable, "-m", "chimp_assets.vision.train", "--home", str(settings.home), "--training-set",
         str(training_set_id)],
        capture_output=True, text=True, check=True, env={**os.environ, "CHIMP_EMBED__DIMENSIONS": "16"},
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert len(done.stdout.splitlines()) == 1
    assert said["training_set_id"] == training_set_id
    with home.database.read() as conn:
        assert model_of(conn, said["model_id"]).state == "candidate"
    assert main(["--home", str(settings.home), "--training-set", "99"]) == 2
    out = capfd.readouterr()
    assert out.out == ""
    assert "There is no training set 99." in out.err


def _register(home, row, tensors):
    from chimp_assets.vision.models.checkpoint import save_checkpoint

    uri, digest = save_checkpoint(home.store, "models/head/head", tensors, row.config)
    return register_model(home.database, "head", "changed", row.config, uri, digest, row.parent_id, row.training_set_id)


def _rows(home):
    p, s = schema.prediction.c, schema.track_score.c
    with home.database.read() as conn:
        ranks = conn.execute(
            sa.select(p.track_id, p.rank, p.individual_id, p.probability).order_by(p.track_id, p.rank)
        ).all()
        return ranks, conn.execute(sa.select(s.track_id, s.novelty).order_by(s.track_id)).all()


def test_a_head_from_before_a_merge_is_right_with_either_name(home, labelled):
    """Else every merge makes the champion look worse than it is, and any candidate is promoted over it."""
    settings, _ = labelled
    head = trained(home, settings).model_id
    _, before = judge_audit(home.database, home.store, head)
    merge_individuals(home.database, "AA", "CC")
    tracks, after = judge_audit(home.database, home.store, head)
    with home.database.read() as conn:
        ids = dict(conn.execute(sa.select(schema.individual.c.anim_id, schema.individual.c.individual_id)).all())
    assert ids["AA"] not in tracks.truth
    assert ids["AA"] not in after.ranked
    assert (after.correct | ~before.correct).all(), "what was right is right still"
    assert after.taught.tolist() == before.taught.tolist()
