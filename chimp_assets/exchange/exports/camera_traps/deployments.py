"""Which deployment each video belongs to, and the deployments themselves.

Belongs here: deployments of the table and of cameras that only videos tell of. Does not belong here: columns of a
format (`camtrap_dp`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import in_words
from chimp_assets.exchange.exports.export import ExportRequest
from chimp_assets.exchange.exports.footage import HandedVideo
from chimp_assets.exchange.exports.places import HandedPlace


@dataclass
class HandedDeployment:
    """Days on which a camera stood at a place. known: somebody has said so; else the days are those of its videos.
    place: None where nobody knows it; doubtful: the time of one of its videos is in doubt."""

    key: str
    site: str | None
    camera: str | None
    first: date
    last: date
    known: bool
    place: HandedPlace | None = None
    note: str | None = None
    doubtful: bool = False
    n_videos: int = 0

    @property
    def location(self) -> str:
        """The name of its place: SITE/CAMERA."""
        return in_words(self.site, self.camera)


@dataclass
class DeploymentList:
    """All deployments of an export; grows by cameras that no deployment tells of."""

    known: list[HandedDeployment]
    _by_camera: dict[str | None, list[HandedDeployment]] = field(default_factory=lambda: defaultdict(list))
    _of_videos: dict[tuple[str | None, str | None], HandedDeployment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.known:
            self._by_camera[one.camera].append(one)

    def of(self, video: HandedVideo) -> HandedDeployment | None:
        """The deployment of a video, None where its day is not known. Of several the one that began last."""
        day = video.recorded_on
        if day is None:
            return None
        fits = [one for one in self._by_camera[video.camera] if one.site == video.site and one.first <= day <= one.last]
        found = max(fits, key=lambda one: (one.first, one.key), default=None)
        if found is None:
            place = (video.site, video.camera)
            name = in_words(*place) if video.camera else "unknown camera"
            found = self._of_videos.setdefault(
                place, HandedDeployment(f"camera {name}", video.site, video.camera, day, day, known=False)
            )
            found.first, found.last = min(found.first, day), max(found.last, day)
        found.n_videos += 1
        found.doubtful |= video.recorded_at_certainty in ("unsure", "day")
        return found

    def all(self) -> list[HandedDeployment]:
        """Those of the table, then those of videos alone, by name."""
        return [*self.known, *sorted(self._of_videos.values(), key=lambda one: one.key)]


def deployments(conn: sa.Connection, request: ExportRequest) -> DeploymentList:
    """The deployments of the cameras and days of the selection. One without an end goes on to the last day of the
    archive, as in v_effort."""
    d, chosen = t.deployment.c, request.selection
    last = conn.scalar(sa.select(sa.func.max(t.video.c.recorded_on)).where(t.video.c.state != "retired"))
    wanted = sa.select(t.deployment).order_by(d.site, d.camera, d.start_date, d.deployment_id)
    if chosen.sites:
        wanted = wanted.where(d.site.in_(chosen.sites))
    if chosen.cameras:
        wanted = wanted.where(
            sa.or_(*(d.camera == c if s is None else sa.and_(d.site == s, d.camera == c) for s, c in chosen.cameras))
        )
    if chosen.since is not None:
        wanted = wanted.where(sa.or_(d.end_date.is_(None), d.end_date >= chosen.since))
    if chosen.until is not None:
        wanted = wanted.where(d.start_date <= chosen.until)
    found = []
    for row in conn.execute(wanted):
        until = row.end_date or max(last or row.start_date, row.start_date)
        found.append(
            HandedDeployment(
                f"deployment {row.deployment_id}", row.site, row.camera, row.start_date, until, known=True,
                place=request.place(row.latitude, row.longitude),
                # A note may say where the camera hangs.
                note=row.note if request.exact_places else None,
            )
        )  # fmt: skip
    return DeploymentList(found)
