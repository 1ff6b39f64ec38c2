"""Files of weights that the settings name: a path of this machine, or `store:KEY`, a file of the store.

Belongs here: where the file lies on this machine. Does not belong here: reading it (`embedding.backbones`,
`detection.torchvision_detector`), which take safetensors and tensors alone and run no code of a file.

A path must be there on every host. A key of the store is fetched once, into the home's folder for temporary files.
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from chimp_assets import private_files
from chimp_assets.archive.storage.store import StoreError
from chimp_assets.settings import IN_STORE
from chimp_assets.vision.models.checkpoint import ModelFileError

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import Settings

FOLDER = "weights"


def local_weights(settings: Settings, store: BlobStore, name: str) -> Path:
    """Where the weights that a setting names lie on this machine. name: a path, or `store:KEY`.

    A key is fetched under the hash of its bytes' version (address, key, length and tag of the store), so that a file
    that was replaced is fetched again. Raises ModelFileError if the store has no such file, StoreError if it is away.
    """
    if not name.startswith(IN_STORE):
        return Path(name).expanduser()
    key = name.removeprefix(IN_STORE)
    try:
        info = store.head(key)
    except ValueError as error:
        raise ModelFileError(
            f"{key!r} is no key of the store: {error}.", "Write store:weights/a.safetensors."
        ) from None
    if info is None:
        raise ModelFileError(
            f"There is no file {key} in the store {settings.secret_free_store_url}.",
            "Copy the file there, or set the weights to a path of this machine.",
        )
    there = store.local_path(key)
    if there is not None:
        return there
    version = hashlib.sha256(repr((store.url, key, info.size, info.etag)).encode()).hexdigest()[:32]
    file = settings.home / FOLDER / f"{version}{Path(key).suffix}"
    if not file.is_file():
        private_files.make_folder(file.parent)
        # Two processes may fetch it at once: each writes its own, and the last to be whole counts.
        part = file.with_name(f"{file.name}.{uuid.uuid4().hex}.part")
        try:
            store.download(key, part, lambda: None)
            part.replace(file)
        except OSError as error:
            raise StoreError(
                f"The weights {key} cannot be kept at {file}: {error.strerror or error}.",
                "Set CHIMP_HOME or TMPDIR to a folder that can be written.",
            ) from error
        finally:
            part.unlink(missing_ok=True)
    return file
