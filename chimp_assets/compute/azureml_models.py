"""The champions, shown in the model registry of Azure ML.

Belongs here: writing them there. Does not belong here: promotion (`vision.evaluation`), and reading: the `model` table
is the truth, and nothing of this product reads the registry. So whatever goes wrong here harms nobody, is counted, and
is tried again by the next call, which compares what is there with what should be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chimp_assets.compute.azureml_workspace import Workspace, first_line
from chimp_assets.errors import SettingsError

if TYPE_CHECKING:
    from chimp_assets.home import Home
    from chimp_assets.vision.models.checkpoint import ModelRow

DATASTORE = "chimp_assets_store"
"""Made in the workspace where none of its datastores is the store's container. It holds no credential: whoever opens a
model needs rights of his own."""

_LONGEST_TAG = 256


@dataclass
class MirrorReport:
    """What a mirroring did. written, there: models, as `name:version`; failed: the same with the reason."""

    written: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{len(self.written)} champions written to the model registry, {len(self.there)} were there"
        return text + "".join(f"; {name} failed: {why}" for name, why in self.failed.items())


def mirrored(home: Home) -> dict[str, str]:
    """Mirrors the champions where heavy steps run in Azure ML, and says so as metadata; elsewhere does nothing.

    For the end of a promotion and for the nightly run, which tries again what failed. Raises nothing.
    """
    if home.settings.compute.kind != "azureml":
        return {}
    try:
        report = str(mirror_champions(home))
    except Exception as error:  # the loop goes on without it
        report = f"not written: {first_line(error)}"
    return {"model_registry": report}


def mirror_champions(home: Home) -> MirrorReport:
    """Shows the champion of each task in the registry of the workspace. Raises nothing but SettingsError and what the
    database raises: a registry that cannot be written is a line of the report.

    The name is `chimp-head`, `chimp-embedder`, `chimp-detector`; the version is that of the row and 8 digits of the
    hash, so that a file is there once, and homes that share a workspace never write over each other.
    """
    from chimp_assets.database.schema import MODEL_TASKS
    from chimp_assets.vision.models.checkpoint import champion

    report = MirrorReport()
    workspace = Workspace(home.settings.compute.azureml)
    with home.database.read() as conn:
        champions = [row for task in MODEL_TASKS if (row := champion(conn, task)) and row.checkpoint_uri]
    datastore = ""
    for row in champions:
        name, version = f"chimp-{row.task}", f"{row.version}-{str(row.checkpoint_hash)[:8]}"
        label = f"{name}:{version}"
        try:
            if _is_there(workspace.client, name, version):
                report.there.append(label)
                continue
            datastore = datastore or _datastore(workspace.client, home)
            _write(workspace.client, home, row, name, version, datastore)
            report.written.append(label)
        except SettingsError:
            raise
        except Exception as error:
            report.failed[label] = first_line(error)
    return report


def _is_there(client: Any, name: str, version: str) -> bool:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        client.models.get(name, version)
    except ResourceNotFoundError:
        return False
    return True


def _write(client: Any, home: Home, row: ModelRow, name: str, version: str, datastore: str) -> None:
    """The model's entry: where its file lies, and its row as tags."""
    from azure.ai.ml.entities import Model

    prefix = urlsplit(home.settings.store_url).path.strip("/")
    key = "/".join(part for part in (prefix, row.checkpoint_uri) if part)
    tags = {
        "model_id": row.model_id,
        "checkpoint_hash": row.checkpoint_hash,
        "training_set_id": row.training_set_id,
        "parent_id": row.parent_id,
        "why": row.reason,
        "database": home.settings.secret_free_database_url,
    }
    client.models.create_or_update(
        Model(
            name=name,
            version=version,
            type="custom_model",
            path=f"azureml://datastores/{datastore}/paths/{key}",
            description=row.name,
            tags={tag: str(value)[:_LONGEST_TAG] for tag, value in tags.items() if value is not None},
        )
    )


def _datastore(client: Any, home: Home) -> str:
    """The name of the workspace's datastore that is the store's container; made if there is none."""
    from azure.ai.ml.entities import AzureBlobDatastore

    from chimp_assets.archive.storage.azure import account_of

    container, account = urlsplit(home.settings.store_url).netloc, account_of().name
    if not home.settings.store_url.startswith("az://"):
        raise SettingsError(
            f"The store {home.settings.secret_free_store_url} is not in Azure, so its models cannot be in a registry.",
            "Set store_url to az://container/prefix.",
        )
    for one in client.datastores.list():
        if (getattr(one, "account_name", None), getattr(one, "container_name", None)) == (account, container):
            return str(one.name)
    client.datastores.create_or_update(
        AzureBlobDatastore(
            name=DATASTORE, account_name=account, container_name=container, description="the store of Chimp Assets"
        )
    )
    return DATASTORE
