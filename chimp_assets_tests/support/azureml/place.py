"""A home whose heavy steps run in the stand-in of Azure ML, and an asset that asks for one.

Belongs here: what the tests of `compute.azureml` share. Does not belong here: the service (`service`).
"""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.compute import azureml
from chimp_assets.compute.azureml import run_in_azureml
from chimp_assets.compute.heavy_step import HeavyStep
from chimp_assets.home import Home
from chimp_assets_tests.azure.azurite import Azurite
from chimp_assets_tests.support.azureml.service import SETTINGS, AzureMLService, await_true

QUIET = pytest.mark.filterwarnings("ignore:::(azure|marshmallow)[.]")
"""For the SDK's own use of its libraries."""

_numbers = itertools.count()
STEP = "chimp_assets_tests.support.azureml.step"


class Place:
    """A home whose heavy steps run in the stand-in, and one asset that asks for one."""

    def __init__(self, settings: Callable[..., Home], used: AzureMLService, folder: Path, store_url: str) -> None:
        self._settings, self.service, self.folder = settings, used, folder
        self.mailboxes = f"{store_url}/jobs"
        self.gate = folder / "gate"

    def home(self, **compute: Any) -> Home:
        return self._settings(**compute)

    def step(self, *arguments: str, waits: bool = False, **asked: Any) -> HeavyStep:
        gate = ("--gate", str(self.gate)) if waits else ()
        return HeavyStep(STEP, (*arguments, *gate), **asked)

    def run(self, step: HeavyStep | None = None, **compute: Any) -> dg.MaterializeResult:
        """What the asset's step gives. Raises its error."""
        given: list[Any] = []

        @dg.asset
        def trained(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            try:
                done = run_in_azureml(context, self.home(**compute), step or self.step())
            except BaseException as error:
                given.append(error)
                raise
            given.append(done.get_materialize_result())
            return given[0]

        dg.materialize([trained], raise_on_error=False)
        (one,) = given
        if isinstance(one, BaseException):
            raise one
        return one

    def start(self, step: HeavyStep, **compute: Any) -> tuple[threading.Thread, list[Any]]:
        """The same in a thread: the list gets what came of it."""
        came: list[Any] = []

        def run() -> None:
            try:
                came.append(self.run(step, **compute))
            except BaseException as error:
                came.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, came

    def blobs(self) -> list[str]:
        return [blob.key for blob in BlobStore.open(self.mailboxes).list()]


@pytest.fixture
def place(with_key: Azurite, service: AzureMLService, tmp_path: Path) -> Place:
    container = with_key.make_container(f"jobs-{next(_numbers)}")
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "chimp.toml").touch()  # its database is never opened

    def opened(**compute: Any) -> Home:
        azureml = {**SETTINGS, **compute}
        return Home.open(
            folder,
            store_url=container,
            archive_url=container,
            database_url="postgresql+psycopg://chimp@db.example/chimp",
            compute={"kind": "azureml", "azureml": azureml},
        )

    return Place(opened, service, tmp_path, container)


def kill_a_run(place: Place, step: HeavyStep | None = None) -> None:
    """A run that submits the step that waits, and is killed while it follows its job."""
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: Any) -> Any:
            # As a killed process would: nothing after this line is done.
            patch.setattr(azureml._Run, "_end_for", lambda run, error, name: False)
            raise SystemExit("killed")

        patch.setattr(azureml._Run, "_follow", killed)
        with pytest.raises(SystemExit):
            place.run(step or place.step(waits=True))
    await_true(lambda: place.service.only_job().status == "Running", "it runs")
