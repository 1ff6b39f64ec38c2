"""The asset graph as a whole: it loads quickly and lightly, and everything in it says who, what and why."""

import json
import subprocess
import sys

import dagster as dg
import pytest

from chimp_assets.definitions import build_definitions

HEAVY = ("torch", "torchvision", "av", "azure", "cv2", "faiss", "pandas", "sqlalchemy", "matplotlib", "obstore")
HEAVY += ("chimp_assets.web", "dagster_webserver")


@pytest.fixture(scope="module")
def repository():
    return build_definitions().get_repository_def()


def test_loading_the_definitions_imports_nothing_heavy():
    """Every run and every daemon process pays for this import; torch alone costs seconds."""
    code = (
        "import sys, json, chimp_assets.definitions as d; d.defs.get_repository_def();"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_definitions_are_valid_as_a_whole():
    dg.Definitions.validate_loadable(build_definitions())


def test_every_asset_has_a_group_an_owner_a_kind_and_a_description(repository):
    specs = {spec.key: spec for assets in repository.assets_defs_by_key.values() for spec in assets.specs}.values()
    assert len(specs) == 20
    for spec in specs:
        assert spec.group_name != "default", spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert len(spec.description or "") > 40, spec.key


def test_the_flow_of_the_graph_is_the_flow_of_the_design(repository):
    """A changed edge changes what is recomputed: it must be a decision, not an accident."""
    graph = repository.asset_graph
    edges = {
        key.to_user_string(): sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    assert edges == {
        "video_files": [],
        "frames": ["video_files"],
        "tracks": ["frames"],
        "embedder": ["tracks"],
        "embeddings": ["embedder", "tracks"],
        "embedder_checkpoint": ["embedder", "training_set"],
        "champion_embedder": ["embedder_checkpoint"],
        "annotations": [],
        "individuals": [],
        "training_set": ["annotations", "individuals"],
        "head_checkpoint": ["training_set"],
        "evaluation": ["annotations", "head_checkpoint"],
        "champion_head": ["evaluation"],
        "label_returns": ["annotations", "champion_head"],
        "predictions": ["embeddings"],
        "acquisition_queue": ["annotations", "champion_head", "embeddings"],
        "item_media": ["acquisition_queue"],
        "drift": ["annotations", "champion_head"],
        "associations": ["annotations", "champion_head"],
        "archive_report": ["associations", "drift", "evaluation"],
    }


def test_bad_data_is_stopped_by_blocking_checks(repository):
    blocking = {
        (spec.asset_key.to_user_string(), spec.name)
        for checks in repository.asset_checks_defs_by_key.values()
        for spec in checks.check_specs
        if spec.blocking
    }
    assert blocking == {
        ("frames", "frames_are_whole"),
        ("tracks", "tracks_are_whole"),
        ("embeddings", "embeddings_are_unit_vectors"),
        ("training_set", "training_set_does_not_leak"),
        ("head_checkpoint", "head_is_finite_and_unchanged"),
    }


def test_everything_runs_by_itself_once_the_daemon_is_up(repository):
    """Nobody presses a button: every sensor and schedule starts switched on, and says what it is for."""
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "new_videos",
        "unfinished_bundles",
        "tracks_waiting",
        "first_embedder",
        "better_embedder",
        "new_labels",
        "champion_changed",
        "queue_low",
        "missing_pictures",
        "drift_watch",
        "alerts",
        "run_failed",
    }
    for sensor in repository.sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING, sensor.name
        assert sensor.description, sensor.name
    assert [schedule.default_status for schedule in repository.schedule_defs] == [dg.DefaultScheduleStatus.RUNNING]


def test_two_jobs_that_change_models_never_run_side_by_side(repository):
    for name in ("fit_embedder", "retrain", "rescore", "replan", "nightly"):
        assert repository.get_job(name).tags.get("chimp/models") == "write", name
