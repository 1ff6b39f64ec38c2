"""A candidate embedder from the names of a small home: trained, judged on other days, promoted or refused."""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa
import torch

from chimp_assets.database import schema
from chimp_assets.database.work import due as work
from chimp_assets.settings import load_settings
from chimp_assets.vision import train
from chimp_assets.vision.datasets.roles import roles_of_days
from chimp_assets.vision.datasets.training_set import Members, build_training_set, read_members
from chimp_assets.vision.embedding import fine_tuning, metric_learning
from chimp_assets.vision.embedding.crop_file import crops_on_disk
from chimp_assets.vision.embedding.embedder import fit_embedder, load_embedder
from chimp_assets.vision.embedding.fine_tuning import fine_tune, gain_interval
from chimp_assets.vision.embedding.metric_learning import Recipe
from chimp_assets.vision.evaluation.promotion import decide_embedder
from chimp_assets.vision.learning.training import TrainingState
from chimp_assets.vision.learning.unfinished import FOLDER, STATE_FILE, unfinished_training
from chimp_assets.vision.models.checkpoint import ModelError, champion, model_of, register_model
from chimp_assets_tests.support.homes import copied, fill
from chimp_assets_tests.support.sentences import untranslated
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit

EMBED = {"crop_side": 48, "dimensions": 16, "weights": "self_supervised", "crops_per_track": 3}
TINY = replace(Recipe(), side=32, min_views=320, batch=16)


@pytest.fixture(scope="module")
def named_home(empty_home, tmp_path_factory):
    """30 videos with a first embedder, their teaching tracks named: (folder, truth, training_set_id)."""
    home = copied(empty_home, tmp_path_factory.mktemp("named") / "home")
    truth = make_animals(home, videos=30)
    (home.settings.home / "chimp.toml").write_text(
        "[embed]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in EMBED.items())
        + "\nfine_tune_epochs = 1\nfine_tune_labels = 20\n"
    )  # fmt: skip
    settings = load_settings(home.settings.home)
    fit_embedder(home.database, home.store, settings)
    answer(home, truth, "typical", teaching_and_audit(home, truth)[0])
    training_set_id = build_training_set(home.database, home.store, settings)
    home.database.dispose()
    return home.settings.home, truth, training_set_id


@pytest.fixture
def named(home, named_home, monkeypatch):
    """Fills the home with `named_home`: (settings, truth, training_set_id)."""
    monkeypatch.setattr(fine_tuning, "Recipe", lambda: TINY)
    root, truth, training_set_id = named_home
    fill(home, root)
    return load_settings(home.settings.home), truth, training_set_id


def test_the_command_makes_a_candidate_that_was_judged_on_days_it_never_saw(home, named, capsys):
    """An embedder judged on its own training days always looks better, and the archive is embedded anew for nothing."""
    settings, _, training_set_id = named
    with home.database.read() as conn:
        parent = champion(conn, "embedder").model_id
    forecast(home, register_model(home.database, "head", "head", {}, parent_id=parent, state="champion"), 3600.0)
    told = ["--home", str(home.settings.home), "--training-set", str(training_set_id), "--task", "embedder"]
    assert train.main(told) == 0
    out, err = capsys.readouterr()
    said = json.loads(out.splitlines()[-1])
    assert "loss" in err
    with home.database.read() as conn:
        row, now = model_of(conn, said["model_id"]), champion(conn, "embedder")
    assert (row.task, row.state, row.parent_id, row.training_set_id) == (
        "embedder", "candidate", now.model_id, training_set_id,
    )  # fmt: skip
    members = read_members(home.database, home.store, training_set_id)
    teaches, stops, judges = roles_of_days(members, settings.seed)
    days = [set(np.array(members.day)[role]) for role in (teaches, stops, judges)]
    assert len(set.union(*days)) == sum(len(role) for role in days)
    assert said["judging_tracks"] == judges.sum() == row.config["held_out"]["tracks"]
    assert said["tracks"] == teaches.sum()
    seen = row.config["held_out"]
    assert min(seen["champion_minutes"], seen["candidate_minutes"]) >= 0, "both were measured, by the forecast"
    vectors = load_embedder(home.store, row).embed(np.zeros((2, 48, 48, 3), np.uint8))
    assert vectors.shape == (2, 16)
    assert list(home.store.list(FOLDER)) == []
    # Run again it is the same model, bit for bit.
    assert train.main(told) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["model_id"] == said["model_id"]


def test_a_track_whose_picture_is_no_jpeg_is_left_out_and_counted(home, named, tmp_path):
    """One damaged frame among a hundred thousand must not end a training, nor vanish in silence."""
    settings, _, training_set_id = named
    members = read_members(home.database, home.store, training_set_id)
    broken = int(members.track_id[3])
    frame, shard = schema.frame.c, schema.frame_shard.c
    with home.database.read() as conn:
        place = conn.execute(
            sa.select(shard.uri, frame.byte_offset, frame.byte_length)
            .join_from(schema.frame, schema.frame_shard, frame.shard_id == shard.shard_id)
            .where(frame.video_id == broken // schema.TRACKS_PER_VIDEO)
        ).all()
    content = bytearray(home.store.get(place[0].uri))
    for row in place:
        content[row.byte_offset : row.byte_offset + row.byte_length] = bytes(row.byte_length)
    home.store.put(place[0].uri, bytes(content))
    found = crops_on_disk(home.database, home.store, training_set_id, members, tmp_path, 3, 48)
    lost = [int(i) for i in members.track_id if i // schema.TRACKS_PER_VIDEO == broken // schema.TRACKS_PER_VIDEO]
    assert found.unreadable == lost
    assert not np.isin(found.track, np.flatnonzero(np.isin(members.track_id, lost))).any()
    assert len(found.pictures) == len(found.track)
    tuned, _ = fine_tune(home.database, home.store, settings, training_set_id)
    assert tuned.unreadable == len(lost)


def candidate(home, parent, low, high, tracks=40, **minutes):
    held_out = {"tracks": tracks, "days": 9, "champion": 0.6, "candidate": 0.7, "gain_low": low, "gain_high": high}
    held_out |= minutes
    return register_model(home.database, "embedder", "made up", {"held_out": held_out}, parent_id=parent)


def test_a_new_embedder_is_champion_only_if_it_is_better_beyond_noise(home):
    """Each new champion costs hours of embedding: one that is better by luck is not worth them."""
    first = register_model(home.database, "embedder", "first", {}, state="champion")
    for low, tracks, why in ((-0.01, 40, "Not better beyond noise"), (0.05, 12, "Too few tracks")):
        promoted, reason = decide_embedder(home.database, candidate(home, first, low, 0.2, tracks))
        assert not promoted
        assert reason.startswith(why)
        assert untranslated([reason]) == set()
    stale = candidate(home, first, 0.05, 0.2)
    better = candidate(home, first, 0.05, 0.2)
    promoted, reason = decide_embedder(home.database, better)
    assert promoted
    assert untranslated([reason]) == set()
    promoted, reason = decide_embedder(home.database, stale)
    assert not promoted
    assert untranslated([reason]) == set()
    assert "not the champion" in reason
    with home.database.read() as conn:
        assert champion(conn, "embedder").model_id == better


@pytest.mark.parametrize(("low", "high", "saved", "promoted", "says"), [
    (0.05, 0.2, (6.0, 19.0), True, "31 minutes to go instead of 44 (saves +6 to +19)"),
    (-0.01, 0.2, (6.0, 19.0), True, "Saves minutes beyond noise"),
    (0.05, 0.2, (-5.0, 19.0), False, "Saves no minutes beyond noise"),
    (-0.2, -0.05, (6.0, 19.0), False, "finds fewer animals"),
])  # fmt: skip
def test_where_minutes_are_forecast_the_expert_decides(home, low, high, saved, promoted, says):
    """More tracks found again may be tracks that nobody would have been asked about."""
    first = register_model(home.database, "embedder", "first", {}, state="champion")
    minutes = {"champion_minutes": 44.0, "candidate_minutes": 31.0, "saved_low": saved[0], "saved_high": saved[1]}
    verdict, reason = decide_embedder(home.database, candidate(home, first, low, high, **minutes))
    assert verdict == promoted
    assert says in reason
    assert untranslated([reason]) == set()


def test_the_interval_of_a_gain_is_wide_where_its_days_agree_with_themselves():
    """Tracks of one day are alike: counted as if they were not, noise passes for a gain."""
    gain = np.repeat([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 20)
    by_day = gain_interval(gain, np.repeat(np.arange(6), 20))
    by_track = gain_interval(gain, np.arange(120))
    assert by_day[0] <= 0.0, "one day of six says nothing"
    assert by_track[0] > 0.05


def test_a_day_keeps_its_role_when_labels_grow():
    """A judging day that teaches the next embedder makes that one look better than it is."""
    days = [f"2020-01-{day:02d}" for day in range(1, 31)]

    def members(some):
        n = len(some)
        return Members(np.arange(n), np.arange(n) % 3, [""] * n, list(some))

    few, many = roles_of_days(members(days[:20]), 1), roles_of_days(members(days), 1)
    assert all((a == b[:20]).all() for a, b in zip(few, many, strict=True))
    with pytest.raises(ModelError, match="Label tracks of more days"):
        roles_of_days(members(days[:1] * 9), 1)


def test_it_is_due_at_enough_names_and_again_when_they_have_grown(home, named):
    """Due after every label, an archive would be embedded for ever; due once, its embedder would stay a beginner's."""
    settings, _, training_set_id = named

    def due(**embed):
        changed = settings.model_copy(update={"embed": settings.embed.model_copy(update=embed)})
        with home.database.read() as conn:
            return work.fine_tuning_due(conn, changed)

    assert due().due
    assert not due(fine_tune="off").due
    assert "fine-tuning starts at" in due(fine_tune_labels=500).reason
    with home.database.read() as conn:
        parent = champion(conn, "embedder").model_id
    register_model(home.database, "embedder", "tried", {}, parent_id=parent, training_set_id=training_set_id)
    assert "the next one needs more" in due().reason


def test_it_is_due_when_it_is_expected_to_save_enough_minutes(home, named):
    """Doubled labels in an archive that is all but named save nobody anything; in a large one a quarter more pay."""
    settings, _, training_set_id = named

    def due(**embed):
        changed = settings.model_copy(update={"embed": settings.embed.model_copy(update=embed)})
        with home.database.read() as conn:
            return work.fine_tuning_due(conn, changed)

    with home.database.read() as conn:
        parent = champion(conn, "embedder").model_id
    head = register_model(home.database, "head", "head", {}, parent_id=parent, state="champion")
    forecast(home, head, 45 * 60.0)
    assert due().reason.endswith("of 45 minutes to go it is expected to save 9, and fewer than 10 do not pay")
    assert due(fine_tune_least_minutes=8.0).due
    forecast(home, head, 60 * 60.0)
    assert due().due
    tried = {"held_out": {"champion_minutes": 60.0, "candidate_minutes": 60.0}}
    register_model(home.database, "embedder", "tried", tried, parent_id=parent, training_set_id=training_set_id)
    assert "the next one needs more" in due().reason
    with home.database.write() as conn:
        newest = sa.select(schema.training_set).order_by(schema.training_set.c.training_set_id.desc())
        row = dict(conn.execute(newest).mappings().first())
        del row["training_set_id"]
        row |= {"n_tracks": int(1.3 * row["n_tracks"]), "watermark_seq": row["watermark_seq"] + 1}
        conn.execute(sa.insert(schema.training_set).values(**row))
    assert due().reason.endswith("of 60 minutes to go it is expected to save 6, and fewer than 10 do not pay")
    forecast(home, head, 120 * 60.0)
    assert due().due, "a quarter more labels and two hours to go"


def forecast(home, head, to_go_s):
    with home.database.write() as conn:
        conn.execute(
            sa.insert(schema.archive_forecast).values(
                watermark_seq=1, head_model_id=head, goal_named=0.9, goal_error=0.05, n_tracks=900, n_frames=9000,
                by_person=0.1, by_page=0.0, by_machine=0.3, nameless=0.0, expected_error=0.04, spent_s=60.0,
                to_go_s=to_go_s, created_at=datetime(2020, 1, 1, tzinfo=UTC),
            )
        )  # fmt: skip


def test_an_embedder_of_a_file_is_not_due(home, named):
    """A file cannot be trained further: a run that fails every night would tell nobody anything."""
    settings, _, _ = named
    register_model(home.database, "embedder", "file", {"backbone": "onnx:12:345"}, state="champion")
    with home.database.read() as conn:
        assert "learns no more" in work.fine_tuning_due(conn, settings).reason
        other = settings.model_copy(update={"embed": settings.embed.model_copy(update={"fine_tune_backbone": "small"})})
        assert work.fine_tuning_due(conn, other).due


def test_a_killed_training_is_gone_on_with_before_newer_labels(home, named):
    """Where each new training set begins anew, a machine that sleeps at night never ends one."""
    _, _, training_set_id = named
    with home.database.read() as conn:
        assert unfinished_training(conn, home.store) is None
        for key in (
            f"embedder-{training_set_id}/step-1.safetensors",
            "embedder-999/state.json",
            "embedder-x/state.json",
        ):
            home.store.put(f"training/{key}", b"{}")
        assert unfinished_training(conn, home.store) is None
        home.store.put(f"training/embedder-{training_set_id}/{STATE_FILE}", b"{}")
        assert unfinished_training(conn, home.store) == training_set_id
    register_model(home.database, "embedder", "its result", {}, training_set_id=training_set_id)
    with home.database.read() as conn:
        assert unfinished_training(conn, home.store) is None


class Killed(Exception):
    """A node is gone."""


def killed_at(step):
    def report(state):
        if state.step >= step:
            raise Killed

    return report


def node(settings, folder, monkeypatch):
    """Settings of another machine: a home and a TMPDIR of its own, the same database and store."""
    (folder / "tmp").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    return settings.model_copy(update={"home": folder})


@pytest.mark.long
def test_a_training_killed_on_one_node_goes_on_at_another_from_the_store(home, named, tmp_path, monkeypatch):
    """What a lost node alone has kept is lost, and every preemption begins anew."""
    settings, _, training_set_id = named
    torch.set_num_threads(1)
    # 20 steps, a checkpoint after each.
    plan = metric_learning.TrainingPlan
    monkeypatch.setattr(metric_learning, "TrainingPlan", lambda **k: plan(**{**k, "checkpoint_every": 1}))
    one, two = (node(settings, tmp_path / name, monkeypatch) for name in ("one", "two"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "one" / "tmp"))
    with pytest.raises(Killed):
        fine_tune(home.database, home.store, one, training_set_id, killed_at(8))
    with home.database.read() as conn:
        assert unfinished_training(conn, home.store) == training_set_id
    assert len(list(home.store.list(FOLDER))) == 2, "the state and the newest checkpoint"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "two" / "tmp"))
    steps = []
    resumed, _ = fine_tune(home.database, home.store, two, training_set_id, lambda state: steps.append(state.step))
    assert min(steps) in (8, 9)
    assert list(home.store.list(FOLDER)) == []
    assert [path for path in tmp_path.glob("*/tmp/*") if path.name.startswith("chimp-training")] == []
    with home.database.read() as conn:
        assert model_of(conn, resumed.model_id).training_set_id == training_set_id
        assert unfinished_training(conn, home.store) is None


NODES = """
import os, sys, tempfile
from dataclasses import replace
from pathlib import Path
import torch
from chimp_assets.home import Home
from chimp_assets.vision.embedding import crop_file, fine_tuning
from chimp_assets.vision.learning.ranks import Ranks
from chimp_assets_tests.vision.embedding.test_fine_tuning import TINY

torch.set_num_threads(1)
fine_tuning.Recipe = lambda: replace(TINY, min_views=64)
root, folder = Path(sys.argv[1]), Path(sys.argv[2])

def work(rank, local, node, port):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(local)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    tempfile.tempdir = str(folder / node)
    real = crop_file._write_crops
    def write(into, *rest):
        os.write(1, f"crops {node}\\n".encode())  # whole: the other process writes to the same pipe
        real(into, *rest)
    crop_file._write_crops = write
    home = Home.open(root)
    settings = home.settings.model_copy(update={"home": folder / node})
    found = fine_tuning.fine_tune(home.database, home.store, settings, int(sys.argv[3]), ranks=Ranks(rank, 2, local))
    if found is not None:
        os.write(1, f"model {found[0].model_id}\\n".encode())

for port, processes in ((sys.argv[4], ((0, 0, "a"), (1, 1, "a"))), (sys.argv[5], ((0, 0, "b"), (1, 0, "c")))):
    children = []
    for process in processes:
        child = os.fork()
        if not child:
            try:
                work(*process, port)
            finally:
                sys.stdout.flush(); sys.stderr.flush()
                os._exit(1 if sys.exc_info()[0] else 0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [str(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


@pytest.mark.long
def test_two_ranks_on_two_nodes_learn_the_weights_of_two_ranks_on_one(home, named, tmp_path):
    """A node that waits for a file of another waits for ever, and one that learns from less spoils the weights."""
    _, _, training_set_id = named
    home.database.dispose()
    for name in "abc":
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", NODES, str(home.settings.home), str(tmp_path), str(training_set_id), *free_ports(2)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line.split() for line in done.stdout.splitlines()]
    assert sorted(words[1] for words in said if words[0] == "crops") == ["a", "b", "c"], "each node once"
    models = [words[1] for words in said if words[0] == "model"]
    # One row: its key is found by the hash of the weights, so that they agree bit for bit.
    assert len(models) == 2
    assert len(set(models)) == 1
    assert list(home.store.list(FOLDER)) == []
    assert [*tmp_path.glob("?/chimp-training*")] == []


def test_a_new_embedder_asks_for_a_head_of_its_own_once(home):
    """Until a head is fitted on the new vectors nothing new is named, and no label may ever come to start that."""
    first = register_model(home.database, "embedder", "first", {}, state="champion")
    register_model(home.database, "head", "first", {}, parent_id=first, state="champion")
    with home.database.read() as conn:
        assert not work._head_of_an_older_embedder(conn)
    second = register_model(home.database, "embedder", "second", {}, state="champion")
    with home.database.read() as conn:
        assert work._head_of_an_older_embedder(conn)
    register_model(home.database, "head", "on the second", {}, parent_id=second)
    with home.database.read() as conn:
        assert not work._head_of_an_older_embedder(conn)


def test_the_plot_of_a_training_is_a_picture_that_fits_the_event_log():
    """Dagster never purges its event log: a megabyte for each training fills it."""
    history = [(step, 3 / step, 1 - 1 / step) for step in range(1, 51)]
    picture = train.plot_of(TrainingState(history=history, validated=[(10, 0.3), (50, 0.6)]))
    assert picture.startswith(b"\x89PNG")
    assert len(base64.b64encode(picture)) < 100_000
