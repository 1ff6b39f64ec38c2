"""Homes that are made once for a file of tests and copied for each test.

Belongs here: copying them. Does not belong here: what is in them, which the file of tests says.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from chimp_assets.home import Home


def copied(root: Path, folder: Path) -> Home:
    """A copy of the home at `root`, whose database nobody holds open, in a new folder."""
    return Home.open(shutil.copytree(root, folder))


def fill(home: Home, root: Path) -> None:
    """Turn an empty home into a copy of the home at `root`, whose database nobody holds open."""
    home.database.dispose()  # a log of the empty database would be replayed into the copy
    shutil.copytree(root, home.settings.home, dirs_exist_ok=True)
