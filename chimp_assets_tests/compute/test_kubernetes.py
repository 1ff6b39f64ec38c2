"""Heavy steps as pods: the real clients against a stand-in of the API that runs each pod's command.

A step succeeds once its work is whole and fails with a sentence otherwise; there is one pod for one work, and none is
left.
"""

import threading
import time

import dagster as dg
import pytest

from chimp_assets.compute import kubernetes
from chimp_assets.compute.heavy_step import HeavyStep
from chimp_assets.compute.kubernetes import PodError
from chimp_assets.compute.messages import UnfinishedStepError, made_partitions
from chimp_assets.compute.pod import RUN_LABEL, pod_spec
from chimp_assets.compute.resource import ComputeResource
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home
from chimp_assets_tests.support.cluster_api import cluster_api

STEP = "chimp_assets_tests.support.pod_step"
K8S = {"image": "registry/chimp-assets:1", "service_account": "chimp", "secrets": ["chimp-secrets"]}


@pytest.fixture
def cluster(monkeypatch):
    with cluster_api() as (stand_in, api):
        monkeypatch.setattr(kubernetes, "core_api", lambda: api)
        monkeypatch.setattr(kubernetes, "POLL_S", 0.05)
        yield stand_in


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """shared(**compute): a home on servers, which the steps of these tests never open."""
    monkeypatch.setattr(Home, "job_environment", lambda self: {"CHIMP_SEED": "7"}, raising=False)
    (tmp_path / "chimp.toml").touch()

    def opened(**compute):
        return Home.open(
            tmp_path, database_url="postgresql+psycopg://db/chimp", store_url="az://chimp/store",
            compute={"kind": "k8s", "k8s": K8S, **compute},
        )  # fmt: skip

    return opened


@pytest.fixture
def instance():
    with dg.instance_for_test() as made:
        yield made


def run(home, instance, ending="done"):
    """The materialisation of an asset whose step ends so, and what it made of partitions. Raises its error."""
    given = []

    @dg.asset(pool="gpu")
    def trained(context: dg.AssetExecutionContext):
        done = ComputeResource().run(context, home, HeavyStep(STEP, (ending,)))
        given.extend(made_partitions(done))
        return done.get_materialize_result()

    finished = dg.materialize([trained], instance=instance)
    return finished.asset_materializations_for_node("trained")[0], given


def test_a_step_runs_in_a_pod_of_its_own_and_reports(cluster, shared, instance):
    materialised, made = run(shared(), instance)
    assert materialised.metadata["model_id"].value == 7
    assert materialised.metadata["config"].value == {"side": 48}
    assert materialised.metadata["plot"].value.startswith("![")
    assert [(one.asset, one.partition, one.metadata) for one in made] == [("tracks", "site-0001", {"videos": 2})]
    assert len(cluster.made) == 1
    assert cluster.pods == {}


def test_a_pod_is_told_all_it_needs_and_no_more(shared):
    spec = pod_spec(shared(gpus=2, k8s={**K8S, "node_selector": {"gpu": "a100"}}), HeavyStep(STEP, ("done",), 2, 1, 90))
    container = spec["containers"][0]
    assert container["command"] == ["torchrun", "--standalone", "--nproc-per-node", "2", "-m", STEP, "done"]
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "CHIMP_SEED": "7", "TMPDIR": "/scratch", "CHIMP_HOME": "/scratch/home",
    }  # fmt: skip
    assert container["envFrom"] == [{"secretRef": {"name": "chimp-secrets"}}]
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": "2"}
    assert spec["volumes"][0] == {"name": "scratch", "emptyDir": {"sizeLimit": "50Gi"}}
    assert (spec["activeDeadlineSeconds"], spec["serviceAccountName"], spec["nodeSelector"], spec["restartPolicy"]) == (
        5400, "chimp", {"gpu": "a100"}, "Never",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "error", "says"), [("fail", PodError, "exit code 3"), ("silent", UnfinishedStepError, "whole")]
)
def test_a_pod_without_the_last_word_of_its_step_is_a_failure(cluster, shared, instance, ending, error, says):
    """A pod that was evicted or ended early may look like one that did its work."""
    with pytest.raises(error, match=says):
        run(shared(), instance, ending)
    assert cluster.pods == {}


def test_a_pod_that_a_killed_run_has_left_is_taken_over(cluster, shared, instance):
    """The next run started a second pod beside it, and both trained."""
    run(shared(), instance)
    body = cluster.made[0]
    body["metadata"]["labels"][RUN_LABEL] = "00000000-0000-0000-0000-000000000000"
    assert cluster.answer("POST", "/api/v1/namespaces/chimp-assets/pods", body)[0] == 201
    materialised, made = run(shared(), instance)
    assert materialised.metadata["model_id"].value == 7
    assert len(made) == 1
    assert len(cluster.made) == 2, "the left one, and none for the run that took it over"
    assert cluster.pods == {}


def test_a_pod_for_which_another_run_waits_is_left_alone(cluster, shared, instance):
    run(shared(), instance)
    living = instance.create_run_for_job(
        dg.Definitions(jobs=[a_job]).get_job_def("a_job"), status=dg.DagsterRunStatus.STARTED
    )
    body = cluster.made[0]
    body["metadata"]["labels"][RUN_LABEL] = living.run_id
    cluster.answer("POST", "/api/v1/namespaces/chimp-assets/pods", body)
    with pytest.raises(PodError, match="does this work already"):
        run(shared(), instance)
    assert len(cluster.pods) == 1


@dg.job
def a_job():
    """A run of it waits for a pod."""


def test_an_api_that_is_away_for_a_while_fails_no_step(cluster, shared, instance):
    cluster.away = 4
    assert run(shared(), instance)[0].metadata["model_id"].value == 7
    assert len(cluster.made) == 1


def test_a_pod_that_somebody_deletes_ends_its_step_at_once(cluster, shared, instance):
    def delete():
        while not any(pod.lines for pod in cluster.pods.values()):
            time.sleep(0.02)
        cluster.answer("DELETE", f"/pods/{next(iter(cluster.pods))}", None)

    threading.Thread(target=delete, daemon=True).start()
    with pytest.raises(PodError, match="was deleted before its work was whole"):
        run(shared(), instance, "wait")


def test_a_step_that_waits_elsewhere_holds_no_slot_of_a_pool(cluster, shared, instance, monkeypatch):
    """Ten bundles waited an hour for the slot of a GPU that nobody used."""
    instance.event_log_storage.set_concurrency_slots("gpu", 1)
    held = []
    follow = kubernetes.run_in_pod

    def watched(*everything):
        held.append(instance.event_log_storage.get_concurrency_info("gpu").active_slot_count)
        return follow(*everything)

    monkeypatch.setattr(kubernetes, "run_in_pod", watched)
    run(shared(), instance)
    assert held == [0]


@pytest.mark.parametrize(("compute", "says"), [({"k8s": {}}, "image is not set"), ({"nodes": 2}, "one pod")])
def test_what_is_missing_is_said_before_anything_starts(cluster, shared, compute, says):
    with pytest.raises(SettingsError, match=says):
        pod_spec(shared(**compute), HeavyStep(STEP, nodes=compute.get("nodes", 1)))


def test_a_home_of_local_files_is_refused(cluster, tmp_path, instance):
    """A pod would have found an empty database of its own."""
    (tmp_path / "chimp.toml").touch()
    with pytest.raises(SettingsError, match="database_url names files of this machine"):
        run(Home.open(tmp_path, compute={"kind": "k8s", "k8s": K8S}), instance)


def test_a_missing_package_is_named_with_its_remedy(shared, instance, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"requirements-scale-out\.lock"):
        run(shared(), instance)
