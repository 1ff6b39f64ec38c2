"""Dagster's instance in a home: its folder, and what a dagster.yaml of an older version lacks.

Belongs here: what must hold before Dagster is started in a home. Does not belong here: what it runs (`automation`), its
processes (`supervisor`). Dagster is imported only where the instance itself is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from chimp_assets import private_files
from chimp_assets.errors import SettingsError
from chimp_assets.settings import Settings

POOLS = ("decode", "detect", "gpu", "fine_tuning")
"""Every pool that an asset names; a test compares."""

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
        said = yaml.safe_load(text) or {}
    except (OSError, yaml.YAMLError):
        return None  # Dagster says it better
    monitoring = said.get("run_monitoring") if isinstance(said, dict) else None
    if isinstance(monitoring, dict) and FREE_SLOTS in monitoring:
        return None
    why = "without it two runs that are killed keep their pool slots for good, and nothing is decoded any more"
    section = re.search(r"^run_monitoring:[ \t]*(?:#.*)?\n((?:[ \t]*#.*\n|[ \t]*\n)*)([ \t]+)", text, re.MULTILINE)
    if section is None:
        new = None
        if monitoring is None and isinstance(said, dict):
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


def prepare(settings: Settings) -> str | None:
    """Before Dagster is started in a home: `complete`, and the limits of the pools where a server keeps them.

    Raises SettingsError if that server cannot be reached.
    """
    said = complete(settings)
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
                "Check its address (postgresql+psycopg2://...; docs/running.md) and that the server runs.",
            ) from error
    return said
