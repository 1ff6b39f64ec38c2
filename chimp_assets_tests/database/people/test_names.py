"""Names: one however it is spelt, none that hides a sign or plays another, and a code that was mistyped is mended."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_tables import FaultyTableError
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.files.individual_files import import_individuals
from chimp_assets.database.files.label_files import export_labels, import_labels
from chimp_assets.database.individuals.aliases import add_alias
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.listing import show_individual
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.individuals.renaming import rename_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.lookup import individual_called
from chimp_assets.database.people.names import code_of, doubt_about, fault_in, key_of, look_of, looks
from chimp_assets.database.people.users import PeopleError, add_user, disable_user, list_users, user_id_of
from chimp_assets.database.texts import first_unseen, visible, visible_json, visible_line
from chimp_assets_tests.database.world import event, make_world, track

UNSEEN = [
    "\x1b[31mred", "a\nb", "a\rb", "a\tb", "a\x7fb", "a\x85b", "a\u202eb", "\u202aa", "a\u2066b", "a\u200fb",
    "a\u200bb", "a\u200db", "a\ufeffb", "a\u2060b", "a\u00adb", "a\u034fb", "a\u3164b", "a\u2028b", "a\ufe0fb",
    "a\u061cb", "a\U000e0041b",
]  # fmt: skip
ALIKE = ["СA", "FＦ", "ＦＦ", "аdmin", "ΑB", "𝐅F", "FF²", "АВС", "СНЕ", "pаul"]
HONEST = ["Zoë", "É", "ÉLAN", "O'Neill", "Иван", "Фёдор", "Ωδή", "Jane Goodall", "Иван (Ivan)", "東京A", "Straße",
          "שלום",
          "N'Gogo-2", "Ñandú", "Đorđe", "Łódź", "Þór"]  # fmt: skip


@pytest.fixture
def world(sqlite_db: Database) -> Database:
    make_world(sqlite_db, videos=1)
    return sqlite_db


@pytest.fixture
def both(db: Database) -> Database:
    """The same on every database, for what each of them may compare in its own way."""
    make_world(db, videos=1)
    return db


def codes(db: Database) -> set[str]:
    with db.read() as conn:
        return set(conn.scalars(sa.select(s.individual.c.anim_id)))


def test_every_sign_that_nobody_sees_is_known_as_one() -> None:
    """Unicode's own categories are the witness: controls, formats, separators of lines, halves of pairs."""
    numbers = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in numbers:
            assert first_unseen(chr(code)), hex(code)


@given(st.text())
def test_a_visible_text_shows_every_sign(text: str) -> None:
    """And JSON keeps its meaning."""
    assert first_unseen(visible_line(text).replace("\u200d", "").replace("\ufe0f", "")) is None
    assert visible(text).count("\n") == text.count("\n")
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\u202eb", "a\\u202eb"), ("\udcffa", "\\udcffa"), ("👩\u200d👧", "👩\u200d👧"),
     ("\U000e0041", "\\U000e0041"), ("[red]é", "[red]é")],
)  # fmt: skip
def test_an_unseen_sign_is_written_out(text: str, shown: str) -> None:
    """As a programmer would write it; pictures that are joined stay one."""
    assert visible(text) == shown


@pytest.mark.parametrize("text", UNSEEN)
def test_no_name_holds_a_sign_that_nobody_sees(world: Database, tmp_path: Path, text: str) -> None:
    """Raw on 77 pages and in terminals; two users of one name."""
    with pytest.raises(PeopleError, match=r"U\+"):
        add_user(world, f"x{text}", "viewer", force=True)
    for row in (
        {"anim_id": f"X{text}Y"},
        {"anim_id": "X1", "name": f"x{text}y"},
        {"anim_id": "X1", "birth_community": f"x{text}y"},
    ):
        with pytest.raises(PeopleError, match=r"U\+"):
            upsert_individuals(world, [row], force=True)
    with pytest.raises(PeopleError, match=r"U\+"):
        add_alias(world, "FF", f"x{text}y", None, None, Terms(force=True))
    results = record_events(
        world,
        [event("new_individual", track(1), f"X{text}Y"), event("new_individual", track(1), "X2", name=f"x{text}y"),
         event("unknown", track(1, 1), note=f"a note may: {text}")],
    )  # fmt: skip
    assert [result.status for result in results] == ["rejected", "rejected", "stored"]
    file = tmp_path / "effort.csv"
    file.write_text(f'camera,start_date\n"cam{text}1",2020-01-01\n', newline="")
    with pytest.raises(FaultyTableError, match=r"U\+"):
        import_effort(world, file)


@pytest.mark.parametrize("text", ALIKE)
def test_a_name_that_looks_like_another_is_taken_only_where_somebody_insists(
    world: Database, text: str, tmp_path: Path
) -> None:
    """A Cyrillic С among Latin codes is another animal that nobody can tell from the first."""
    with pytest.raises(PeopleError, match=r"looks like|mixes"):
        upsert_individuals(world, [{"anim_id": text}])
    with pytest.raises(PeopleError, match=r"looks like|mixes"):
        add_user(world, text, "viewer")
    with pytest.raises(PeopleError, match=r"looks like|mixes"):
        add_alias(world, "FF", text.upper(), None, None, Terms())
    assert record_events(world, [event("new_individual", track(1), text)])[0].status == "rejected"
    file = tmp_path / "animals.csv"
    file.write_text(f"AnimID\n{text}\n", encoding="utf-8")
    with pytest.raises(FaultyTableError, match=r"line 2, AnimID: .*(looks like|mixes)"):
        import_individuals(world, file)
    import_individuals(world, file, Terms(force=True))
    add_user(world, text, "viewer", force=True)
    assert code_of(text) in codes(world)
    upsert_individuals(world, [{"anim_id": text, "sex": "F"}])  # who is known needs no more insisting
    assert record_events(world, [event("identify", track(1), text)])[0].status == "stored"


@pytest.mark.parametrize("text", HONEST)
def test_honest_names_of_all_languages_are_taken(world: Database, text: str) -> None:
    """Most of the world is not called FF."""
    add_user(world, text, "viewer")
    upsert_individuals(world, [{"anim_id": text, "name": text}])
    assert code_of(text) in codes(world)


def test_a_whole_name_that_looks_like_a_known_one_is_doubted() -> None:
    """No alphabet is mixed in it."""
    others = looks(["CA", "ADMIN"])
    assert "looks like CA" in (doubt_about("СА", others) or "")
    assert doubt_about("ca", others) is None
    assert look_of("СА") == look_of("ca")


@given(st.text(max_size=20))
def test_names_that_differ_in_case_or_composition_are_one(text: str) -> None:
    """NFC, NFD, upper, lower."""
    for other in (
        unicodedata.normalize("NFD", text),
        unicodedata.normalize("NFC", text),
        text.upper(),
        f" {text}\u00a0",
    ):
        assert key_of(other) == key_of(text)
    assert fault_in(text) is None or first_unseen(text)


def test_composed_and_decomposed_accents_are_one_animal(both: Database, tmp_path: Path) -> None:
    """Two animals that look alike on every screen."""
    upsert_individuals(both, [{"anim_id": "E\u0301A", "name": "one"}])
    upsert_individuals(both, [{"anim_id": "\u00e9a", "sex": "F"}])
    assert "\u00c9A" in codes(both)
    assert len(codes(both) & {"\u00c9A", "E\u0301A"}) == 1
    with pytest.raises(PeopleError, match="already"):
        upsert_individuals(both, [{"anim_id": "E\u0301B"}, {"anim_id": "\u00c9b"}])
    add_alias(both, "e\u0301a", "Zoe\u0308", None, None, Terms())
    with pytest.raises(PeopleError, match="already an alias"):
        add_alias(both, "FF", "ZO\u00cb", None, None, Terms())
    for spelling in ("E\u0301a", "\u00c9A", "zo\u00eb", "ZOE\u0308"):
        assert record_events(both, [event("identify", track(1), spelling)])[0].status == "stored", spelling
    file = tmp_path / "groups.csv"
    file.write_text("CommID,Name\nKe\u0301,one\n", encoding="utf-8")
    import_individuals(both, file)
    file.write_text("CommID,Name\nK\u00c9,two\n", encoding="utf-8")
    assert import_individuals(both, file).changed == 1


def test_a_code_that_an_older_version_stored_decomposed_is_still_found(both: Database) -> None:
    """Rows of before stay as they are."""
    with both.write() as conn:
        conn.execute(sa.insert(s.individual).values(anim_id="E\u0301X", created_at=datetime.now(UTC)))
    assert upsert_individuals(both, [{"anim_id": "\u00e9x", "sex": "M"}]).changed == 1
    assert record_events(both, [event("identify", track(1), "\u00c9X")])[0].status == "stored"
    merge_individuals(both, "\u00e9x", "GM", force=True)
    with both.read() as conn:
        called = individual_called(conn, "\u00c9x")
    assert called is not None
    assert called.root_id != called.individual_id


def test_users_are_one_in_any_case(both: Database) -> None:
    """Jane and jane were two people, and ADMIN stood beside admin."""
    add_user(both, "Jane", "expert")
    add_user(both, "admin", "admin")
    for name in ("jane", "JANE", " Jane ", "ADMIN", "Admin"):
        with pytest.raises(PeopleError, match="already a user"):
            add_user(both, name, "viewer", force=True)
    assert record_events(both, [event("unknown", track(1), annotator="jANE")])[0].status == "stored"
    disable_user(both, "JANE", by="ADMIN")
    assert next(user for user in list_users(both) if user.name == "Jane").disabled


def test_users_of_an_older_version_that_differ_in_case_stay_two(sqlite_db: Database) -> None:
    """An upgrade must not fail on them, nor give the answers of one to the other."""
    now = datetime.now(UTC)
    with sqlite_db.write() as conn:
        for name in ("Jane", "jane"):
            conn.execute(sa.insert(s.app_user).values(name=name, role="expert", created_at=now))
    with sqlite_db.read() as conn:
        first, second = (user_id_of(conn, name) for name in ("Jane", "jane"))
        assert first != second
        assert user_id_of(conn, "JANE") == first


def answers(db: Database) -> list[Any]:
    a = s.annotation.c
    with db.read() as conn:
        return list(conn.execute(sa.select(a.annotation_id, a.individual_id, a.kind).order_by(a.seq)))


def test_a_mistyped_code_is_mended_and_everything_follows(both: Database, another_db: Database, tmp_path: Path) -> None:
    """There was an alias and a merge, and the wrong code for ever."""
    upsert_individuals(both, [{"anim_id": "FX", "name": "Faustino"}, {"anim_id": "KID", "mom_id": "FF"}])
    record_events(both, [event("identify", track(1), "FX"), event("identify", track(1, 1), "FF")])
    before = answers(both)
    exported, table = tmp_path / "old.csv", tmp_path / "own.csv"
    export_labels(both, exported)
    table.write_text(f"track_id,anim_id\n{track(1, 2)},FX\n")
    import_labels(both, table, "anna")
    done = rename_individual(both, "fx", "fs", Terms(why="typed wrong", by="anna"))
    assert (done.anim_id, done.former, done.alias) == ("FS", "FX", True)
    assert answers(both)[:2] == before
    assert import_labels(both, exported).duplicates == 2
    assert import_labels(both, table, "anna").duplicates == 1
    with both.read() as conn:
        shown = show_individual(conn, "FX")
        named = set(conn.scalars(sa.text("SELECT anim_id FROM v_named_track")))
    assert (shown["anim_id"], shown["aliases"][0]["alias"]) == ("FS", "FX")
    assert shown["log"][-1]["description"] == "anim_id: FX -> FS"
    assert (shown["log"][-1]["rationale"], shown["log"][-1]["made_by"]) == ("typed wrong", "anna")
    assert named == {"FS", "FF"}
    rename_individual(both, "FF", "FIFI", Terms())
    with both.read() as conn:
        assert show_individual(conn, "KID")["mom_id"] == "FIFI"
    make_world(another_db, videos=1)
    upsert_individuals(another_db, [{"anim_id": "FS"}])
    export_labels(both, exported)


def test_renaming_back_undoes_it(both: Database) -> None:
    """A slip while mending a slip: the code in between belongs to somebody else."""
    upsert_individuals(both, [{"anim_id": "FX"}, {"anim_id": "FY"}])
    rename_individual(both, "FX", "FQ", Terms())
    back = rename_individual(both, "FQ", "FX", Terms())
    assert (back.anim_id, back.alias) == ("FX", False)
    with both.read() as conn:
        assert show_individual(conn, "FX")["aliases"] == []
    assert rename_individual(both, "FY", "FQ", Terms()).anim_id == "FQ"
    record_events(both, [event("identify", track(1), "FQ")])
    assert rename_individual(both, "FQ", "FY", Terms()).alias, "a label was given under it"
    assert not rename_individual(both, "FX", "FZ", Terms(), free=True).alias
    assert record_events(both, [event("identify", track(1), "FX")])[0].status == "rejected"


@pytest.mark.parametrize(
    ("new", "says"),
    [("GM", "GM is another individual"), ("gremmie", "Gremmie is an alias of GM"), ("FF", "has this code already"),
     ("ff", "has this code already"), ("UNK", "stands for nobody"), ("", "1 to 40 characters"),
     ("X" * 41, "longer than 40"), ("F\u202eF", r"U\+202E"), ("СA", "mixes alphabets"), ("ＦＦ", "looks like")],
)  # fmt: skip
def test_a_code_that_cannot_be_is_refused_and_nothing_changes(world: Database, new: str, says: str) -> None:
    """In a sentence."""
    add_alias(world, "GM", "Gremmie", None, None, Terms())
    before = codes(world)
    with pytest.raises(PeopleError, match=says):
        rename_individual(world, "FF", new, Terms())
    assert codes(world) == before
    with pytest.raises(PeopleError, match="no individual"):
        rename_individual(world, "NOBODY", "X1", Terms())


def test_a_look_alike_is_mended_into_what_it_looks_like(world: Database) -> None:
    """The Cyrillic С of an older version becomes a C."""
    upsert_individuals(world, [{"anim_id": "СA"}], force=True)
    assert rename_individual(world, "СA", "CA", Terms()).anim_id == "CA"
