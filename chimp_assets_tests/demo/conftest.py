"""One tiny generated archive for all tests that only look at it."""

import pytest

from chimp_assets.demo.archive import make_archive


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """(folder of the archive, truth): two cameras, two days, four good clips of two to three seconds."""
    root = tmp_path_factory.mktemp("tiny")
    truth = make_archive(
        root / "archive", root / "truth.json", seed=5, individuals=5, cameras=2, days=2, clips=4, seconds=2.5, workers=1
    )
    return root / "archive", truth
