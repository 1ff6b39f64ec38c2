"""Questions "is this X?" in the tiny world, and people who answer them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.users import add_user
from chimp_assets.database.work.queue import QueueItem, claim
from chimp_assets_tests.database.world import event, plan, track

KINDS = {"yes": "is_individual", "no": "not_individual", "cannot_tell": "cannot_tell", "skip": "skip"}


def key_of(db: Database, anim_id: str) -> int:
    with db.read() as conn:
        return int(
            conn.execute(sa.select(s.individual.c.individual_id).where(s.individual.c.anim_id == anim_id)).scalar_one()
        )


def ask(db: Database, tracks: Sequence[int], anim_id: str = "FF") -> list[int]:
    """A round that asks whether these tracks show an individual; the items, in this order."""
    who = key_of(db, anim_id)
    n = len(tracks)
    round_id = plan(db, list(tracks), "is_it", individual_ids=[who] * n, propensity=[1.0] * n)
    q = s.acquisition_queue.c
    with db.read() as conn:
        return list(conn.scalars(sa.select(q.item_id).where(q.round_id == round_id).order_by(q.position)))


def take(db: Database, name: str, n: int = 20) -> list[QueueItem]:
    return claim(db, name, n, 15, ["is_it"])


def say(
    db: Database, name: str, item: QueueItem | int, word: str, anim_id: str = "FF", track_id: int | None = None
) -> str:
    """A person's word about an item; returns the id of the event."""
    item_id, of = (item.item_id, item.track_id) if isinstance(item, QueueItem) else (item, track_id or track(1))
    named = anim_id if word in ("yes", "no") else None
    said = event(KINDS[word], of, named, annotator=name, item_id=item_id, lane="free")
    (result,) = record_events(db, [said])
    assert result.status == "stored", result
    return said.annotation_id


def state_of(db: Database, item_id: int) -> str:
    q = s.acquisition_queue.c
    with db.read() as conn:
        return str(conn.execute(sa.select(q.state).where(q.item_id == item_id)).scalar_one())


def add_volunteers(db: Database, *names: str) -> None:
    for name in names:
        add_user(db, name, "volunteer")
