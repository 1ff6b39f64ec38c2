"""Champions in the model registry of Azure ML: a mirror that harms nobody."""

from pathlib import Path

import numpy as np
import pytest

from chimp_assets.compute.azureml_models import DATASTORE, mirror_champions, mirrored
from chimp_assets.home import Home
from chimp_assets.vision.models.checkpoint import promote, register_model, save_checkpoint
from chimp_assets_tests.azure.azurite import ACCOUNT
from chimp_assets_tests.azure.conftest import _no_credentials_from_outside, azurite, with_key  # noqa: F401  fixtures
from chimp_assets_tests.support.azureml.place import QUIET
from chimp_assets_tests.support.azureml.service import SETTINGS, service  # noqa: F401  a fixture

pytestmark = QUIET


@pytest.fixture
def azure_home(home, with_key) -> Home:  # noqa: F811
    """A home with a store in Azure."""
    container = f"models-{Path(home.settings.home).parent.name.replace('_', '-').lower()}"[:60].strip("-")
    url = with_key.make_container(container)
    return Home.open(home.settings.home, store_url=f"{url}/gombe", compute={"kind": "azureml", "azureml": SETTINGS})


def _a_head(home: Home, value: int) -> int:
    uri, digest = save_checkpoint(home.store, "models/head/head", {"w": np.full(3, value, dtype=np.float32)}, {})
    return register_model(home.database, "head", f"head {value}", {}, uri, digest)


def test_each_champion_is_there_once_with_its_reason(azure_home, service):  # noqa: F811
    """The first of a task that is promoted, the next, and calls in between that have nothing to do."""
    assert mirror_champions(azure_home).written == []
    first = _a_head(azure_home, 1)
    promote(azure_home.database, first, "better by 3 points on 400 audit answers")
    (label,) = mirror_champions(azure_home).written
    again = mirror_champions(azure_home)
    assert (again.written, again.there, again.failed) == ([], [label], {})
    second = _a_head(azure_home, 2)
    promote(azure_home.database, second, "better again")
    assert len(mirror_champions(azure_home).written) == 1
    entries = {name: one for name, one in service.models.items() if "/versions/" in name}
    assert len(entries) == 2
    name, entry = next(iter(entries.items()))
    assert name.startswith("chimp-head/versions/1-")
    assert entry["tags"]["why"] == "better by 3 points on 400 audit answers"
    assert entry["tags"]["model_id"] == str(first)
    assert f"/datastores/{DATASTORE}/paths/gombe/models/head/head-" in entry["modelUri"]
    assert service.datastores[DATASTORE]["containerName"] in azure_home.settings.store_url
    assert service.datastores[DATASTORE]["credentials"]["credentialsType"] == "None"


def test_a_datastore_of_the_workspace_is_used_where_it_is_the_store(azure_home, service):  # noqa: F811
    service.datastores["gombe"] = {
        "datastoreType": "AzureBlob", "accountName": ACCOUNT, "endpoint": "core.windows.net", "protocol": "https",
        "containerName": azure_home.settings.store_url.split("/")[2], "credentials": {"credentialsType": "None"},
    }  # fmt: skip
    promote(azure_home.database, _a_head(azure_home, 1), "good")
    mirror_champions(azure_home)
    assert list(service.datastores) == ["gombe"]
    assert any("/datastores/gombe/paths/" in one.get("modelUri", "") for one in service.models.values())


def test_a_registry_that_is_away_is_counted_and_tried_again(azure_home, service):  # noqa: F811
    promote(azure_home.database, _a_head(azure_home, 1), "good")
    service.fail_next("PUT", "/models/", 403)
    report = mirror_champions(azure_home)
    assert report.written == []
    assert list(report.failed) != []
    assert "failed" in str(report)
    assert len(mirror_champions(azure_home).written) == 1


def test_a_promotion_goes_on_without_a_registry(azure_home, home):
    """Neither a workspace that is not set nor one that is away may hold up the loop; elsewhere there is none to ask."""
    assert mirrored(home) == {}
    compute = {"kind": "azureml", "azureml": {}}
    unset = Home.open(azure_home.settings.home, store_url=azure_home.settings.store_url, compute=compute)
    assert "not written: compute.kind is azureml" in mirrored(unset)["model_registry"]
