"""Which trainings have begun and not ended, and the files of the store that they live in.

Belongs here: names of those files, and what a listing and rows say about them: sensors and sweeps ask, and importing
torch takes seconds. Does not belong here: reading and writing them (`checkpoints`), the trainings.

A training is a folder `training/<task>-<training set>` of the store, so that any machine can go on with it. It has
ended when the model that it gave is a row of `model`; the files may lie a little longer.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.database import schema

if TYPE_CHECKING:
    from chimp_assets.archive.storage.blobs import BlobInfo
    from chimp_assets.archive.storage.store import BlobStore

log = logging.getLogger(__name__)

FOLDER = "training"
STATE_FILE = "state.json"
DESERTED = timedelta(days=30)
"""Nobody goes on with a training that nobody has touched for so long: its labels and its champion are history."""
_PLACE = re.compile(rf"{FOLDER}/(embedder|detector)-(\d{{1,18}})/([^/]+)")


def training_key(task: str, training_set_id: int) -> str:
    """The folder of a training in the store. task: embedder or detector."""
    return f"{FOLDER}/{task}-{training_set_id}"


def unfinished_training(conn: sa.Connection, store: BlobStore) -> int | None:
    """The training set of the newest interrupted fine-tuning, or None. One listing of a handful of files.

    It resumes with its own labels even if there are newer ones: restarting at each new label would never end.
    """
    begun = {
        int(place[2])
        for info in store.list(FOLDER)
        if (place := _PLACE.fullmatch(info.key)) and place[1] == "embedder" and place[3] == STATE_FILE
    }
    return max(begun & _open(conn, "embedder", begun), default=None)


def files_in_use(conn: sa.Connection, infos: Iterable[BlobInfo]) -> set[str]:
    """Which of these files belong to trainings that somebody may go on with: a sweep must leave them."""
    oldest = datetime.now(UTC) - DESERTED
    of: dict[str, dict[str, int]] = {}
    for info in infos:
        if (place := _PLACE.fullmatch(info.key)) and info.modified > oldest:
            of.setdefault(place[1], {})[info.key] = int(place[2])
    found: set[str] = set()
    for task, keys in of.items():
        waiting = _open(conn, task, set(keys.values()))
        found |= {key for key, training_set_id in keys.items() if training_set_id in waiting}
    return found


def _open(conn: sa.Connection, task: str, training_set_ids: set[int]) -> set[int]:
    """Those of the training sets that exist and have given no model of the task."""
    if not training_set_ids:
        return set()
    model, there = schema.model.c, schema.training_set.c.training_set_id
    asked = sorted(training_set_ids)
    known = set(conn.scalars(sa.select(there).where(there.in_(asked))))
    return known - set(
        conn.scalars(sa.select(model.training_set_id).where(model.task == task, model.training_set_id.in_(asked)))
    )


def adopt_former_state(home: Path, store: BlobStore) -> None:
    """Move what a version before this one kept of its trainings in HOME/training into the store, and say so.

    Nothing happens without that folder. What cannot be read is left out, so that its training starts over. The crops
    there are removed: they are read again. Raises StoreError.
    """
    former = home / FOLDER
    if not former.is_dir() or former.is_symlink():
        return
    for state_file in sorted((*former.glob(f"embedder-*/checkpoints/{STATE_FILE}"), *former.glob(f"*/{STATE_FILE}"))):
        key = f"{FOLDER}/{state_file.relative_to(former).parts[0]}"
        if not _PLACE.fullmatch(f"{key}/{STATE_FILE}") or store.head(f"{key}/{STATE_FILE}") is not None:
            continue
        try:
            line = state_file.read_bytes()
            name = Path(json.loads(line)["file"]).name
            content = (state_file.parent / name).read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("The training in %s cannot be read: it starts over.", state_file.parent)
            continue
        store.put(f"{key}/{name}", content)
        store.put(f"{key}/{STATE_FILE}", line)
        log.info("The training in %s goes on from the store (%s).", state_file.parent, key)
    # Only now: a kill in between leaves it to be done again.
    shutil.rmtree(former, ignore_errors=True)
    log.info("%s was removed: trainings are kept in the store now.", former)
