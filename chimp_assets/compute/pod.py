"""What a pod of a heavy step is made of: names, and the specification that Kubernetes gets.

Belongs here: plain dictionaries with the names of the Kubernetes API. Does not belong here: the API (`kubernetes`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
from typing import TYPE_CHECKING, Any

from chimp_assets.errors import SettingsError

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home

MANAGED_BY = {"app.kubernetes.io/managed-by": "chimp-assets"}
RUN_LABEL = "chimp/run"
_LONGEST_MINUTES = 24 * 60.0
"""Of a step without a limit, as of any run (dagster.yaml): a pod that nobody waits for ends all the same."""
_LONGEST_WORD = 30


def pod_name(home: Home, step: HeavyStep, step_key: str, partition: str | None) -> str:
    """The name of the pod that does this work, whichever run asks for it: there is never a second one beside it.

    At most 63 lower-case letters, digits and hyphens.
    """
    settings = home.settings
    facts = [
        settings.secret_free_database_url, settings.secret_free_store_url, step_key, partition, step.module,
        list(step.arguments),
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    word = re.sub(r"[^a-z0-9]+", "-", step_key.lower()).strip("-")[:_LONGEST_WORD].strip("-")
    return f"chimp-{word or 'step'}-{digest}"


def pod_labels(run_id: str, step: HeavyStep) -> dict[str, str]:
    """By which a pod is found, and which run waits for it."""
    return {**MANAGED_BY, RUN_LABEL: run_id, "chimp/step": step.module.rsplit(".", 1)[-1]}


def pod_spec(home: Home, step: HeavyStep) -> dict[str, Any]:
    """The specification of the pod, but for the variables of Dagster Pipes.

    Temporary files lie in a folder of the pod that has a limit; /dev/shm is memory, for loaders of data. A GPU is asked
    for by the name that the cluster gives it. Raises SettingsError if no image is named, if a step asks for several
    nodes, or if an address carries a secret.
    """
    k8s = home.settings.compute.k8s
    if not k8s.image:
        raise SettingsError(
            "compute.kind is k8s, but compute.k8s.image is not set.", "Build one from deploy/Dockerfile and name it."
        )
    if step.nodes > 1:
        raise SettingsError(
            f"compute.nodes is {step.nodes}, and a step in Kubernetes is one pod.",
            "Set compute.nodes to 1, or let Azure ML train on several nodes (compute.kind).",
        )
    variables = {
        **home.job_environment(),  # type: ignore[attr-defined,unused-ignore]
        "TMPDIR": "/scratch",
        "CHIMP_HOME": "/scratch/home",
    }
    requests: dict[str, str] = {"cpu": k8s.cpu, "memory": k8s.memory}
    limits: dict[str, str] = {"memory": k8s.memory}
    if step.gpus:
        requests[k8s.gpu_resource] = limits[k8s.gpu_resource] = str(step.gpus)
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": math.ceil((step.minutes or _LONGEST_MINUTES) * 60),
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": k8s.scratch}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
        "containers": [
            {
                "name": "step",
                "image": k8s.image,
                "command": _command(step),
                "env": [{"name": name, "value": value} for name, value in sorted(variables.items())],
                "envFrom": [{"secretRef": {"name": name}} for name in k8s.secrets],
                "resources": {"requests": requests, "limits": limits},
                "volumeMounts": [
                    {"name": "scratch", "mountPath": "/scratch"},
                    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 (a path of the pod)
                ],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
    if k8s.service_account:
        spec["serviceAccountName"] = k8s.service_account
    if step.gpus:
        spec["nodeSelector"] = dict(k8s.node_selector)
        # Clusters keep other pods off nodes with GPUs by a taint of this name.
        spec["tolerations"] = [{"key": k8s.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}]
    return spec


def _command(step: HeavyStep) -> list[str]:
    """With several GPUs one process for each, which `torchrun` starts."""
    words = shlex.split(step.portable_command)
    if step.gpus < 2:
        return words
    return ["torchrun", "--standalone", "--nproc-per-node", str(step.gpus), *words[1:]]
