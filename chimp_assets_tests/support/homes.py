"""Homes that are made once for a file of tests and copied for each test.

Belongs here: copying them, and the migrated database that new ones begin with. Does not belong here: what is in them,
which the file of tests says.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.upkeep import migrations
from chimp_assets.home import Home

_upgrade = migrations.upgrade


def copied(root: Path, folder: Path) -> Home:
    """A copy of the home at `root`, whose database nobody holds open, in a new folder."""
    return Home.open(shutil.copytree(root, folder))


def fill(home: Home, root: Path) -> None:
    """Turn an empty home into a copy of the home at `root`, whose database nobody holds open."""
    home.database.dispose()  # a log of the empty database would be replayed into the copy
    shutil.copytree(root, home.settings.home, dirs_exist_ok=True)


class Migrated:
    """A migrated SQLite file, made when it is first asked for, and the revisions that it went through."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._made: tuple[Path, list[str]] | None = None

    def upgrade(self, db: Database) -> list[str]:
        """What `migrations.upgrade` does. A new SQLite file begins as a copy: its migrations take most of a home."""
        file = db.file
        if file is None or not file.parent.is_dir() or (file.exists() and file.stat().st_size):
            return _upgrade(db)
        if self._made is None:
            template = Database(f"sqlite:///{self._folder() / 'chimp.db'}")
            revisions = _upgrade(template)
            template.dispose()
            assert template.file is not None
            self._made = template.file, revisions
        made, revisions = self._made
        try:
            shutil.copy(made, file)
        except OSError:
            return _upgrade(db)
        return [*revisions, *_upgrade(db)]


@contextmanager
def migrating(upgrade: Callable[[Database], list[str]] = _upgrade) -> Iterator[None]:
    """Homes and commands upgrade like this; without an argument as they do outside of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "upgrade", upgrade)
        yield
