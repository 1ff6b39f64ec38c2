"""How cameras are written: one spelling for each, and what an operator said of which is which.

Belongs here: when two names are one, which names may be one, the tables `camera_name` and `camera_mapping`.
Does not belong here: which folder of a path names a camera (`archive.places`), moving videos to another camera
(`archive.cameras`).

Cam01, cam01, `Cam01 ` and CAM-01 are one camera, written as it was first seen. Cam1 and Cam01 may be two: they are
proposed, and an operator decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.schema import app_user, camera_mapping, camera_name, video
from chimp_assets.database.texts import cut_to

KEY_LENGTH = 300
Place = tuple[str | None, str | None]


def place_name(site: str | None, camera: str | None) -> str:
    """A camera's name among those of all sites: "site/camera", "camera" where no site is known, "" without a camera.

    Sites number their cameras alike: cam01 of two of them are two.
    """
    return f"{site}/{camera}" if site and camera else camera or ""


def place_of_video() -> sa.ColumnElement[str]:
    """`place_name` of rows of `video`, in SQL."""
    v = video.c
    return sa.case(
        (v.camera.is_(None), ""),
        (sa.or_(v.site.is_(None), v.site == ""), v.camera),
        else_=v.site + "/" + v.camera,
    )


@lru_cache(maxsize=65_536)
def name_key(name: str | None) -> str:
    """What two spellings of one name have in common: letters without case, compatibility forms, separators.

    Between two digits a separator stays: Cam1-2 is not Cam12.
    """
    if not name:
        return ""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = re.sub(r"[\s_.\-‐-―]+", "-", text).strip("-")
    return cut_to(re.sub(r"(?<!\d)-|-(?!\d)", "", text) or text, KEY_LENGTH)


def why_alike(one: str, other: str) -> str | None:
    """Why two names that are spelt differently may mean one camera; None if nothing says so."""
    a, b = name_key(one), name_key(other)
    if a == b:
        return "they differ in case, spaces or signs only"
    if _unpadded(a) == _unpadded(b):
        return "they differ in leading zeros only"
    if _plain(a) == _plain(b):
        return "they differ in accents or look-alike letters only"
    if _digits(a) == _digits(b) and min(len(a), len(b)) >= 4 and _edits(_plain(a), _plain(b)) == 1:
        return "they differ in one letter only"
    return None


def _unpadded(key: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", key)


_LOOK_ALIKES = str.maketrans("аеосрхуіѕ", "aeocpxyis")


def _plain(key: str) -> str:
    letters = unicodedata.normalize("NFKD", key.translate(_LOOK_ALIKES))
    # O and l are typed for 0 and 1.
    text = "".join(c for c in letters if not unicodedata.combining(c))
    text = re.sub(r"(?<=\d)o|o(?=\d)", "0", text)
    return _unpadded(re.sub(r"(?<=\d)[li]|[li](?=\d)", "1", text))


def _digits(key: str) -> list[str]:
    return re.findall(r"\d+", _unpadded(key))


def _edits(a: str, b: str) -> int:
    """How many letters must be put in, taken out, changed or swapped with a neighbour; 2 stands for more than one."""
    if abs(len(a) - len(b)) > 1:
        return 2
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest_a, rest_b = a[start:], b[start:]
    if rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]:
        return 1
    swapped = rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:]
    return 1 if swapped else 2


def in_words(site: str | None, camera: str | None) -> str:
    """A place as people type it: SITE/CAMERA, or one name where both are the same."""
    if camera is None:
        return "(unknown)"
    return camera if site in (None, camera) else f"{site}/{camera}"


@dataclass(frozen=True)
class CameraMapping:
    """What an operator said. subject: the folder, or the camera as `in_words`; site, camera: where it belongs."""

    mapping_id: int
    kind: str
    subject: str
    from_site: str | None
    from_camera: str | None
    site: str | None
    camera: str
    at: datetime
    by: str | None
    why: str | None


class CameraNames:
    """The spellings and mappings of a database. Reads them when made; `written` adds names that are new."""

    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn
        self._names: dict[tuple[str, str], Place] = {}
        self._sites: dict[str, str] = {}
        rows = conn.execute(
            sa.select(camera_name.c.site_key, camera_name.c.camera_key, camera_name.c.site, camera_name.c.camera)
            .order_by(camera_name.c.camera_name_id)
        ).all()  # fmt: skip
        for row in rows:
            self._learn(row.site_key, row.camera_key, row.site, row.camera)
        self._new: list[tuple[str, str, str | None, str]] = []
        if not rows:
            self._learn_from_videos()
        self.mappings = standing_mappings(conn)

    def _learn(self, site_key: str, camera_key: str, site: str | None, camera: str) -> Place:
        self._sites.setdefault(site_key, site or "")
        return self._names.setdefault((site_key, camera_key), (site, camera))

    def _learn_from_videos(self) -> None:
        """Names of a database that is older than this table, in the order in which they were first seen."""
        v = video.c
        rows = self._conn.execute(
            sa.select(v.site, v.camera)
            .where(v.camera.is_not(None))
            .group_by(v.site, v.camera)
            .order_by(sa.func.min(v.video_id))
        ).all()
        for row in rows:
            self.spelt(row.site, row.camera)

    def spelt(self, site: str | None, camera: str | None) -> Place:
        """A place as it is written: as it was first seen."""
        if camera is None:
            return site, camera
        site_key, camera_key = name_key(site), name_key(camera)
        known = self._names.get((site_key, camera_key))
        if known is not None:
            return known
        site = self._sites.get(site_key, site) if site is not None else None
        # Where a camera is its own site, both are written alike.
        if site is not None and site_key == camera_key:
            camera = site
        self._new.append((site_key, camera_key, site, camera))
        return self._learn(site_key, camera_key, site, camera)

    def known(self, site: str | None, camera: str | None) -> Place | None:
        """A place as it is written, if it is known in any spelling."""
        return self._names.get((name_key(site), name_key(camera)))

    def placed(self, uri: str, site: str | None, camera: str | None) -> Place:
        """Where a video belongs whose path names this place: as an operator said, else as it is written."""
        place = self.spelt(site, camera)
        folder = max(
            (m for m in self.mappings if m.kind == "folder" and (uri + "/").startswith(m.subject + "/")),
            key=lambda m: (len(m.subject), m.mapping_id),
            default=None,
        )
        if folder is not None:
            place = (folder.site, folder.camera)
        seen = set()
        while place not in seen:
            seen.add(place)
            key = (name_key(place[0]), name_key(place[1]))
            said = [
                m
                for m in self.mappings
                if m.kind == "camera" and (name_key(m.from_site), name_key(m.from_camera)) == key
            ]
            if not said:
                break
            place = (said[-1].site, said[-1].camera)
        return place

    def write(self, at: datetime) -> None:
        """Keep names that were new. conn: inside a write transaction."""
        for site_key, camera_key, site, camera in self._new:
            insert_one(
                self._conn, camera_name, site_key=site_key, camera_key=camera_key, site=site, camera=camera,
                first_seen_at=at,
            )  # fmt: skip
        self._new = []


def standing_mappings(conn: sa.Connection) -> list[CameraMapping]:
    """What operators said and did not take back, the oldest first."""
    m = camera_mapping.c
    rows = conn.execute(
        sa.select(camera_mapping, app_user.c.name.label("by"))
        .outerjoin_from(camera_mapping, app_user, app_user.c.user_id == m.user_id)
        .where(m.undone_at.is_(None))
        .order_by(m.mapping_id)
    )
    return [_mapping(row) for row in rows]


def _mapping(row: Any) -> CameraMapping:
    subject = row.folder if row.kind == "folder" else in_words(row.from_site, row.from_camera)
    return CameraMapping(
        row.mapping_id, row.kind, subject, row.from_site, row.from_camera, row.site, row.camera, row.at, row.by,
        row.reason,
    )  # fmt: skip


def likely_ones(camera: str, site: str | None, known: Iterable[Place]) -> list[Place]:
    """Known places that a name may mean, those of the same site first."""
    found = []
    for other_site, other in known:
        if other is None or (other_site, other) == (site, camera):
            continue
        same_site = site is None or name_key(site) in (name_key(other_site), "") or why_alike(site, other_site or "")
        if (name_key(other) == name_key(camera) or why_alike(camera, other)) and (
            same_site or name_key(other) == name_key(camera)
        ):
            found.append((not same_site, other_site or "", other, (other_site, other)))
    return [place for *_, place in sorted(found, key=lambda one: one[:3])]
