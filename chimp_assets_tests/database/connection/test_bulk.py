"""Bulk writes: the same rows as one by one, on every path."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_one, insert_rows
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets_tests.database.world import make_world, track

AT = datetime(2013, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def metric(rows: int, **changed: Any) -> dict[str, Any]:
    return {
        "model_id": [1] * rows,
        "dataset": ["audit"] * rows,
        "watermark_seq": list(range(rows)),
        "name": ["accuracy"] * rows,
        "value": [0.5] * rows,
        "n": [7] * rows,
        "created_at": [AT] * rows,
    } | changed


def test_values_arrive_as_they_left_whatever_they_are_made_of(db: Database) -> None:
    """NumPy's numbers are no numbers to a driver; NaN is NULL on one database and a value on the other."""
    make_world(db, videos=0)
    nothing = float("nan")
    columns = metric(
        3,
        dataset=["tab\there", 'back\\slash "quoted"\nline', "ünï ☂"],
        value=np.array([0.1, 1e-300, -0.0]),
        ci_low=np.array([0.1, nothing, 0.2], dtype=np.float32),
        ci_high=[None, np.float64(0.5), nothing],
        n=np.array([1, 2, 3], dtype=np.int16),
        watermark_seq=[np.int64(2**62), 1, 2],
        created_at=np.array(["2013-05-06T07:08:09.123456", "1969-12-31", "2100-01-01"], dtype="datetime64[us]"),
    )
    with db.write() as conn:
        assert insert_rows(conn, s.evaluation_metric, columns) == 3
    with db.read() as conn:
        rows = conn.execute(sa.select(s.evaluation_metric).order_by(s.evaluation_metric.c.n)).all()
    assert [row.dataset for row in rows] == columns["dataset"]
    assert [row.value for row in rows] == [0.1, 1e-300, 0.0]
    assert [row.ci_low for row in rows] == [pytest.approx(0.1), None, pytest.approx(0.2)]
    assert [row.ci_high for row in rows] == [None, 0.5, None]
    assert [row.watermark_seq for row in rows] == [2**62, 1, 2]
    assert [row.created_at for row in rows] == [
        AT,
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
    ]
    assert {row.slice_kind for row in rows} == {"all"}


def test_truths_dates_and_bytes_arrive_too(db: Database) -> None:
    """Each has its own spelling in each database."""
    with db.write() as conn:
        insert_rows(
            conn,
            s.individual,
            {
                "anim_id": ["A", "B"],
                "birth_date": [date(1990, 1, 2), None],
                "provisional": np.array([True, False]),
                "created_at": [AT, AT],
            },
        )
    with db.read() as conn:
        rows = conn.execute(sa.select(s.individual).order_by(s.individual.c.anim_id)).all()
    assert [(row.birth_date, row.provisional, row.sex) for row in rows] == [
        (date(1990, 1, 2), True, "U"),
        (None, False, "U"),
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=hnp.arrays(np.float64, st.integers(0, 30), elements=st.floats(allow_nan=True, allow_infinity=False)),
    chunk=st.integers(1, 12),
)
def test_any_chunk_writes_all_rows_once(sqlite_db: Database, values: Any, chunk: int) -> None:
    """A row lost at the seam of two chunks is a frame without a box."""
    _write_and_compare(sqlite_db, values, chunk)


def test_chunks_on_postgresql(postgresql_db: Database) -> None:
    """The same over COPY."""
    _write_and_compare(postgresql_db, np.arange(25, dtype=np.float64) / 7, 10)


def _write_and_compare(db: Database, values: Any, chunk: int) -> None:
    n = len(values)
    with db.write() as conn:
        conn.execute(sa.delete(s.evaluation_metric))
        if conn.execute(sa.select(s.model.c.model_id)).first() is None:
            conn.execute(
                sa.insert(s.model).values(
                    model_id=1, task="head", version=1, name="x", state="candidate", config="{}", created_at=AT
                )
            )
        assert insert_rows(conn, s.evaluation_metric, metric(n, ci_low=values), chunk) == n
        written = conn.scalars(sa.select(s.evaluation_metric.c.ci_low).order_by(s.evaluation_metric.c.watermark_seq))
        assert list(written) == [None if np.isnan(value) else value for value in values]


def test_wrong_columns_are_refused_before_anything_is_written(db: Database) -> None:
    """Zipped columns of different lengths lose the ends of the longer ones."""
    with db.write() as conn:
        for columns, what in (
            ({"name": ["a", "b"], "value": [1]}, "differ in length"),
            ({"name": ["a"], "valeu": [1]}, "valeu"),
            ({}, "no columns"),
        ):
            with pytest.raises(ValueError, match=what):
                insert_rows(conn, s.counter, columns)
    with db.engine.connect() as conn, pytest.raises(ValueError, match="transaction"):
        insert_rows(conn, s.counter, {"name": ["a"], "value": [1]})


def test_a_row_that_is_refused_takes_the_whole_transaction_with_it(db: Database) -> None:
    """The error is the same on every path, and the rows before it are not kept."""
    with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
        insert_rows(conn, s.counter, {"name": ["a", "b", "c"], "value": [1, 2, -3]}, chunk=2)
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).where(s.counter.c.name == "a")) == 0


def test_no_rows_are_no_error(db: Database) -> None:
    """A video without animals has no boxes."""
    with db.write() as conn:
        assert insert_rows(conn, s.counter, {"name": [], "value": np.array([], dtype=np.int64)}) == 0


def test_rows_written_in_bulk_count_for_foreign_keys(db: Database) -> None:
    """The fast path must not be a way around the rules."""
    make_world(db, videos=1)
    with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
        insert_rows(
            conn,
            s.prediction,
            {"model_id": [2], "track_id": [track(9)], "rank": [1], "individual_id": [1], "probability": [0.5]},
        )


def test_one_row_gives_its_key(db: Database) -> None:
    """Keys the database makes are needed by the rows that hang on them."""
    with db.write() as conn:
        first = insert_one(conn, s.community, comm_id="KK", name="Kasekela")
        second = insert_one(conn, s.community, comm_id="MT")
        assert second > first
        assert conn.scalar(sa.select(s.community.c.name).where(s.community.c.community_id == first)) == "Kasekela"


def _boxes(first: int, n: int, frame_no: int = 0) -> dict[str, Any]:
    """n more boxes of one track in one frame."""
    return {
        "video_id": np.full(n, 1),
        "frame_no": np.full(n, frame_no),
        "detection_no": np.arange(first, first + n),
        "track_id": np.full(n, track(1)),
        **{name: np.full(n, 0.25, np.float32) for name in ("x", "y", "w", "h", "score")},
    }


def _job(chunks: int = 5, n: int = 23) -> Iterator[dict[str, Any]]:
    return (_boxes(100 + n * chunk, n) for chunk in range(chunks))


def _rows_of_job(db: Database) -> list[int]:
    d = s.detection.c
    with db.read() as conn:
        return list(conn.scalars(sa.select(d.detection_no).where(d.detection_no >= 100).order_by(d.detection_no)))


def test_a_job_writes_every_chunk_once_however_often_it_is_run(db: Database) -> None:
    """A job that was killed is started again by people who do not know how far it came."""
    make_world(db, videos=1)
    seen: list[int] = []
    first = write_chunks(db, s.detection, _job(3), "job", seen.append)
    assert (first.n_chunks, first.n_skipped, first.n_rows) == (3, 0, 69)
    assert seen == [23, 46, 69]
    again = write_chunks(db, s.detection, _job(5), "job", seen.append)
    assert (again.n_chunks, again.n_skipped, again.n_rows) == (5, 3, 46)
    assert seen[-1] == 115
    assert _rows_of_job(db) == list(range(100, 215))


def test_a_key_of_another_job_is_refused(db: Database) -> None:
    """Rows that are silently skipped because a name was used twice are rows lost."""
    make_world(db, videos=1)
    write_chunks(db, s.detection, _job(1), "job")
    for table, chunk in ((s.detection, _boxes(300, 7)), (s.counter, {"name": ["a"] * 23, "value": [1] * 23})):
        with pytest.raises(DatabaseError, match="were written under its name before") as caught:
            write_chunks(db, table, [chunk], "job")
        assert "run_key" in caught.value.remedy


def test_a_chunk_that_is_refused_is_not_in_the_ledger(db: Database) -> None:
    """Else it is skipped for ever, with its rows missing; the chunks before it stay."""
    make_world(db, videos=1)
    for column, wrong in (("frame_no", 99), ("track_id", track(7)), ("score", 1.5)):
        bad = _boxes(200, 4)
        bad[column] = bad[column].copy()
        bad[column][3] = wrong
        with pytest.raises(sa.exc.IntegrityError):
            write_chunks(db, s.detection, [_boxes(100, 23), bad], "job")
        assert _rows_of_job(db) == list(range(100, 123))
    assert write_chunks(db, s.detection, [_boxes(100, 23), _boxes(200, 4)], "job").n_rows == 4


def test_foreign_keys_hold_again_after_a_job(sqlite_db: Database) -> None:
    """A job looks parents up by itself; the next transaction on its connection must not go unchecked."""
    make_world(sqlite_db, videos=1)
    write_chunks(sqlite_db, s.detection, _job(2), "job")
    with pytest.raises(sa.exc.IntegrityError), sqlite_db.write() as conn:
        conn.execute(sa.insert(s.detection).values({k: v[0].item() for k, v in _boxes(300, 1, frame_no=99).items()}))


def test_a_row_without_a_parent_column_has_no_parent_to_look_for(sqlite_db: Database) -> None:
    """NULL is no key: with the whole-chunk check as with SQLite's own."""
    make_world(sqlite_db, videos=1)
    columns = {
        "track_id": [track(1, 10), track(1, 11)],
        "video_id": [1, 1],
        "first_frame_no": [0, 0],
        "last_frame_no": [1, 1],
        "first_s": [0.0, 0.0],
        "last_s": [0.2, 0.2],
        "n_detections": [1, 1],
        "quality": [0.5, 0.5],
        "model_id": [3, 3],
        "state": ["live", "live"],
        "parent_track_id": [None, track(1, 10)],
    }
    assert write_chunks(sqlite_db, s.track, [columns], "tracks").n_rows == 2


def _die_in_the_middle(db: Database, moment: str, chunk: int) -> None:
    """In a child process: a job that is killed without a word."""
    inserts = 0

    def watch(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal inserts
        inserts += "bulk_chunk" in statement and statement.startswith("INSERT")
        if inserts == chunk and (moment == "after its rows" or "bulk_chunk" in statement):
            os.kill(os.getpid(), signal.SIGKILL)

    def count(rows: int) -> None:
        if moment == "between chunks" and rows == 23 * chunk:
            os.kill(os.getpid(), signal.SIGKILL)

    if moment != "between chunks":
        sa.event.listen(db.engine, "after_cursor_execute", watch)
    write_chunks(db, s.detection, _job(), "job", count)


@pytest.mark.parametrize("moment", ["after its ledger", "after its rows", "between chunks"])
def test_a_job_killed_at_any_moment_goes_on_where_it_was(db: Database, moment: str) -> None:
    """A chunk in the ledger without its rows, or rows without their ledger, are lost or doubled."""
    make_world(db, videos=1)
    db.dispose()
    for chunk in (1, 3):
        child = multiprocessing.get_context("fork").Process(target=_die_in_the_middle, args=(db, moment, chunk))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
    report = write_chunks(db, s.detection, _job(), "job")
    assert report.n_skipped == (3 if moment == "between chunks" else 2)
    assert _rows_of_job(db) == list(range(100, 215))


def test_two_processes_with_one_job_write_it_once(db: Database) -> None:
    """A job that seems to hang is started a second time."""
    make_world(db, videos=1)
    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(lambda _: write_chunks(Database(db.url), s.detection, _job(), "job"), range(2)))
    assert sum(report.n_rows for report in reports) == 115
    assert _rows_of_job(db) == list(range(100, 215))


@pytest.mark.parametrize("form", ["table", "batch", "reader", "stream"])
def test_arrow_arrives_as_numpy_does(db: Database, form: str) -> None:
    """A large key with a gap beside it becomes a float on the way, and another key."""
    pa = pytest.importorskip("pyarrow")
    make_world(db, videos=0)
    table = pa.table(
        {
            "model_id": pa.array([1, 1, 1], pa.int32()),
            "dataset": pa.array(["a", "b", "c"]).dictionary_encode(),
            "watermark_seq": pa.array([2**62 + 1, 1, 2], pa.int64()),
            "name": ["x", "x", "x"],
            "value": pa.array([0.5, 0.25, 0.125], pa.float32()),
            "ci_low": pa.array([None, 0.5, float("nan")]),
            "n": pa.array([1, 2, 3], pa.int16()),
            "created_at": pa.array([AT, AT.replace(tzinfo=None), AT], pa.timestamp("us", "UTC")),
        }
    )
    source: Any = {
        "table": table,
        "batch": table.combine_chunks().to_batches()[0],
        "reader": table.to_reader(max_chunksize=2),
        "stream": _StreamOnly(table),
    }[form]
    assert write_chunks(db, s.evaluation_metric, [source], "metrics").n_rows == 3
    m = s.evaluation_metric.c
    with db.read() as conn:
        rows = conn.execute(sa.select(m.dataset, m.watermark_seq, m.ci_low, m.created_at).order_by(m.n)).all()
    assert [tuple(row) for row in rows] == [("a", 2**62 + 1, None, AT), ("b", 1, 0.5, AT), ("c", 2, None, AT)]


class _StreamOnly:
    """What any library may hand over: nothing but the stream."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


def test_what_is_neither_columns_nor_arrow_is_refused(sqlite_db: Database) -> None:
    """A list of rows would be taken for nothing at all."""
    pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match="columns by name or as Arrow"), sqlite_db.write() as conn:
        insert_rows(conn, s.counter, [("a", 1)])
