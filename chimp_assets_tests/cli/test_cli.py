"""The commands as a stranger meets them: sentences, exit codes, machine-readable lines."""

import gc
import json
import os
import sys

import pytest
import sqlalchemy as sa

from chimp_assets import cli
from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.home import init_home
from chimp_assets.settings import TOML_NAME
from chimp_assets_tests.support.rows import add_bundle, add_model, add_track, add_video


@pytest.fixture
def chimp(monkeypatch, capsys, tmp_path):
    """Runs a command in the home of the test: (exit code, printed, complained)."""
    monkeypatch.setenv("CHIMP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chimp", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said, code = capsys.readouterr(), int(left.value.code or 0)
        if arguments[:1] == ("db",):
            # A command ends with its process; in this one, what it opened would keep a later restore out.
            del left
            gc.collect()
        return code, said.out, said.err

    return run


def test_a_command_without_a_home_says_how_to_make_one(chimp):
    code, _, complained = chimp("status")
    assert code == 2
    assert "chimp init" in complained
    assert "Traceback" not in complained


def test_an_unknown_command_is_a_usage_error_and_no_traceback(chimp):
    code, _, complained = chimp("statsu")
    assert code == 2
    assert "No such command" in complained


def test_init_makes_a_home_and_run_again_keeps_what_is_there(chimp, tmp_path):
    assert chimp("init")[0] == 0
    toml = tmp_path / "home" / TOML_NAME
    toml.write_text("seed = 5\n")
    code, said, _ = chimp("init", "--json")
    assert code == 0
    assert json.loads(said)["home"] == str(tmp_path / "home")
    assert toml.read_text() == "seed = 5\n"
    assert (tmp_path / "home" / "dagster" / "dagster.yaml").exists()


def test_status_of_a_fresh_home_is_readable_by_people_and_machines(chimp):
    chimp("init")
    code, said, _ = chimp("status")
    assert code == 0
    assert "videos" in said
    code, said, _ = chimp("status", "--json")
    assert json.loads(said)["frames"] == 0


def test_the_doctor_names_what_is_ill_and_what_to_do(chimp, tmp_path, monkeypatch):
    chimp("init")
    code, said, _ = chimp("doctor")
    assert code == 0, said
    for part in ("database", "store", "archive", "disk", "weights", "codecs", "labels"):
        assert part in said

    monkeypatch.setenv("CHIMP_STORE_URL", (tmp_path / "gone").as_uri())
    code, said, _ = chimp("doctor", "--json")
    assert code == 2
    ill = [finding for finding in json.loads(said)["findings"] if finding["verdict"] == "ill"]
    assert [finding["part"] for finding in ill] == ["store"]
    assert ill[0]["remedy"]


def test_an_unknown_database_scheme_is_one_sentence(chimp, monkeypatch):
    chimp("init")
    monkeypatch.setenv("CHIMP_DATABASE_URL", "oracle://somewhere/db")
    code, _, complained = chimp("status")
    assert code == 2
    assert "oracle" in complained
    assert "sqlite:///" in complained


def test_a_database_newer_than_the_code_is_refused_in_words(chimp, tmp_path):
    chimp("init")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'home' / 'chimp.db'}")
    with engine.begin() as conn:
        conn.execute(sa.text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    code, _, complained = chimp("status")
    assert code == 2
    assert "newer" in complained


def _one_track(home_folder):
    home = init_home(home_folder)
    add_bundle(home.database, 1)
    add_model(home.database, 1, "detector")
    add_video(home.database, 1, 1, "tracked")
    return home, add_track(home.database, 1, 0)


def test_a_label_for_an_unknown_track_or_individual_stores_nothing_and_names_line_and_column(chimp, tmp_path):
    home, track_id = _one_track(tmp_path / "home")
    file = tmp_path / "labels.csv"
    file.write_text(f"track_id,kind,anim_id\n{track_id},unknown,\n999,unknown,\n{track_id},identify,NOBODY\n")

    code, _, complained = chimp("labels", "import", str(file))

    assert code == 2
    said = " ".join(complained.split())
    assert "line 3" in said
    assert "track_id" in said
    assert "line 4" in said
    assert "anim_id" in said
    with home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) == 0

    code, said, _ = chimp("labels", "import", str(file), "--skip-bad", "--json")
    assert code == 0
    answer = json.loads(said)
    assert answer["stored"] == 1
    assert [row["line"] for row in answer["skipped"]] == [3, 4]


def test_individuals_are_imported_with_their_mothers(chimp, tmp_path):
    home = init_home(tmp_path / "home")
    file = tmp_path / "individuals.csv"
    file.write_text("anim_id,name,sex,birth_date,mom_id\nfi,Fred,M,1971-03-01,FF\nff,Fifi,F,1958-07-01,\n")
    assert chimp("individuals", "import", str(file))[0] == 0
    child, mother = t.individual.alias(), t.individual.alias()
    with home.database.read() as conn:
        pair = conn.execute(
            sa.select(child.c.anim_id, mother.c.anim_id.label("mother")).join(
                mother, mother.c.individual_id == child.c.mom_id
            )
        ).one()
    assert tuple(pair) == ("FI", "FF")

    file.write_text("anim_id,sex\nxx,female\n")
    code, _, complained = chimp("individuals", "import", str(file))
    assert code == 2
    assert "sex" in complained


def test_individuals_are_merged_and_taken_apart_and_shown(chimp, tmp_path):
    """An expert who finds that two are one must be able to say so, and to take it back, without a programmer."""
    init_home(tmp_path / "home")
    file = tmp_path / "individuals.csv"
    file.write_text("AnimID,Name,DadPrelim\nFF,Fifi [old],x\nN1,,\nN2,,\n")
    assert "ignored columns: DadPrelim" in chimp("individuals", "import", str(file))[1]
    assert chimp("individuals", "alias", "FF", "Fifi", "--from", "1960-01-01")[0] == 0
    answer = json.loads(chimp("individuals", "merge", "n1", "fifi", "--force", "--why", "ear", "--json")[1])
    assert (answer["anim_id"], answer["into_anim_id"]) == ("N1", "FF")
    said = chimp("individuals", "list")[1]
    assert "Fifi [old]" in said
    assert "is FF" in said
    shown = chimp("individuals", "show", "FF")[1]
    assert "also seen as: N1" in shown
    assert "alias: Fifi 1960-01-01 to ..." in shown
    assert json.loads(chimp("individuals", "show", "N1", "--json")[1])["merges"][0]["reason"] == "ear"
    assert chimp("individuals", "unmerge", "N1")[0] == 0
    assert [row["same_as"] for row in json.loads(chimp("individuals", "list", "--json")[1])["individuals"]] == [
        None
    ] * 3
    code, _, complained = chimp("individuals", "unmerge", "N1")
    assert (code, "not merged" in complained) == (2, True)


def test_effort_is_imported_and_its_bad_rows_are_listed(chimp, tmp_path):
    """Days without a camera are days on which nobody could be seen."""
    init_home(tmp_path / "home")
    file = tmp_path / "deployments.csv"
    file.write_text("camera,start_date,end_date\ncam1,2020-01-01,\ncam2,2020-02-30,\n")
    code, _, complained = chimp("effort", "import", str(file))
    assert (code, "line 3, start_date: there is no day 2020-02-30" in complained) == (2, True)
    answer = json.loads(chimp("effort", "import", str(file), "--skip-bad", "--json")[1])
    assert (answer["added"], [row["line"] for row in answer["skipped"]]) == (1, [3])


def test_a_checkpoint_whose_hash_does_not_match_is_refused(chimp, tmp_path):
    """A model file that was changed or cut off must not name animals."""
    home, _ = _one_track(tmp_path / "home")
    home.store.put("models/embedder/e.safetensors", b"not what was recorded")
    add_model(home.database, 2, "embedder", checkpoint_uri="models/embedder/e.safetensors", checkpoint_hash="0" * 64)
    code, _, complained = chimp("score")
    assert code == 2
    assert "e.safetensors" in complained
    assert "Traceback" not in complained


def test_people_can_be_added_listed_and_disabled(chimp, tmp_path):
    init_home(tmp_path / "home")
    assert chimp("user", "add", "jane", "--role", "expert")[0] == 0
    assert chimp("user", "disable", "jane")[0] == 0
    assert "jane: expert (disabled)" in chimp("user", "list")[1]
    assert chimp("user", "add", "joe", "--role", "king")[0] == 2


def test_a_person_gets_a_password_that_opens_the_page(chimp, tmp_path, monkeypatch):
    """Without a password nobody can sign in, and one typed twice differently is a locked door."""
    from chimp_assets.web.auth import accounts

    home = init_home(tmp_path / "home")
    code, said, _ = chimp("user", "password", "expert", "--once")
    password = said.split("with ")[1].split()[0]
    assert code == 0
    account = accounts.verify(home.database, "expert", password)
    assert account is not None
    assert account.must_change
    monkeypatch.setattr("typer.prompt", lambda *given, **more: "a password of her own")
    assert chimp("user", "password", "expert")[0] == 0
    account = accounts.verify(home.database, "expert", "a password of her own")
    assert account is not None
    assert not account.must_change
    monkeypatch.setattr("typer.prompt", lambda *given, **more: "short")
    code, _, complained = chimp("user", "password", "expert")
    assert (code, "at least 10 characters" in complained) == (2, True)
    assert chimp("user", "password", "nobody", "--once")[0] == 2


def test_the_page_says_once_how_the_first_administrator_gets_in(chimp, tmp_path, monkeypatch):
    """A password in a log file, or printed at every start, is everybody's."""
    init_home(tmp_path / "home")
    served = []
    monkeypatch.setattr("chimp_assets.web.serve.main", lambda arguments: served.append(arguments) or 0)
    first, second = chimp("web")[1], chimp("web", "--port", "3999")[1]
    assert served == [[], ["3999"]]
    assert "Sign in as admin with the password " in first
    assert "http://127.0.0.1:3001" in first
    assert "password" not in second
    assert "http://127.0.0.1:3999" in second
    monkeypatch.setenv("CHIMP_WEB__HOST", "0.0.0.0")
    code, _, complained = chimp("web")
    assert (code, "no name is set" in complained) == (2, True)


def test_where_admin_is_somebody_elses_name_another_administrator_is_made_and_named(chimp, tmp_path, monkeypatch):
    """There was no administrator, no password and no word about it."""
    init_home(tmp_path / "home")
    monkeypatch.setattr("chimp_assets.web.serve.main", lambda arguments: 0)
    assert chimp("user", "add", "Admin", "--role", "expert")[0] == 0
    assert "no administrator can sign in" in chimp("doctor")[1]
    said = chimp("web")[1]
    assert "another user is called admin: administrator was made" in said
    assert "Sign in as administrator with the password " in said
    assert "password" not in chimp("web")[1]
    assert "no administrator" not in chimp("doctor")[1]
    assert chimp("user", "disable", "ADMINISTRATOR")[0] == 0
    assert "Sign in as admin-2 with the password " in chimp("web")[1]
    code, _, complained = chimp("user", "add", "ADMIN", "--role", "admin")
    assert (code, "already a user 'Admin'" in complained) == (2, True)


def test_a_code_is_renamed_at_the_command_line_and_back(chimp, tmp_path):
    """An individual whose code was mistyped had an alias or a merge only."""
    init_home(tmp_path / "home")
    file = tmp_path / "animals.csv"
    file.write_text("anim_id,name\nFX,Faustino\n")
    chimp("individuals", "import", str(file))
    code, said, _ = chimp("individuals", "rename", "fx", "fs", "--why", "typed wrong", "--by", "expert")
    assert (code, said.strip()) == (0, "FX is now FS; FX stays an alias.")
    said = chimp("individuals", "show", "FX")[1]
    assert "anim_id: FS" in said
    assert "expert: anim_id: FX -> FS (typed wrong)" in said
    assert "1 unchanged" in chimp("individuals", "import", str(file))[1]
    answer = json.loads(chimp("individuals", "rename", "FS", "FX", "--json")[1])
    assert answer == {"anim_id": "FX", "former": "FS", "alias": False}
    code, _, complained = chimp("individuals", "rename", "FX", "F\u202eX")
    assert (code, "U+202E (RIGHT-TO-LEFT OVERRIDE)" in complained, "\u202e" in complained) == (2, True, False)
    code, _, complained = chimp("individuals", "rename", "FX", "F\u0425")
    assert (code, "CYRILLIC" in complained, "--force" in complained) == (2, True, True)
    assert chimp("individuals", "rename", "FX", "F\u0425", "--force")[0] == 0


def test_what_was_assumed_about_a_file_is_printed(chimp, tmp_path):
    """A code page is a guess, and a guess must be visible."""
    init_home(tmp_path / "home")
    file = tmp_path / "animals.csv"
    file.write_bytes("AnimID;Name\nZO;Zo\u00eb\n".encode("cp1252"))
    _, _, noted = chimp("individuals", "import", str(file))
    assert "read as Windows-1252" in noted
    assert json.loads(chimp("individuals", "import", str(file), "--json")[1])["notes"]


def test_a_question_about_nobody_is_an_error_and_one_in_small_letters_is_answered(chimp, tmp_path):
    """The command found no rows about an animal that was seen every day."""
    init_home(tmp_path / "home")
    file = tmp_path / "animals.csv"
    file.write_text("anim_id,name\nFF,Fifi\n")
    chimp("individuals", "import", str(file))
    assert chimp("query", "seen_with_whom", "--set", "individual=ff")[0] == 0
    code, _, complained = chimp("query", "seen_with_whom", "--set", "individual=fifa")
    assert (code, "There is no individual 'fifa'. Did you mean FF?" in complained) == (2, True)


def test_a_restored_file_names_those_who_may_do_more(chimp, tmp_path):
    """And asks everybody to sign in again."""
    home = init_home(tmp_path / "home")
    file = tmp_path / "copy.db"
    chimp("db", "backup", str(file))
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE app_user SET role = 'admin'"))
    engine.dispose()
    home.database.dispose()
    code, said, _ = chimp("db", "restore", str(file))
    assert (code, "expert was expert and is admin" in said, "sign in again" in said) == (0, True, True)
    with sa.create_engine(f"sqlite:///{file}").begin() as conn:
        conn.execute(sa.text("CREATE TRIGGER mine AFTER INSERT ON video BEGIN SELECT 1; END"))
    code, _, complained = chimp("db", "restore", str(file))
    assert (code, "the trigger mine is not ours" in complained) == (2, True)


def _troubled(home_folder):
    """A home with a failed video, one that lost something, a copy, and a bundle that was given up."""
    home, _ = _one_track(home_folder)
    add_bundle(home.database, 2, "cursed-0001")
    add_video(home.database, 2, 1, "failed")
    add_video(home.database, 3, 1, "decoded")
    add_video(home.database, 4, 1, "retired")
    add_video(home.database, 5, 2, "registered")
    with home.database.write() as conn:
        for video_id, values in (
            (2, {"error": "v2.mp4 is [empty]. Copy it again."}),
            (3, {"error": "Its last 3 s are missing."}),
            (4, {"duplicate_of_video_id": 1}),
        ):
            conn.execute(sa.update(t.video).where(t.video.c.video_id == video_id).values(**values))
        conn.execute(sa.update(t.bundle).where(t.bundle.c.bundle_id == 2).values(attempts=due.MAX_ATTEMPTS))
    return home


def test_status_counts_failures_and_says_how_to_see_them(chimp, tmp_path):
    """A list of thousands of files would push everything else off the screen."""
    _troubled(tmp_path / "home")
    _, said, _ = chimp("status")
    said = " ".join(said.split())  # lines break where the screen ends
    assert "1 failed, 1 read in part, 1 duplicate, 1 bundle given up: see `chimp status --failed`" in said
    assert "not measured yet" in said
    assert "v2.mp4" not in said
    now = json.loads(chimp("status", "--json")[1])
    assert [now[key] for key in ("n_failed", "n_lost_something", "n_duplicates", "given_up")] == [
        1,
        1,
        1,
        ["cursed-0001"],
    ]
    assert now["pace"]["speed"] is None


def test_each_failure_is_listed_with_its_reason_and_remedy(chimp, tmp_path):
    _troubled(tmp_path / "home")
    _, said, _ = chimp("status", "--failed")
    assert "v2.mp4 is [empty]. Copy it again." in said
    assert "Its last 3 s are missing." in said
    assert "v4.mp4 is the same as v1.mp4" in said
    assert "cursed-0001" in said
    assert "chimp ingest --retry-failed" in said
    _, said, _ = chimp("status", "--failed", "--json")
    assert json.loads(said) == {
        "failed": [{"uri": "v2.mp4", "error": "v2.mp4 is [empty]. Copy it again."}],
        "lost_something": [{"uri": "v3.mp4", "error": "Its last 3 s are missing."}],
        "duplicates": [{"uri": "v4.mp4", "same_bytes_as": "v1.mp4"}],
        "given_up": ["cursed-0001"],
    }


def test_where_nothing_failed_the_command_says_so(chimp):
    chimp("init")
    assert "No file has failed." in chimp("status", "--failed")[1]
    assert "failures        none" in chimp("status")[1]


def test_a_failed_file_is_tried_again_when_it_is_asked_for(chimp, tmp_path):
    """An ingest alone leaves failed files alone: a tape that crashes would crash at every run."""
    archive = tmp_path / "archive" / "cam"
    archive.mkdir(parents=True)
    (archive / "a.mp4").write_bytes(b"no video")
    os.utime(archive / "a.mp4", (1_577_836_800, 1_577_836_800))
    assert json.loads(chimp("ingest", str(tmp_path / "archive"), "--json")[1])["retried"] == 0
    again = json.loads(chimp("ingest", "--json")[1])
    assert (again["retried"], again["bundles"], again["failed"]) == (0, 0, [])
    code, said, _ = chimp("ingest", "--retry-failed")
    assert code == 0
    assert "1 failed video is tried again." in said
    assert "1 file failed or could be read only in part" in said
    third = json.loads(chimp("ingest", "--retry-failed", "--json")[1])
    assert (third["retried"], third["bundles"], len(third["failed"])) == (1, 1, 1)


def test_a_question_is_listed_asked_and_written(chimp, tmp_path):
    """What a researcher without Python uses: the list, a table, a line for programs, a file for R."""
    chimp("init")
    code, said, _ = chimp("query")
    assert code == 0
    assert "Who has not been seen for long" in said
    assert "--set limit=20" in said
    code, said, _ = chimp("query", "last_seen")
    assert code == 0
    assert "No rows" in said
    code, said, _ = chimp("query", "last_seen", "--set", "limit=3", "--json")
    assert json.loads(said) == {
        "question": "last_seen",
        "parameters": {"min_days": 0, "limit": 3},
        "n_rows": 0,
        "rows": [],
    }
    file = tmp_path / "answer.csv"
    code, said, _ = chimp("query", "last_seen", "--csv", str(file))
    assert code == 0
    assert file.read_text().startswith("place,anim_id,")
    code, _, complained = chimp("query", "last_seen", "--plot", str(tmp_path / "answer.svg"))
    assert code == 2
    assert "nothing to draw" in complained


def test_a_wrong_question_names_the_right_one(chimp):
    """A misspelt name or parameter is a sentence and exit code 2, not a traceback."""
    chimp("init")
    code, _, complained = chimp("query", "lastseen")
    assert code == 2
    assert "last_seen" in complained
    code, _, complained = chimp("query", "last_seen", "--set", "limit=many")
    assert code == 2
    assert "whole number" in complained
    assert "Traceback" not in complained


def test_a_backup_comes_back_and_the_check_says_so(chimp, tmp_path):
    """The three commands of the bad day, as they are typed."""
    chimp("init")
    code, said, complained = chimp("db", "backup", str(tmp_path / "copy.db"), "--json")
    assert code == 0, complained
    assert json.loads(said)["n_annotations"] == 0
    assert "store" in json.loads(said)
    code, said, _ = chimp("db", "backup", str(tmp_path / "second.db"))
    assert code == 0
    assert "database only" in said
    assert chimp("db", "backup", str(tmp_path / "copy.db"))[0] == 2, "a backup is never overwritten"
    (tmp_path / "home" / "chimp.db").write_bytes(b"an accident" * 1000)
    assert chimp("db", "check")[0] == 2
    code, said, complained = chimp("db", "restore", str(tmp_path / "copy.db"))
    assert code == 0, complained
    assert ".before-" in said
    code, said, _ = chimp("db", "check")
    assert (code, said.strip()) == (0, "The database is well.")


def test_an_ill_database_is_reported_with_exit_code_2(chimp, tmp_path):
    """A nightly check is a script: it looks at the code, and a person at the sentences."""
    chimp("init")
    home = init_home(tmp_path / "home")
    with home.database.write() as conn:
        conn.execute(sa.update(t.counter).where(t.counter.c.name == "annotation").values(value=5))
    code, said, _ = chimp("db", "check", "--json")
    assert code == 2
    assert "counter stands at 5" in json.loads(said)["ill"][0]
