"""Which tables a file or zip of MOT holds, and what stands beside them.

Belongs here: names of sequences, seqinfo.ini, labels.txt. Does not belong here: rows (`boxes`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from chimp_assets.exchange.imports.annotations import ImportFileError, Medium, ReadOptions
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source, zip_members
from chimp_assets.exchange.imports.reading.values import EntryError, path_of, rate_of, size_of, text_of

_INSIDE = frozenset({"gt", "det"})


@dataclass(frozen=True)
class Sequence:
    """One table. is_truth: drawn by people (gt), so its seventh column is a flag; labels: names of classes 1, 2, ..."""

    medium: Medium
    table: Source
    is_truth: bool
    labels: list[str | None] = field(default_factory=list)


def sequences(path: Path, options: ReadOptions) -> list[Sequence]:
    """Sequences of a .txt file or of a zip. Raises ImportFileError if there is none."""
    if path.suffix.lower() == ".zip":
        file_source(path)
        return _of_zip(path, options)
    table = file_source(path)
    folder = path.parent
    above = folder.parent if folder.name in _INSIDE else folder
    info = next((file_source(f / "seqinfo.ini") for f in (folder, above) if (f / "seqinfo.ini").is_file()), None)
    labels = file_source(folder / "labels.txt") if (folder / "labels.txt").is_file() else None
    name = path.stem if path.stem not in _INSIDE else above.resolve().name
    return [_sequence(table, path.stem != "det", name or path.stem, info, labels, options.video)]


def _of_zip(path: Path, options: ReadOptions) -> list[Sequence]:
    members = zip_members(path)
    tables = [name for name in members if name.name == "gt.txt"] or [n for n in members if n.name == "det.txt"]
    if not tables:
        raise ImportFileError(f"{path.name} holds neither gt.txt nor det.txt.", "Is it a zip of MOT sequences?")
    found = []
    for name in sorted(tables):
        above = name.parent.parent if name.parent.name in _INSIDE else name.parent
        called = above.name or path.stem
        video = options.video if len(tables) == 1 else None
        found.append(
            _sequence(
                members[name],
                name.name == "gt.txt",
                called,
                _beside(members, name.parent, above, "seqinfo.ini"),
                _beside(members, name.parent, above, "labels.txt"),
                video,
                key=str(above),
            )
        )
    return found


def _beside(
    members: dict[PurePosixPath, Source], folder: PurePosixPath, above: PurePosixPath, name: str
) -> Source | None:
    return members.get(folder / name) or members.get(above / name)


def _sequence(
    table: Source,
    is_truth: bool,
    name: str,
    info: Source | None,
    labels: Source | None,
    video: str | None,
    key: str = "sequence",
) -> Sequence:
    said = _info(info) if info else {}
    try:
        medium = Medium(
            key,
            path_of(video or said.get("name") or name, "the name of the sequence"),
            size_of(said.get("imwidth"), "imWidth"),
            size_of(said.get("imheight"), "imHeight"),
            rate_of(said.get("framerate"), "frameRate"),
            size_of(said.get("seqlength"), "seqLength"),
        )
        names = [text_of(line, "a label") for line in labels.small_text().splitlines()] if labels else []
    except EntryError as error:
        raise broken(info.name if info else table.name, "", str(error)) from None
    return Sequence(medium, table, is_truth, names)


def _info(source: Source) -> dict[str, str]:
    """Names in small letters and values of seqinfo.ini."""
    pairs = (
        line.partition("=") for line in source.small_text().splitlines() if not line.lstrip().startswith(("[", ";"))
    )
    return {name.strip().lower(): value.strip() for name, sign, value in pairs if sign}
