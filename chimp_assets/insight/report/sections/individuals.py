"""Who was seen: first and last days, who is missing for long, animals that nobody knows, and who gave the names.

Belongs here: reading `v_dispersal_last_seen`, `v_unknown_animal` and `v_named_track`. Does not belong here: whom they
were seen with (`ties`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.individuals.named_tracks import named_track

ABSENT_DAYS = 90
"""Days without a sighting from which an absence is worth a line, where it is also the individual's longest."""

_SEEN = sa.table(
    "v_dispersal_last_seen",
    *(
        sa.column(name)
        for name in (
            "individual_id", "anim_id", "sex", "first_seen", "last_seen", "n_days_seen", "longest_absence",
            "days_unseen", "effort_days_since", "departed",
        )
    ),
)  # fmt: skip
_UNKNOWN = sa.table(
    "v_unknown_animal",
    *(sa.column(name) for name in ("cluster_no", "n_tracks", "n_videos", "n_days", "best_track_id")),
    sa.column("first_day", sa.Date()),
    sa.column("last_day", sa.Date()),
)


@dataclass(frozen=True)
class SeenIndividual:
    """One individual. days_unseen: calendar days from the last sighting to the last day of the archive;
    effort_days_since: of these, days on which any camera recorded; longest_absence: after which it came back."""

    anim_id: str
    name: str | None
    sex: str
    first_seen: str
    last_seen: str
    days_seen: int
    days_unseen: int
    longest_absence: int | None
    effort_days_since: int
    departed: bool

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.anim_id

    @property
    def is_missing(self) -> bool:
        """Whether it is away for long, longer than ever before, and nobody recorded its departure."""
        return not self.departed and self.days_unseen >= max(ABSENT_DAYS, (self.longest_absence or 0) + 1)


@dataclass(frozen=True)
class UnknownAnimal:
    """Tracks that look alike and that the champion head takes for nobody it knows."""

    n_tracks: int
    n_days: int
    first_day: str | None
    last_day: str | None
    best_track_id: int


@dataclass(frozen=True)
class Individuals:
    """Who was seen. never_seen: codes of individuals without a departure and without a sighting; named: tracks with a
    name, by who gave it (person, volunteers, model)."""

    seen: list[SeenIndividual]
    never_seen: list[str]
    unknown: list[UnknownAnimal]
    named: dict[str, int]

    @property
    def missing(self) -> list[SeenIndividual]:
        """Individuals not seen for long, the longest first."""
        return sorted((one for one in self.seen if one.is_missing), key=lambda one: (-one.days_unseen, one.anim_id))

    @property
    def by_model(self) -> float | None:
        """Share of the named tracks whose name only the model gave; None without names."""
        n = sum(self.named.values())
        return self.named.get("model", 0) / n if n else None


def individuals_of(conn: sa.Connection) -> Individuals:
    """Everybody, by code: three statements, a row for each individual and unknown animal."""
    s, u, n = _SEEN.c, _UNKNOWN.c, named_track.c
    rows = conn.execute(
        sa.select(_SEEN, t.individual.c.name)
        .join_from(_SEEN, t.individual, t.individual.c.individual_id == s.individual_id)
        .order_by(s.anim_id)
    ).all()
    unknown = conn.execute(sa.select(_UNKNOWN).order_by(u.n_tracks.desc(), u.cluster_no)).all()
    named = conn.execute(sa.select(n.source, sa.func.count().label("n")).group_by(n.source).order_by(n.source)).all()
    return Individuals(
        seen=[
            SeenIndividual(
                row.anim_id, row.name, row.sex, row.first_seen, row.last_seen, int(row.n_days_seen),
                int(row.days_unseen), None if row.longest_absence is None else int(row.longest_absence),
                int(row.effort_days_since), bool(row.departed),
            )
            for row in rows
            if row.last_seen is not None
        ],
        never_seen=[row.anim_id for row in rows if row.last_seen is None and not row.departed],
        unknown=[
            UnknownAnimal(int(row.n_tracks), int(row.n_days), _text(row.first_day), _text(row.last_day),
                          int(row.best_track_id))
            for row in unknown
        ],
        named={row.source: int(row.n) for row in named},
    )  # fmt: skip


def _text(day: object) -> str | None:
    return None if day is None else str(day)
