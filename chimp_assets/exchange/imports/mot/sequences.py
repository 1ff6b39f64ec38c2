"""Which tables a file, folder or zip of MOT holds, and what stands beside them.

Belongs here: names of sequences, seqinfo.ini, labels.txt, and the tables frames.csv and tracks.csv of our own export.
Does not belong here: rows (`boxes`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from chimp_assets.exchange.imports.annotations import ImportFileError, Medium, ReadOptions
from chimp_assets.exchange.imports.reading.rows import table_rows
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source, zip_members
from chimp_assets.exchange.imports.reading.values import (
    MOST_SECONDS,
    EntryError,
    path_of,
    rate_of,
    size_of,
    text_of,
    whole,
    written_number,
)

_INSIDE = frozenset({"gt", "det"})
_TABLES = ("gt.txt", "det.txt")
_DEEPEST = 3
_MOST_FRAMES = 5_000_000

Finder = Callable[[PurePosixPath], Source | None]


@dataclass(frozen=True)
class Sequence:
    """One table. is_truth: drawn by people (gt), so its seventh column is a flag; labels: names of classes 1, 2, ...;
    times: seconds by the number of the frame, where frames.csv tells; names: individuals by id, where tracks.csv does.
    """

    medium: Medium
    table: Source
    is_truth: bool
    labels: list[str | None] = field(default_factory=list)
    times: dict[int, float] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def sequences(path: Path, options: ReadOptions) -> list[Sequence]:
    """Sequences of a table, a folder or a zip. Raises ImportFileError if there is none."""
    if path.is_dir():
        there = path.resolve()  # also the folder of one sequence, whose tracks.csv stands beside it
        tables = [PurePosixPath(one.relative_to(there.parent).as_posix()) for one in _tables_below(there)]
        return _all(tables, there.name, _in_folder(there.parent), there.name, options)
    if path.suffix.lower() == ".zip":
        file_source(path)
        members = zip_members(path)
        return _all([name for name in members if name.name in _TABLES], path.name, members.get, path.stem, options)
    file_source(path)
    folder = path.resolve().parent
    top = folder.parent.parent if folder.name in _INSIDE else folder.parent
    table = PurePosixPath(path.resolve().relative_to(top).as_posix())
    return [_sequence(table, _in_folder(top), path.stem, options.video, is_truth=path.stem != "det", key="sequence")]


def _tables_below(folder: Path) -> list[Path]:
    """Tables at most three folders below, no further: an archive is not searched."""
    patterns = [f"{'*/' * depth}{name}" for depth in range(_DEEPEST + 1) for name in _TABLES]
    return [one for pattern in patterns for one in sorted(folder.glob(pattern)) if one.is_file()]


def _in_folder(folder: Path) -> Finder:
    """Files beside tables, by names that this module makes."""

    def found(name: PurePosixPath) -> Source | None:
        file = folder / name
        return file_source(file) if file.is_file() else None

    return found


def _all(tables: list[PurePosixPath], name: str, find: Finder, stem: str, options: ReadOptions) -> list[Sequence]:
    wanted = [one for one in tables if one.name == "gt.txt"] or tables
    if not wanted:
        raise ImportFileError(f"{name} holds neither gt.txt nor det.txt.", "Are there sequences of MOT in it?")
    video = options.video if len(wanted) == 1 else None
    return [
        _sequence(one, find, stem, video, is_truth=one.name == "gt.txt", key=str(_above(one))) for one in sorted(wanted)
    ]


def _above(table: PurePosixPath) -> PurePosixPath:
    """The folder of a table's sequence."""
    return table.parent.parent if table.parent.name in _INSIDE else table.parent


def _sequence(
    table: PurePosixPath, find: Finder, stem: str, video: str | None, *, is_truth: bool, key: str
) -> Sequence:
    above = _above(table)
    info, labels, frames = (
        find(table.parent / name) or find(above / name) for name in ("seqinfo.ini", "labels.txt", "frames.csv")
    )
    tracks = find(above.parent / "tracks.csv") or find(above / "tracks.csv")
    source = find(table)
    assert source is not None, "it was just found"
    own = stem if table.parent.name not in _INSIDE and table.name not in _TABLES else above.name or stem
    said = _info(info) if info else {}
    try:
        medium = Medium(
            key,
            path_of(video or said.get("name") or own, "the name of the sequence"),
            size_of(said.get("imwidth"), "imWidth"),
            size_of(said.get("imheight"), "imHeight"),
            rate_of(said.get("framerate"), "frameRate"),
            size_of(said.get("seqlength"), "seqLength"),
        )
        classes = [text_of(line, "a label") for line in labels.small_text().splitlines()] if labels else []
    except EntryError as error:
        raise broken(info.name if info else source.name, "", str(error)) from None
    times = _times(frames) if frames else {}
    return Sequence(medium, source, is_truth, classes, times, _names(tracks, above.name) if tracks else {})


def _info(source: Source) -> dict[str, str]:
    """Names in small letters and values of seqinfo.ini."""
    lines = (line for line in source.small_text().splitlines() if not line.lstrip().startswith(("[", ";")))
    pairs = (line.partition("=") for line in lines)
    return {name.strip().lower(): value.strip() for name, sign, value in pairs if sign}


def _times(source: Source) -> dict[int, float]:
    found = {}
    for line, row in table_rows(source, ("frame", "time_s")):
        try:
            found[whole(row["frame"], "the frame")] = written_number(row["time_s"], "time_s", MOST_SECONDS)
            if len(found) > _MOST_FRAMES:
                raise EntryError("it has more frames than a video")
        except EntryError as error:
            raise broken(source.name, f"line {line}", str(error)) from None
    return found


def _names(source: Source, sequence: str) -> dict[str, str]:
    """Individuals of a sequence that a person named, by id."""
    found = {}
    for line, row in table_rows(source, ("sequence", "id", "individual")):
        if row["sequence"] != sequence or row.get("source", "person") != "person":
            continue
        try:
            name = text_of(row["individual"], "the individual")
        except EntryError as error:
            raise broken(source.name, f"line {line}", str(error)) from None
        if name is not None:
            found[row["id"].strip()] = name
    return found
