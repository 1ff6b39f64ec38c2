"""Whether a fine-tuning of the embedder was interrupted.

Belongs here: finding it, from folders and rows alone: importing torch takes seconds. Does not belong here: the training
(`fine_tuning`), its checkpoints (`training`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.database import schema

if TYPE_CHECKING:
    from chimp_assets.settings import Settings


def unfinished_training(conn: sa.Connection, settings: Settings) -> int | None:
    """The training set of the newest interrupted fine-tuning, or None.

    It resumes with its own labels even if there are newer ones: restarting at each new label would never end.
    """
    model = schema.model.c
    begun = [
        int(folder.parent.name.removeprefix("embedder-"))
        for folder in (settings.home / "training").glob("embedder-*/checkpoints")
        if folder.parent.name.removeprefix("embedder-").isdigit()
    ]
    there = set(conn.scalars(sa.select(schema.training_set.c.training_set_id)))
    done = set(conn.scalars(sa.select(model.training_set_id).where(model.task == "embedder")))
    return max((one for one in begun if one in there - done), default=None)
