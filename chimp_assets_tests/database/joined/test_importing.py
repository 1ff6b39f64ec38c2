"""CSV files of other data become tables: what their columns are and mean, on every database, whole or not at all."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_sheets import TableFileError
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.joined import importing
from chimp_assets.database.joined.columns import sql_names
from chimp_assets.database.joined.importing import ImportOptions, TableReport, import_table
from chimp_assets.database.joined.tables import JoinedTableError, imported, imported_tables, remove_table, rows_of
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.joined.beside import rows_about, seen_around, seen_there
from chimp_assets_tests.database.world import event, make_world, track

CLAIMS = """\
Chimp;Site;Camera;Date;Fruit (kg);No. of calls
Fifi;a;cam1;06/05/2013;1,5;3
fi;a;CAM 1;13/05/2013;2,25;4
Nobody;a;cam9;06/05/2013;;5
"""


def write(folder: Path, text: str, name: str = "claims.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db)
    return db


def test_columns_are_known_by_their_cells_and_joined_by_what_they_name(world: Database, tmp_path: Path) -> None:
    done = import_table(world, write(tmp_path, CLAIMS), ImportOptions(about="fruit eaten", by="rita", order="dmy"))
    assert (done.name, done.state, done.n_rows) == ("claims", "stored", 3)
    assert [(c.name, c.kind, c.joins) for c in done.columns] == [
        ("chimp", "text", "individual"), ("chimp_id", "integer", None),
        ("site", "text", "place"), ("site_site", "text", None),
        ("camera", "text", "camera"), ("camera_site", "text", None), ("camera_camera", "text", None),
        ("date", "date", "day"), ("fruit_kg", "real", None), ("no_of_calls", "integer", None),
    ]  # fmt: skip
    with world.read() as conn:
        table = imported(conn, "ext_claims")
        rows = [dict(row._mapping) for row in rows_of(conn, table)]
    assert (table.about, table.by, table.n_rows) == ("fruit eaten", "rita", 3)
    assert [row["row_no"] for row in rows] == [2, 3, 4]
    assert [row["fruit_kg"] for row in rows] == [1.5, 2.25, None]
    assert [row["date"] for row in rows] == [date(2013, 5, 6), date(2013, 5, 13), date(2013, 5, 6)]
    assert rows[0]["chimp_id"] != rows[1]["chimp_id"]
    assert rows[2]["chimp_id"] is None
    assert [(row["camera_site"], row["camera_camera"]) for row in rows] == [("a", "cam1"), ("a", "cam1"), (None, None)]
    assert {one.column: (one.rows, one.some[0][0]) for one in done.unmatched} == {
        "chimp": (1, "Nobody"), "camera": (1, "cam9"),
    }  # fmt: skip


def test_what_can_be_read_in_two_ways_is_asked_for(world: Database, tmp_path: Path) -> None:
    file = write(tmp_path, "Chimp,Date\nFF,06/05/2013\nFF,07/05/2013\n")
    with pytest.raises(TableFileError, match=r"line 2, Date: '06/05/2013' can be read in several ways"):
        import_table(world, file, ImportOptions())
    import_table(world, file, ImportOptions(order="mdy"))
    with world.read() as conn:
        assert [row.date for row in rows_of(conn, imported(conn, "claims"))] == [date(2013, 6, 5), date(2013, 7, 5)]


def test_the_same_file_is_stored_once_and_another_only_where_that_is_said(world: Database, tmp_path: Path) -> None:
    file = write(tmp_path, "Chimp,Date\nFF,2013-05-06\n")
    assert import_table(world, file, ImportOptions()).state == "stored"
    assert import_table(world, file, ImportOptions()).state == "unchanged"
    file = write(tmp_path, "Chimp,Date\nFF,2013-05-06\nFI,2013-05-07\n")
    with pytest.raises(JoinedTableError, match="There is a table claims already"):
        import_table(world, file, ImportOptions())
    assert import_table(world, file, ImportOptions(dry_run=True)).state == "seen"
    with world.read() as conn:
        assert imported(conn, "claims").n_rows == 1
    assert import_table(world, file, ImportOptions(replace=True)).state == "replaced"
    with world.read() as conn:
        assert imported(conn, "claims").n_rows == 2
    assert remove_table(world, "ext_claims", "rita") == 2
    with world.read() as conn:
        assert imported_tables(conn) == []
        assert not sa.inspect(conn).has_table("ext_claims")


def test_a_failure_in_the_middle_leaves_the_earlier_table(
    world: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends here must leave the table that was there, with its rows and what is known of it."""
    import_table(world, write(tmp_path, "Chimp,Date\nFF,2013-05-06\n"), ImportOptions())
    monkeypatch.setattr(importing, "CHUNK", 1)
    real = importing.insert_rows
    calls: list[int] = []

    def fails_later(*given: Any) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("the power is gone")
        return real(*given)

    monkeypatch.setattr(importing, "insert_rows", fails_later)
    with pytest.raises(RuntimeError):
        import_table(
            world, write(tmp_path, "Chimp,Date,Rain\nFI,2013-05-06,1\nFI,2013-05-07,2\n"), ImportOptions(replace=True)
        )
    with world.read() as conn:
        table = imported(conn, "claims")
        assert [row.chimp for row in rows_of(conn, table)] == ["FF"]


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("Chimp,Date\nFF,2013-05-06\nFI\n", ImportOptions(), "fewer cells"),
        ("Chimp,Date\nFF,2013-05-06\n", ImportOptions(name="Claims; DROP"), "cannot be the name of a table"),
        ("Chimp,Date\nFF,2013-05-06\n", ImportOptions(joins={"Who": "individual"}), "has no column 'Who'"),
        ("Chimp,Date\nFF,2013-05-06\n", ImportOptions(joins={"Chimp": "day"}), "does not hold days"),
        ("Chimp,Chimp_id\nFF,1\n", ImportOptions(), "a column chimp_id"),
        ("Chimp,Note\nFF,a\x00b\n", ImportOptions(), "cell"),
    ],
)
def test_what_cannot_be_stored_is_one_sentence(
    world: Database, tmp_path: Path, text: str, options: ImportOptions, sentence: str
) -> None:
    with pytest.raises((TableFileError, JoinedTableError), match=sentence) as caught:
        import_table(world, write(tmp_path, text), options)
    assert caught.value.remedy
    with world.read() as conn:
        assert imported_tables(conn) == []


def test_a_spreadsheet_is_named_with_its_remedy(world: Database, tmp_path: Path) -> None:
    (tmp_path / "claims.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(TableFileError) as caught:
        import_table(world, tmp_path / "claims.xlsx", ImportOptions())
    assert "CSV UTF-8" in caught.value.remedy


def test_headers_become_names_that_every_database_takes() -> None:
    assert sql_names(['Ré"; DROP TABLE x --', "2nd", "", "row_no", "Ré drop table x", "select"]) == [
        "re_drop_table_x", "c_2nd", "column_3", "row_no_2", "re_drop_table_x_2", "select",
    ]  # fmt: skip


def test_who_was_seen_there_and_around_follows_merges(world: Database, tmp_path: Path) -> None:
    """Fifi is named in both videos of the world, on 6 and 7 May at cam1 and cam0."""
    record_events(
        world,
        [event("identify", track(1), "FF"), event("identify", track(2), "FF"), event("identify", track(1, 1), "GM")],
    )
    text = "who,camera,date,select\nFF,a/cam1,2013-05-06,x\nFI,a/cam0,2013-05-07,y\nGM,a/cam0,2013-05-06,z\n"
    file = write(tmp_path, text)
    import_table(world, file, ImportOptions(name="seen", joins={"who": "individual"}))

    def answers() -> tuple[list[Any], list[Any]]:
        with world.read() as conn:
            table = imported(conn, "seen")
            there = [(row[0], row[-3], row[-2]) for row in seen_there(conn, table).rows]
            around = [(row[0], *row[-4:]) for row in seen_around(conn, table, days=1).rows]
        return there, around

    there, around = answers()
    assert there == [(2, "FF", 1), (2, "GM", 1), (3, "FF", 1)]
    assert around == [(2, 0, 0, 1, 1), (3, 0, 1, 0, 1), (4, 0, 0, 1, 1)]
    merge_individuals(world, "FI", "FF", why="one animal", force=True)
    there, around = answers()
    assert around == [(2, 0, 0, 1, 1), (3, 1, 1, 1, 1), (4, 0, 0, 1, 1)], "Fred's sightings are Fifi's now"
    with world.read() as conn:
        i = sa.table("individual", sa.column("individual_id"), sa.column("anim_id"))
        fifi = int(conn.scalar(sa.select(i.c.individual_id).where(i.c.anim_id == "FF")) or 0)
        assert [row.row_no for row in rows_about(conn, imported(conn, "seen"), fifi)] == [2, 3]


def test_a_table_without_place_or_life_says_what_to_do(world: Database, tmp_path: Path) -> None:
    done: TableReport = import_table(world, write(tmp_path, "colour,size\nred,2\n"), ImportOptions())
    with world.read() as conn:
        table = imported(conn, done.name)
        for ask in (seen_there, seen_around):
            with pytest.raises(JoinedTableError) as caught:
                ask(conn, table)  # type: ignore[operator]
            assert "chimp tables import" in caught.value.remedy


def test_what_is_said_of_a_column_counts_more_than_the_headers_before_it(world: Database, tmp_path: Path) -> None:
    """`--individual Partner --day Found` was left out without a word where columns Chimp and Date came first."""
    file = write(tmp_path, "Chimp,Date,Partner,Found\nFF,2013-05-06,FI,2013-05-09\n")
    done = import_table(world, file, ImportOptions(joins={"Partner": "individual", "Found": "day"}))
    joined = {column.header: column.joins for column in done.columns if column.header}
    assert joined == {"Chimp": None, "Date": None, "Partner": "individual", "Found": "day"}
    again = import_table(world, file, ImportOptions(name="usual"))
    assert {c.header for c in again.columns if c.joins} == {"Chimp", "Date"}
