"""Settings of where heavy steps run: [compute], [compute.azureml], [compute.k8s].

Belongs here: every knob an operator may turn. Does not belong here: secrets (identities come from the machine that runs
a step, or from the environment), what a heavy step is (`chimp_assets.compute`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chimp_assets.settings.section import Section


class AzureMLSettings(Section):
    """The workspace whose clusters run heavy steps. Needs the packages of requirements-scale-out.lock."""

    subscription_id: str | None = Field(None, description="the subscription of the workspace")
    resource_group: str | None = Field(None, description="the resource group of the workspace")
    workspace: str | None = Field(None, description="the name of the workspace")
    cpu_compute: str | None = Field(None, description="the cluster for steps that need no GPU; none: gpu_compute")
    gpu_compute: str | None = Field(None, description="the cluster for steps that use GPUs; none: cpu_compute")
    environment: str | None = Field(
        None, description="the environment of the jobs, made from deploy/Dockerfile: chimp-assets:VERSION"
    )
    identity_client_id: str | None = Field(
        None, description="client id of the managed identity of the clusters, which may read SQL and Blob"
    )
    messages_url: str | None = Field(
        None, description="az://container/prefix where jobs report what they did; none: jobs/ in the store"
    )
    shm_size: str = Field("16g", pattern=r"^\d+[kmg]$", description="shared memory of a job, for its loaders of data")
    poll_s: float = Field(15.0, gt=0, description="seconds between two looks at a job")
    patience_s: float = Field(
        1800.0, gt=0, description="seconds that a job may be unreachable or not responding before it counts as failed"
    )


class KubernetesSettings(Section):
    """The namespace whose pods run heavy steps. Needs the packages of requirements-scale-out.lock."""

    namespace: str = Field("chimp-assets", description="the namespace of the pods")
    image: str | None = Field(None, description="the image of the pods, made from deploy/Dockerfile")
    service_account: str | None = Field(None, description="the service account, which may read SQL and Blob")
    cpu: str = Field("2", description="cores that a pod asks for")
    memory: str = Field("8Gi", description="memory that a pod asks for and is limited to")
    gpu_resource: str = Field("nvidia.com/gpu", description="the name of GPUs in the cluster")
    scratch: str = Field("50Gi", description="limit of the folder for temporary files")
    secrets: tuple[str, ...] = Field((), description="names of Kubernetes secrets that become environment variables")
    node_selector: dict[str, str] = Field({}, description="labels of the nodes that may run pods with GPUs")


class ComputeSettings(Section):
    """Where heavy steps run, and with how much: training, embedding, scoring, detection with a network."""

    kind: Literal["subprocess", "azureml", "k8s"] = Field(
        "subprocess", description="subprocess: on the machine of the run; azureml: jobs of Azure ML; k8s: pods"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="where networks run: auto takes a GPU if there is one",
    )
    threads: int = Field(
        0, ge=0, le=256, description="threads of a network that comes as an ONNX file, on a CPU; 0: one a core"
    )
    gpus: int = Field(0, ge=0, le=16, description="GPUs of one node that a heavy step asks for; 0: none (azureml, k8s)")
    nodes: int = Field(1, ge=1, le=64, description="nodes of a fine-tuning (azureml)")
    minutes: float | None = Field(
        None, gt=0, description="a heavy step is ended after this (azureml, k8s); none: as its task says"
    )
    azureml: AzureMLSettings = AzureMLSettings()
    k8s: KubernetesSettings = KubernetesSettings()

    @property
    def is_remote(self) -> bool:
        """Whether heavy steps run on another machine than the run that asks for them."""
        return self.kind != "subprocess"
