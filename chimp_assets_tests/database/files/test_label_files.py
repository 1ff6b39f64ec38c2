"""Labels in files: what goes out comes in again, and a wrong row is named by line and column."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.label_files import (
    COLUMNS,
    EVENT_COLUMNS,
    ImportReport,
    LabelFileError,
    export_labels,
    import_labels,
)
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import record_events
from chimp_assets.settings import shipped_file
from chimp_assets_tests.database.world import event, make_world, track


def answers(db: Database) -> set[tuple[Any, ...]]:
    answer = effective_answers().subquery()
    with db.read() as conn:
        return {
            tuple(row)
            for row in conn.execute(
                sa.select(
                    answer.c.track_id,
                    answer.c.annotation_id,
                    answer.c.kind,
                    s.individual.c.anim_id,
                    answer.c.lane,
                    answer.c.propensity,
                    s.app_user.c.name,
                )
                .join(s.app_user, s.app_user.c.user_id == answer.c.annotator_id)
                .outerjoin(s.individual, s.individual.c.individual_id == answer.c.individual_id)
            )
        }


def count(db: Database) -> int:
    with db.read() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(s.annotation)) or 0


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "labels.csv"
    file.write_bytes(text.encode(encoding))
    return file


def tell_a_story(db: Database) -> None:
    make_world(db)
    wrong = event("identify", track(1), "GM", annotator="vera", lane="typical", propensity=0.25)
    record_events(
        db,
        [
            wrong,
            event("retract", supersedes=wrong.annotation_id),
            event("identify", track(1), "FF", note='two lines,\n"quoted"; ünïcode', seconds=1.5),
            event("new_individual", track(1, 1), "NEW-1", name="Torn Ear", lane="audit", propensity=0.125),
            event("identify", track(1, 2), "NEW-1", annotator="rita", supersedes=wrong.annotation_id),
            event("not_animal", track(2)),
            event("skip", track(2, 1)),
            event("same", track(2, 1), other_track_id=track(2, 2)),
            event("box", video_id=1, frame_no=3, x=0.1, y=0.2, w=0.3, h=0.4),
        ],
    )


def test_what_is_exported_means_the_same_in_another_home(db: Database, another_db: Database, tmp_path: Path) -> None:
    """Labels must outlive any one database."""
    tell_a_story(db)
    make_world(another_db)
    file = tmp_path / "labels.csv"
    assert export_labels(db, file) == 4
    assert import_labels(another_db, file) == ImportReport(4, 0, [])
    assert answers(another_db) == answers(db)
    assert [path.name for path in tmp_path.glob("labels*")] == ["labels.csv"]
    with another_db.read() as conn:
        note = conn.scalar(sa.select(s.annotation.c.note).where(s.annotation.c.track_id == track(1)))
    assert note == 'two lines,\n"quoted"; ünïcode'


def test_all_events_go_out_and_come_in_with_their_history(db: Database, another_db: Database, tmp_path: Path) -> None:
    """The whole story, with what was taken back, boxes and pairs."""
    tell_a_story(db)
    make_world(another_db)
    file = tmp_path / "labels.csv"
    assert export_labels(db, file, all_events=True) == 9
    assert import_labels(another_db, file).stored == 9
    assert answers(another_db) == answers(db)
    columns = [
        s.annotation.c[name] for name in ("annotation_id", "kind", "track_id", "other_track_id", "frame_no", "h")
    ]
    with db.read() as one, another_db.read() as other:
        statement = sa.select(*columns).order_by(s.annotation.c.seq)
        assert one.execute(statement).all() == other.execute(statement).all()


def test_what_people_say_of_one_individual_goes_out_and_comes_in(
    db: Database, another_db: Database, tmp_path: Path
) -> None:
    """Two volunteers' evening must not be lost with the move to another database; it is no answer."""
    for one in (db, another_db):
        make_world(one)
    out = event("not_individual", track(1), "GM", annotator="vera", note="her ear", seconds=2.5)
    told = [
        event("is_individual", track(1), "FF", annotator="vera"),
        event("is_individual", track(1), "FF", annotator="vito"),
        out,
        event("retract", supersedes=out.annotation_id, annotator="vera"),
    ]
    assert {one.status for one in record_events(db, told)} == {"stored"}
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert export_labels(db, first) == 0
    assert export_labels(db, first, all_events=True) == 4
    assert import_labels(another_db, first).stored == 4
    assert import_labels(another_db, first).duplicates == 4
    export_labels(another_db, second, all_events=True)
    assert first.read_bytes() == second.read_bytes()
    with another_db.read() as conn:
        e = s.track_evidence.c
        assert conn.execute(sa.select(e.track_id, e.n_yes, e.n_no, e.state)).all() == [(track(1), 2, 0, "agreed")]


@pytest.mark.parametrize("all_events", [False, True])
def test_a_second_import_doubles_nothing(db: Database, tmp_path: Path, all_events: bool) -> None:
    """People press the button twice, and import their own export."""
    tell_a_story(db)
    file = tmp_path / "labels.csv"
    n = export_labels(db, file, all_events=all_events)
    assert import_labels(db, file) == ImportReport(0, n, [])


def test_rows_without_an_id_are_known_by_their_content(db: Database, tmp_path: Path) -> None:
    """A table from a spreadsheet has no UUIDs; importing a longer version of it adds only the new rows."""
    make_world(db)
    text = f"track_id,anim_id\n{track(1)},FF\n{track(1, 1)},gm\n"
    assert import_labels(db, write(tmp_path, text), "vera") == ImportReport(2, 0, [])
    with db.read() as conn:  # as ids were made in the first release: files of those days must find their rows
        assert "4f15d51f-6dc7-54e0-93ce-d7fd805e3c13" in conn.scalars(sa.select(s.annotation.c.annotation_id)).all()
    text += f"{track(1, 2)},UNK\n"
    assert import_labels(db, write(tmp_path, text), "vera") == ImportReport(1, 2, [])
    assert import_labels(db, write(tmp_path, text), "vito") == ImportReport(3, 0, [])
    rows = {(row[0], row[2], row[3], row[4]) for row in answers(db)}
    assert (track(1, 2), "unknown", None, "import") in rows
    assert (track(1, 1), "identify", "GM", "import") in rows


def test_a_note_that_reads_none_is_a_note(db: Database, tmp_path: Path) -> None:
    """Python's word for nothing is a word, too: the second row was taken for the first, and its note was lost."""
    make_world(db)
    rows = ["track_id,kind,note", f"{track(1)},unknown,", f"{track(1)},unknown,None", f"{track(1)},unknown,'None'"]
    assert import_labels(db, write(tmp_path, "\n".join(rows)), "vera") == ImportReport(3, 0, [])
    assert import_labels(db, write(tmp_path, "\n".join(rows)), "vera") == ImportReport(0, 3, [])
    with db.read() as conn:
        assert set(conn.scalars(sa.select(s.annotation.c.note))) == {None, "None", "'None'"}


@pytest.mark.parametrize(
    ("separator", "end", "encoding"), [(",", "\n", "utf-8"), (";", "\r\n", "utf-8-sig"), ("\t", "\r\n", "utf-8")]
)
def test_files_of_spreadsheets_are_read(db: Database, tmp_path: Path, separator: str, end: str, encoding: str) -> None:
    """Excel writes a byte order mark, CRLF and, in half the world, semicolons."""
    make_world(db)
    lines = [["Track_ID", "anim_id", "note"], [str(track(1)), " ff ", "été"], ["", "", ""]]
    text = end.join(separator.join(cells) for cells in lines) + end
    assert import_labels(db, write(tmp_path, text, encoding), "anna") == ImportReport(1, 0, [])


BAD = f"""annotation_id,track_id,kind,anim_id,annotator,note,seconds,client_time
,{track(1)},identify,FF,anna,"a note of
two lines",,
,x,identify,FF,anna,,,
,{track(1)},identify,NOBODY,anna,,,
,{track(1)},identify,FF,ghost,,,
,{track(1)},identify,FF,anna,,slow,
,{track(1)},identify,FF,anna,,,yesterday
,{track(1)},identify,FF
abc,{track(1)},identify,FF,anna,,,
,{track(1)},unknown,,,,,
,{track(2)},unknown,,anna,,,
"""
BAD_CELLS = [
    (4, "track_id"),
    (5, "anim_id"),
    (6, "annotator"),
    (7, "seconds"),
    (8, "client_time"),
    (9, "anim_id"),
    (10, "annotation_id"),
    (11, "annotator"),
]


def test_bad_rows_are_named_and_nothing_is_stored(db: Database, tmp_path: Path) -> None:
    """A file that is half in is worse than one that is out."""
    make_world(db)
    with pytest.raises(LabelFileError) as caught:
        import_labels(db, write(tmp_path, BAD))
    for line, column in BAD_CELLS:
        assert f"line {line}, column {column}: " in caught.value.sentence
    assert "nothing was stored" in caught.value.remedy
    assert count(db) == 0


def test_with_skip_bad_the_good_rows_are_stored_and_the_bad_ones_listed(db: Database, tmp_path: Path) -> None:
    """What is left out is counted and listed, never silent."""
    make_world(db)
    report = import_labels(db, write(tmp_path, BAD), skip_bad=True)
    assert (report.stored, report.duplicates) == (2, 0)
    assert [(row.line, row.column) for row in report.skipped] == BAD_CELLS
    assert all(row.message for row in report.skipped)


def test_at_most_ten_bad_rows_are_named_of_a_file_that_is_all_wrong(db: Database, tmp_path: Path) -> None:
    """The wrong file has a million bad rows."""
    make_world(db)
    with pytest.raises(LabelFileError) as caught:
        import_labels(db, write(tmp_path, "track_id\n" + "x\n" * 5_000), "anna")
    assert caught.value.sentence.count("line ") == 10
    assert "line 2," in caught.value.sentence


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("track_id,animid\n1,FF\n", "'animid'"),
        ("anim_id\nFF\n", "track_id"),
        ("track_id,track_id\n1,1\n", "each column once"),
        ("", "track_id"),
        ('track_id,note\n1,"never closed\n', "not a CSV"),
    ],
)
def test_a_file_of_another_kind_is_refused(db: Database, tmp_path: Path, text: str, what: str) -> None:
    """A misspelt column must never be ignored in silence."""
    make_world(db)
    with pytest.raises(LabelFileError, match=what):
        import_labels(db, write(tmp_path, text), "anna")


def test_unreadable_files_are_errors_in_words(sqlite_db: Database, tmp_path: Path) -> None:
    """No traceback for a wrong path or an old encoding."""
    make_world(sqlite_db)
    with pytest.raises(LabelFileError, match="cannot be read"):
        import_labels(sqlite_db, tmp_path / "nothing.csv")
    with pytest.raises(LabelFileError, match="UTF-8"):
        import_labels(sqlite_db, write(tmp_path, f"track_id,note\n{track(1)},été\n", "latin-1"), "anna")
    with pytest.raises(LabelFileError, match="cannot be written"):
        export_labels(sqlite_db, tmp_path / "no folder" / "labels.csv")


def test_every_column_is_described_where_people_look(sqlite_db: Database, tmp_path: Path) -> None:
    """The command's help points to sql/README.md."""
    readme = (shipped_file("sql") / "README.md").read_text()
    assert all(f"`{column}`" in readme for column in EVENT_COLUMNS)
    make_world(sqlite_db)
    export_labels(sqlite_db, tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as text:
        assert tuple(next(csv.reader(text))) == COLUMNS
