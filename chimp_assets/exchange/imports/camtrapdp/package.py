"""The tables of a data package: a folder or a zip with datapackage.json.

Belongs here: finding `deployments`, `media` and `observations`, none outside the package. Does not belong here: rows.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from chimp_assets.exchange.imports.annotations import ImportFileError
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source, shown, told, zip_members

DESCRIPTOR = "datapackage.json"
TABLES = ("deployments", "media", "observations")
_MOST_PATH = 400


def tables(path: Path) -> dict[str, Source]:
    """The three tables. path: the descriptor, its folder, or a zip. Raises ImportFileError where one is missing."""
    if path.suffix.lower() == ".zip" and not path.is_dir():
        file_source(path)
        members = zip_members(path)
        found = sorted((name for name in members if name.name == DESCRIPTOR), key=lambda name: len(name.parts))
        if not found:
            raise ImportFileError(f"{path.name} holds no {DESCRIPTOR}.", "Is it a zip of a Camtrap DP?")
        folder = found[0].parent
        return _named(members[found[0]], lambda name: members.get(folder / name))
    descriptor = path / DESCRIPTOR if path.is_dir() else path
    return _named(file_source(descriptor), _in_folder(descriptor.parent))


def _in_folder(folder: Path) -> Callable[[str], Source | None]:
    """Files of a folder by their path in it; what a link leads out to is not there."""

    def found(name: str) -> Source | None:
        with told(name):
            file = folder / name
            inside = file.resolve().is_relative_to(folder.resolve())
            return file_source(file) if inside and file.is_file() else None

    return found


def _named(descriptor: Source, find: Callable[[str], Source | None]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for _, key, resource in json_entries(descriptor, ("resources",)):
        place = f"resources[{key}]"
        if type(resource) is not dict:
            raise broken(descriptor.name, place, "it is not an object")
        name = resource.get("name")
        if name not in TABLES:
            continue
        if name in found:
            raise broken(descriptor.name, place, f"{name} is there twice")
        found[name] = _table(descriptor, place, resource, find)
    missing = [name for name in TABLES if name not in found]
    if missing:
        raise broken(
            descriptor.name, "resources", f"the table {missing[0]} is missing", "A Camtrap DP has three tables."
        )
    return found


def _table(descriptor: Source, place: str, resource: dict[str, Any], find: Callable[[str], Source | None]) -> Source:
    said = resource.get("path")
    if type(said) is list and len(said) == 1:
        said = said[0]
    if type(said) is not str or not said or len(said) > _MOST_PATH:
        raise broken(descriptor.name, place, "its path is no single file", "Write each table into one file.")
    if re.match(r"[a-z][a-z0-9+.-]*://", said, re.IGNORECASE):
        raise broken(
            descriptor.name, place, f"its path is an address: {shown(said)}", "Download the whole package first."
        )
    path = PurePosixPath(said)
    if path.is_absolute() or ".." in path.parts or "\\" in said or ":" in said or "\x00" in said:
        raise broken(descriptor.name, place, f"its path leads out of the package: {shown(said)}")
    dialect = resource.get("dialect")
    if type(dialect) is dict and dialect.get("delimiter", ",") != ",":
        raise broken(descriptor.name, place, "its cells are not separated by commas", "Export it with commas.")
    source = find(str(path))
    if source is None:
        raise broken(descriptor.name, place, f"{shown(said)} is not in the package", "Copy all of the package.")
    return _unpacked(source) if path.suffix == ".gz" else source


def _unpacked(source: Source) -> Source:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with source.open() as raw, gzip.GzipFile(fileobj=raw) as stream:
            yield cast(IO[bytes], stream)

    return Source(source.name, opened)
