"""A home: its settings, and the database, store and archive that they name.

Mostly a folder, CHIMP_HOME, with a chimp.toml. Where CHIMP_DATABASE_URL and CHIMP_STORE_URL name a database and a
store, the environment alone is a home: of a container, of a job on another machine. Such a home has a folder for
temporary files only, CHIMP_HOME or a private one below TMPDIR, and nothing in it is missed when it is gone.

Belongs here: making a home, opening what its settings name, handing the same home to child processes.
Does not belong here: what is done with them (`loop`, `assets`), and whether they are well (`operations.doctor`).

numpy and alembic come with a database that is used and an archive that is listed; what brings them is imported inside
the functions that need it, so that a home is opened without them.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from chimp_assets import private_files
from chimp_assets.addresses import redacted, toml_string
from chimp_assets.archive.catalogue.file_names import is_listed_name
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.dagster_home import folder_for_dagster
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import video
from chimp_assets.errors import ChimpError, FullDiskError, SettingsError
from chimp_assets.settings import (
    TOML_NAME,
    Settings,
    as_variables,
    home_from_environment,
    inherited,
    load_settings,
    says_everything,
    shared_values,
    shipped_file,
)

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
        """A home that was made by `init_home`, or that of the environment. Raises SettingsError where there is none."""
        settings = load_settings(home, **overrides)
        if not settings.has_file:
            if not says_everything(os.environ):
                raise SettingsError(
                    f"There is no Chimp Assets home at {settings.home}.",
                    "Make one with `chimp init`, or set CHIMP_HOME to where it is.",
                )
            if home is None and not os.environ.get("CHIMP_HOME"):
                _own_temporary_folder(settings.home)
        return cls(settings)

    @cached_property
    def database(self) -> Database:
        """The database, migrated to this version of the code. Raises DatabaseError otherwise.

        On a server it is shared: raises DifferentSettingsError if rows of this host would disagree with the others'.
        """
        from chimp_assets.database.upkeep.shared_settings import require_same

        database = self.unchecked_database
        if self.settings.is_on_server:
            require_same(database, shared_values(self.settings))
        return database

    @cached_property
    def unchecked_database(self) -> Database:
        """The same, whatever the settings of this host: for looking at them, and for adopting them."""
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

        if not self.archive_url:
            place = self.settings.home / TOML_NAME if self.settings.has_file else "the environment (CHIMP_ARCHIVE_URL)"
            raise ArchiveError(
                "No archive is set, so there is no video to read.",
                f"Run `chimp ingest FOLDER`, or set archive_url in {place}.",
            )
        return open_archive(self.settings.model_copy(update={"archive_url": self.archive_url}))

    @cached_property
    def archive_url(self) -> str | None:
        """The address of the archive: that of the settings, else the one that another host was told; None: none."""
        from chimp_assets.database.upkeep.shared_settings import archive_of

        if self.settings.archive_url or not self.shares_archive:
            return self.settings.archive_url
        with self.database.read() as conn:
            return archive_of(conn)

    @property
    def secret_free_archive_url(self) -> str | None:
        """The same with its secrets hidden, for messages and metadata."""
        return None if self.archive_url is None else redacted(self.archive_url)

    @property
    def shares_archive(self) -> bool:
        """Whether the address of the archive is kept in the database, for other hosts or for want of a chimp.toml."""
        return self.settings.is_on_server or not self.settings.has_file

    def archive_disagreement(self) -> str | None:
        """A sentence if this host's settings name another archive than the one that all hosts were told."""
        from chimp_assets.database.upkeep.shared_settings import archive_of

        if not self.settings.archive_url or not self.shares_archive:
            return None
        with self.database.read() as conn:
            told = archive_of(conn)
        if told in (None, self.settings.archive_url):
            return None
        return (
            f"This host reads the archive {self.settings.secret_free_archive_url} by its own settings, and all others"
            f" {redacted(told or '')}: if these are not the same videos, each host retires those of the other."
        )

    def archive_problem(self) -> str | None:
        """Why the archive cannot be listed, in words: what is wrong with its folder, else with the last listing.

        A container is not asked: it may take long. None: no archive is named, or nothing is known to be wrong.
        """
        from chimp_assets.database.footage.archive_state import archive_problem

        if not self.archive_url:
            return None
        if folder_of(self.archive_url) is not None:
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
        return self.settings.has_file and not os.access(self.settings.home, os.W_OK)

    def shared_values(self) -> dict[str, str]:
        """What this host wants all to share: JSON by name; the archive only where its own settings name one."""
        from chimp_assets.database.upkeep.shared_settings import ARCHIVE

        wanted = shared_values(self.settings)
        if (
            self.settings.archive_url
            and self.shares_archive
            and redacted(self.settings.archive_url) == (self.settings.archive_url)
        ):
            wanted[ARCHIVE] = json.dumps(self.settings.archive_url)
        return wanted

    def note_settings(self) -> None:
        """Records what a user of this one machine has changed in settings that rows depend on, and when.

        Nothing is refused there: nobody else works on an SQLite file with other settings. Does nothing on a server.
        """
        from chimp_assets.database.upkeep.shared_settings import adopt, different

        if self.settings.is_on_server:
            return
        wanted = shared_values(self.settings)
        with self.database.read() as conn:
            changed = different(conn, wanted)
        if changed:
            adopt(self.database, wanted)

    def require_right_clock(self) -> None:
        """Raises ClockError if this machine's clock is not the database's: leases and waits compare moments of both."""
        from chimp_assets.database.connection.clock import require_right_clock

        require_right_clock(self.unchecked_database)

    def job_environment(self) -> dict[str, str]:
        """The settings of this home as variables, for a job on another machine, and nothing else of the environment.

        Raises SettingsError if one of them carries a secret.
        """
        variables = as_variables(self.settings)
        if self.archive_url and "CHIMP_ARCHIVE_URL" not in variables and redacted(self.archive_url) == self.archive_url:
            variables["CHIMP_ARCHIVE_URL"] = self.archive_url
        return variables

    def environment(self) -> dict[str, str]:
        """The environment of a child process on this machine that works in this home (`settings.environment`)."""
        return {
            **inherited(os.environ),
            "CHIMP_HOME": str(self.settings.home),
            "DAGSTER_HOME": str(folder_for_dagster(self.settings)),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }


def init_home(home: Path | str | None = None, archive_url: str | None = None, toml: str | None = None) -> Home:
    """Makes a home or completes one: folders, chimp.toml, Dagster's instance file, database at head, first user.

    Run again it changes nothing that is there, except that others than its owner can no longer open it. toml replaces
    the template of a new chimp.toml. Raises ChimpError.
    """
    if home is None and toml is None and not os.environ.get("CHIMP_HOME") and says_everything(os.environ):
        opened = complete_home()
        return remember_archive(opened, archive_url) if archive_url else opened
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
    made = Home(load_settings(root))
    _complete(made)
    make_private(made)
    if archive_url and made.settings.is_on_server:
        made = remember_archive(made, archive_url)
    return made


def complete_home() -> Home:
    """The home of this environment with its database at head, its store and its first user; no folder is made for it.

    For a home that a folder holds: `init_home`. Raises ChimpError.
    """
    opened = Home.open()
    if opened.settings.has_file:
        return init_home()
    _complete(opened)
    return opened


def _complete(home: Home) -> None:
    from chimp_assets.database.people.users import ensure_default_users
    from chimp_assets.database.upkeep.migrations import upgrade

    BlobStore.open(home.settings.store_url, create=True)
    database = Database(home.settings.database_url)
    upgrade(database)
    ensure_default_users(database)
    database.dispose()
    home.note_settings()
    home.unchecked_database.dispose()


def _own_temporary_folder(folder: Path) -> None:
    """Makes the folder for temporary files, or sees to it that it is this user's: others may write beside it."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise SettingsError(
            f"The folder for temporary files {folder} cannot be made: {error.strerror or error}.",
            "Set CHIMP_HOME or TMPDIR to a folder that can be written.",
        ) from None
    user = os.getuid() if hasattr(os, "getuid") else facts.st_uid
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != user or (os.name != "nt" and facts.st_mode & 0o077):
        raise SettingsError(
            f"{folder}, the folder for temporary files, is not this user's own.",
            "Set CHIMP_HOME or TMPDIR to a folder of yours.",
        )


def has_home(home: Path | str | None = None) -> bool:
    """Whether a home was made there, or the environment is one; None: at CHIMP_HOME."""
    root = home_from_environment() if home is None else Path(home).expanduser().resolve()
    return (root / TOML_NAME).is_file() or says_everything(os.environ)


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
        if is_listed_name(info.key, settings):
            return
        others += 1
    raise ArchiveError(
        f"{settings.archive_url} holds no video ({others:,} other files), so no home was made for it.",
        "Check that it is the right folder and that its disk is mounted; archive.suffixes and pictures.suffixes list"
        " the endings of videos and pictures.",
    )


def make_private_if_there(root: Path) -> str | None:
    """`make_private` for a home that is there already; a new one is closed from the start."""
    return make_private(Home(load_settings(root))) if (root / TOML_NAME).is_file() else None


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
    """Where the archive that the settings name lies in the file system; None if it does not."""
    return folder_of(settings.archive_url)


def folder_of(url: str | None) -> Path | None:
    """Where an archive lies in the file system; None if it does not."""
    if not url or ("://" in url and not url.startswith("file:")):
        return None
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path(url).expanduser().absolute()


def remember_archive(home: Home, archive_url: str) -> Home:
    """The same home with this archive, also in its chimp.toml, and in the database where other hosts use it.

    Raises SettingsError if videos of another archive are in it: they would look vanished and all be retired. Raises
    ArchiveError if the archive cannot be opened. Nothing is written then.
    """
    opened = Home.open(home.settings.home, archive_url=archive_url)
    _ = opened.archive
    known = home.archive_url
    if home.shares_archive and redacted(archive_url) != archive_url:
        raise SettingsError(
            f"The address {redacted(archive_url)} holds a secret, which all hosts would find in the database.",
            "Leave it out of the address and set AZURE_STORAGE_... on each host (docs/operate/hosts.md).",
        )
    if known == archive_url:
        _share_archive(opened, archive_url)
        return opened
    with home.database.read() as conn:
        has_videos = conn.execute(sa.select(video.c.video_id).limit(1)).first() is not None
    if known is not None and has_videos:
        moved = (
            "set CHIMP_ARCHIVE_URL and run `chimp settings adopt`"
            if not home.settings.has_file
            else "change archive_url in chimp.toml"
            + (", then run `chimp settings adopt`" if home.settings.is_on_server else "")
        )
        raise SettingsError(
            f"This home belongs to the archive {known}, so {archive_url} cannot be added to it.",
            f"Choose another home with CHIMP_HOME, or if the archive has moved, {moved}.",
        )
    if home.settings.has_file:
        toml = home.settings.home / TOML_NAME
        lines = [
            line for line in toml.read_text(encoding="utf-8").splitlines() if not re.match(r"(# )?archive_url\b", line)
        ]
        _write_whole(toml, "\n".join([f"archive_url = {toml_string(archive_url)}", *lines]) + "\n")
    _share_archive(opened, archive_url)
    return opened


def _share_archive(home: Home, archive_url: str) -> None:
    from chimp_assets.database.upkeep.shared_settings import ARCHIVE, adopt, different

    if not home.shares_archive:
        return
    wanted = {ARCHIVE: json.dumps(archive_url)}
    with home.database.read() as conn:
        changed = different(conn, wanted)
    if changed:
        adopt(home.database, wanted, why="chimp ingest")


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
