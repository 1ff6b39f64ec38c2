"""What an export is, what it is asked for, and writing one.

Belongs here: the description of an export, the request it answers, writing its file or folder. Does not belong here:
single exports (a module of this folder each), which tracks are chosen (`selection`), what stands beside a file
(`sidecar`), commands (`cli.questions`).
"""

from __future__ import annotations

import difflib
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.whole_file import write_whole
from chimp_assets.database.files.whole_folder import write_whole_folder
from chimp_assets.errors import ChimpError
from chimp_assets.exchange.exports.places import HandedPlace, handed_place
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.sidecar import ABOUT, about_of, file_facts, is_about_folder, sidecar_of, write_about
from chimp_assets.home import Home
from chimp_assets.settings import Settings

ZIP = ".zip"


class ExportError(ChimpError):
    """An export is not known, or lacks what it must say."""


@dataclass(frozen=True)
class ExportOption:
    """What people may choose with `--set name=value`. what: its meaning, a clause; choices: the words it may be, the
    default among them; none: any text that the export accepts."""

    name: str
    what: str
    default: str
    choices: tuple[str, ...] = ()


YES_NO = ("yes", "no")


@dataclass(frozen=True)
class ExportRequest:
    """What an export may read, and what of it is wanted.

    store: where pictures lie; None: an export that needs them refuses. exact_places: coordinates leave as they are, not
    rounded. options: of the export, by name; `write_export` adds the defaults. facts: what the export adds to its
    sidecar while it writes (`tell`, `count`, `note`). most_bytes: of pictures, where somebody waits
    on the page.
    """

    database: Database
    settings: Settings
    store: BlobStore | None = None
    selection: Selection = field(default_factory=Selection)
    exact_places: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict, compare=False)
    most_bytes: int | None = None

    @classmethod
    def of(cls, home: Home, **wanted: Any) -> ExportRequest:
        """A request to a home."""
        return cls(home.database.replica, home.settings, home.store, **wanted)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction of one moment. The sidecar then says the last label event of that moment: read all of
        an export in one of these. One open result at a time, as everywhere."""
        with self.database.read() as conn:
            seq = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0
            self.facts.setdefault("label_seq", int(seq))
            yield conn

    def yes(self, option: str) -> bool:
        """Whether an option of YES_NO is yes."""
        return self.options[option] == "yes"

    def tell(self, **facts: Any) -> None:
        """What the sidecar says besides, ready for JSON: together="frame" (the rule of together), convention="..." ."""
        self.facts.update(facts)

    def count(self, **numbers: int) -> None:
        """Adds to the counts of the sidecar: count(boxes=5, left_out_without_place=1)."""
        counts = self.facts.setdefault("counts", {})
        for name, n in numbers.items():
            counts[name] = counts.get(name, 0) + n

    def note(self, sentence: str) -> None:
        """A sentence that people should read: `chimp export` prints it, and the sidecar keeps it."""
        self.facts.setdefault("notes", []).append(sentence)

    def spend(self, n_bytes: int) -> None:
        """Counts bytes of pictures. Raises ExportError where they are more than may be."""
        self.count(picture_bytes=n_bytes)
        if self.most_bytes is not None and self.facts["counts"]["picture_bytes"] > self.most_bytes:
            raise ExportError(
                f"The pictures are more than {self.most_bytes // 1_000_000:,} MB.",
                "Narrow the selection, or use `chimp export`.",
            )

    def place(self, latitude: float | None, longitude: float | None) -> HandedPlace | None:
        """A camera's coordinates as they may leave: never write them otherwise."""
        return handed_place(latitude, longitude, self.exact_places)

    def pictures(self) -> BlobStore:
        """The store. Raises ExportError where there is none."""
        if self.store is None:
            raise ExportError("This export needs the pictures, and there is no store to read them from.")
        return self.store


@dataclass(frozen=True)
class Export:
    """One format of one part of the database.

    what: a sentence for people; suffix: of its files, with the dot (of a folder that of what it is packed into);
    write: fills an open binary file, or an empty folder where `folder` is true, and returns the number of rows or
    objects in it; options: what people may choose; needs: settings of [project] without which it refuses; conditions:
    of `--where` that it understands, None for all, because it reads `selection.tracks()`.
    """

    what: str
    suffix: str
    write: Callable[[ExportRequest, BinaryIO], int] | Callable[[ExportRequest, Path], int]
    folder: bool = False
    options: tuple[ExportOption, ...] = ()
    needs: tuple[str, ...] = ()
    conditions: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.folder and not self.suffix:
            object.__setattr__(self, "suffix", ZIP)

    def file_name(self, name: str) -> str:
        """How its file or folder is called where nobody says."""
        return name if self.folder else f"{name}{self.suffix}"

    def may_narrow(self, key: str) -> bool:
        """Whether this condition of `--where` narrows it."""
        return self.conditions is None or key in self.conditions


def write_export(
    export: Export, request: ExportRequest, file: Path, force: bool = False, name: str | None = None
) -> int:
    """Writes the file or the folder with its sidecar, and returns what `write` returns.

    It appears whole: a folder by renaming one beside it; into a file `*.zip` a folder export is packed. An older file
    is replaced, an older folder only with force. name: of the export, for the sidecar.
    Raises ExportError for options, conditions and settings that do not fit, FileWriteError where it cannot be written.
    """
    request = checked(export, request)

    def about(n: int, files: Mapping[str, Any]) -> dict[str, Any]:
        return about_of(export, request, name, n, files)

    if not export.folder:
        fill = cast("Callable[[ExportRequest, BinaryIO], int]", export.write)
        sidecar_of(file).unlink(missing_ok=True)  # whenever this is killed: never the older sidecar of a newer file
        n = write_whole(file, lambda stream: fill(request, stream))
        write_about(sidecar_of(file), about(n, {file.name: file_facts(file)}))
        return n

    def filled(folder: Path) -> int:
        n = cast("Callable[[ExportRequest, Path], int]", export.write)(request, folder)
        files = {
            one.relative_to(folder).as_posix(): file_facts(one) for one in sorted(folder.rglob("*")) if one.is_file()
        }
        write_about(folder / ABOUT, about(n, files))
        return n

    if file.suffix.lower() == ZIP:
        return write_whole(file, lambda stream: _packed(filled, stream, file))
    return write_whole_folder(file, filled, is_about_folder, force)


def checked(export: Export, request: ExportRequest) -> ExportRequest:
    """The request with the defaults of the export's options. Raises ExportError for what does not fit."""
    known = {one.name: one for one in export.options}
    for name, value in request.options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            takes = f"It takes {', '.join(f'{one.name}={one.default}' for one in export.options)}." if known else ""
            raise ExportError(
                f"This export has no option {name!r}.{f' Did you mean {near[0]}?' if near else ''}",
                takes or "It takes none.",
            )
        choices = known[name].choices
        if choices and value not in choices:
            raise ExportError(f"The option {name} is {value!r}.", f"It is one of: {', '.join(choices)}.")
    for key in request.selection.keys:
        if not export.may_narrow(key):
            raise ExportError(
                f"This export cannot be narrowed by {key!r}.",
                f"It takes {', '.join(export.conditions)}." if export.conditions else "It takes no --where.",
            )
    missing = missing_settings(export, request.settings)
    if missing:
        lines = [f"{name} = {_EXAMPLES.get(name, '...')}" for name in missing]
        raise ExportError(
            f"This export must say what no setting says yet: {', '.join(f'project.{name}' for name in missing)}.",
            "\n".join(["Add to chimp.toml:", "[project]", *lines]),
        )
    defaults = {one.name: one.default for one in export.options}
    request.facts.clear()  # of an older use of the request
    return replace(request, options={**defaults, **request.options})


def missing_settings(export: Export, settings: Settings) -> list[str]:
    """Settings of [project] that the export must know, and that nobody has set."""
    return [name for name in export.needs if not getattr(settings.project, name)]


_EXAMPLES = {
    "title": '"Chimpanzees of the Example forest"',
    "description": '"Camera traps at nut-cracking sites, 2013 to 2018"',
    "species": '"Pan troglodytes"',
    "sampling_design": '"opportunistic"',
    "contributors": '["Jane Doe <jane@example.org> (contact)"]',
    "organisation": '"Example Institute"',
    "data_licence": '"CC-BY-4.0"',
    "media_licence": '"CC-BY-NC-4.0"',
    "citation": '"Doe et al. (2026) ..."',
}


def _packed(fill: Callable[[Path], int], stream: BinaryIO, file: Path) -> int:
    """Fills a folder beside the file and packs it. What a killed run has left is swept by the next one of this file."""
    unpacked = file.with_name(f".{file.name}.unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        folder = unpacked / file.stem
        folder.mkdir(parents=True)
        n = fill(folder)
        pack(folder, stream)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return n


def pack(folder: Path, stream: BinaryIO) -> None:
    """A folder as a ZIP, its name in front of every path. Pictures are stored as they are, tables are compressed."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for one in sorted(folder.rglob("*")):
            if one.is_file():
                stored = one.suffix.lower() in (".jpg", ".jpeg", ".png")
                inside = f"{folder.name}/{one.relative_to(folder).as_posix()}"
                packed.write(one, inside, zipfile.ZIP_STORED if stored else None)
