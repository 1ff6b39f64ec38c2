"""Engines: where an instance of Dagster sends its runs. One template of dagster.yaml for each.

Belongs here: choosing a template, and refusing what cannot be shared by several machines. Does not belong here: the
launchers that the templates name (`automation.launchers`), Dagster's records (`dagster_home`).
"""

from __future__ import annotations

import importlib.util
import os
from enum import StrEnum
from pathlib import Path

from chimp_assets import private_files
from chimp_assets.addresses import redacted
from chimp_assets.errors import SettingsError
from chimp_assets.settings import Settings, load_settings, shipped_file

BROKER = "CHIMP_BROKER_URL"
RECORDS = "CHIMP_DAGSTER_POSTGRES_URL"


class Engine(StrEnum):
    """What starts runs: this machine, Celery's workers on several, or a Kubernetes cluster."""

    LOCAL = "local"
    CELERY = "celery"
    K8S = "k8s"


_TEMPLATES = {
    Engine.LOCAL: "dagster.yaml",
    Engine.CELERY: "deploy/dagster.celery.yaml",
    Engine.K8S: "deploy/dagster.k8s.yaml",
}
_NEEDS = {Engine.LOCAL: (), Engine.CELERY: (RECORDS, BROKER), Engine.K8S: (RECORDS,)}


def template(engine: Engine) -> str:
    """The text of an engine's dagster.yaml."""
    return shipped_file(_TEMPLATES[engine]).read_text(encoding="utf-8")


def require_shareable(settings: Settings, engine: Engine) -> None:
    """Raises SettingsError if what this home names lies on one machine, or if an address is missing. Opens nothing."""
    if engine is Engine.LOCAL:
        return
    alone = f"The engine {engine} runs on several machines, but"
    if settings.database_url.startswith("sqlite"):
        raise SettingsError(
            f"{alone} the database {redacted(settings.database_url)} is a file of this one.",
            "Set CHIMP_DATABASE_URL to a PostgreSQL server, an SQL Server or Azure SQL.",
        )
    if settings.store_url.startswith("file:") or "://" not in settings.store_url:
        raise SettingsError(
            f"{alone} the store {redacted(settings.store_url)} is a folder of this one.",
            "Set CHIMP_STORE_URL to az://container/prefix.",
        )
    missing = [name for name in _NEEDS[engine] if not os.environ.get(name)]
    if missing:
        raise SettingsError(
            f"{alone} {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            "docs/operate/scale-out.md says which addresses each machine needs.",
        )


def write_instance(home: Path, engine: Engine) -> None:
    """The dagster.yaml of an engine, before a home is made or completed there; an equal one stays.

    Raises SettingsError, and writes nothing, if the home cannot be shared, or if its dagster.yaml was changed by hand.
    """
    settings = load_settings(home)
    require_shareable(settings, engine)
    file = settings.dagster_home / "dagster.yaml"
    text = template(engine)
    if file.exists():
        there = file.read_text(encoding="utf-8")
        if there == text:
            return
        if there not in {template(one) for one in Engine}:
            raise SettingsError(
                f"{file} was changed by hand or belongs to another version, so it is not replaced.",
                f"Compare it with {shipped_file(_TEMPLATES[engine])}, or move it away and run the same command again.",
            )
    private_files.make_folder(file.parent)
    part = file.with_name(f"{file.name}.part")
    with open(part, "w", encoding="utf-8", opener=private_files.opener) as written:
        written.write(text)
    part.replace(file)


def broker_url() -> str:
    """The address of Celery's broker. Raises SettingsError if none is set or it is none of Redis."""
    url = os.environ.get(BROKER, "")
    if not url.startswith(("redis://", "rediss://", "sentinel://")):
        raise SettingsError(
            f"{BROKER} names no Redis server{f': {redacted(url)}' if url else ''}.",
            f"Set {BROKER} to redis://:password@host:6379/0.",
        )
    return url


def require_workers() -> None:
    """Raises SettingsError unless the packages that Celery's workers need are installed."""
    if any(importlib.util.find_spec(name) is None for name in ("celery", "dagster_celery", "redis")):
        raise SettingsError(
            "Celery is not installed, so this machine cannot be a worker.",
            "Install the packages of requirements-scale-out.lock (docs/operate/scale-out.md).",
        )
