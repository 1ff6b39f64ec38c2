"""Which segments make up the index of an embedder, and which bundles' vectors each of them holds.

Belongs here: adding what has landed, putting small segments together, making damaged ones again.
Does not belong here: a segment's files (`segments`), what has landed (`living`), searching (`scan`).

A folder is one embedder's, named by the embedder and its weights: vectors of two embedders never lie side by side.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chimp_assets import private_files
from chimp_assets.vision.embedding.search_index.segments import (
    MOST_ROWS,
    Segment,
    SegmentError,
    SegmentFile,
    open_segment,
    remove_others,
    write_segment,
)

try:
    import fcntl
except ImportError:  # Windows: two processes may both write what is missing; the last one's catalogue counts
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

FORMAT = 1
MOST_PARTS = 32
"""Segments that are not full; with more they are put together."""
MOST_GONE = 0.25
"""Share of rows whose bundle has been embedded anew, beyond which all is written again."""

Landed = Mapping[int, str]
"""bundle_id: the uri of its embedding file, which names its content."""
Read = Callable[[int], tuple[np.ndarray, np.ndarray] | None]
"""track_id i64 [n] and embedding f16 [n, d] of a bundle; None where its file cannot be read now."""


@dataclass(frozen=True)
class Member:
    """Rows of one bundle inside a segment: `n` of them from `start`."""

    bundle_id: int
    uri: str
    start: int
    n: int


@dataclass(frozen=True)
class Entry:
    """A segment and whose rows lie in it, in their order."""

    file: SegmentFile
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Catalogue:
    """The entries of a folder, and the bundles without a single vector, which no segment can name."""

    entries: tuple[Entry, ...] = ()
    empty: tuple[tuple[int, str], ...] = ()

    def holds(self) -> dict[int, str]:
        """bundle_id and uri of everything inside; of a bundle that was embedded anew the newest."""
        members = [(member.bundle_id, member.uri) for entry in self.entries for member in entry.members]
        return dict(members) | dict(self.empty)


def read_catalogue(folder: Path) -> Catalogue:
    """The catalogue of a folder; an empty one if there is none, or none that can be read."""
    try:
        told = json.loads((folder / "catalogue.json").read_text("utf-8"))
        if told["format"] != FORMAT:
            return Catalogue()
        entries = tuple(
            Entry(SegmentFile(**entry["file"]), tuple(Member(**member) for member in entry["members"]))
            for entry in told["entries"]
        )
        return Catalogue(entries, tuple((int(bundle), str(uri)) for bundle, uri in told["empty"]))
    except FileNotFoundError:
        return Catalogue()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("The catalogue in %s cannot be read and is made again: %s", folder, error)
        return Catalogue()


def bring_up_to_date(
    folder: Path, landed: Landed, read: Read, told: Callable[[list[Segment], Catalogue], None]
) -> tuple[list[Segment], Catalogue]:
    """Open the segments of a folder, and write those that are missing or damaged.

    told: called with what there is after each new segment, so that the first can be searched while others are written.
    Memory: one segment's vectors. Raises what `read` raises; what was written until then stays.
    """
    private_files.make_folder(folder)
    with _alone(folder):
        segments, known = _opened(folder, read_catalogue(folder))
        if _needs_compaction(known, landed):
            segments, known = _compacted(folder, segments, known, landed)
        held = known.holds()
        missing = [bundle for bundle, uri in landed.items() if held.get(bundle) != uri]
        for file, members, empty in _written(folder, missing, landed, read):
            entries = known.entries if file is None else (*known.entries, Entry(file, members))
            known = Catalogue(entries, (*known.empty, *empty))
            if file is not None:
                segments = [*segments, open_segment(folder, file)]
            _write_catalogue(folder, known)
            told(segments, known)
        _write_catalogue(folder, known)
        remove_others(folder, {entry.file.name for entry in known.entries})
    return segments, known


def _opened(folder: Path, known: Catalogue) -> tuple[list[Segment], Catalogue]:
    """The segments that are what they were; a damaged one is left out, and its bundles are missing then."""
    segments: list[Segment] = []
    entries: list[Entry] = []
    lost: set[int] = set()
    for entry in known.entries:
        try:
            segments.append(open_segment(folder, entry.file))
        except (SegmentError, RuntimeError, ValueError) as error:
            log.warning("A segment of vectors is left out and made again: %s", error)
            lost.update(member.bundle_id for member in entry.members)
            continue
        entries.append(entry)
    # A bundle may end in another segment: what is there of it is given up, since all of it is read again.
    whole = [Entry(e.file, tuple(m for m in e.members if m.bundle_id not in lost)) for e in entries]
    return segments, Catalogue(tuple(whole), known.empty)


def _needs_compaction(known: Catalogue, landed: Landed) -> bool:
    rows = sum(entry.file.n for entry in known.entries)
    alive = sum(member.n for entry in known.entries for member in _alive(entry, landed))
    parts = sum(entry.file.n < MOST_ROWS for entry in known.entries)
    return rows - alive > MOST_GONE * rows or parts > MOST_PARTS


def _alive(entry: Entry, landed: Landed) -> list[Member]:
    return [member for member in entry.members if landed.get(member.bundle_id) == member.uri]


def _compacted(
    folder: Path, segments: list[Segment], known: Catalogue, landed: Landed
) -> tuple[list[Segment], Catalogue]:
    """The same rows in as few segments as hold them, without those that are gone. Full ones without a row gone stay."""
    kept: list[tuple[Segment, Entry]] = []
    loose: list[tuple[Segment, Member]] = []
    for segment, entry in zip(segments, known.entries, strict=True):
        alive = _alive(entry, landed)
        if sum(member.n for member in alive) == MOST_ROWS:
            kept.append((segment, entry))
        else:
            loose.extend((segment, member) for member in alive)

    def stored() -> Iterator[tuple[int, str, np.ndarray, np.ndarray]]:
        for segment, member in loose:
            ids = segment.track_id[member.start : member.start + member.n]
            vectors = segment.vectors.reconstruct_n(member.start, member.n).astype(np.float16)
            yield member.bundle_id, member.uri, ids, vectors

    for file, members, _ in _packed(folder, stored()):
        assert file is not None  # rows come from segments, which are never empty
        kept.append((open_segment(folder, file), Entry(file, members)))
    empty = tuple((bundle, uri) for bundle, uri in known.empty if landed.get(bundle) == uri)
    return [segment for segment, _ in kept], Catalogue(tuple(entry for _, entry in kept), empty)


_Made = tuple[SegmentFile | None, tuple[Member, ...], list[tuple[int, str]]]


def _written(folder: Path, missing: list[int], landed: Landed, read: Read) -> Iterator[_Made]:
    def bundles() -> Iterator[tuple[int, str, np.ndarray, np.ndarray]]:
        for bundle in missing:
            content = read(bundle)
            if content is not None:
                yield bundle, landed[bundle], *content

    return _packed(folder, bundles())


def _packed(folder: Path, bundles: Iterator[tuple[int, str, np.ndarray, np.ndarray]]) -> Iterator[_Made]:
    """Segments, each written as soon as it is full; a bundle may end in the next one."""
    ids: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    members: list[Member] = []
    empty: list[tuple[int, str]] = []
    filled = 0
    for bundle, uri, track_id, embedding in bundles:
        if not len(track_id):
            empty.append((bundle, uri))
        taken = 0
        while taken < len(track_id):
            n = min(len(track_id) - taken, MOST_ROWS - filled)
            ids.append(track_id[taken : taken + n])
            vectors.append(embedding[taken : taken + n])
            members.append(Member(bundle, uri, filled, n))
            filled, taken = filled + n, taken + n
            if filled == MOST_ROWS:
                yield write_segment(folder, np.concatenate(ids), np.concatenate(vectors)), tuple(members), empty
                ids, vectors, members, empty, filled = [], [], [], [], 0
    if filled:
        yield write_segment(folder, np.concatenate(ids), np.concatenate(vectors)), tuple(members), empty
    elif empty:
        yield None, (), empty


def _write_catalogue(folder: Path, known: Catalogue) -> None:
    told: dict[str, Any] = {
        "format": FORMAT,
        "entries": [
            {"file": asdict(entry.file), "members": [asdict(m) for m in entry.members]} for entry in known.entries
        ],
        "empty": [list(one) for one in known.empty],
    }
    part = folder / f"catalogue.json.{os.getpid()}.part"
    with open(part, "w", encoding="utf-8", opener=private_files.opener) as opened:
        json.dump(told, opened)
    part.replace(folder / "catalogue.json")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of the processes that serve a home, one writes at a time; the others then find it done."""
    with open(folder / "lock", "a", encoding="ascii", opener=private_files.opener) as turn:
        if fcntl is not None:
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield
