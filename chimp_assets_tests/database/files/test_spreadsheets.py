"""Tables as spreadsheets, pandas and R write them: read as they were meant, or refused by line and column."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chimp_assets
from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_tables import (
    FORMULA_STARTS,
    KEY,
    GuardedWriter,
    Number,
    TableFileError,
    date_of,
    guarded,
    number_of,
    truth_of,
    unguarded,
)
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.files.individual_files import import_individuals
from chimp_assets.database.files.label_files import LabelFileError, export_labels, import_labels
from chimp_assets.database.labels.events import record_events
from chimp_assets.errors import ChimpError
from chimp_assets_tests.database.world import event, make_world, track

NOTES = [
    'été, zwölf; "quoted"',
    "=cmd|' /C calc'!A0",
    "'=already guarded",
    "''+two",
    "'plain apostrophe",
    "-1 of three\nsecond line",
    "\t=after a tab",
    "@someone",
    "  blanks around  ",
    "１２ and ＝formula",
    "sep=;",
]


@pytest.fixture
def labelled(sqlite_db: Database, tmp_path: Path) -> tuple[Database, Path]:
    """A home with labels of every kind of text and number, and its own export."""
    make_world(sqlite_db)
    said = [
        event("unknown", track(1, i % 3), note=note, propensity=1.0 if i else 0.25, seconds=1.5 + i, lane="audit")
        for i, note in enumerate(NOTES[:9])
    ]
    said += [
        event("identify", track(1), "FF", note=note, client_time=datetime(2026, 5, 6, tzinfo=UTC)) for note in NOTES[9:]
    ]
    assert {result.status for result in record_events(sqlite_db, said)} == {"stored"}
    file = tmp_path / "labels.csv"
    export_labels(sqlite_db, file, all_events=True)
    return sqlite_db, file


def rows_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.reader(text))


def save(rows: list[list[str]], delimiter: str = ",", end: str = "\r\n", **style: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, **style).writerows(rows)
    return text.getvalue()


def decimals(rows: list[list[str]]) -> list[list[str]]:
    """Numbers with decimal commas, as a German or French spreadsheet saves them."""
    numeric = [place for place, name in enumerate(rows[0]) if name in ("propensity", "seconds")]
    return [rows[0]] + [
        [cell.replace(".", ",") if place in numeric else cell for place, cell in enumerate(row)] for row in rows[1:]
    ]


def floats(rows: list[list[str]]) -> list[list[str]]:
    """Keys as floats: what a table library makes of whole numbers beside empty cells."""
    at = rows[0].index("track_id")
    return [rows[0]] + [[f"{cell}.0" if place == at else cell for place, cell in enumerate(row)] for row in rows[1:]]


def grouped(rows: list[list[str]], mark: str) -> list[list[str]]:
    at = rows[0].index("track_id")
    return [rows[0]] + [
        [f"{int(cell):,}".replace(",", mark) if place == at else cell for place, cell in enumerate(row)]
        for row in rows[1:]
    ]


def counted(rows: list[list[str]]) -> list[list[str]]:
    return [["", *rows[0]]] + [[str(n), *row] for n, row in enumerate(rows[1:])]


def as_pandas(file: Path, **style: Any) -> str:
    text: str = pd.read_csv(file).to_csv(**style)
    return text


VARIANTS: dict[str, Callable[[Path], bytes]] = {
    "semicolons": lambda f: save(rows_of(f), ";").encode(),
    "decimal commas": lambda f: save(decimals(rows_of(f)), ";").encode("utf-8-sig"),
    "trailing semicolons": lambda f: save([[*row, "", ""] for row in rows_of(f)], ";").encode(),
    "sep line": lambda f: b"sep=;\r\n" + save(rows_of(f), ";").encode(),
    "sep line, tab": lambda f: b"sep=\t\r\n" + save(rows_of(f), "\t").encode(),
    "unicode text": lambda f: save(decimals(rows_of(f)), "\t").encode("utf-16"),
    "big-endian": lambda f: b"\xfe\xff" + save(rows_of(f), "\t").encode("utf-16-be"),
    "no mark": lambda f: save(rows_of(f), "\t").encode("utf-16-le"),
    "quoted everything": lambda f: save(rows_of(f), ",", quoting=csv.QUOTE_ALL).encode(),
    "index": lambda f: save(counted(rows_of(f))).encode(),
    "floats": lambda f: save(floats(rows_of(f))).encode(),
    "floats, semicolons": lambda f: save(floats(rows_of(f)), ";").encode(),
    "floats, commas": lambda f: save(
        [[c.replace(".0", ",0") if i else c for c in row] for i, row in enumerate(floats(decimals(rows_of(f))))], ";"
    ).encode(),
    "grouped with points": lambda f: save(grouped(decimals(rows_of(f)), "."), ";").encode(),
    "grouped with commas": lambda f: save(grouped(rows_of(f), ",")).encode(),
    "grouped with blanks": lambda f: save(grouped(decimals(rows_of(f)), "\u202f"), ";").encode(),
    "grouped with apostrophes": lambda f: save(grouped(rows_of(f), "’"), ";").encode(),
    "headers": lambda f: save([[n.replace("_", " ").title() for n in rows_of(f)[0]], *rows_of(f)[1:]]).encode(),
    "lines end in CR": lambda f: save([[c.replace("\n", " ") for c in row] for row in rows_of(f)], ",", "\r").encode(),
    "blank lines": lambda f: b"\r\n" + save(rows_of(f)).encode() + b"\r\n" + b"," * 18 + b"\r\n\r\n",
    "pandas": lambda f: as_pandas(f).encode(),
    "pandas, semicolons": lambda f: as_pandas(f, sep=";", decimal=",").encode("utf-8-sig"),
    "pandas, its own index read as a column": lambda f: (
        pd.read_csv(io.StringIO(as_pandas(f))).to_csv(index=False).encode()
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_our_export_saved_by_another_program_is_read(
    labelled: tuple[Database, Path], name: str, tmp_path: Path
) -> None:
    """An export that somebody looked at and saved was refused by its first line."""
    db, file = labelled
    saved = tmp_path / "saved.csv"
    saved.write_bytes(VARIANTS[name](file))
    report = import_labels(db, saved)
    assert (report.stored, report.duplicates, report.skipped) == (0, len(rows_of(file)) - 1, [])


@pytest.mark.parametrize("name", VARIANTS)
def test_numbers_and_times_of_a_saved_export_are_the_same(
    labelled: tuple[Database, Path], name: str, another_db: Database, tmp_path: Path
) -> None:
    """Read is not enough: 1,5 seconds must not become 15."""
    db, file = labelled
    make_world(another_db)
    saved = tmp_path / "saved.csv"
    saved.write_bytes(VARIANTS[name](file))
    import_labels(another_db, saved)
    a = s.annotation.c
    columns = sa.select(a.annotation_id, a.track_id, a.kind, a.propensity, a.seconds, a.client_time, a.lane)
    with db.read() as one, another_db.read() as other:
        assert other.execute(columns.order_by(a.seq)).all() == one.execute(columns.order_by(a.seq)).all()


@pytest.mark.parametrize("all_events", [True, False])
def test_no_cell_of_a_label_export_is_a_formula_and_every_text_comes_back(
    labelled: tuple[Database, Path], another_db: Database, tmp_path: Path, all_events: bool
) -> None:
    """Eight cells of an export were run by a spreadsheet."""
    db, file = labelled
    make_world(another_db)
    export_labels(db, file, all_events)
    assert not [cell for row in rows_of(file) for cell in row if cell.startswith(FORMULA_STARTS)]
    import_labels(another_db, file)
    note = sa.select(s.annotation.c.annotation_id, s.annotation.c.note)
    with db.read() as one, another_db.read() as other:
        written = {key: text for key, text in one.execute(note)}
        assert written.items() >= dict(other.execute(note).all()).items()


@given(st.one_of(st.text(), st.text(st.sampled_from("'=+-@\t\r\n a＝"), max_size=6)))
def test_a_guarded_text_is_no_formula_and_is_given_back_exactly(text: str) -> None:
    """Also where the text itself begins with apostrophes."""
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(FORMULA_STARTS)
    assert guarded(text) == text or guarded(text) == f"'{text}"


def test_every_writer_of_csv_guards_formulas() -> None:
    """One mechanism: csv.writer is called where it guards, and for files that only this program reads."""
    ours = {"database/csv_tables.py", "vision/datasets/training_set.py", "vision/detection/box_training.py"}
    package = Path(chimp_assets.__file__).parent
    found = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("writer", "DictWriter", "to_csv")
        and (node.attr == "to_csv" or (isinstance(node.value, ast.Name) and node.value.id == "csv"))
    }
    assert found == ours
    stream = io.StringIO()
    GuardedWriter(stream).writerow(["=1", -1, None, -1.5, "a"])
    assert stream.getvalue() == "'=1,-1,,-1.5,a\r\n"


@pytest.mark.parametrize(
    ("text", "rule", "mark", "value"),
    [
        ("9437186.0", KEY, None, "9437186"),
        ("9437186,0", KEY, None, "9437186"),
        ("9.437.186", KEY, None, "9437186"),
        ("9 437 186", KEY, None, "9437186"),
        ("9'437'186", KEY, None, "9437186"),
        ("9,437,186.00", KEY, None, "9437186"),
        ("9.437186E+06", KEY, None, "9437186"),
        ("9007199254740993", KEY, None, "9007199254740993"),
        ("1,0", Number(), None, "1.0"),
        ("0,125", Number(), None, "0.125"),
        ("-4,67", Number(), None, "-4.67"),
        ("1.234", Number(), None, "1.234"),
        ("1.234", Number(), ",", "1234.0"),
        ("1,234", Number(), ",", "1.234"),
        ("1,234", Number(), ".", "1234.0"),
        ("1.234,5", Number(), None, "1234.5"),
        ("−3", Number(), None, "-3.0"),
        ("29,637", Number(low=-180, high=180), None, "29.637"),
        ("1e-3", Number(), None, "0.001"),
    ],
)
def test_a_number_is_read_as_it_was_meant(text: str, rule: Number, mark: str | None, value: str) -> None:
    """Decimal commas, separators of thousands, keys that became floats."""
    assert number_of(text, rule, mark) == value


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1,234", Number()),
        ("1,000", KEY),
        ("437.000", KEY),
        ("437.186", KEY),
        ("9.43719E+07", KEY),
        ("9.44E+06", KEY),
        ("1.5", KEY),
        ("1,2,3", KEY),
        ("12.34.56", Number()),
        ("1.2345.678", KEY),
        ("x", KEY),
        ("nan", Number()),
        ("inf", Number()),
        ("1e999", Number()),
        ("9223372036854775808", KEY),
        ("", KEY),
        (",", Number()),
        ("--1", KEY),
    ],
)
def test_a_number_of_two_readings_or_none_is_refused_in_words(text: str, rule: Number) -> None:
    """A wrong key names another animal: never guessed."""
    with pytest.raises(ValueError, match=r" "):
        number_of(text, rule)


def test_a_number_of_two_readings_is_named_by_line_and_column(sqlite_db: Database, tmp_path: Path) -> None:
    """One file proves its decimal mark by another cell, this one does not."""
    make_world(sqlite_db)
    file = tmp_path / "labels.csv"
    rows = [["track_id", "kind", "seconds"], [str(track(1)), "unknown", "1,5"], [str(track(1)), "unknown", "1,234"]]
    file.write_text(save([rows[0], rows[2]], ";"))
    with pytest.raises(LabelFileError, match=r"line 2, column seconds: '1,234' can be read as 1.234 or 1234.0"):
        import_labels(sqlite_db, file, "anna")
    file.write_text(save(rows, ";"))
    assert import_labels(sqlite_db, file, "anna").stored == 2
    with sqlite_db.read() as conn:
        assert set(conn.scalars(sa.select(s.annotation.c.seconds))) == {1.5, 1.234}


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1976-03-24", date(1976, 3, 24)),
        ("1976-3-4", date(1976, 3, 4)),
        ("1976/03/24", date(1976, 3, 24)),
        ("19760324", date(1976, 3, 24)),
        ("24.03.1976", date(1976, 3, 24)),
        ("24/03/1976", date(1976, 3, 24)),
        ("3/24/1976", date(1976, 3, 24)),
        ("24/03/1976 00:00", date(1976, 3, 24)),
        ("3/24/1976 12:00:00 AM", date(1976, 3, 24)),
        ("05/05/1976", date(1976, 5, 5)),
        ("24-Mar-1976", date(1976, 3, 24)),
        ("24. März 1976", date(1976, 3, 24)),
        ("1er août 1976", date(1976, 8, 1)),
        ("24 févr. 1976", date(1976, 2, 24)),
        ("4 de marzo de 1976", date(1976, 3, 4)),
        ("March 4, 1976", date(1976, 3, 4)),
        ("0001-01-01", date.min),
        ("9999-12-31", date.max),
    ],
)
def test_a_date_that_can_be_only_one_day_is_read(text: str, day: date) -> None:
    """As spreadsheets of many countries show dates."""
    assert date_of(text) == day


@pytest.mark.parametrize(
    "text",
    ["03/04/1976", "3.4.1976", "24/03/76", "24-Mar-76", "27842", "1976", "0000-01-01", "10000-01-01", "30/02/1976",
     "1976-13-01", "1976-03/24", "24 Foo 1976", "1976-03-24 14:30", "", "32.13.1976"],
)  # fmt: skip
def test_a_date_of_two_readings_or_none_is_refused_in_words(text: str) -> None:
    """A day's number of a spreadsheet, years of two digits, two orders of day and month."""
    with pytest.raises(ValueError, match=r" "):
        date_of(text)


def test_yes_and_no_are_read_in_the_languages_of_spreadsheets() -> None:
    """TRUE is WAHR in Vienna and VRAI in Lyon."""
    assert [truth_of(word) for word in ("TRUE", "wahr", "VRAI", "Ja", "1")] == [True] * 5
    assert [truth_of(word) for word in ("false", "FALSCH", "Faux", "não", "0")] == [False] * 5
    assert truth_of("perhaps") is None


def test_an_old_encoding_is_read_and_named(sqlite_db: Database, tmp_path: Path) -> None:
    """Windows writes its own code page; another alphabet in it must not become nonsense in silence."""
    file = tmp_path / "animals.csv"
    file.write_bytes("AnimID;Name\nZO;Zoë\nBO;Bjørn\n".encode("cp1252"))
    done = import_individuals(sqlite_db, file)
    assert done.added == 2
    assert "Windows-1252" in done.notes[0]
    assert "'Zoë'" in done.notes[0]
    with sqlite_db.read() as conn:
        assert set(conn.scalars(sa.select(s.individual.c.name))) == {"Zoë", "Bjørn"}
    for content in ("AnimID,Name\nIV,Иван\n".encode("cp1251"), "AnimID,Name\nA,é\n".encode() + b"B,\xe9\n"):
        file.write_bytes(content)
        with pytest.raises(TableFileError, match="not UTF-8"):
            import_individuals(sqlite_db, file)


def test_a_column_without_a_name_is_no_secret(sqlite_db: Database, tmp_path: Path) -> None:
    """Cells under no header may be left out only where they count rows or hold nothing."""
    make_world(sqlite_db)
    file = tmp_path / "labels.csv"
    file.write_text(f",track_id,kind\nnote,{track(1)},unknown\n")
    with pytest.raises(LabelFileError, match=r"line 2: column 1 has no name and holds 'note'"):
        import_labels(sqlite_db, file, "anna")
    file.write_text(f",track_id,,kind\n0,{track(1)},,unknown\n1,{track(1, 1)},,unknown\n")
    report = import_labels(sqlite_db, file, "anna")
    assert report.stored == 2
    assert "counts rows" in report.notes[0]


def test_a_header_that_lacks_the_name_of_the_index_is_understood(
    labelled: tuple[Database, Path], tmp_path: Path
) -> None:
    """R names every column but the one that counts rows, so that all others seem to stand one place too far right."""
    db, file = labelled
    rows = [row[:7] for row in rows_of(file)]
    saved = tmp_path / "saved.csv"
    saved.write_text(save([rows[0], *counted(rows)[1:]], end="\n"))
    assert import_labels(db, saved).duplicates == len(rows) - 1
    saved.write_text(save([rows[0], *([*row, "more"] for row in rows[1:])], end="\n"))
    with pytest.raises(LabelFileError, match="more cells"):
        import_labels(db, saved)


def test_cells_that_a_spreadsheet_leaves_out_at_the_end_are_empty_and_a_broken_line_is_a_fault(
    sqlite_db: Database, tmp_path: Path
) -> None:
    """Excel writes delimiters at the end for some lines only; half a file looks much the same."""
    make_world(sqlite_db)
    file = tmp_path / "labels.csv"
    rows = f"track_id,kind,note,supersedes\n{track(1)},unknown,a,\n{track(1, 1)},unknown,b\n"
    file.write_text(rows)
    assert import_labels(sqlite_db, file, "anna").stored == 2
    for wrong in (f"{rows}{track(1, 2)},unknown,c", f"{rows}{track(1, 2)},unknown\n"):
        file.write_text(wrong)
        with pytest.raises(LabelFileError, match=r"line 4, column .*fewer cells"):
            import_labels(sqlite_db, file, "anna")


EDGES = [
    "0001-01-01T00:00:00+03:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59-00:01",
]
INSIDE = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T03:00:00+03:00", "9999-12-31T00:00:00-14:00"]


@pytest.mark.parametrize("text", EDGES)
def test_a_time_that_no_database_holds_is_one_sentence(db: Database, tmp_path: Path, text: str) -> None:
    """A traceback of datetime."""
    make_world(db, videos=1)
    file = tmp_path / "labels.csv"
    file.write_text(f"track_id,kind,client_time\n{track(1)},unknown,{text}\n")
    with pytest.raises(LabelFileError, match=r"line 2, column client_time: .*years 1 to 9999"):
        import_labels(db, file, "anna")
    with pytest.raises(ChimpError, match="years 1 to 9999"), db.write() as conn:
        conn.execute(sa.insert(s.bulk_chunk).values(
            run_key="x", chunk_no=1, table_name="t", n_rows=0, written_at=datetime.fromisoformat(text)
        ))  # fmt: skip


def test_times_at_the_very_edge_are_stored(db: Database, tmp_path: Path) -> None:
    """What fits is not refused."""
    make_world(db, videos=1)
    file = tmp_path / "labels.csv"
    lines = [f"{track(1)},unknown,{text}" for text in INSIDE]
    file.write_text("\n".join(["track_id,kind,client_time", *lines]))
    assert import_labels(db, file, "anna").stored == 4
    with db.read() as conn:
        moments = list(conn.scalars(sa.select(s.annotation.c.client_time)))
    assert {moment.year for moment in moments} == {1, 9999}


CELLS = st.one_of(
    st.sampled_from([
        "", "0001-01-01", "9999-12-31", "0000-00-00", "10000-01-01", "-1", "1e308", "1e999", "nan", "9" * 40,
        str(2**63), str(-(2**63)), "0,1", "1.000", "−5", "=1+1", "'=1", "24.03.1976", "TRUE", *EDGES, *INSIDE,
    ]),
    st.dates().map(str), st.floats().map(repr), st.integers().map(str), st.text(max_size=12),
)  # fmt: skip
HEADERS = {
    "labels": ["track_id", "kind", "propensity", "seconds", "client_time", "frame_no", "video_id", "x"],
    "biographies": [
        "anim_id", "birth_date", "bd_min", "bd_max", "entry_date", "depart_date", "depart_date_error", "first_born",
    ],
    "memberships": ["anim_id", "community", "start_date", "end_date"],
    "communities": ["community", "name"],
    "aliases": ["anim_id", "alias", "valid_from", "valid_to"],
    "deployments": ["camera", "start_date", "end_date", "latitude", "longitude"],
    "gaps": ["start_date", "end_date", "reason"],
}  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(HEADERS)), st.lists(CELLS, min_size=8, max_size=8), st.sampled_from(",;\t"))
def test_no_cell_of_any_import_ends_in_a_traceback(
    sqlite_db: Database, tmp_path: Path, kind: str, cells: list[str], delimiter: str
) -> None:
    """Dates, times and numbers at the edges of their types: stored, or one sentence."""
    header = HEADERS[kind]
    with sqlite_db.read() as conn:
        if conn.scalar(sa.select(sa.func.count()).select_from(s.track)) == 0:
            conn.close()
            make_world(sqlite_db, videos=1)
    row = cells[: len(header)]
    if kind == "labels":
        row[:2] = [str(track(1)), "unknown"]
    elif kind in ("biographies", "memberships", "aliases"):
        row[0] = "FF"
    file = tmp_path / "table.csv"
    try:
        file.write_text(save([header, row], delimiter), encoding="utf-8", newline="")
    except UnicodeEncodeError:
        return
    with contextlib.suppress(ChimpError):
        if kind == "labels":
            import_labels(sqlite_db, file, "anna")
        elif kind in ("deployments", "gaps"):
            import_effort(sqlite_db, file)
        else:
            import_individuals(sqlite_db, file)
