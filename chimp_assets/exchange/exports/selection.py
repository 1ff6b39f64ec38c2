"""Which tracks an export is about.

Belongs here: conditions on tracks, the statement that selects them, saying them in words. Does not belong here: reading
what people write (`conditions`), formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import in_words
from chimp_assets.exchange.exports.further import NAMED as _NAMED
from chimp_assets.exchange.exports.further import Further, either

SURE = 0.9
"""Probability from which a model's name counts as a name where neither a person nor a promise says otherwise."""
IDENTIFIED, UNLABELLED = "identified", "unlabelled"
STATUSES = (IDENTIFIED, "unknown", "cannot_tell", UNLABELLED, "not_animal", "bad_box")
"""What is known of a track, as in v_track_identity."""
ANIMALS = STATUSES[:4]
"""Tracks that show an animal in a usable box, as far as anybody knows: what is selected where nobody says otherwise."""
SOURCES = ("person", "volunteers", "model")
LIVE = ("live",)

_COLUMNS: tuple[tuple[str, TypeEngine[Any]], ...] = (
    ("track_id", sa.BigInteger()),
    ("video_id", sa.BigInteger()),
    ("individual_id", sa.BigInteger()),
    ("anim_id", sa.Unicode(40)),
    ("source", sa.Unicode(10)),
    ("status", sa.Unicode(12)),
    ("probability", sa.Double()),
    ("annotation_id", sa.Unicode(36)),
    ("model_id", sa.BigInteger()),
)
_OF_A_NAME = ("individual_id", "anim_id", "source", "probability", "annotation_id", "model_id")
_IDENTITY = sa.table("v_track_identity", *(sa.column(name, kind) for name, kind in _COLUMNS))


@dataclass(frozen=True)
class Selection:
    """Conditions on tracks, all of which must hold; without any, every live track of an animal in the archive.

    individuals: (individual_id, code) after merges; cameras: (site, camera), site None: of any site, "": of none;
    videos: (video_id, uri) of the rows that hold the frames; folders: of the archive, with everything below them;
    since, until: calendar days where the cameras are, both included; sources: who must have said what is known;
    statuses, states: of tracks; min_probability: from which a model's name counts as one: a track whose name does not
    count has none, and is unlabelled; promised_on: the day of the names whose promise gave min_probability; given: the
    conditions as people wrote them; further: those of a search.
    """

    individuals: tuple[tuple[int, str], ...] = ()
    cameras: tuple[tuple[str | None, str], ...] = ()
    sites: tuple[str, ...] = ()
    videos: tuple[tuple[int, str], ...] = ()
    folders: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    sources: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ANIMALS
    states: tuple[str, ...] = LIVE
    min_probability: float = SURE
    promised_on: date | None = None
    given: tuple[str, ...] = ()
    further: Further = field(default_factory=Further)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the conditions that people wrote."""
        return tuple(dict.fromkeys(one.partition("=")[0].strip() for one in self.given))

    @property
    def is_of_videos(self) -> bool:
        """Whether every animal of the chosen videos is wanted: then a video without one says that nobody was there."""
        usual = not self.individuals and not self.sources and self.statuses == ANIMALS and self.states == LIVE
        return usual and not self.further.is_of_tracks

    def tracks(self, among: Sequence[int] | None = None) -> sa.Select[Any]:
        """The columns of v_track_identity of the tracks that are wanted, in no order. among: of these videos only, at
        most a few hundred: whoever reads everything reads it by videos (`footage`).
        """
        parts = [self._known(among)] if "live" in self.states else []
        gone = [state for state in self.states if state != "live"]
        if gone:
            parts.append(self._not_live(gone, among))
        if len(parts) == 1:
            return parts[0]
        both = sa.union_all(*parts).subquery("wanted")
        return sa.select(*both.c)

    def video_conditions(self, v: Any = t.video.c) -> list[sa.ColumnElement[bool]]:
        """Conditions on rows of `video` that follow from these on tracks, beside the state of the video.

        v: its columns, where the statement knows the table by another name.
        """
        found: list[sa.ColumnElement[bool]] = []
        either: list[sa.ColumnElement[bool]] = []
        if self.videos:
            either.append(v.video_id.in_([video_id for video_id, _ in self.videos]))
        either += [below(v.uri, folder) for folder in self.folders]
        if either:
            found.append(sa.or_(*either))
        if self.sites:
            found.append(v.site.in_(self.sites))
        if self.cameras:
            found.append(sa.or_(*(_is_camera(v, site, camera) for site, camera in self.cameras)))
        if self.since is not None:
            found.append(v.recorded_on >= self.since)
        if self.until is not None:
            found.append(v.recorded_on <= self.until)
        return found + self.further.of_videos(v, lambda ti: self._counts(ti, named=True))

    @property
    def words(self) -> str:
        """The selection as a sentence, for sidecars and pages."""
        what = "Tracks" if self.states == LIVE else f"Tracks that are {either(self.states)}"
        parts = []
        if self.individuals:
            parts.append(f"of {either([code for _, code in self.individuals])}")
        if self.cameras:
            parts.append(f"from the camera {either([in_words(site, camera) for site, camera in self.cameras])}")
        if self.sites:
            parts.append(f"from the site {either(self.sites)}")
        if self.videos or self.folders:
            parts.append(f"of {either([*(uri for _, uri in self.videos), *(f'{one}/' for one in self.folders)])}")
        if self.since is not None:
            parts.append(f"recorded on or after {self.since.isoformat()}")
        if self.until is not None:
            parts.append(f"recorded on or before {self.until.isoformat()}")
        if self.sources:
            parts.append(f"judged by {either(self.sources)}")
        parts += self.further.words
        if self.statuses == ANIMALS and not self.individuals:
            parts.append("without those that people called no animal or a bad box")
        elif set(self.statuses) != set(STATUSES) and not self.individuals:
            parts.append(f"whose status is {either(self.statuses)}")
        names = (
            "names of the model count whatever their probability"
            if self.min_probability <= 0
            else f"names of the model count from a probability of {self.min_probability:g}"
            + (f", the threshold of the promise of {self.promised_on.isoformat()}" if self.promised_on else "")
        )
        return f"{what} {', '.join(parts)}".rstrip() + f"; {names}."

    def _known(self, among: Sequence[int] | None) -> sa.Select[Any]:
        """Live tracks. Of named ones alone the smaller view is asked; conditions on videos reach an index in both."""
        named = bool(self.individuals) or self.statuses == (IDENTIFIED,) or self.further.is_of_named
        ti = _NAMED.c if named else _IDENTITY.c
        status = sa.literal(IDENTIFIED, sa.Unicode(12)) if named else ti.status
        counts = self._counts(ti, named)
        columns: list[sa.ColumnElement[Any]] = []
        for name, kind in _COLUMNS:
            column: sa.ColumnElement[Any] = status if name == "status" else ti[name]
            if not named and counts is not None and name in _OF_A_NAME:
                column = sa.case((counts, column), else_=sa.cast(sa.null(), kind))
            elif not named and counts is not None and name == "status":
                column = sa.case((counts, column), else_=sa.literal(UNLABELLED, sa.Unicode(12)))
            columns.append(column.label(name))
        wanted = sa.select(*columns).select_from(_NAMED if named else _IDENTITY)
        if named and counts is not None:
            wanted = wanted.where(counts)
        if self.individuals:
            wanted = wanted.where(ti.individual_id.in_([key for key, _ in self.individuals]))
        if named and IDENTIFIED not in self.statuses:
            wanted = wanted.where(sa.false())
        wanted = wanted.where(*self.further.of_tracks(ti, counts))
        if self.sources:
            wanted = wanted.where(ti.source.in_(self.sources))
            if not named and counts is not None:
                wanted = wanted.where(counts)
        if not named and set(self.statuses) != set(STATUSES):
            wanted = wanted.where(self._has_status(ti, counts))
        return self._of_videos(wanted, ti.video_id, among)

    def _counts(self, ti: Any, named: bool) -> sa.ColumnElement[bool] | None:
        """Whether what is known of a track counts; None: always."""
        if self.min_probability <= 0:
            return None
        sure = sa.or_(ti.source.in_(("person", "volunteers")), ti.probability >= self.min_probability)
        return sure if named else sa.or_(ti.status != IDENTIFIED, sure)

    def _has_status(self, ti: Any, counts: sa.ColumnElement[bool] | None) -> sa.ColumnElement[bool]:
        others = [status for status in self.statuses if status != IDENTIFIED]
        if counts is None:
            return ti.status.in_(self.statuses)
        either = [ti.status.in_(others)] if others else []
        if UNLABELLED in self.statuses and IDENTIFIED in self.statuses:
            either.append(ti.status == IDENTIFIED)
        elif IDENTIFIED in self.statuses:
            either.append(sa.and_(ti.status == IDENTIFIED, counts))
        elif UNLABELLED in self.statuses:
            either.append(sa.and_(ti.status == IDENTIFIED, sa.not_(counts)))
        return sa.or_(*either)

    def _not_live(self, states: Sequence[str], among: Sequence[int] | None) -> sa.Select[Any]:
        """Tracks that are asked about no more: nobody says who they are."""
        k, v = t.track.c, t.video.c
        values: dict[str, sa.ColumnElement[Any]] = {"track_id": k.track_id, "video_id": k.video_id}
        values["status"] = sa.literal(UNLABELLED, sa.Unicode(12))
        columns = [values.get(name, sa.cast(sa.null(), kind)).label(name) for name, kind in _COLUMNS]
        wanted = (
            sa.select(*columns)
            .join_from(t.track, t.video, v.video_id == k.video_id)
            .where(k.state.in_(states), v.state != "retired")
        )
        if self.individuals or self.sources or UNLABELLED not in self.statuses or self.further.is_of_named:
            wanted = wanted.where(sa.false())
        wanted = wanted.where(*self.further.of_nameless(k.track_id))
        return self._of_videos(wanted, k.video_id, among)

    def _of_videos(
        self, wanted: sa.Select[Any], video_id: sa.ColumnElement[int], among: Sequence[int] | None
    ) -> sa.Select[Any]:
        if among is not None:
            wanted = wanted.where(video_id.in_(among))
        there = t.video.alias("there")  # `video` may stand in the statement already
        conditions = self.video_conditions(there.c)
        if conditions:
            wanted = wanted.where(video_id.in_(sa.select(there.c.video_id).where(*conditions)))
        return wanted


def below(uri: sa.ColumnElement[str], folder: str) -> sa.ColumnElement[bool]:
    """Whether a path lies below a folder: a range, since paths are compared by code points and 0 follows /."""
    return sa.and_(uri >= f"{folder}/", uri < f"{folder}0")


def _is_camera(v: Any, site: str | None, camera: str) -> sa.ColumnElement[bool]:
    is_there = v.camera == camera if camera else v.camera.is_(None)
    if site is None:
        return is_there
    return sa.and_(is_there, v.site == site if site else sa.or_(v.site.is_(None), v.site == ""))
