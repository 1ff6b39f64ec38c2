"""What all stores share: the records of a blob, the errors, the rules for keys, and which ranges are read together.

Belongs here: what the kinds of store share. Does not belong here: any of the kinds (`folders`, `objects`, `azure`), and
what users of a store call (`store`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from chimp_assets.errors import ChimpError

# Ranges that lie closer than this are read as one: a gap costs less than a second request (or a second seek).
COALESCE_GAP = 64 * 1024
# One read never takes more than this at once, whatever was asked.
READ_BLOCK = 8 * 1024 * 1024

Source = bytes | bytearray | memoryview | Path | BinaryIO
OnUnreadable = Callable[[str, str], None]


class StoreError(ChimpError):
    """A store cannot be opened, read or written, or a key is not one."""


class MissingBlobError(StoreError):
    """There is nothing under this key, though the store itself can be read."""


class ReplacedBlobError(MissingBlobError):
    """The blob that was being read is gone: another was put in its place."""


@dataclass(frozen=True)
class BlobInfo:
    """One blob in a listing. size in bytes; etag changes when the content may have; modified is UTC."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Walk:
    """How a store is listed as an archive: given as on_unreadable, it is called for more, and no entry harms another.

    passed_over(path, reason, detail, hides) is called for everything that is not listed; reason: one of
    schema.PASSED_OVER_REASONS; hides: what lies there is not known to be gone. never: (device, inode) of folders that
    are no archive, however they are reached. is_own(folder, names): whether a folder with these entries is a home or a
    store. follow_links: `all` symbolic links, those that stay `inside` the archive, or `none`.
    """

    passed_over: Callable[[str, str, str, bool], None]
    never: frozenset[tuple[int, int]]
    is_own: Callable[[str, frozenset[str]], bool]
    follow_links: str

    def __call__(self, path: str, detail: str) -> None:
        """A folder or name that cannot be read."""
        self.passed_over(path, "unreadable", detail, True)


class Backend(Protocol):
    """One kind of store. Keys are checked before they come here; errors are those that `BlobStore` names."""

    def put(self, key: str, source: Source) -> None: ...
    def get_range(self, key: str, start: int, length: int) -> bytes: ...
    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]: ...
    def download(self, key: str, path: Path, on_block: Callable[[], None]) -> str: ...
    def head(self, key: str) -> BlobInfo | None: ...
    def list(self, prefix: str, after: str | None, on_unreadable: OnUnreadable | None) -> Iterator[BlobInfo]: ...
    def delete(self, key: str) -> None: ...


def missing(where: str, key: str) -> MissingBlobError:
    """The error for a blob that is not there."""
    return MissingBlobError(f"{key} is missing from {where}.", "Restore it, or list the archive again.")


def checked_key(key: str) -> str:
    """The key itself. Raises StoreError if it could leave the store or cannot be written down."""
    reason = ""
    if not key or key.startswith("/") or key.endswith("/"):
        reason = "is empty or begins or ends with a slash"
    elif any(part in ("", ".", "..") for part in key.split("/")):
        reason = "has an empty, '.' or '..' part"
    elif any(ord(c) < 32 or ord(c) == 127 for c in key):
        reason = "has a control character"
    elif sys.platform == "win32" and ("\\" in key or ":" in key):
        reason = "has a backslash or a colon"
    else:
        try:
            key.encode()
        except UnicodeEncodeError:
            reason = "is not valid text"
    if reason:
        raise StoreError(f"{key!r} cannot be used inside a store: it {reason}.", "Rename the file or folder.")
    return key


def coalesced(
    starts: Sequence[int], lengths: Sequence[int], gap: int = COALESCE_GAP
) -> Iterator[tuple[int, int, list[int]]]:
    """(first byte, end, indices of the ranges inside), in the order of the bytes; none longer than needed.

    Ranges at most gap bytes apart are joined as long as the whole is at most READ_BLOCK.
    """
    first, end = 0, 0
    members: list[int] = []
    for i in sorted(range(len(starts)), key=lambda i: starts[i]):
        stop = starts[i] + lengths[i]
        if members and starts[i] <= end + gap and max(end, stop) - first <= READ_BLOCK:
            end = max(end, stop)
        else:
            if members:
                yield first, end, members
            first, end, members = starts[i], stop, []
        members.append(i)
    if members:
        yield first, end, members
