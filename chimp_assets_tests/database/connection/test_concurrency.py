"""Truth under fire: many writers, killed processes, killed servers, dropped connections, full disks, held locks.

Afterwards nothing is lost, twice there or there by half, and who has seen seq n has seen all before it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection import sqlite_turns
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import BusyDatabaseError, Database
from chimp_assets.database.labels.events import LabelEvent, last_seq, record_events, record_in
from chimp_assets_tests.database.connection.threads import WAIT_S, Task, newest, seqs
from chimp_assets_tests.database.crowd import lost_or_doubled, make_crowded_world, watch_crowd
from chimp_assets_tests.database.world import event, make_world, track


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
