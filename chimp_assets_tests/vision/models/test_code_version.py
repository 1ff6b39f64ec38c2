"""The version of the code that learns changes with that code, wherever it lies, and with nothing else."""

import importlib.metadata
import os
import re
import shutil
from pathlib import Path

import pytest

import chimp_assets.vision
from chimp_assets.vision.models.code_version import code_version, hash_of_modules

ROOM = Path(chimp_assets.vision.__file__).parent
ROOMS = sorted(folder.name for folder in ROOM.iterdir() if (folder / "__init__.py").is_file())


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A copy of the modules, and nothing else."""
    return Path(shutil.copytree(ROOM, tmp_path / "vision", ignore=shutil.ignore_patterns("__pycache__")))


def test_it_names_the_product_and_the_modules_of_today() -> None:
    """A hash of another folder would say that nothing ever changed."""
    version, digest = code_version().split("+")
    assert version == importlib.metadata.version("chimp-assets")
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert digest == hash_of_modules(ROOM)


@pytest.mark.parametrize("name", ["", *ROOMS])
def test_a_changed_added_or_removed_module_of_any_room_changes_it(room: Path, name: str) -> None:
    """Modules that were moved into rooms below were no longer hashed: a model seemed made by code that it was not."""
    before = hash_of_modules(room)
    file = max((room / name).glob("*.py"), key=lambda file: file.stat().st_size)
    content = file.read_bytes()
    file.write_bytes(content + b"\n# changed\n")
    assert hash_of_modules(room) != before
    file.write_bytes(content)
    assert hash_of_modules(room) == before
    added = room / name / "added.py"
    added.touch()
    assert hash_of_modules(room) != before
    added.unlink()
    moved = file.rename(file.with_name("renamed.py"))
    assert hash_of_modules(room) != before
    moved.unlink()
    assert hash_of_modules(room) != before


def test_what_is_no_module_does_not_change_it(room: Path) -> None:
    """Compiled files and times differ between machines that run the same code."""
    before = hash_of_modules(room)
    cache = room / "models" / "__pycache__"
    cache.mkdir()
    (cache / "checkpoint.cpython-311.pyc").write_bytes(b"compiled")
    (room / "notes.md").write_text("notes")
    os.utime(room / "train.py", (1, 1))
    assert hash_of_modules(room) == before
    assert hash_of_modules(Path(shutil.copytree(room, room.parent / "elsewhere"))) == before
