"""Something to decide in every queue of the review screen, on top of a home that people can label.

Belongs here: events as the screens send them. No test belongs here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.competing import Opinion, record_opinions
from chimp_assets.database.labels.events import record_events
from chimp_assets_tests.database.world import event, track

# What each case is about.
NAMES, FLAGGED, GOLD, PLANT, NEW, ASKED, DOUBTED = (track(n) for n in range(1, 8))
SAME, DIFFERENT = (track(9), track(9, 1)), (track(10), track(10, 1))


def shown(**more: Any) -> str:
    """What a screen says it had shown, as the server stores it."""
    usual = {"mode": "single", "model_id": 2, "candidates": [["FF", 0.62], ["FI", 0.2]], "input": "key", "schema": 1}
    return json.dumps(usual | more, separators=(",", ":"))


def make_disputed(db: Database, boxed: int = 8, shift: int = 0) -> None:
    """One case in each queue, two missed checks. vera is a volunteer, rita a reviewer, anna the expert. boxed: the
    video of the box; shift: so many videos later than the constants say.
    """

    def at(track_id: int) -> int:
        return track_id + shift * s.TRACKS_PER_VIDEO

    unaided, flagged = shown(mode="blind", candidates=[]), shown(flag=True)
    asked = event("identify", at(ASKED), "GM", annotator="vera", shown=shown(), seconds=2.0)
    record_events(
        db,
        [
            event("identify", at(NAMES), "FF", annotator="vera", shown=shown(), seconds=3.5),
            event("identify", at(NAMES), "FI", annotator="vito", shown=unaided, seconds=8.25),
            event("identify", at(FLAGGED), "FD", annotator="vera", shown=flagged, note="whose ears?", seconds=4),
            event("identify", at(GOLD), "FD", annotator="anna"),
            event("identify", at(GOLD), "GM", annotator="vera", shown=shown(mode="gold"), seconds=1.5),
            event("identify", at(PLANT), "FF", annotator="anna"),
            event("new_individual", at(NEW), "NEW-1", annotator="vera", name="Newcomer", shown=shown()),
            event("identify", at(DOUBTED), "GM", annotator="vera", shown=shown(), seconds=2.5),
            asked,
            event(
                "skip", at(ASKED), annotator="rita", supersedes=asked.annotation_id, note="Look at the left ear.",
                shown=shown(mode="review", reason="asked"),
            ),
            event("identify", at(SAME[0]), "FD", annotator="vera"),
            event("identify", at(SAME[1]), "GM", annotator="vera"),
            event("same", at(SAME[0]), other_track_id=at(SAME[1]), annotator="vito"),
        ],
    )  # fmt: skip
    _check(db, "gold", at(GOLD), "FD", "vera")
    _check(db, "plant", at(PLANT), "FF", "vera")
    _doubt(db, at(DOUBTED), "FI", 0.95)
    box = {"video_id": boxed, "frame_no": 3, "y": 0.4, "w": 0.2, "h": 0.3}
    first = event("box", track(boxed), annotator="vera", x=0.1, **box)
    record_events(db, [first])
    record_events(db, [event("box", track(boxed), annotator="vito", x=0.3, supersedes=first.annotation_id, **box)])
    late = event("box", track(boxed), annotator="rita", x=0.5, supersedes=first.annotation_id, shown=shown(), **box)
    done = record_opinions(db, [Opinion(late, first.annotation_id)])
    assert done[0].head is not None


def _ids(conn: sa.Connection) -> tuple[dict[str, int], dict[str, int]]:
    users = {row.name: row.user_id for row in conn.execute(sa.select(s.app_user))}
    return users, {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}


def _check(db: Database, kind: str, track_id: int, who: str, person: str) -> None:
    now = datetime.now(UTC)
    with db.write() as conn:
        users, individuals = _ids(conn)
        conn.execute(
            sa.insert(s.quality_check).values(
                kind=kind, user_id=users[person], track_id=track_id, individual_id=individuals[who],
                asked_at=now - timedelta(minutes=1), answered_at=now, passed=False,
            )
        )  # fmt: skip


def _doubt(db: Database, track_id: int, who: str, probability: float) -> None:
    """The champion is sure that a track is somebody."""
    p = s.prediction.c
    with db.write() as conn:
        _, individuals = _ids(conn)
        head = conn.scalar(sa.select(s.model.c.model_id).where(s.model.c.task == "head", s.model.c.state == "champion"))
        conn.execute(sa.delete(s.prediction).where(p.track_id == track_id))
        conn.execute(
            sa.insert(s.prediction).values(
                model_id=head, track_id=track_id, rank=1, individual_id=individuals[who], probability=probability
            )
        )
