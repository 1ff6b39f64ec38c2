"""Q: a quiet tick of every sensor: 10,000 bundles, 1,000,000 video rows, a Dagster instance of 10,000 partitions.

Real sensors, a real SQLite home and a real archive folder of 12,000 files, of which a tick lists its share. CPU seconds
of this process, summed over the sensors; the first tick, so that nothing is warm. There are no tracks in the home: that
no quiet question reads them is what `test_quiet_ticks` asserts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from benchmarks.support.harness import Row, cores
from chimp_assets.definitions import build_definitions
from chimp_assets.home import init_home
from chimp_assets.resources import HomeResource
from chimp_assets_tests.automation import large_home
from chimp_assets_tests.automation.test_quiet_ticks import QUIET

LIMIT_S = 1.0


def measure() -> Iterator[Row]:
    """One row; peers are the single sensors."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "archive").mkdir()
        (root / "dagster").mkdir()
        home = init_home(root / "home", archive_url=str(root / "archive"))
        large_home.fill(home, root / "archive")
        os.environ["CHIMP_ARCHIVE_URL"] = str(root / "archive")
        spent: dict[str, float] = {}
        with dg.DagsterInstance.local_temp(str(root / "dagster")) as instance:
            instance.add_dynamic_partitions("bundle", large_home.bundle_keys())
            repository = build_definitions().get_repository_def()
            for name in QUIET:
                began = time.process_time()
                with dg.build_sensor_context(
                    instance=instance,
                    repository_def=repository,
                    sensor_name=name,
                    resources={"home": HomeResource(path=str(home.settings.home))},
                ) as context:
                    repository.get_sensor_def(name)(context)
                spent[name] = time.process_time() - began
        home.database.dispose()
        total = sum(spent.values())
        yield Row(
            "Q", "a quiet tick of all sensors, 10,000 bundles, 1,000,000 videos", total, "CPU s", spent, {},
            f"<= {LIMIT_S:.0f} s", total <= LIMIT_S, 1, 0.0, cores(),
        )  # fmt: skip
