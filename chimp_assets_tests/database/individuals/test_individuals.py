"""What is said of individuals: from files with three houses' names, checked together, logged, stored once."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_sheets import TableFileError
from chimp_assets.database.csv_tables import FaultyTableError
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.files.individual_files import IndividualImportReport, import_individuals
from chimp_assets.database.individuals.aliases import add_alias
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.listing import list_individuals, show_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.users import PeopleError
from chimp_assets_tests.database.world import event, make_world, track
from chimp_assets_tests.paths import REPOSITORY


def individuals(db: Database) -> dict[str, Any]:
    with db.read() as conn:
        return {row.anim_id: row for row in conn.execute(sa.select(s.individual))}


def show(db: Database, anim_id: str) -> dict[str, Any]:
    with db.read() as conn:
        return show_individual(conn, anim_id)


def log(db: Database) -> list[tuple[str, str | None]]:
    with db.read() as conn:
        c = s.biography_log.c
        return [tuple(row) for row in conn.execute(sa.select(c.description, c.rationale).order_by(c.log_id))]


@pytest.fixture
def csv_import(db: Database, tmp_path: Path) -> Any:
    def run(text: str | bytes, **terms: Any) -> IndividualImportReport:
        file = tmp_path / "individuals.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_individuals(db, file, Terms(**terms))

    return run


def counts(done: IndividualImportReport) -> tuple[int, int, int]:
    return done.added, done.changed, done.unchanged


def faults(caught: pytest.ExceptionInfo[FaultyTableError]) -> list[tuple[int, str]]:
    return [(fault.line, fault.column) for fault in caught.value.faults]


SOKWE = """\ufeffAnimID;Sex;MomID;DadID;DadPrelim;FirstBorn;BirthDate;BDMin;BDMax;BDDist;BirthComm;EntryDate;EntryType;\
DepartDate;DepartdateError;DepartType
UNK;U;;;;;;;;;;;;;;
FF;F;UNK;;;Y;1958-01-01;1957-01-01;1959-01-01;N;KK;1960-05-01;C;2004-09-15;0.25;D
FD;M;FF;;;Y;1971-03-24 00:00:00;1971-03-24;1971-03-24;;KK;1971-03-24;B;;;
gma;F;MGF2;;;U;;;;;;;;;;
"""


def test_a_sokwedb_file_comes_in_as_it_is(db: Database, csv_import: Any) -> None:
    """Gombe's own table: its header, its semicolons, its spreadsheet dates, its row for nobody."""
    done = csv_import(SOKWE)
    assert (done.table, *counts(done)) == ("biographies", 4, 0, 0)
    assert (done.communities, done.left_out) == (["KK"], ["DadPrelim"])
    found = individuals(db)
    assert set(found) == {"FF", "FD", "GMA", "MGF2"}
    fifi, freud = found["FF"], found["FD"]
    assert (fifi.sex, fifi.birth_date, fifi.bd_min, fifi.bd_max, fifi.bd_dist, fifi.first_born) == (
        "F", date(1958, 1, 1), date(1957, 1, 1), date(1959, 1, 1), "N", "Y",
    )  # fmt: skip
    assert (fifi.entry_type, fifi.depart_date, fifi.depart_type, fifi.mom_id) == ("C", date(2004, 9, 15), "D", None)
    assert fifi.depart_date_error == pytest.approx(0.25)
    assert (freud.mom_id, freud.birth_date, freud.provisional) == (fifi.individual_id, date(1971, 3, 24), False)
    assert (found["MGF2"].sex, found["GMA"].mom_id) == ("F", found["MGF2"].individual_id)
    assert show(db, "FD")["birth_community"] == "KK"


def test_importing_a_file_again_changes_nothing(db: Database, csv_import: Any) -> None:
    """The biography is kept elsewhere and comes every month: a log of changes that are none hides those that are."""
    csv_import(SOKWE)
    before = individuals(db)
    done = csv_import(SOKWE)
    assert (counts(done), done.communities) == ((0, 0, 3), [])
    assert individuals(db) == before
    assert log(db) == []


def test_a_plhdb_file_comes_in_as_it_is(db: Database, csv_import: Any) -> None:
    """The other house's names, with tabs and in other letters."""
    done = csv_import(
        "Study\tAnimid\tBirthGroup\tBGQual\tsex\tMomid\tFirstborn\tBirthdate\tBDMin\tBDMax\tBDDist\tEntrydate\tEntrytype\t"
        "Departdate\tDepartdateError\tDeparttype\n"
        "Gombe\tA1\tKK\tC\tF\t\tN\t1980-01-01\t1979-06-01\t1980-06-01\tU\t1980-01-01\tB\t2001-01-01\t0.1\tP\n"
    )
    assert (done.added, done.left_out) == (1, ["Study"])
    known = show(db, "a1")
    assert (known["birth_community"], known["bg_qual"], known["bd_dist"], known["depart_type"]) == ("KK", "C", "U", "P")


def test_a_change_is_logged_with_what_was_said_before_and_why(db: Database, csv_import: Any) -> None:
    """A field norm (BIOGRAPHY_LOG): who trusts a birth date must see that it was another one last year."""
    make_world(db)
    done = csv_import(
        "anim_id,name,birth_date,mom_id\nFI,Frederick,2010-03-02,\nGM,Gremlin,,\n", why="field notes of May", by="rita"
    )
    assert counts(done) == (0, 1, 1)
    assert log(db) == [
        (
            "name: Fred -> Frederick; birth_date: 2010-03-01 -> 2010-03-02; mom_id: FF -> nothing",
            "field notes of May",
        )
    ]
    assert show(db, "FI")["log"][0]["made_by"] == "rita"
    assert individuals(db)["FI"].sex == "M"  # a column that the file lacks is left as it is


BAD = """AnimID,Sex,MomID,DadID,BirthDate,EntryDate,DepartDate,BDMin,BDMax
MA,F,,,1980-01-01,,,,
KID,M,MA,,1985-01-01,,,,
PA,F,,,1970-01-01,,,,
SON,M,,PA,1990-01-01,,,,
AA,X,,,,,,,
BB,,,,03/04/1990,,,,
CC,,NOBODY,,,,,,
DD,,,,1990-01-01,1989-01-01,1988-01-01,,
MA,F,,,,,,,
EE,,,,,,,1990-13-01,
"""


def test_every_row_that_cannot_be_is_named_by_line_and_column(db: Database, csv_import: Any) -> None:
    """Who must import ten times to hear of ten mistakes stops at the third."""
    with pytest.raises(FaultyTableError) as caught:
        csv_import(BAD)
    assert faults(caught) == [
        (3, "MomID"), (5, "DadID"), (6, "Sex"), (7, "BirthDate"), (8, "MomID"), (9, "EntryDate"), (9, "DepartDate"),
        (10, "AnimID"), (11, "BDMin"),
    ]  # fmt: skip
    text = caught.value.sentence
    assert "'03/04/1990' can be read in several ways" in text
    assert "there is no individual NOBODY" in text
    assert "there is no day 1990-13-01" in text
    assert individuals(db) == {}


def test_the_good_rows_of_a_bad_file_can_be_stored(db: Database, csv_import: Any) -> None:
    """Three hundred biographies need not wait for one."""
    done = csv_import(BAD, skip_bad=True)
    assert set(individuals(db)) == {"MA", "PA"}
    assert sorted({fault.line for fault in done.skipped}) == [3, 5, 6, 7, 8, 9, 10, 11]


def test_who_depends_on_a_refused_row_is_refused_with_it(db: Database, csv_import: Any) -> None:
    """Else a child would point to a mother who was not stored."""
    done = csv_import(
        "anim_id,sex,mom_id,birth_date\nGRAN,F,,1950-13-01\nMA,F,GRAN,1970-01-01\nKID,M,MA,1990-01-01\n", skip_bad=True
    )
    assert [(fault.line, fault.column) for fault in done.skipped] == [(2, "birth_date"), (3, "mom_id"), (4, "mom_id")]
    assert individuals(db) == {}


def test_a_file_is_checked_together_with_what_is_known(db: Database, csv_import: Any) -> None:
    """A mother's new birth date must not make her younger than the son of whom this file says nothing."""
    make_world(db)
    with pytest.raises(FaultyTableError) as caught:
        csv_import("anim_id,birth_date\nGM,1970-01-01\nFF,1964-01-01\n")
    assert faults(caught) == [(3, "anim_id")]
    assert "FD" in caught.value.sentence
    csv_import("anim_id,name\nGM,Gremlin the second\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("anim_id,nmae\nX,x\n", "'nmae' is not known"),
        ("name,sex\nX,F\n", "no table that can be imported"),
        ("anim_id,AnimID\nX,Y\n", "mean the same"),
        ("", "no table that can be imported"),
        (b"anim_id\n\xff\xfe\n", "not UTF-8"),
        ('anim_id,name\nX,"x\n', "not a CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(csv_import: Any, text: Any, words: str) -> None:
    """A misspelt column would otherwise be dropped without a word."""
    with pytest.raises(TableFileError, match=words):
        csv_import(text)


def test_a_file_that_is_not_there_is_named(db: Database, tmp_path: Path) -> None:
    """The first mistake that everybody makes."""
    with pytest.raises(TableFileError, match=r"none\.csv cannot be read"):
        import_individuals(db, tmp_path / "none.csv")


def test_rows_of_another_length_are_named(csv_import: Any) -> None:
    """A comma inside a name shifts every date of its row by one column."""
    with pytest.raises(FaultyTableError) as caught:
        csv_import("anim_id,name\nX,a,b\nY\nZ,z\n,\n")
    assert [fault.line for fault in caught.value.faults] == [2, 3]


def test_memberships_are_imported_changed_and_checked(db: Database, csv_import: Any) -> None:
    """COMM_MEMBS by itself: no overlap, within a life, known individuals only."""
    make_world(db)
    assert csv_import("CommID,Name,Notes\nKK,Kasekela,x\nMT,Mitumba,\n").added == 2
    head = "CommMID,AnimID,StartDate,EndDate,CommID,source\n"
    good = f"{head}1,FF,1960-01-01,1999-12-31,KK,B-record\n2,FF,2000-01-01,,MT,\n3,GM,1970-01-01,,kk,\n"
    done = csv_import(good)
    assert (done.table, *counts(done), done.communities) == ("community memberships", 3, 0, 0, [])
    assert counts(csv_import(good)) == (0, 0, 3)
    done = csv_import(f"{head}1,GM,1970-01-01,2001-01-01,KK,moved\n")
    assert counts(done) == (0, 1, 0)
    assert log(db)[-1] == ("membership of KK from 1970-01-01 -> KK from 1970-01-01 to 2001-01-01", None)
    with pytest.raises(FaultyTableError) as caught:
        csv_import(
            f"{head}1,GM,2000-01-01,,MT,\n2,FF,1950-01-01,1951-01-01,KK,\n3,NOBODY,2000-01-01,,KK,\n4,FD,,,KK,\n"
        )
    assert faults(caught) == [(2, "StartDate"), (3, "StartDate"), (4, "AnimID"), (5, "StartDate")]
    assert show(db, "FF")["memberships"] == [
        {"community": "KK", "start_date": "1960-01-01", "end_date": "1999-12-31"},
        {"community": "MT", "start_date": "2000-01-01", "end_date": None},
    ]


def test_memberships_can_be_replaced(db: Database, csv_import: Any) -> None:
    """A start that was wrong is no second membership; and others than those named keep theirs."""
    make_world(db)
    csv_import("AnimID,StartDate,EndDate,CommID\nFF,1960-01-01,,KK\nGM,1970-01-01,,KK\n")
    with pytest.raises(FaultyTableError):
        csv_import("AnimID,StartDate,EndDate,CommID\nFF,1959-01-01,,KK\n")
    done = csv_import("AnimID,StartDate,EndDate,CommID\nFF,1959-01-01,,KK\n", replace=True)
    assert (done.added, done.removed) == (1, 1)
    assert [m["start_date"] for m in show(db, "FF")["memberships"]] == ["1959-01-01"]
    assert len(show(db, "GM")["memberships"]) == 1
    assert [text for text, _ in log(db)][-2:] == [
        "membership of KK from 1960-01-01 removed",
        "membership of KK from 1959-01-01 added",
    ]
    with pytest.raises(PeopleError, match="replaced"):
        csv_import("AnimID,StartDate,CommID\nFF,1959-01-01,KK\n", replace=True, skip_bad=True)
    with pytest.raises(TableFileError, match="only memberships"):
        csv_import("AnimID\nFF\n", replace=True)


def test_a_biography_must_still_hold_its_memberships(db: Database, csv_import: Any) -> None:
    """A departure that comes after the memberships were stored is checked against them."""
    make_world(db)
    csv_import("AnimID,StartDate,EndDate,CommID\nFF,1960-01-01,2004-01-01,KK\n")
    with pytest.raises(FaultyTableError) as caught:
        csv_import("anim_id,depart_date\nFF,2003-01-01\n")
    assert faults(caught) == [(2, "depart_date")]
    csv_import("anim_id,depart_date\nFF,2004-01-01\n")


def test_an_alias_is_accepted_wherever_a_code_is(db: Database, csv_import: Any) -> None:
    """Old field notes say Fifi's other name; a label, a mother and a biography row must find her by it."""
    make_world(db)
    done = csv_import("AnimID,Alias,valid_from,valid_to\nff,Mother Élan,1960-01-01,1970-01-01\n")
    assert (done.table, *counts(done)) == ("aliases", 1, 0, 0)
    add_alias(db, "FF", "Mother Élan", "1960-01-01", None, Terms(why="older notes"))
    assert show(db, "mother élan")["aliases"] == [
        {"alias": "Mother Élan", "valid_from": "1960-01-01", "valid_to": None}
    ]
    (result,) = record_events(db, [event("identify", track(1), "mother ÉLAN")])
    assert result.status == "stored"
    csv_import("anim_id,mom_id,name\nNEU,Mother élan,Neu\nmother élan,,Fifi I\n")
    found = individuals(db)
    assert found["NEU"].mom_id == found["FF"].individual_id
    assert found["FF"].name == "Fifi I"
    assert log(db)[1] == ("alias Mother Élan from 1960-01-01", "older notes")


@pytest.mark.parametrize(
    ("anim_id", "alias", "why"),
    [
        ("FF", "gm", "anim_id of an individual"),
        ("FF", "FF", "anim_id of an individual"),
        ("FF", "UNK", "stands for nobody"),
        ("FF", "Fredchen", "already an alias of FI"),
        ("FF", "FREDCHEN", "already an alias of FI"),
        ("FF", "  ", "1 to 200 characters"),
        ("FF", "x" * 201, "longer than 200"),
        ("FF", "\U0001f435" * 101, "longer than 200"),
        ("NOBODY", "x", "is no individual"),
        ("UNK", "x", "stands for nobody"),
    ],
)
def test_an_alias_names_one_individual(db: Database, anim_id: str, alias: str, why: str) -> None:
    """An alias of two, or one that is somebody's code, gives tracks to the wrong animal."""
    make_world(db)
    add_alias(db, "FI", "Fredchen", None, None, Terms())
    with pytest.raises(PeopleError, match=why):
        add_alias(db, anim_id, alias, None, None, Terms())
    with pytest.raises(PeopleError, match="before valid_from"):
        add_alias(db, "FF", "new", "2001-01-01", "2000-01-01", Terms())


def test_nobody_is_called_unk(db: Database) -> None:
    """SokweDB's UNK is the animal that nobody could name: an individual UNK would gather everybody's tracks."""
    make_world(db)
    upsert_individuals(db, [{"anim_id": "UNK"}, {"anim_id": "FD", "dad_id": "unk"}])
    assert "UNK" not in individuals(db)
    (result,) = record_events(db, [event("new_individual", track(1), "unk")])
    assert (result.status, result.field) == ("rejected", "anim_id")


def test_individuals_are_added_and_changed_by_their_anim_id(db: Database) -> None:
    """The biography is kept elsewhere too and comes again and again."""
    rows: list[dict[str, Any]] = [
        {"anim_id": "fi", "name": "Fred", "birth_date": "2010-03-01", "mom_id": "ff", "dad_id": None},
        {"anim_id": "FF", "name": "Fifi", "sex": "f", "birth_date": date(1958, 1, 1)},
    ]
    assert upsert_individuals(db, rows).added == 2
    assert upsert_individuals(db, [{"anim_id": "FI", "sex": "M"}]).changed == 1
    found = individuals(db)
    fred = found["FI"]
    assert (fred.name, fred.sex, fred.birth_date, fred.mom_id) == (
        "Fred",
        "M",
        date(2010, 3, 1),
        found["FF"].individual_id,
    )
    upsert_individuals(db, [{"anim_id": "FI", "mom_id": None}])
    assert individuals(db)["FI"].mom_id is None


def test_a_provisional_individual_that_is_listed_is_provisional_no_more(db: Database) -> None:
    """A newcomer that the biography knows is a member."""
    make_world(db)
    record_events(db, [event("new_individual", track(1), "NEW-1")])
    assert individuals(db)["NEW-1"].provisional
    upsert_individuals(db, [{"anim_id": "NEW-1", "name": "Torn Ear"}])
    assert not individuals(db)["NEW-1"].provisional
    assert log(db) == [("name: nothing -> Torn Ear; provisional: yes -> no", None)]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"anim_id": "X", "nmae": "x"}, "nmae"),
        ({"name": "x"}, "anim_id"),
        ({"anim_id": "x" * 41}, "anim_id"),
        ({"anim_id": "ß" * 21}, "anim_id"),
        ({"anim_id": "\U0001f435" * 21}, "anim_id"),
        ({"anim_id": "X\0Y"}, "anim_id"),
        ({"anim_id": "X", "name": "half \ud83d"}, "name"),
        ({"anim_id": "X", "birth_date": "1. May"}, "birth_date"),
        ({"anim_id": "X", "sex": "Q"}, "sex"),
        ({"anim_id": "X", "depart_type": "Z"}, "depart_type"),
        ({"anim_id": "X", "depart_date_error": "-1"}, "depart_date_error"),
        ({"anim_id": "X", "depart_date_error": "nan"}, "depart_date_error"),
        ({"anim_id": "X", "bd_min": "2001-01-01", "bd_max": "2000-01-01"}, "bd_min"),
        ({"anim_id": "X", "entry_date": "2001-01-01", "depart_date": "2000-01-01"}, "depart_date"),
        ({"anim_id": "X", "mom_id": "NOBODY"}, "mom_id"),
        ({"anim_id": "X", "mom_id": "FI"}, "mom_id"),
        ({"anim_id": "X", "dad_id": "FF"}, "dad_id"),
        ({"anim_id": "X", "mom_id": "X"}, "mom_id"),
    ],
)
def test_individuals_that_cannot_be_are_named_by_row_and_field(db: Database, row: dict[str, Any], field: str) -> None:
    """SokweDB's rules: a mother is no male; and half a file is not stored."""
    make_world(db)
    with pytest.raises(PeopleError) as caught:
        upsert_individuals(db, [{"anim_id": "GOOD"}, row])
    assert "Individual 2" in caught.value.sentence
    assert f"field {field}" in caught.value.sentence
    assert "GOOD" not in individuals(db)


def test_everybody_can_be_listed_and_shown(db: Database) -> None:
    """Who names animals must be able to look up their codes."""
    make_world(db)
    with db.read() as conn:
        assert [(row["anim_id"], row["same_as"]) for row in list_individuals(conn)] == [
            ("FD", None), ("FF", None), ("FI", None), ("GM", None),
        ]  # fmt: skip
    known = show(db, " fi ")
    assert (known["mom_id"], known["birth_date"], known["memberships"]) == ("FF", "2010-03-01", [])
    with pytest.raises(PeopleError, match="no individual 'NOBODY'"):
        show(db, "NOBODY")


def test_the_files_that_the_documentation_shows_can_be_imported(sqlite_db: Database, tmp_path: Path) -> None:
    """Who copies an example that does not work tries nothing else."""
    blocks = (REPOSITORY / "docs" / "research" / "individuals.md").read_text().split("```")[1::2]
    tables = [block.strip() for block in blocks if "," in block.strip().splitlines()[0] and "cannot be" not in block]
    imported = []
    for number, text in enumerate(tables):
        file = tmp_path / f"{number}.csv"
        file.write_text(text)
        effort = "start_date" in text and "AnimID" not in text
        done = import_effort(sqlite_db, file) if effort else import_individuals(sqlite_db, file)
        imported.append((done.table, done.added))
    assert imported == [
        ("biographies", 4), ("communities", 1), ("community memberships", 3), ("aliases", 1), ("deployments", 2),
        ("sampling gaps", 2),
    ]  # fmt: skip
