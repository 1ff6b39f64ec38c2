"""The order in which files of tests begin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chimp_assets_tests.support.order import HERE, SECONDS, longest_first


def test_every_file_whose_cost_is_known_is_there() -> None:
    """A file that was renamed would begin last, and a worker would stand idle beside it for minutes."""
    assert [name for name in SECONDS if not (HERE / name).is_file()] == []


def test_long_files_begin_first_then_those_of_many_tests_and_a_file_stays_together() -> None:
    def item(name: str, number: int) -> Any:
        return SimpleNamespace(path=HERE / name if name != "elsewhere.py" else Path("/elsewhere.py"), number=number)

    names = ["few.py", "many.py", "elsewhere.py", "test_home.py", "many.py", "many.py", "few.py"]
    items = [item(name, number) for number, name in enumerate(names)]
    longest_first(items)
    assert [(one.path.name, one.number) for one in items] == [
        ("test_home.py", 3), ("many.py", 1), ("many.py", 4), ("many.py", 5), ("few.py", 0), ("few.py", 6),
        ("elsewhere.py", 2),
    ]  # fmt: skip
