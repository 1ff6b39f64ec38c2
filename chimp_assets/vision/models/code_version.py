"""The version of the code that learns, kept with every model so that one can be made again by the same code.

Belongs here: that version. Does not belong here: what else a model is made again from (`registry`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

import chimp_assets.vision


def code_version() -> str:
    """The version of the product and a hash of every module of the vision room: 0.1.0+3f2a9c1d5e6b."""
    try:
        version = importlib.metadata.version("chimp-assets")
    except importlib.metadata.PackageNotFoundError:
        version = "checkout"
    return f"{version}+{hash_of_modules(Path(chimp_assets.vision.__file__).parent)}"


def hash_of_modules(room: Path) -> str:
    """blake2b-48 of names and bytes of every *.py below a folder, 12 hexadecimal digits; other files do not count."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(room.rglob("*.py")):
        digest.update(file.relative_to(room).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
