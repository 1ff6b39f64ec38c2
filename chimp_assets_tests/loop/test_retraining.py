"""A retraining is the same whoever asks for it, and a re-scoring goes on when the embedder has changed."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from chimp_assets.cli import app
from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.definitions import build_definitions
from chimp_assets.home import Home
from chimp_assets.loop import bundle, training
from chimp_assets.loop import retrain as retraining
from chimp_assets.loop.rescore import rescore
from chimp_assets.vision.embedding.bundle import embed_bundle
from chimp_assets.vision.embedding.embedder import fit_embedder
from chimp_assets.vision.models.checkpoint import champion, promote, register_model
from chimp_assets.vision.train import train_head
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit

KEYS = ["site-0001", "site-0002"]


@pytest.fixture
def taught(home, monkeypatch):
    """30 videos, embedded and half answered: a champion head, and a candidate that a killed training has left; then
    the audit and the other half were answered."""
    for name, value in (("CROP_SIDE", "48"), ("DIMENSIONS", "16"), ("WEIGHTS", "self_supervised"), ("EPOCHS", "1")):
        monkeypatch.setenv(f"CHIMP_EMBED__{name}", value)
    truth = make_animals(home, videos=30)
    home.database.dispose()
    opened = Home.open(home.settings.home)
    fit_embedder(opened.database, opened.store, opened.settings)
    for key in KEYS:
        embed_bundle(opened.database, opened.store, key, opened.settings)
    teach, audit = teaching_and_audit(opened, truth)
    for n, part in enumerate((teach[::3], teach[1::3])):
        answer(opened, truth, "typical", part)
        head = train(opened, retraining.make_training_set(opened))
        if n == 0:
            promote(opened.database, head, "for the test")
    answer(opened, truth, "typical", teach[2::3])
    answer(opened, truth, "audit", audit)
    return opened


def train(home: Home, training_set_id: int) -> int:
    return train_head(home.database, home.store, home.settings, training_set_id).model_id


def verdicts(home: Home) -> dict[int, tuple[str, str | None]]:
    with home.database.read() as conn:
        heads = conn.execute(sa.select(t.model).where(t.model.c.task == "head")).all()
    return {head.version: (head.state, head.reason) for head in heads}


def measured(home: Home) -> list[tuple[int, str, str, str, float]]:
    """What was measured of which version of the head, in the order of its keys."""
    metric = t.evaluation_metric.c
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(t.model.c.version, metric.slice_kind, metric.slice_value, metric.name, metric.value)
            .join_from(t.evaluation_metric, t.model, t.model.c.model_id == metric.model_id)
            .where(t.model.c.task == "head", metric.dataset == "audit")
        )
        return sorted(tuple(row) for row in rows)


def copied(home: Home, to: Path) -> Home:
    """A second home like the first, in which no file may be open: reading it would take SQLite's locks away."""
    home.database.dispose()
    shutil.copytree(home.settings.home, to)
    return Home.open(to)


@pytest.mark.slow
def test_the_asset_chain_and_the_command_evaluate_and_judge_the_same_heads(taught, tmp_path, monkeypatch):
    """The command measured its own head alone, and left a candidate of a killed training without a verdict."""
    other = copied(taught, tmp_path / "other")
    definitions = build_definitions()

    monkeypatch.setenv("CHIMP_HOME", str(taught.settings.home))
    with dg.instance_for_test() as instance:
        assert definitions.resolve_job_def("retrain").execute_in_process(instance=instance).success
    monkeypatch.setenv("CHIMP_HOME", str(other.settings.home))
    assert CliRunner().invoke(app, ["retrain", "--json"]).exit_code == 0

    assert {version for version, *_ in measured(taught)} == {1, 2, 3}
    assert measured(taught) == measured(other)
    assert verdicts(taught) == verdicts(other)
    assert {state for state, _ in verdicts(taught).values()} <= {"champion", "refused", "retired"}


def test_a_retraining_without_news_gives_the_verdict_there_is(taught, monkeypatch):
    monkeypatch.setattr(retraining, "train_in_own_process", train)
    first = retraining.retrain(taught)
    before = verdicts(taught)
    assert retraining.retrain(taught) == first
    assert verdicts(taught) == before


def test_a_new_embedder_embeds_the_archive_while_the_champion_head_still_belongs_to_the_old_one(taught):
    """Scoring with a head of another embedder is an error, so nothing was embedded, and no head could be fitted."""
    with taught.database.read() as conn:
        old = champion(conn, "embedder")
    new = register_model(
        taught.database, "embedder", "better", old.config, old.checkpoint_uri, old.checkpoint_hash, state="champion"
    )
    assert bundle.scoring_head(taught) is None
    assert bundle.predict(taught, KEYS[0]) is None
    done = rescore(taught)
    assert (done.bundles, done.with_predictions, done.left) == (KEYS, False, 0)
    with taught.database.read() as conn:
        assert due.unscored_bundles(conn) == []
        assert champion(conn, "embedder").model_id == new
    head = train(taught, retraining.make_training_set(taught))
    promote(taught.database, head, "for the test")
    assert rescore(taught).with_predictions


def test_a_training_that_fails_says_the_last_words_of_its_process(home):
    with pytest.raises(training.TrainingError, match=r"Training on set 7 failed: .*7"):
        training.train_in_own_process(home, 7)
