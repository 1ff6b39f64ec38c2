"""A generated archive with a million answers, written in bulk: pages are measured on it.

Belongs here: the rows of answers as columns. Does not belong here: the archive (`archives`), answers as people give
them (`rows.w_pages`).

Five people name tracks; one answer in twelve is another name than the track's first. Which answers stand follows by the
product's own rule. Nothing is taken back, and no queue item is answered: the rows are those of an archive that was
labelled elsewhere and taken in.
"""

from __future__ import annotations

import json
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.archives import archive, folder
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import derived_answers
from chimp_assets.database.labels.shown import searched
from chimp_assets.database.people.users import add_user
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.web.label_home import PASSWORD

AT_ONCE = 50_000
PEOPLE = {
    "anna": "expert", "rita": "reviewer", "ida": "identifier", "vera": "volunteer", "vito": "volunteer", "ada": "admin",
}  # fmt: skip
ANSWERING = ("anna", "rita", "ida", "vera", "vito")
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


def answered(name: str, answers: int, tracks: float = 1.0) -> Path:
    """The SQLite archive of a name with so many answers on a share of its tracks; made if it is not there."""
    file = folder() / f"{name}-{answers}-{tracks:g}.db"
    if not file.is_file():
        archive(name).dispose()
        partial = file.with_name(f"part-{file.name}")
        shutil.copyfile(folder() / f"{name}.db", partial)
        db = Database(f"sqlite:///{partial}")
        for person, role in PEOPLE.items():
            add_user(db, person, role)
            set_password(db, person, PASSWORD)
        write_answers(db, answers, tracks)
        with db.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.dispose()
        partial.replace(file)
    return file


def write_answers(db: Database, answers: int, tracks: float = 1.0, seed: int = 5) -> None:
    """So many answers of the people of PEOPLE, and which of them stand."""
    rng = np.random.default_rng(seed)
    with db.read() as conn:
        p, u = t.prediction.c, t.app_user.c
        first = sa.select(p.track_id, p.individual_id).where(p.rank == t.FIRST_RANK).order_by(p.track_id)
        named = np.array([tuple(row) for row in conn.execute(first)], np.int64)
        everybody = list(conn.scalars(sa.select(t.individual.c.individual_id)))
        users = {row.name: row.user_id for row in conn.execute(sa.select(u.name, u.user_id))}
    named = named[rng.random(len(named)) < tracks]
    for start in range(0, answers, AT_ONCE):
        with db.write() as conn:
            some = min(AT_ONCE, answers - start)
            insert_rows(
                conn, t.annotation, _rows(rng, take_numbers(conn, ANNOTATION, some), some, named, everybody, users)
            )
    with db.write() as conn:
        conn.execute(sa.delete(t.standing_answer))
        stands = derived_answers().subquery("stands")
        columns = [column.name for column in t.standing_answer.c]
        conn.execute(
            sa.insert(t.standing_answer).from_select(columns, sa.select(*(stands.c[name] for name in columns)))
        )


def _rows(
    rng: np.random.Generator, seq: int, n: int, named: np.ndarray, everybody: list[int], users: dict[str, int]
) -> dict[str, Any]:
    at = rng.integers(len(named), size=n)
    who = np.where(rng.random(n) > 0.083, named[at, 1], rng.choice(everybody, n)).tolist()
    kind = np.where(rng.random(n) > 0.05, "identify", "unknown").tolist()
    said = [BEGAN + timedelta(minutes=seq + k) for k in range(n)]
    shown = json.dumps({"mode": "single", "model_id": 3, "candidates": [["C001", 0.2]], "input": "key", "schema": 1})
    ids, marks = rng.bytes(16 * n), rng.bytes(32 * n)
    rows: dict[str, Any] = {column.name: [None] * n for column in t.annotation.c}
    return rows | {
        "annotation_id": [str(uuid.UUID(bytes=ids[16 * k : 16 * k + 16], version=4)) for k in range(n)],
        "seq": list(range(seq, seq + n)),
        "kind": kind,
        "track_id": named[at, 0].tolist(),
        "individual_id": [key if one == "identify" else None for key, one in zip(who, kind, strict=True)],
        "annotator_id": [users[ANSWERING[k]] for k in rng.integers(len(ANSWERING), size=n).tolist()],
        "lane": ["free"] * n,
        "shown": [shown] * n,
        "seconds": [3.0] * n,
        "client_time": said,
        "server_time": said,
        "fingerprint": [marks[32 * k : 32 * k + 32] for k in range(n)],
        **{name: [value] * n for name, value in searched(shown).items()},
    }
