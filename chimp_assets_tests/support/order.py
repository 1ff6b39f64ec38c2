"""In which order files of tests begin: the longest first, so that no worker is left alone with one at the end.

Belongs here: what files cost, and the order. Does not belong here: how many workers there are (Makefile).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]

SECONDS = {
    "test_end_to_end.py": 250,
    "cli/test_ingest_command.py": 260,
    "azure/test_azure_ingest.py": 210,
    "web/test_nothing_is_lost.py": 150,
    "archive/video/test_truth.py": 110,
    "test_home.py": 110,
    "database/individuals/test_merges.py": 90,
    "database/connection/test_concurrency.py": 80,
    "web/server/test_hostile.py": 80,
    "web/test_leaving.py": 80,
    "vision/learning/test_training.py": 70,
    "web/test_dagster_ui.py": 70,
    "web/test_label_screen.py": 70,
    "operations/test_dagster_home.py": 60,
    "vision/test_train.py": 60,
    "vision/datasets/test_frames_and_tracks.py": 50,
    "web/test_pages_review.py": 50,
    "web/test_screens.py": 50,
    "automation/test_quiet_ticks.py": 50,
    "benchmarks/test_benchmark_identity.py": 50,
    "web/server/pages/test_screens.py": 40,
    "loop/test_retrain_job.py": 40,
    "vision/embedding/test_fine_tuning.py": 40,
    "acquisition/test_plan.py": 40,
    "archive/video/test_decode.py": 40,
    "acquisition/returns/test_savings.py": 30,
    "vision/embedding/test_embedder.py": 30,
    "vision/detection/test_box_training.py": 30,
}
"""Files that take half a minute or longer, roughly, on a busy machine of two cores: only their order counts."""

OF_A_TEST = 0.5
"""Seconds of a test in any other file: many small tests come before few."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by what their files cost; within a file they stay as they are."""
    counts = Counter(item.path for item in items)

    def seconds(file: Path) -> float:
        known = SECONDS.get(file.relative_to(HERE).as_posix()) if file.is_relative_to(HERE) else None
        return OF_A_TEST * counts[file] if known is None else known

    items.sort(key=lambda item: (-seconds(item.path), str(item.path)))
