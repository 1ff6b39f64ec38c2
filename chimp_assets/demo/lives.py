"""What a research group would know about the demo's animals and cameras: life histories, communities, effort.

Belongs here: invented facts that no picture shows, so that every question of the cookbook has an answer. Does not
belong here: the cast and its families (`casting`), and who is in a video.
"""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.batch import SourceRow, Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.memberships import write_memberships
from chimp_assets.database.schema import deployment, sampling_gap
from chimp_assets.demo.truth import ArchiveTruth

# Nyota's mother died before the cameras came. Zuri came from somewhere else. Mwezi gave birth while they ran; nobody
# has recognised the infant on her belly yet.
_LIVES = (
    {"anim_id": "NU", "name": "Nuru", "sex": "F", "birth_date": "1979-01-20", "depart_date": "2012-08-03",
     "depart_type": "D"},
    {"anim_id": "NY", "mom_id": "NU"},
    {"anim_id": "ZU", "entry_date": "2009-02-01", "entry_type": "I"},
    {"anim_id": "ME", "name": "Meli", "sex": "U", "birth_date": "2013-05-08", "mom_id": "MW"},
)  # fmt: skip
_COMMUNITY = "STREAM"
_CAME = {"ZU": date(2009, 2, 1)}
_FIRST = date(1979, 1, 1)


def record_lives(db: Database, truth: ArchiveTruth) -> None:
    """Writes life histories, memberships, deployments and a gap. Safe to repeat.

    The individuals of the truth must exist. An archive with photographs of real animals gets deployments only: invented
    life histories would be wrong for them.
    """
    born = {who.anim_id: date.fromisoformat(who.birth_date) for who in truth.individuals if not who.newcomer}
    if {"NY", "ZU", "MW"} <= set(born):
        upsert_individuals(db, _LIVES)
        rows = [
            SourceRow(
                n, {"anim_id": name, "community": _COMMUNITY, "start_date": str(_CAME.get(name, max(day, _FIRST)))}
            )
            for n, (name, day) in enumerate(born.items(), start=1)
        ]
        db.transact(lambda conn: write_memberships(conn, rows, Terms()))
    places = sorted({(video.site, video.camera) for video in truth.videos})
    days = sorted({date.fromisoformat(video.recorded_at[:10]) for video in truth.videos})
    first, last = days[0] - timedelta(days=1), days[-1] + timedelta(days=1)

    def write(conn: sa.Connection) -> None:
        if conn.execute(sa.select(deployment.c.deployment_id).limit(1)).first():
            return
        insert_rows(
            conn,
            deployment,
            {
                "site": [site for site, _ in places],
                "camera": [camera for _, camera in places],
                "start_date": [first] * len(places),
                "end_date": [last] * len(places),
            },
        )
        insert_rows(
            conn, sampling_gap, {"start_date": [last], "end_date": [last], "reason": ["the batteries were empty"]}
        )

    db.transact(write)
