"""Bulk writes: the same rows as one by one, on every path."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chimp_assets.database import schema as s
from chimp_assets.database.bulk import insert_one, insert_rows
from chimp_assets.database.engine import Database
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
