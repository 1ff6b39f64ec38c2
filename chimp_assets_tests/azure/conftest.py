"""One Azurite for all tests that do not stop it, and an environment without credentials of the developer."""

import os

import pytest

from chimp_assets_tests.azure.azurite import Azurite, why_not


@pytest.fixture(autouse=True)
def _no_credentials_from_outside(monkeypatch):
    """A test must neither reach nor pay for a real account."""
    for name in [name for name in os.environ if name.startswith(("AZURE_", "MSI_", "IDENTITY_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """A running server, shared: each test makes containers of its own."""
    if reason := why_not():
        pytest.skip(reason)
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def with_key(azurite, monkeypatch) -> Azurite:
    """The server, with its account key in the environment."""
    for name, value in azurite.environment().items():
        monkeypatch.setenv(name, value)
    return azurite
