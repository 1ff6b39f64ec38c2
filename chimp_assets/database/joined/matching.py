"""Whom or what the cells of an imported table mean: individuals, cameras, videos, as the database knows them.

Belongs here: reading who and what there is, once for a file. Does not belong here: guessing which column names what
(`columns`), storing (`importing`).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.footage.cameras import name_key
from chimp_assets.database.people.names import key_of
from chimp_assets.database.schema import individual, individual_alias, video

SHOWN = 5
"""Values without a match that a report names."""


@dataclass(frozen=True)
class Unmatched:
    """Cells of a column that name nobody and nothing known. some: a few of them, the commonest first, each with what
    is spelt most alike, or None."""

    column: str
    rows: int
    values: int
    some: list[tuple[str, str | None]]

    def __str__(self) -> str:
        words = ", ".join(f"{text!r}" + (f" (perhaps {near})" if near else "") for text, near in self.some)
        more = f" and {self.values - len(self.some)} more" if self.values > len(self.some) else ""
        return f"{self.column}: {self.rows} rows name nobody and nothing known: {words}{more}"


@dataclass
class Matcher:
    """Cells of one column, with what they mean."""

    column: str
    known: Mapping[str, Any]
    key: Callable[[str], str] = key_of
    missed: Counter[str] = field(default_factory=Counter)

    def meaning(self, text: str) -> Any:
        """What a cell means, None where nothing is known by it."""
        found = self.known.get(self.key(text))
        if found is None:
            self.missed[text] += 1
        return found

    def report(self) -> Unmatched | None:
        """What was not found; None where all was."""
        if not self.missed:
            return None
        some = []
        for text, _ in self.missed.most_common(SHOWN):
            near = difflib.get_close_matches(self.key(text), list(self.known), n=1)
            some.append((text, near[0] if near else None))
        return Unmatched(self.column, sum(self.missed.values()), len(self.missed), some)


def individuals_by_word(conn: sa.Connection) -> dict[str, int]:
    """individual_id of every code, alias, and name that one individual alone has. A code wins over an alias, and both
    over a name; somebody who was merged is found as himself, and joins follow the merge."""
    i, a = individual.c, individual_alias.c
    rows = conn.execute(sa.select(i.individual_id, i.anim_id, i.name, i.same_as_id)).all()
    named = Counter(key_of(row.name) for row in rows if row.name and row.same_as_id is None)
    found = {
        key_of(row.name): int(row.individual_id)
        for row in rows
        if row.name and row.same_as_id is None and named[key_of(row.name)] == 1
    }
    found |= {key_of(alias): int(key) for alias, key in conn.execute(sa.select(a.alias, a.individual_id))}
    return found | {key_of(row.anim_id): int(row.individual_id) for row in rows}


def cameras_by_word(conn: sa.Connection) -> dict[str, tuple[str | None, str]]:
    """Site and camera of every `site/camera`, and of every camera whose name one site alone has, in any spelling."""
    v = video.c
    places = conn.execute(sa.select(v.site, v.camera).where(v.camera.is_not(None), v.state != "retired").distinct())
    found: dict[str, tuple[str | None, str]] = {}
    by_camera: dict[str, set[tuple[str | None, str]]] = {}
    for site, camera in places:
        found[camera_key(f"{site or ''}/{camera}")] = (site, camera)
        by_camera.setdefault(camera_key(camera), set()).add((site, camera))
    return found | {key: next(iter(those)) for key, those in by_camera.items() if len(those) == 1}


def camera_key(text: str) -> str:
    """A camera, with or without its site, in the spelling by which it is known."""
    site, slash, camera = text.strip().rpartition("/")
    return f"{name_key(site)}/{name_key(camera)}" if slash else name_key(camera)


def sites_by_word(conn: sa.Connection) -> dict[str, str]:
    """Every site."""
    v = video.c
    return {key_of(site): site for site in conn.scalars(sa.select(v.site).where(v.site.is_not(None)).distinct())}


def videos_by_word(conn: sa.Connection) -> dict[str, int]:
    """video_id of every path in the archive, and of every file name that is there once; newest version."""
    v = video.c
    rows = conn.execute(sa.select(v.video_id, v.uri).where(v.state != "retired").order_by(v.video_id)).all()
    names = Counter(key_of(row.uri.rpartition("/")[2]) for row in rows)
    found = {
        key_of(row.uri.rpartition("/")[2]): int(row.video_id)
        for row in rows
        if names[key_of(row.uri.rpartition("/")[2])] == 1
    }
    return found | {key_of(row.uri): int(row.video_id) for row in rows}


def matcher_of(conn: sa.Connection, column: str, joins: str) -> Matcher:
    """What the cells of a column mean. joins: individual, camera, place or video."""
    if joins == "individual":
        return Matcher(column, individuals_by_word(conn))
    if joins == "camera":
        return Matcher(column, cameras_by_word(conn), camera_key)
    if joins == "place":
        return Matcher(column, sites_by_word(conn))
    return Matcher(column, videos_by_word(conn))
