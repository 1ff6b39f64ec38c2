"""A home: the folder CHIMP_HOME with its settings, and the database, store and archive that they name.

Belongs here: making a home, opening what its settings name, handing the same home to child processes.
Does not belong here: what is done with them (`loop`, `assets`), and whether they are well (`operations.doctor`).

numpy and alembic come with a database that is used and an archive that is listed; what brings them is imported inside
the functions that need it, so that a home is opened without them.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from chimp_assets import private_files
from chimp_assets.addresses import toml_string
from chimp_assets.archive.catalogue.file_names import is_video_name
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.dagster_home import folder_for_dagster
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import video
from chimp_assets.errors import ChimpError, FullDiskError, SettingsError
from chimp_assets.settings import TOML_NAME, Settings, home_from_environment, load_settings, shipped_file

_TOML = """\
# Settings of this home. The environment (CHIMP_...) wins over this file; what neither sets has a default.
# Every setting and its default: chimp_assets/settings/.

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
                "Make one with `chimp init`, or set CHIMP_HOME to where it is.",
            )
        return cls(settings)

    @cached_property
    def database(self) -> Database:
        """The database, migrated to this version of the code. Raises DatabaseError otherwise."""
        from chimp_assets.database.upkeep.migrations import require_head

        database = Database(self.settings.database_url)
        require_head(database)
        return database

    @cached_property
    def store(self) -> BlobStore:
        """Where shards, embeddings and checkpoints lie. Raises StoreError if it cannot be reached."""
        return BlobStore.open(self.settings.store_url)

    @cached_property
    def archive(self) -> BlobStore:
        """The archive of video, read only. Raises ArchiveError if none is named or it cannot be read."""
        from chimp_assets.archive.storage.archive import ArchiveError, open_archive

        if not self.settings.archive_url:
            raise ArchiveError(
                "No archive is set, so there is no video to read.",
                f"Run `chimp ingest FOLDER`, or set archive_url in {self.settings.home / TOML_NAME}.",
            )
        return open_archive(self.settings)

    def archive_problem(self) -> str | None:
        """Why the archive cannot be listed, in words: what is wrong with its folder, else with the last listing.

        A container is not asked: it may take long. None: no archive is named, or nothing is known to be wrong.
        """
        from chimp_assets.database.footage.archive_state import archive_problem

        if not self.settings.archive_url:
            return None
        if archive_folder(self.settings) is not None:
            try:
                _ = self.archive
            except ChimpError as error:
                return str(error)
        with self.database.read() as conn:
            problem = archive_problem(conn)
        return None if problem is None else f"{problem} (seen {problem.since:%Y-%m-%d %H:%M} UTC)"

    @property
    def is_read_only(self) -> bool:
        """Whether this user may read the home but write nothing in it."""
        return not os.access(self.settings.home, os.W_OK)

    def environment(self) -> dict[str, str]:
        """The environment of a child process that works in this home."""
        return {
            **os.environ,
            "CHIMP_HOME": str(self.settings.home),
            "DAGSTER_HOME": str(folder_for_dagster(self.settings)),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }


def init_home(home: Path | str | None = None, archive_url: str | None = None, toml: str | None = None) -> Home:
    """Makes a home or completes one: folders, chimp.toml, Dagster's instance file, database at head, first user.

    Run again it changes nothing that is there, except that others than its owner can no longer open it. toml replaces
    the template of a new chimp.toml. Raises ChimpError.
    """
    from chimp_assets.database.people.users import ensure_default_users
    from chimp_assets.database.upkeep.migrations import upgrade

    root = load_settings(home).home
    try:
        private_files.make_folder(root)
        private_files.make_folder(root / "dagster")
        if not (root / TOML_NAME).exists():
            archive_line = (
                f"archive_url = {toml_string(archive_url)}" if archive_url else '# archive_url = "/path/to/videos"'
            )
            _write_whole(root / TOML_NAME, toml or _TOML.format(archive_line=archive_line))
        if not (root / "dagster" / "dagster.yaml").exists():
            _write_whole(root / "dagster" / "dagster.yaml", shipped_file("dagster.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise home_error(root, error) from None
    settings = load_settings(root)
    BlobStore.open(settings.store_url, create=True)
    database = Database(settings.database_url)
    upgrade(database)
    ensure_default_users(database)
    database.dispose()
    made = Home(settings)
    make_private(made)
    return made


def has_home(home: Path | str | None = None) -> bool:
    """Whether a home was made there; None: at CHIMP_HOME."""
    root = home_from_environment() if home is None else Path(home).expanduser().resolve()
    return (root / TOML_NAME).is_file()


def require_video(archive_url: str | None = None) -> None:
    """Raises ArchiveError unless there is a video where a new home would look for some; makes nothing.

    archive_url: None means what the environment names.
    """
    from chimp_assets.archive.storage.archive import ArchiveError, open_archive

    settings = load_settings(**({} if archive_url is None else {"archive_url": archive_url}))
    if not settings.archive_url:
        raise ArchiveError(
            f"There is no Chimp Assets home at {settings.home}, and no archive is named to make one for.",
            "Run `chimp ingest FOLDER` with the folder of your videos, or set CHIMP_HOME to where the home is.",
        )
    archive = open_archive(settings)
    others = 0
    for info in archive.list("", None, lambda path, reason: None):
        if is_video_name(info.key, settings.archive.suffixes):
            return
        others += 1
    raise ArchiveError(
        f"{settings.archive_url} holds no video ({others:,} other files), so no home was made for it.",
        "Check that it is the right folder and that its disk is mounted; archive.suffixes lists the endings of videos.",
    )


def make_private_if_there(root: Path) -> str | None:
    """`make_private` for a home that is there already; a new one is closed from the start."""
    return make_private(Home(load_settings(root))) if has_home(root) else None


def make_private(home: Home) -> str | None:
    """Closes a home to all but its owner, as new homes are, except its archive. Returns a sentence if it was open."""
    changed = private_files.make_private(home.settings.home, archive_folder(home.settings))
    if not changed:
        return None
    return (
        f"{home.settings.home} was open to other users of this machine: now only its owner can open it"
        f" ({changed:,} files and folders changed)."
    )


def archive_folder(settings: Settings) -> Path | None:
    """Where the archive lies in the file system; None if it does not."""
    url = settings.archive_url
    if not url or ("://" in url and not url.startswith("file:")):
        return None
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path(url).expanduser().absolute()


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
    lines = [
        line for line in toml.read_text(encoding="utf-8").splitlines() if not re.match(r"(# )?archive_url\b", line)
    ]
    _write_whole(toml, "\n".join([f"archive_url = {toml_string(archive_url)}", *lines]) + "\n")
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
    with open(part, "w", encoding="utf-8", opener=private_files.opener) as file:
        file.write(text)
    part.replace(path)
