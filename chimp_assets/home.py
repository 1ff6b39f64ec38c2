"""A home: the folder CHIMP_HOME with its settings, and the database, store and archive that they name.

Belongs here: making a home, opening what its settings name, handing the same home to child processes.
Does not belong here: what is done with them (`pipeline`, `assets`), and whether they are well (`doctor`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.database.engine import Database
from chimp_assets.database.schema import video
from chimp_assets.errors import ChimpError, FullDiskError, SettingsError
from chimp_assets.settings import TOML_NAME, Settings, load_settings, shipped_file

if TYPE_CHECKING:
    from chimp_assets.archive.store import BlobStore

_TOML = """\
# Settings of this home. The environment (CHIMP_...) wins over this file; what neither says has a default.
# Every setting and its default: chimp_assets/settings.py.

{archive_line}
# store_url = "az://container/prefix"           # default: the folder "store" of this home
# database_url = "postgresql+psycopg://..."     # default: the SQLite file "chimp.db" of this home

# [decode]
# policy = "fps"        # or "keyframe": ten times faster, a picture every few seconds
# fps = 5.0

# [acquisition]
# batch = 100

# [words]               # what the page calls what is filmed: "Not a chimpanzee"
# en = "a chimpanzee"
"""


@dataclass(frozen=True)
class Home:
    """Opens lazily and at most once each: nothing is connected before it is asked for."""

    settings: Settings

    @classmethod
    def open(cls, home: Path | str | None = None, **overrides: Any) -> Home:
        """A home that was made by `init_home`. Raises SettingsError where there is none."""
        settings = load_settings(home, **overrides)
        if not (settings.home / TOML_NAME).is_file():
            raise SettingsError(
                f"There is no Chimp Assets home at {settings.home}.",
                "Make one with `chimp init`, or say where it is with CHIMP_HOME.",
            )
        return cls(settings)

    @cached_property
    def database(self) -> Database:
        """The database, migrated to this version of the code. Raises DatabaseError otherwise."""
        from chimp_assets.database.migrations import require_head

        database = Database(self.settings.database_url)
        require_head(database)
        return database

    @cached_property
    def store(self) -> BlobStore:
        """Where shards, embeddings and checkpoints lie. Raises StoreError if it cannot be reached."""
        from chimp_assets.archive.store import BlobStore

        return BlobStore.open(self.settings.store_url)

    @cached_property
    def archive(self) -> BlobStore:
        """The archive of video, read only. Raises ArchiveError if none is named or it cannot be read."""
        from chimp_assets.archive.discover import ArchiveError, open_archive

        if not self.settings.archive_url:
            raise ArchiveError(
                "No archive is set, so there is no video to read.",
                f"Say `chimp ingest FOLDER`, or set archive_url in {self.settings.home / TOML_NAME}.",
            )
        return open_archive(self.settings)

    def environment(self) -> dict[str, str]:
        """The environment of a child process that works in this home."""
        return {
            **os.environ,
            "CHIMP_HOME": str(self.settings.home),
            "DAGSTER_HOME": str(self.settings.dagster_home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }


def init_home(home: Path | str | None = None, archive_url: str | None = None, toml: str | None = None) -> Home:
    """Makes a home or completes one: folders, chimp.toml, Dagster's instance file, database at head, first user.

    Run again it changes nothing that is there. toml replaces the template of a new chimp.toml. Raises ChimpError.
    """
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.database.migrations import upgrade
    from chimp_assets.database.people import ensure_default_users

    root = load_settings(home).home
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / "dagster").mkdir(exist_ok=True)
        if not (root / TOML_NAME).exists():
            archive_line = f'archive_url = "{archive_url}"' if archive_url else '# archive_url = "/path/to/videos"'
            _write_whole(root / TOML_NAME, toml or _TOML.format(archive_line=archive_line))
        if not (root / "dagster" / "dagster.yaml").exists():
            shutil.copyfile(shipped_file("dagster.yaml"), root / "dagster" / "dagster.yaml")
    except OSError as error:
        raise home_error(root, error) from None
    settings = load_settings(root)
    BlobStore.open(settings.store_url, create=True)
    database = Database(settings.database_url)
    upgrade(database)
    ensure_default_users(database)
    database.dispose()
    return Home(settings)


def remember_archive(home: Home, archive_url: str) -> Home:
    """The same home with this archive, also in its chimp.toml.

    Raises SettingsError if videos of another archive are in it: they would look vanished and all be retired. Raises
    ArchiveError if the archive cannot be opened. Nothing is written then.
    """
    opened = Home.open(home.settings.home, archive_url=archive_url)
    _ = opened.archive
    known = home.settings.archive_url
    if known == archive_url:
        return opened
    with home.database.read() as conn:
        has_videos = conn.execute(sa.select(video.c.video_id).limit(1)).first() is not None
    if known is not None and has_videos:
        raise SettingsError(
            f"This home belongs to the archive {known}, so {archive_url} cannot be added to it.",
            "Choose another home with CHIMP_HOME, or if the archive has moved, change archive_url in chimp.toml.",
        )
    toml = home.settings.home / TOML_NAME
    lines = [line for line in toml.read_text().splitlines() if not re.match(r"(# )?archive_url\b", line)]
    quoted = archive_url.replace("\\", "\\\\").replace('"', '\\"')
    _write_whole(toml, "\n".join([f'archive_url = "{quoted}"', *lines]) + "\n")
    return opened


def home_error(root: Path, error: OSError) -> ChimpError:
    """An operating-system error while a home is written, as a sentence with a remedy."""
    if error.errno == errno.ENOSPC:
        return FullDiskError(f"The disk that holds {root} is full.", "Free some space and run the same command again.")
    return SettingsError(
        f"The home {root} cannot be written: {error.strerror or error}.",
        "Choose a folder you may write to with CHIMP_HOME.",
    )


def _write_whole(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text)
    part.replace(path)
