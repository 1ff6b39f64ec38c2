"""What became of a file of annotations: every row of it is somewhere in here.

Belongs here: the counts, their first examples, and the JSON of them. Does not belong here: printing
(`console.exchange`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

NAMED = 20
"""Examples that are named of each count."""


@dataclass
class Count:
    """How many, and the first of them by name."""

    n: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, name: str = "", n: int = 1) -> None:
        """Count n; a name is kept while there is room."""
        self.n += n
        if name and len(self.named) < NAMED:
            self.named.append(name)

    def join(self, other: Count) -> None:
        """Add what another one counted."""
        self.n += other.n
        self.named += other.named[: NAMED - len(self.named)]


@dataclass
class MediaCounts:
    """Media of a file. by_hash, by_path, by_tail: matched, and how; several: more than one video has the name;
    waiting: matched, but not decoded yet; other_shape: drawn on pictures of another shape."""

    listed: int = 0
    by_hash: Count = field(default_factory=Count)
    by_path: Count = field(default_factory=Count)
    by_tail: Count = field(default_factory=Count)
    unmatched: Count = field(default_factory=Count)
    several: Count = field(default_factory=Count)
    waiting: Count = field(default_factory=Count)
    other_shape: Count = field(default_factory=Count)

    @property
    def matched(self) -> int:
        """Media that are one video or picture of the archive."""
        return self.by_hash.n + self.by_path.n + self.by_tail.n


@dataclass
class RowCounts:
    """Rows of a file, and what they became. on_frame: boxes of the file that lie on a stored picture; interpolated:
    stored boxes between two of the file; moved: lone boxes that went to the nearest stored picture; between: boxes
    between stored pictures, which say where the others lie; unplaced: boxes of no stored picture; new_tracks: added;
    same_tracks: tracks that were there; known_tracks: taken in before; gone_tracks: taken in before, and changed since.
    whole: rows without a box; unclear: rows without a box that no one track is meant by. proposals: boxes that stand in
    place of detecting, other_categories: boxes of the file that do not; of_videos: whose pictures they are about.
    """

    boxes: int = 0
    on_frame: int = 0
    interpolated: int = 0
    moved: Count = field(default_factory=Count)
    between: int = 0
    unplaced: Count = field(default_factory=Count)
    new_tracks: int = 0
    same_tracks: int = 0
    known_tracks: int = 0
    gone_tracks: Count = field(default_factory=Count)
    whole: int = 0
    unclear: Count = field(default_factory=Count)
    proposals: int = 0
    other_categories: Count = field(default_factory=Count)
    of_videos: int = 0
    already_tracked: Count = field(default_factory=Count)


@dataclass
class NameCounts:
    """Names of a file. stored: label events; known: said before; unknown: nobody is called so; nobody: words for
    animals without a name; made: individuals that were added; mixed: tracks of two names; contradicting: names of
    tracks that somebody named otherwise; stands: how many of these stand now; refused: events that cannot be;
    by_others: people of the file who are no users here, for whom the annotator of the import stands."""

    stored: int = 0
    known: int = 0
    unknown: Count = field(default_factory=Count)
    nobody: Count = field(default_factory=Count)
    made: Count = field(default_factory=Count)
    mixed: Count = field(default_factory=Count)
    contradicting: Count = field(default_factory=Count)
    stands: int = 0
    refused: Count = field(default_factory=Count)
    by_others: Count = field(default_factory=Count)


@dataclass
class TakenIn:
    """The report of one import. dry_run: nothing was stored; before: the file had been taken in; frame_base, said_by:
    the number of the first frame, and who said so; by_pictures, by_rate: media whose frames were found by the times of
    their pictures, and by their rate; times_set, times_other: recording times that came from the file, and media whose
    video has another one."""

    format: str
    file: str
    dry_run: bool = False
    before: bool = False
    frame_base: int = 0
    said_by: str = "format"
    media: MediaCounts = field(default_factory=MediaCounts)
    rows: RowCounts = field(default_factory=RowCounts)
    names: NameCounts = field(default_factory=NameCounts)
    by_pictures: int = 0
    by_rate: Count = field(default_factory=Count)
    times_set: int = 0
    times_other: Count = field(default_factory=Count)
    bad_rows: Count = field(default_factory=Count)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line: counts with their examples as {"n": .., "named": [..]}."""
        answer: dict[str, Any] = _plain(self)
        answer["media"]["matched"] = self.media.matched
        return answer

    def counts(self) -> dict[str, Any]:
        """Numbers alone, as they are kept in the database."""
        return _numbers(self.as_dict())


def _plain(value: Any) -> Any:
    if isinstance(value, Count | MediaCounts | RowCounts | NameCounts | TakenIn):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value


def _numbers(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, dict):
            inner = value["n"] if "named" in value else _numbers(value)
            found |= {name: inner} if inner else {}
        elif isinstance(value, int | float) and value and not isinstance(value, bool):
            found[name] = value
    return found
