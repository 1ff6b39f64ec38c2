"""Values and texts on SQL Server, as a real server showed them: arrays, numbers of boxes, collations, days, LIKE.

The strict stand-in for the drivers, statements as they would be sent, or a promise that holds on every database.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.schema import CreateTable

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.odbc_types import sizes_and_rows
from chimp_assets.database.files.label_files import export_labels, import_labels
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.texts import ESCAPE, pattern_within
from chimp_assets.database.upkeep import views
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.connection.drivers import URLS, database_of
from chimp_assets_tests.database.fake_sql_server import FakeDriver, install
from chimp_assets_tests.database.world import make_world

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True))
@settings(max_examples=30, deadline=None)
def test_every_text_of_an_array_arrives_with_all_its_letters(texts: list[str]) -> None:
    """mssql-python sent VARCHAR: `ünï ☂` was stored as `ünï ?`, and nobody was told."""
    for name in URLS:
        with pytest.MonkeyPatch.context() as patch:
            driver = install(patch, name)
            with database_of(driver).write() as conn:
                insert_rows(conn, s.counter, {"name": texts, "value": list(range(len(texts)))})
                conn.execute(sa.insert(s.counter), [{"name": text, "value": 1} for text in [*texts, "a"]])
            kept = [row[0] for statement, row in driver.stored if "counter" in statement]
            assert kept == [*texts, *texts, "a"], name


def test_an_array_of_every_kind_of_column_is_declared_and_its_values_are_of_that_kind(driver: FakeDriver) -> None:
    """mssql-python wants all columns declared or none; an integer in a column of floats is refused by its binding."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with database_of(driver).write() as conn:
        insert_rows(
            conn,
            s.individual,
            {"anim_id": ["FF", "ÜÑ ☂"], "sex": ["F", None], "birth_date": [date(1958, 1, 1), None],
             "depart_date_error": [1, None], "provisional": [True, False], "created_at": [now, now],
             "mom_id": [None, 7]},
        )  # fmt: skip
    (_, first), (_, second) = driver.stored
    assert second[0] == "ÜÑ ☂"
    if driver.__name__ == "mssql_python":
        sizes = next(rows[1] for _, statement, rows in driver.log if statement.startswith("INSERT INTO individual"))
        assert sizes[0] == (driver.SQL_WVARCHAR, 40, 0)
        assert len(sizes) == len(first)
        assert isinstance(first[next(i for i, size in enumerate(sizes) if size[0] == 8)], float)


def test_columns_without_any_value_are_declared_by_their_type() -> None:
    """An array of nulls alone has no value to look at."""
    kinds = [sa.Unicode(5), sa.BigInteger(), sa.Float(), sa.Date(), sa.DateTime(), sa.LargeBinary(4), sa.Boolean()]
    sizes, rows = sizes_and_rows(kinds, [(None,) * 7] * 2)
    assert [size[0] for size in sizes] == [-9, -5, 8, 91, 93, -3, 5]
    assert rows == [(None,) * 7] * 2


def _box(annotation_id: str, **numbers: float) -> LabelEvent:
    return LabelEvent(annotation_id=annotation_id, kind="box", annotator="anna", video_id=1, frame_no=0, **numbers)


@pytest.mark.parametrize("x", [0.1, 0.3333333333333333, 0.123456789, 0.0, 0.7])
def test_a_box_that_came_back_as_real_is_the_same_box(db: Database, tmp_path: Path, x: float) -> None:
    """SQL Server gives 0.1 back as 0.10000000149011612, and its own export was refused: "decides something else"."""
    make_world(db)
    sent = _box(str(uuid.uuid4()), x=x, y=0.2, w=0.1, h=0.2)
    assert record_events(db, [sent])[0].status == "stored"
    as_real = {name: float(np.float32(getattr(sent, name))) for name in ("x", "y", "w", "h")}
    assert record_events(db, [_box(sent.annotation_id, **as_real)])[0].status == "duplicate"
    moved = as_real | {"x": float(np.nextafter(np.float32(x), np.float32(2)))}
    assert record_events(db, [_box(sent.annotation_id, **moved)])[0].status == "rejected"
    file = tmp_path / "labels.csv"
    export_labels(db, file, all_events=True)
    assert import_labels(db, file).duplicates == 1


EXACT = [(s.individual, "anim_id"), (s.individual_alias, "alias"), (s.community, "comm_id"), (s.app_user, "name")]


@pytest.mark.parametrize(("table", "column"), EXACT, ids=lambda part: str(part))
def test_codes_and_names_are_compared_letter_by_letter(table: sa.Table, column: str) -> None:
    """To SQL Server's collations emoji are one text, and `anim_id = upper(anim_id)` is always true."""
    spelt = rf"\b{column} NVARCHAR\(\d+\) COLLATE Latin1_General_100_BIN2"
    assert re.search(spelt, t_sql.compiled(CreateTable(table)))
    assert [found for found in t_sql.migrations() if f"ALTER TABLE {table.name} " in found and re.search(spelt, found)]


def test_no_view_has_texts_of_two_collations_in_one_column() -> None:
    """ "Cannot resolve the collation conflict": a code and a camera in one CASE."""
    text = views.in_words_of("mssql", views.load_view("v_id_quality"))
    assert len(re.findall(r"THEN \w\.\w+ COLLATE Latin1_General_100_BIN2", text)) == 5


@pytest.mark.parametrize(
    "pairs",
    [("\U0001f435", "\U0001f98d"), ("A\u0001", "A"), ("ÉA", "EA"), ("İ", "I"), ("SS", "ß".upper() + "1")],
)
def test_two_codes_that_differ_are_two_individuals(db: Database, pairs: tuple[str, str]) -> None:
    """A new animal was refused, or taken for another, because the database saw no difference."""
    now = datetime.now(UTC)
    with db.write() as conn:
        conn.execute(sa.insert(s.individual), [{"anim_id": code, "created_at": now} for code in pairs])
        for code in pairs:
            assert conn.scalars(sa.select(s.individual.c.anim_id).where(s.individual.c.anim_id == code)).all() == [code]


@pytest.mark.parametrize("name", views.query_names() + list(views.VIEW_NAMES))
def test_texts_are_cast_to_unicode_and_days_are_of_utc(name: str) -> None:
    """`CAST(:x AS VARCHAR(n))` never matched other scripts; CURRENT_TIMESTAMP is the day where the server stands."""
    text = views.load_view(name) if name in views.VIEW_NAMES else views.load_query(name)
    statement = re.sub(r"--[^\n]*", "", views.in_words_of("mssql", text))
    assert not re.search(r"(?<!N)VARCHAR|CURRENT_TIMESTAMP|CURRENT_DATE|GETDATE", statement)


def test_days_of_postgresql_are_of_utc_wherever_it_stands(postgresql_db: Database) -> None:
    """A view made in Dodoma at one in the morning counted a day more than one made in London."""
    statement = views.in_words_of("postgresql", "SELECT CURRENT_DATE")
    with postgresql_db.read() as conn:
        for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
            conn.execute(sa.select(sa.func.set_config("TimeZone", zone, True))).all()
            days = (conn.exec_driver_sql(statement).scalar(), datetime.now(UTC).date())
            assert days[0] == days[1]


@given(st.text(st.sampled_from("ab%_[]^/\\-"), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_signs_that_mean_something_to_like_are_looked_for_as_they_are(text: str) -> None:
    """`[` begins a class of letters on SQL Server: "[1]" found every 1."""
    pattern = pattern_within(text)
    kept, place = "", 1
    while place < len(pattern) - 1:
        assert pattern[place] not in "%_[", "a sign that means something"
        if pattern[place] == ESCAPE:
            place += 1
        kept += pattern[place]
        place += 1
    assert kept == text


def test_what_like_looks_for_is_found_on_every_database(db: Database) -> None:
    """The same escaping must do for all three."""
    names = ["a[1]b", "a1b", "50%", "50x", "a_b", "a/b", "a\\b"]
    ours = s.counter.c.name.in_(names)
    with db.write() as conn:
        conn.execute(sa.insert(s.counter), [{"name": name, "value": 1} for name in names])
        for sought, found in (("[1]", {"a[1]b"}), ("%", {"50%"}), ("_", {"a_b"}), ("/", {"a/b"}), ("\\", {"a\\b"})):
            like = s.counter.c.name.like(pattern_within(sought), escape=ESCAPE)
            assert set(conn.scalars(sa.select(s.counter.c.name).where(like, ours))) == found


# v_named_track has three parts, of people, of volunteers and of the model: these name it up to twenty times.
MOST_READ = {
    "v_dyad_event": 170,
    "association_around_a_birth": 230,
    "v_plausibility": 300,
    "implausible_sightings": 300,
}


@pytest.mark.parametrize("name", list(views.VIEW_NAMES) + views.query_names())
def test_a_view_that_is_written_out_reads_tables_a_bounded_number_of_times(name: str) -> None:
    """SQL Server puts the text of a CTE and of a view wherever it is named: v_dyad read tables 279 times."""
    assert t_sql.table_reads(name) <= MOST_READ.get(name, 150)
    assert t_sql.table_reads("v_dyad") < 100
    assert t_sql.table_reads("most_partners") < 100
