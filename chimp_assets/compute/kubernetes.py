"""Heavy steps as pods of Kubernetes, each followed to a known end.

Belongs here: finding the pod of a step or making it, following it, deleting it. Does not belong here: what a pod is
made of (`pod`), what the step's messages say (`messages`).

`PipesK8sClient` of dagster_k8s, whose parts this uses, gives each pod a random name: a run that is killed leaves a pod
that works on, and the next run starts a second beside it. Here the name says the work, so the next run finds the pod,
and reads its log from the beginning. A server that is away for a while is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from chimp_assets.compute.pod import MANAGED_BY, RUN_LABEL, pod_labels, pod_name, pod_spec
from chimp_assets.compute.step_context import StepContext, step_key
from chimp_assets.errors import ChimpError, SettingsError

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home

POLL_S = 5.0
PATIENCE_S = 1800.0
"""A server may be away this long while a pod works on."""
_START_PATIENCE_S = 5 * 3600.0
"""A cluster may look for a node this long."""
_IMAGE_PATIENCE_S = 600.0
_KEPT = timedelta(days=1)
_ENDED = ("Succeeded", "Failed")
_CANNOT_START = (
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


class PodError(ChimpError):
    """A pod ended badly, or its end cannot be known."""


def run_in_pod(context: StepContext, home: Home, step: HeavyStep) -> dg.PipesClientCompletedInvocation | Any:
    """Runs a step as a pod of the namespace that the settings name, and waits for its end.

    A pod that an ended run has left is taken over. Raises SettingsError if a setting is missing, PodError
    if the pod failed, was deleted, or could not be reached for PATIENCE_S, or if a living run waits for it already.
    """
    from dagster_k8s.pipes import PipesK8sPodLogsMessageReader, build_pod_body

    namespace = home.settings.compute.k8s.namespace
    partition = context.partition_key if context.has_partition_key else None
    name = pod_name(home, step, step_key(context), partition)
    spec = pod_spec(home, step)
    pods = _Pods(core_api(), namespace, context.log.warning)
    reader = PipesK8sPodLogsMessageReader()
    pods.delete_old()
    with dg.open_pipes_session(
        context=context, context_injector=dg.PipesEnvContextInjector(), message_reader=reader
    ) as session:
        if not _taken_over(context, pods, name):
            body = build_pod_body(
                pod_name=name,
                image=None,
                command=None,
                env_vars=session.get_bootstrap_env_vars(),
                base_pod_meta={"labels": pod_labels(context.run.run_id, step)},
                base_pod_spec=spec,
            )
            pods.create(body)
            context.log.info(f"The pod {name} in {namespace} does the work.")
        try:
            pods.await_start(name)
            # Blocks until the log has ended, and hands on each message once.
            reader.consume_pod_logs(context=context, core_api=pods, pod_name=name, namespace=namespace)
            pods.await_success(name)
        finally:
            pods.delete(name)
    return dg.PipesClientCompletedInvocation(session, metadata={"kubernetes/pod": f"{namespace}/{name}"})


def core_api() -> Any:
    """The API of pods: of the cluster that this process runs in, else of the user's kubeconfig."""
    import kubernetes

    try:
        kubernetes.config.load_incluster_config()
    except kubernetes.config.ConfigException:
        try:
            kubernetes.config.load_kube_config()
        except kubernetes.config.ConfigException as error:
            raise SettingsError(
                f"compute.kind is k8s, but no cluster is known: {error}",
                "Run Dagster in the cluster, or set KUBECONFIG to a file that names it.",
            ) from None
    return kubernetes.client.CoreV1Api()


def _taken_over(context: StepContext, pods: _Pods, name: str) -> bool:
    """Whether a pod of this work is there that this run can wait for. One that failed is deleted.

    Raises PodError if the run that waits for it is alive: two runs would delete it under each other.
    """
    found = pods.find(name)
    if found is None:
        return False
    of = (found.metadata.labels or {}).get(RUN_LABEL, "")
    run = context.instance.get_run_by_id(of) if of and of != context.run.run_id else None
    if run is not None and not run.is_finished:
        raise PodError(
            f"The pod {name} does this work already, for the run {of}.",
            "Wait for that run, or terminate it; two would do the same work twice.",
        )
    if found.status.phase == "Failed" or found.metadata.deletion_timestamp is not None:
        pods.delete(name)
        pods.await_gone(name)
        return False
    context.log.info(f"The pod {name} of the run {of} is {found.status.phase}: this run waits for it.")
    return True


class _Pods:
    """The pods of one namespace. A server that is away is asked again for PATIENCE_S; what it refuses is raised."""

    def __init__(self, api: Any, namespace: str, warn: Callable[[str], None]) -> None:
        self._api, self._namespace, self._warn = api, namespace, warn

    def _patiently(self, call: Callable[[], Any]) -> Any:
        import kubernetes
        import urllib3

        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except kubernetes.client.ApiException as error:
                if error.status not in (0, 408, 429) and error.status < 500:
                    raise
                problem: Exception = error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                problem = error
            if time.monotonic() > give_up:
                raise PodError(
                    f"The Kubernetes API could not be reached for {PATIENCE_S:.0f} s.",
                    "The pod may work on; the next run of this step waits for it.",
                ) from problem
            self._warn(f"The Kubernetes API is away: {str(problem).splitlines()[0][:200]}")
            time.sleep(POLL_S)

    def read_namespaced_pod_log(self, *args: Any, **options: Any) -> Any:
        """As the API's, for the reader of messages."""
        return self._patiently(lambda: self._api.read_namespaced_pod_log(*args, **options))

    def create(self, body: Any) -> None:
        """Makes a pod; one of this name that is there already is the one whose creation was not acknowledged."""
        import kubernetes

        try:
            self._patiently(lambda: self._api.create_namespaced_pod(self._namespace, body))
        except kubernetes.client.ApiException as error:
            there = self.find(body.metadata.name) if error.status == 409 else None
            if there is None or (there.metadata.labels or {}).get(RUN_LABEL) != body.metadata.labels[RUN_LABEL]:
                raise PodError(
                    f"The pod {body.metadata.name} could not be made: {error.reason}.",
                    f"The namespace {self._namespace} must exist, and the service account may create pods in it.",
                ) from error

    def find(self, name: str) -> Any:
        """The pod, None if there is none."""
        import kubernetes

        try:
            return self._patiently(lambda: self._api.read_namespaced_pod(name, self._namespace))
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise PodError(
                f"The pod {name} could not be looked at: {error.reason}.",
                f"The service account needs get, list, create and delete of pods, and get of pods/log, in"
                f" {self._namespace}.",
            ) from error

    def _must_be_there(self, name: str) -> Any:
        found = self.find(name)
        if found is None:
            raise PodError(f"The pod {name} was deleted before its work was whole.", "Run the step again.")
        return found

    def await_start(self, name: str) -> None:
        """Returns once the pod has a log to read. Raises PodError if it cannot start."""
        began = time.monotonic()
        while True:
            pod = self._must_be_there(name)
            if pod.status.phase != "Pending":
                return
            waits = [one.state.waiting for one in pod.status.container_statuses or [] if one.state.waiting is not None]
            why = next(
                (f"{one.reason}: {one.message or ''}".strip(": ") for one in waits if one.reason in _CANNOT_START), ""
            )
            waited = time.monotonic() - began
            if (why and waited > _IMAGE_PATIENCE_S) or waited > _START_PATIENCE_S:
                raise PodError(
                    f"The pod {name} has not started for {waited:.0f} s{f': {why}' if why else '.'}",
                    "See `kubectl describe pod`: compute.k8s.image, secrets, node_selector and the cluster's GPUs.",
                )
            time.sleep(POLL_S)

    def await_success(self, name: str) -> None:
        """Returns once the pod has succeeded. Raises PodError if it failed or is gone."""
        while (pod := self._must_be_there(name)).status.phase not in _ENDED:
            time.sleep(POLL_S)
        if pod.status.phase == "Succeeded":
            return
        ends = [one.state.terminated for one in pod.status.container_statuses or [] if one.state.terminated is not None]
        why = pod.status.reason or next((f"{one.reason}, exit code {one.exit_code}" for one in ends), "unknown")
        raise PodError(
            f"The pod {name} failed: {why}.",
            "OOMKilled: raise compute.k8s.memory. Evicted: raise compute.k8s.scratch. DeadlineExceeded: raise "
            "compute.minutes. Otherwise the run's log says more.",
        )

    def await_gone(self, name: str) -> None:
        """Returns once there is no pod of this name, so that another can have it."""
        give_up = time.monotonic() + PATIENCE_S
        while self.find(name) is not None:
            if time.monotonic() > give_up:
                raise PodError(f"The pod {name} does not end.", "Look at its node: `kubectl describe pod`.")
            time.sleep(POLL_S)

    def delete(self, name: str) -> None:
        """Deletes a pod, which ends it if it lives. What fails is said and not raised: it would hide an error."""
        import kubernetes

        try:
            self._api.delete_namespaced_pod(name, self._namespace)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                self._warn(f"The pod {name} could not be deleted: {error.reason}")
        except Exception as error:
            self._warn(f"The pod {name} could not be deleted: {error}")

    def delete_old(self) -> None:
        """Deletes ended pods that no run has come back for in a day: the cluster would keep thousands."""
        selector = ",".join(f"{name}={value}" for name, value in MANAGED_BY.items())
        try:
            found = self._api.list_namespaced_pod(self._namespace, label_selector=selector).items
        except Exception as error:
            self._warn(f"Old pods could not be listed: {error}")
            return
        for pod in found:
            if pod.status.phase in _ENDED and datetime.now(UTC) - pod.metadata.creation_timestamp > _KEPT:
                self.delete(pod.metadata.name)
