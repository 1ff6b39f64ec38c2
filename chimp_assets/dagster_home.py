"""Dagster's instance in a home: its folder, and what a dagster.yaml of an older version lacks.

Belongs here: what must hold before Dagster is started in a home. Does not belong here: what it runs (`automation`), its
processes (`operations`). Dagster is imported only where the instance itself is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from chimp_assets import private_files
from chimp_assets.errors import SettingsError
from chimp_assets.settings import Settings, shipped_file

SHARE_IT = (
    "Set CHIMP_DATABASE_URL to a database server and CHIMP_STORE_URL to az://container/prefix, or let everything run "
    'on this machine (`chimp init --engine local`, compute.kind = "subprocess").'
)
"""The remedy for a home that other machines cannot reach."""

POOLS = ("decode", "detect", "gpu", "fine_tuning")
"""Every pool that an asset names; a test compares."""

_LOCAL_LAUNCHERS = ("LocalRunLauncher", "DefaultRunLauncher", "SyncInMemoryRunLauncher")

FREE_SLOTS = "free_slots_after_run_end_seconds"
FREE_SLOTS_S = 30


def folder_for_dagster(settings: Settings) -> Path:
    """The folder that DAGSTER_HOME names: that of the home, or a link to it where its path would be misread.

    Dagster puts the path into an address without escaping it: with a `?` its records would lie outside the home.
    """
    folder = settings.dagster_home
    if not _is_misread(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    place = Path(tempfile.gettempdir()) / f"chimp-{user}-{digest}"
    place.mkdir(mode=0o700, exist_ok=True)
    facts = place.lstat()
    link = place / "dagster"
    if _is_misread(str(link)) or place.is_symlink() or facts.st_uid != user or facts.st_mode & 0o077:
        raise SettingsError(
            f"Dagster cannot keep its records below {settings.home}, whose path holds a ? or a %, and {place} is not"
            " your own.",
            "Choose another CHIMP_HOME, or set TMPDIR to a folder of yours.",
        )
    if not link.is_symlink() or link.readlink() != folder:
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
    return link


def _is_misread(path: str) -> bool:
    return "?" in path or "#" in path or unquote(path) != path


def complete(settings: Settings) -> str | None:
    """Adds to the dagster.yaml of an older home the time after which the slots of a dead run are freed.

    Returns a sentence for the operator: what was added, or what to add where the file is laid out otherwise; None if
    nothing was missing.
    """
    import yaml

    file = settings.dagster_home / "dagster.yaml"
    try:
        text = file.read_text(encoding="utf-8")
        found = yaml.safe_load(text) or {}
    except (OSError, yaml.YAMLError):
        return None  # Dagster reports it better
    monitoring = found.get("run_monitoring") if isinstance(found, dict) else None
    if isinstance(monitoring, dict) and FREE_SLOTS in monitoring:
        return None
    why = "without it two runs that are killed keep their pool slots for good, and nothing is decoded any more"
    section = re.search(r"^run_monitoring:[ \t]*(?:#.*)?\n((?:[ \t]*#.*\n|[ \t]*\n)*)([ \t]+)", text, re.MULTILINE)
    if section is None:
        new = None
        if monitoring is None and isinstance(found, dict):
            new = f"{text.rstrip()}\n\nrun_monitoring:\n  enabled: true\n  {FREE_SLOTS}: {FREE_SLOTS_S}\n"
    else:
        new = f"{text[: section.start(2)]}{section[2]}{FREE_SLOTS}: {FREE_SLOTS_S}\n{text[section.start(2) :]}"
    if new is None or _monitoring_of(new) != {**(monitoring or {"enabled": True}), FREE_SLOTS: FREE_SLOTS_S}:
        return f"Add {FREE_SLOTS}: {FREE_SLOTS_S} to run_monitoring in {file}: {why}."
    try:
        part = file.with_name(f"{file.name}.part")
        part.write_text(new, encoding="utf-8")
        part.replace(file)
    except OSError:
        return f"Add {FREE_SLOTS}: {FREE_SLOTS_S} to run_monitoring in {file}: {why}."
    return f"Added {FREE_SLOTS}: {FREE_SLOTS_S} to run_monitoring in {file}: {why}."


def launcher_elsewhere(settings: Settings) -> str | None:
    """The class of the launcher that dagster.yaml names, if it starts runs on other machines."""
    import yaml

    try:
        found = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text(encoding="utf-8")) or {}
        named = str(found["run_launcher"]["class"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None  # Dagster's default: this machine
    return None if named in _LOCAL_LAUNCHERS else named


def unreachable(settings: Settings, launcher: str | None) -> str | None:
    """A sentence if runs or heavy steps go to machines that cannot open the database or the store of this home.

    launcher: the class that starts runs elsewhere; None: runs stay on this machine.
    """
    kind = settings.compute.kind
    if launcher is None and kind == "subprocess":
        return None
    here = [f"the database {settings.secret_free_database_url}"] if not settings.is_on_server else []
    if not settings.store_url.startswith("az:"):
        here.append(f"the store {settings.secret_free_store_url}")
    if not here:
        return None
    what = f"Runs go to other machines ({launcher})" if launcher else f"Heavy steps go elsewhere (compute.kind {kind})"
    return f"{what}, which cannot open {' and '.join(here)} of this machine."


def require_reachable(settings: Settings, launcher: str | None) -> None:
    """Raises SettingsError with the sentence of `unreachable`."""
    if problem := unreachable(settings, launcher):
        raise SettingsError(problem, SHARE_IT)


def launcher_of(instance: Any) -> str | None:
    """The class that starts the runs of a DagsterInstance elsewhere; None: they stay on this machine."""
    named = type(instance.run_launcher).__name__
    return None if named in _LOCAL_LAUNCHERS else named


def _make_of_environment(settings: Settings) -> None:
    """Dagster's folder of a home that the environment alone is, unless DAGSTER_HOME names one."""
    file = settings.dagster_home / "dagster.yaml"
    if settings.has_file or os.environ.get("DAGSTER_HOME") or file.exists():
        return
    private_files.make_folder(file.parent)
    part = file.with_name(f"{file.name}.part")
    part.write_text(shipped_file("dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    part.replace(file)


def _monitoring_of(text: str) -> Any:
    import yaml

    try:
        return (yaml.safe_load(text) or {}).get("run_monitoring")
    except yaml.YAMLError:
        return None


def keeps_records_on_a_server(settings: Settings) -> bool:
    """Whether dagster.yaml names a storage of its own instead of the files beside it."""
    try:
        text = (settings.dagster_home / "dagster.yaml").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^(storage|event_log_storage):", text, re.MULTILINE) is not None


def set_pool_limits(instance: Any) -> None:
    """Makes a row for each pool, with the limit that dagster.yaml gives. instance: a DagsterInstance.

    Two runs that are the first of a pool on a fresh PostgreSQL both insert that row, and one of them dies of it
    (dagster#33552). A limit that `dagster instance concurrency set` has set stays.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    there = {info.name for info in storage.get_pool_limits()}
    for pool in POOLS:
        if pool not in there:
            storage.initialize_concurrency_limit_to_default(pool)


_RECORDS = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
# Two processes that made the tables at once have written two revisions; the older one is what Dagster stamps on tables
# that it finds without any, so the newer one is true.
_MAKE = """
import sqlite3, sys
from contextlib import closing
from pathlib import Path
from dagster import DagsterInstance
from dagster._core.storage.sqlite import LAST_KNOWN_STAMPED_SQLITE_ALEMBIC_REVISION as older
for name in sys.argv[2:]:
    if (Path(sys.argv[1]) / name).exists():
        with closing(sqlite3.connect(Path(sys.argv[1]) / name)) as conn, conn:
            if conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
                conn.execute("DELETE FROM alembic_version WHERE version_num = ? AND"
                             " (SELECT COUNT(*) FROM alembic_version) > 1", (older,))
with DagsterInstance.from_config(sys.argv[1]) as instance:
    instance.schedule_storage, instance.event_log_storage, instance.run_storage
"""


def make_records(settings: Settings) -> None:
    """Makes Dagster's files of a new home before several processes open them, and mends those that were made by two.

    Two processes that make them at once can leave two revisions behind, and then none can open them any more ("Version
    table 'alembic_version' has more than one head present"). For whoever holds the lock of the home. Costs nothing
    where the files are whole. Raises SettingsError.
    """
    if keeps_records_on_a_server(settings):
        return  # `prepare` has asked it
    folder = folder_for_dagster(settings)
    if all(_has_one_revision(folder / name) for name in _RECORDS):
        return
    made = subprocess.run(  # noqa: S603  a process of its own: Dagster takes 100 MB for good
        [sys.executable, "-W", "ignore", "-c", _MAKE, str(folder), *_RECORDS],
        env={**os.environ, "DAGSTER_HOME": str(folder), "CHIMP_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
        umask=-1 if os.name == "nt" else private_files.UMASK,
    )
    if made.returncode:
        words = (made.stderr.strip().splitlines() or ["no message"])[-1]
        raise SettingsError(
            f"Dagster cannot make its records in {folder}: {words}.",
            f"Check that its disk is not full and may be written, and {settings.dagster_home / 'dagster.yaml'}.",
        )


def _has_one_revision(file: Path) -> bool:
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as conn:
            return conn.execute("SELECT COUNT(*) FROM alembic_version").fetchone() == (1,)
    except sqlite3.Error:
        return False


def prepare(settings: Settings) -> str | None:
    """Before Dagster is started in a home: `complete`, and the limits of the pools where a server keeps them.

    Raises SettingsError if that server cannot be reached, or if runs would go to machines that cannot reach the home.
    """
    require_reachable(settings, launcher_elsewhere(settings))
    _make_of_environment(settings)
    sentence = complete(settings)
    if keeps_records_on_a_server(settings):
        import dagster as dg

        private_files.keep_private()
        try:
            with dg.DagsterInstance.from_config(str(folder_for_dagster(settings))) as instance:
                set_pool_limits(instance)
        except Exception as error:  # whatever a storage raises: a driver, a server, a wrong address
            words = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SettingsError(
                f"The storage that {settings.dagster_home / 'dagster.yaml'} names cannot be used: {words}.",
                "Check its address (postgresql+psycopg2://...; docs/operate/running.md) and that the server runs.",
            ) from error
    return sentence
