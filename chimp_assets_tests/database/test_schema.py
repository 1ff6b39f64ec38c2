"""What the schema itself refuses, on real databases, and that SQL Server would understand every statement."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateIndex, CreateTable

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.upkeep.views import VIEW_NAMES
from chimp_assets.settings import shipped_file
from chimp_assets_tests.database.world import DETECTOR, HEAD, START, make_world, plan, track

IMPOSSIBLE: dict[str, tuple[sa.Table, dict[str, Any]]] = {
    "a second champion": (
        s.model,
        {"task": "head", "version": 2, "name": "x", "state": "champion", "config": "{}", "created_at": START},
    ),
    "a checkpoint without its hash": (
        s.model,
        {
            "task": "head",
            "version": 2,
            "name": "x",
            "state": "candidate",
            "config": "{}",
            "created_at": START,
            "checkpoint_uri": "a",
        },
    ),
    "an anim_id in small letters": (s.individual, {"anim_id": "ff2", "created_at": START}),
    "an anim_id twice": (s.individual, {"anim_id": "FF", "created_at": START}),
    "a departure before the entry": (
        s.individual,
        {
            "anim_id": "X",
            "created_at": START,
            "entry_date": START.date(),
            "depart_date": START.date().replace(year=2000),
        },
    ),
    "a box outside the picture": (
        s.detection,
        {
            "video_id": 1,
            "frame_no": 0,
            "detection_no": 9,
            "track_id": track(1),
            "x": 1.1,
            "y": 0,
            "w": 0.1,
            "h": 0.1,
            "score": 1,
        },
    ),
    "a box on a frame that was not kept": (
        s.detection,
        {
            "video_id": 1,
            "frame_no": 99,
            "detection_no": 0,
            "track_id": track(1),
            "x": 0,
            "y": 0,
            "w": 1,
            "h": 1,
            "score": 1,
        },
    ),
    "a track that ends before it begins": (
        s.track,
        {
            "track_id": track(1, 9),
            "video_id": 1,
            "first_frame_no": 5,
            "last_frame_no": 4,
            "first_s": 1.0,
            "last_s": 1.0,
            "n_detections": 1,
            "quality": 1,
            "model_id": DETECTOR,
            "state": "live",
        },
    ),
    "a sixth rank": (
        s.prediction,
        {"model_id": HEAD, "track_id": track(1), "rank": 6, "individual_id": 1, "probability": 0.1},
    ),
    "a probability above one": (
        s.prediction,
        {"model_id": HEAD, "track_id": track(1), "rank": 1, "individual_id": 1, "probability": 1.1},
    ),
    "a video of no bundle": (
        s.video,
        {
            "bundle_id": 9,
            "uri": "x",
            "version": 1,
            "bytes": 1,
            "etag": "e",
            "state": "registered",
            "discovered_at": START,
            "updated_at": START,
        },
    ),
    "a split of its own": (
        s.split_assignment,
        {"video_id": 1, "day_key": "x", "split": "holdout", "assigned_at": START},
    ),
    "a name without an individual": (
        s.annotation,
        {
            "annotation_id": "a",
            "seq": 1,
            "kind": "identify",
            "track_id": track(1),
            "annotator_id": 1,
            "lane": "free",
            "server_time": START,
            "fingerprint": b"x" * 32,
        },
    ),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_database_refuses(db: Database, what: str) -> None:
    """A rule that only the code knows is broken by the first hand-written statement."""
    make_world(db, videos=1)
    table, values = IMPOSSIBLE[what]
    with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
        conn.execute(sa.insert(table).values(**values))


def test_what_hangs_on_a_row_keeps_it(db: Database) -> None:
    """Deleting a track must not leave labels about nothing."""
    make_world(db, videos=1)
    plan(db, [track(1)])
    with db.write() as conn:
        conn.execute(sa.delete(s.detection).where(s.detection.c.track_id == track(1)))
    with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
        conn.execute(sa.delete(s.track).where(s.track.c.track_id == track(1)))


def test_moments_keep_their_microseconds_and_their_zone(db: Database) -> None:
    """Half the databases drop one or the other."""
    make_world(db, videos=0)
    with db.read() as conn:
        assert conn.scalar(sa.select(s.model.c.created_at).limit(1)) == START
    with pytest.raises(sa.exc.StatementError, match="no time zone"), db.write() as conn:
        conn.execute(sa.update(s.model).values(created_at=START.replace(tzinfo=None)))


def test_sql_server_understands_every_table_and_statement() -> None:
    """No SQL Server runs here: at least everything must compile for it, with the types that keep what we store."""
    dialect = mssql.dialect()
    dialect.server_version_info = (16,)  # else it writes for a server of 2005
    ddl = []
    for table in s.metadata.sorted_tables:
        ddl.append(str(CreateTable(table).compile(dialect=dialect)))
        ddl += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    text = "\n".join(ddl)
    assert "NVARCHAR" in text
    assert " VARCHAR" not in text, "names of animals and files are Unicode"
    assert "NVARCHAR(max)" not in text, "fast_executemany needs sized columns"
    assert "DATETIME2(6)" in text
    assert " DATETIME " not in text
    statements = [
        effective_answers(7),
        *(sa.insert(table) for table in s.metadata.sorted_tables),
        *(sa.update(table).values(dict.fromkeys(table.c.keys()[:1])) for table in s.metadata.sorted_tables),
    ]
    compiled = [str(statement.compile(dialect=dialect)) for statement in statements]
    assert "row_number() OVER" in compiled[0]
    assert all("RETURNING" not in statement and "ON CONFLICT" not in statement for statement in compiled)


def test_computed_keys_stay_exact_in_javascript_and_apart() -> None:
    """A key above 2**53 is another key in the browser."""
    assert s.track_id_of(2**33 - 1, s.TRACKS_PER_VIDEO - 1) < 2**53
    assert s.track_id_of(1, s.TRACKS_PER_VIDEO - 1) + 1 == s.track_id_of(2, 0)
    for function, limit in ((s.track_id_of, s.TRACKS_PER_VIDEO), (s.shard_id_of, s.SHARDS_PER_VIDEO)):
        for ordinal in (-1, limit):
            with pytest.raises(ValueError):
                function(1, ordinal)


def test_the_readme_names_every_table_and_view() -> None:
    """sql/README.md is where researchers look; what it does not name does not exist for them."""
    readme = (shipped_file("sql") / "README.md").read_text(encoding="utf-8")
    missing = [name for name in (*s.metadata.tables, *VIEW_NAMES) if f"`{name}`" not in readme]
    assert missing == []
    queries = [file.name for file in (shipped_file("sql") / "queries").glob("*.sql")]
    assert all(f"`queries/{name}`" in readme for name in queries)
