"""The rooms of vision: which depends on which, and what may be imported without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import chimp_assets.vision
from chimp_assets.vision import datasets

ROOM = Path(chimp_assets.vision.__file__).parent
PREFIX = "chimp_assets.vision."


def rooms_used() -> dict[str, set[str]]:
    """For each room the others that its modules import, wherever in a module."""
    used: dict[str, set[str]] = {}
    for file in ROOM.rglob("*.py"):
        own = file.relative_to(ROOM).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            others = {name.removeprefix(PREFIX).split(".")[0] for name in names if name.startswith(PREFIX)}
            used.setdefault(own, set()).update(others - {own})
    return used


def test_no_room_depends_on_one_that_depends_on_it() -> None:
    """Two rooms that import each other are one room with a wall in it."""
    used = rooms_used()
    done: set[str] = set()
    while ready := {room for room, others in used.items() if room not in done and others <= done}:
        done |= ready
    assert set(used) - done == set()


def test_everything_that_is_public_is_there() -> None:
    """A name in `__all__` that cannot be imported is found by the first stranger who follows the docs."""
    assert sorted(datasets.__all__) == datasets.__all__
    assert all(getattr(datasets, name).__name__ == name for name in datasets.__all__)
    assert set(datasets.__all__) <= set(dir(datasets))
    with pytest.raises(AttributeError, match="no attribute 'FrameQuestion'"):
        _ = datasets.FrameQuestion


@pytest.mark.parametrize(
    "module",
    [
        "datasets",
        "datasets.training_set",
        "detection.detector",
        "embedding.bundle",
        "learning.unfinished",
        "evaluation.promotion",
        "evaluation.audit",
        "identity.training",
        "pictures.item_media",
        "tracking.bundle",
        "train",
    ],
)
def test_what_needs_no_network_imports_no_torch(module: str) -> None:
    """Importing torch takes seconds and 300 MB: longer than fitting a head, more than a web server has."""
    code = f"import sys, {PREFIX}{module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_web_server_decides_on_models_without_scipy() -> None:
    """It judges a head once a week and would hold the library all the time."""
    code = f"import sys, {PREFIX}evaluation.promotion; sys.exit('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
