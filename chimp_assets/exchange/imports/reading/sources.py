"""Where bytes come from: a file, or a member of a zip, to be read as often as needed.

Belongs here: opening, encodings, limits of zips, and failures of reading as sentences. Does not belong here: what the
bytes say.
"""

from __future__ import annotations

import codecs
import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TextIO

from chimp_assets.database.texts import cut_to, visible_line
from chimp_assets.exchange.imports.annotations import ImportFileError

MOST_MEMBERS = 200_000
MOST_MEMBER_BYTES = 8 << 30
# 1 MB of zeros deflates to 1 kB, 1 MB of coordinates to 200 kB: beyond this it is a bomb, not a table.
MOST_RATIO = 500
_SMALL = 1 << 24

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, OverflowError,
)  # fmt: skip


def shown(value: object) -> str:
    """A value out of a file, for a sentence: short, on one line, every character seen."""
    text = value if isinstance(value, str) else repr(value)
    return visible_line(text if len(text) <= 80 else cut_to(text, 79) + "…")


def broken(name: str, place: str, sentence: str, remedy: str = "") -> ImportFileError:
    """The error about one place of a file. sentence: what is wrong, without a full stop."""
    where = f", {place}" if place else ""
    return ImportFileError(f"{name}{where}: {sentence}.", remedy or "Mend this place, or export the file again.")


@contextmanager
def told(name: str) -> Iterator[None]:
    """Whatever goes wrong while bytes are read, as a sentence about the file."""
    try:
        yield
    except OSError as error:
        raise ImportFileError(
            f"{name} cannot be read: {error.strerror or 'the disk or the zip fails'}.", "Say where the file is."
        ) from None
    except UnicodeError:
        raise ImportFileError(f"{name} is no text in UTF-8.", "Save it as UTF-8 and try again.") from None
    except RecursionError:
        raise ImportFileError(
            f"{name} is nested too deeply to be what it says.", "Export it again from its program."
        ) from None
    except csv.Error as error:
        raise ImportFileError(f"{name} is no CSV file: {error}.", "Export it again as CSV.") from None
    except (*_BROKEN_ZIP, ValueError) as error:
        raise ImportFileError(
            f"{name} is damaged: {shown(str(error)) or 'its end is missing'}.", "Export or copy it again."
        ) from None


@dataclass(frozen=True)
class Source:
    """Bytes that can be read again. name: for people, with the zip's name where it is a member."""

    name: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """As text, line ends kept: UTF-8, or what its byte order mark says."""
        with told(self.name):
            with self.open() as raw:
                head = raw.read(4)
            encoding = next((name for mark, name in _BOMS if head.startswith(mark)), "utf-8")
            with self.open() as raw, io.TextIOWrapper(raw, encoding, newline="") as text:
                yield text

    def small_text(self) -> str:
        """The whole text of a file that must be small. Raises ImportFileError beyond 16 MB."""
        with self.text() as text:
            content = text.read(_SMALL)
            if text.read(1):
                raise ImportFileError(f"{self.name} is too large to be what it says.", "Look into it.")
        return content


def file_source(path: Path) -> Source:
    """A file. Raises ImportFileError if it is none (a folder, a pipe, nothing)."""
    if path.is_dir():
        raise ImportFileError(f"{path} is a folder, not a file of annotations.", "Name the file in it.")
    if not path.is_file():
        raise ImportFileError(f"{path} cannot be read: there is no such file.", "Say where the file is.")
    return Source(path.name, lambda: path.open("rb"))


def zip_members(path: Path) -> dict[PurePosixPath, Source]:
    """Files in a zip by their names, which are only compared and shown: nothing is unpacked, no path is made of them.

    Raises ImportFileError for a damaged zip and one with too many files; a member, where it is encrypted or too large.
    """
    with told(path.name), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise ImportFileError(f"{path.name} holds {len(members)} files.", "Zip the annotations without the pictures.")
    found: dict[PurePosixPath, Source] = {}
    for one in members:
        if one.is_dir():
            continue
        name = PurePosixPath(one.filename.replace("\\", "/"))
        if name in found:
            raise broken(path.name, "", f"two files in it are called {shown(str(name))}")
        found[name] = Source(f"{shown(str(name))} in {path.name}", _opener(path, one))
    return found


def _opener(path: Path, member: zipfile.ZipInfo) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        size, packed = member.file_size, member.compress_size
        if size > MOST_MEMBER_BYTES or (size > 1 << 26 and size > MOST_RATIO * max(packed, 1)):
            raise ImportFileError(
                f"{shown(member.filename)} in {path.name} would unpack to {size} bytes, as no table does.",
                "Export it again.",
            )
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream

    return opened
