"""The history of the schema: complete, in agreement with the tables, careful with what it finds."""

from __future__ import annotations

import importlib.util
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.schema import counter, metadata
from chimp_assets.database.upkeep import views
from chimp_assets.database.upkeep.integrity import check_database
from chimp_assets.database.upkeep.migrations import _config, require_head, state_of, upgrade
from chimp_assets.settings import shipped_file
from chimp_assets_tests.database.upkeep.written_rows import SINCE_FOURTEENTH, SINCE_THIRD, WRITTEN
from chimp_assets_tests.database.world import make_world, plan, track

REVISIONS = [
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
]


def test_an_empty_database_is_brought_to_the_head_once(bare_db: Database) -> None:
    """A second upgrade must find nothing to do."""
    assert state_of(bare_db) == "empty"
    assert upgrade(bare_db) == REVISIONS
    assert state_of(bare_db) == "head"
    assert upgrade(bare_db) == []
    require_head(bare_db)


def test_the_migrated_schema_is_the_one_in_the_code(db: Database) -> None:
    """A column added to the tables without a migration works in no existing home."""
    with db.write() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": _types_differ, "compare_server_default": _defaults_differ}
        )
        assert compare_metadata(context, metadata) == []


def test_every_constraint_of_the_code_is_in_the_database(db: Database) -> None:
    """Alembic's comparison does not look at CHECK constraints."""
    if db.dialect == "mssql":
        pytest.skip("SQLAlchemy does not read SQL Server's CHECK constraints")
    with db.read() as conn:
        inspector = sa.inspect(conn)
        for table in metadata.sorted_tables:
            there = {constraint["name"] for constraint in inspector.get_check_constraints(table.name)}
            ours = {str(c.name) for c in table.constraints if isinstance(c, sa.CheckConstraint)}
            assert there == ours, table.name


def test_all_views_can_be_read_after_an_upgrade(db: Database) -> None:
    """A view that fails only when it is read fails at the researcher's desk."""
    with db.read() as conn:
        assert set(sa.inspect(conn).get_view_names()) == set(views.VIEW_NAMES)
        for name in views.VIEW_NAMES:
            rows = conn.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all()
            assert len(rows) == (10 if name == "v_digit" else 0), name


def test_views_that_are_no_more_go_with_an_upgrade(bare_db: Database) -> None:
    """Views of version 0004 that nothing makes any more stand in the way of dropping those that they read."""
    _upgrade_to(bare_db, "0004")
    with bare_db.write() as conn:
        conn.exec_driver_sql("CREATE VIEW v_seen_day AS SELECT individual_id, 5 AS month FROM individual")
        conn.exec_driver_sql("CREATE VIEW v_dyad_day AS SELECT individual_id AS individual_a FROM individual")
        conn.exec_driver_sql("CREATE VIEW v_alive_month AS SELECT individual_id, month FROM v_seen_day")
        conn.exec_driver_sql(
            "CREATE VIEW v_dyad_month AS SELECT d.individual_a, m.month FROM v_dyad_day AS d"
            " INNER JOIN v_alive_month AS m ON m.individual_id = d.individual_a"
        )
        conn.exec_driver_sql("CREATE VIEW v_dyad AS SELECT individual_a, month FROM v_dyad_month")
    assert upgrade(bare_db) == REVISIONS[4:]
    with bare_db.read() as conn:
        assert set(sa.inspect(conn).get_view_names()) == set(views.VIEW_NAMES)
        assert "both_alive" in {column["name"] for column in sa.inspect(conn).get_columns("v_dyad")}


@pytest.mark.parametrize(("revision", "remedy"), [("9999", "newer chimp-assets"), (None, "empty database")])
def test_a_database_that_is_not_ours_to_change_is_left_alone(
    bare_db: Database, revision: str | None, remedy: str
) -> None:
    """An old version must not write into a newer schema, nor anybody into a stranger's tables."""
    upgrade(bare_db)
    version = sa.table("alembic_version", sa.column("version_num"))
    with bare_db.write() as conn:
        conn.execute(sa.update(version).values(version_num=revision) if revision else sa.delete(version))
    for function in (upgrade, require_head):
        with pytest.raises(DatabaseError) as caught:
            function(bare_db)
        assert remedy in caught.value.remedy


def test_a_missing_schema_is_refused_with_the_command_that_makes_it(bare_db: Database) -> None:
    """Else the first statement says 'no such table'."""
    with pytest.raises(DatabaseError) as caught:
        require_head(bare_db)
    assert "chimp db upgrade" in caught.value.remedy


def test_an_older_schema_is_refused_with_the_command_that_mends_it(
    db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """New code on an old schema fails anywhere, later."""
    _with_second_revision(monkeypatch, tmp_path, "op.add_column('counter', sa.Column('later', sa.Integer()))")
    assert state_of(db) == "behind"
    with pytest.raises(DatabaseError) as caught:
        require_head(db)
    assert "chimp db upgrade" in caught.value.remedy
    assert upgrade(db) == ["9000"]
    with db.read() as conn:
        assert "later" in {column["name"] for column in sa.inspect(conn).get_columns("counter")}
        assert set(sa.inspect(conn).get_view_names()) == set(views.VIEW_NAMES)


def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Half a migration can neither be run again nor undone."""
    broken = "op.add_column('counter', sa.Column('later', sa.Integer())); raise RuntimeError('power cut')"
    _with_second_revision(monkeypatch, tmp_path, broken)
    with pytest.raises(RuntimeError, match="power cut"):
        upgrade(db)
    assert state_of(db) == "behind"
    with db.read() as conn:
        assert "later" not in {column["name"] for column in sa.inspect(conn).get_columns("counter")}
        assert set(sa.inspect(conn).get_view_names()) == set(views.VIEW_NAMES)


def test_the_planner_of_sqlite_is_told_about_indexes_that_exist(sqlite_db: Database) -> None:
    """A statistic of an index that was renamed is silently ignored, and the cookbook slow again."""
    with sqlite_db.read() as conn:
        told = {tuple(row) for row in conn.exec_driver_sql("SELECT tbl, idx FROM sqlite_stat1")}
        there = {
            tuple(row) for row in conn.exec_driver_sql("SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index'")
        }
    # A table without rowid is the index of its own key.
    there |= {
        (table.name, table.name)
        for table in metadata.sorted_tables
        if not table.dialect_options["sqlite"]["with_rowid"]
    }
    assert told
    assert told <= there


def test_upgrade_says_so_when_the_folder_is_missing(tmp_path: Path) -> None:
    """It makes a file, never a folder: a misspelt path must not become a home."""
    with pytest.raises(DatabaseError, match="does not exist"):
        upgrade(Database(f"sqlite:///{tmp_path / 'nowhere' / 'chimp.db'}"))
    assert list(tmp_path.iterdir()) == []


def test_two_upgrades_at_once_take_turns(bare_db: Database) -> None:
    """The daemon and the user both start with an upgrade."""
    databases = [Database(bare_db.url) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        applied = list(threads.map(upgrade, databases))
    for database in databases:
        database.dispose()
    assert sorted(applied) == [[], [], REVISIONS]
    with bare_db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(counter)) == 3


def test_the_migrations_are_statements_that_sql_server_knows() -> None:
    """No SQL Server runs here: at least every statement must compile for it."""
    statements: list[str] = []
    context = MigrationContext.configure(
        dialect_name="mssql", opts={"as_sql": True, "output_buffer": _Lines(statements)}
    )
    context.dialect.default_schema_name = "dbo"  # else it is asked of the server
    with Operations.context(context):
        for path in sorted((shipped_file("sql") / "migrations" / "versions").glob("0*.py")):
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.upgrade()
    text = "".join(statements)
    assert text.count("CREATE TABLE ") == len(metadata.tables)
    assert "DATETIME2(6)" in text
    assert "WHERE state = 'champion'" in text
    assert "BIGINT NOT NULL IDENTITY" in text
    assert "ALTER COLUMN uri NVARCHAR(800) COLLATE Latin1_General_100_BIN2 NOT NULL" in text


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_rows_of_every_earlier_version_survive_the_way_to_this_one(bare_db: Database, revision: str) -> None:
    """Years of labels lie in databases that were made by older versions; their tables are written anew on the way."""
    _upgrade_to(bare_db, revision)
    there = sa.MetaData()
    with bare_db.write() as conn:
        there.reflect(conn)
        conn.execute(sa.update(there.tables["counter"]).where(sa.column("name") == "annotation").values(value=3))
        for rows in WRITTEN[: REVISIONS.index(revision) + 1]:
            for name, values in rows.items():
                for row in values:
                    key = (name, row.get(f"{name}_id"))
                    more = SINCE_THIRD.get(key, {}) if revision >= "0003" else {}
                    more = {**more, **(SINCE_FOURTEENTH.get(key, {}) if revision >= "0014" else {})}
                    conn.execute(sa.insert(there.tables[name]).values(**row, **more))
        # As the older version had them: they hang on tables that are written anew.
        conn.exec_driver_sql("CREATE VIEW v_track_identity AS SELECT track_id FROM track")
    before = _contents(bare_db, there)
    assert all(before[name] for name in there.tables if name != "alembic_version"), (
        "a table without a row proves nothing"
    )

    assert upgrade(bare_db) == REVISIONS[REVISIONS.index(revision) + 1 :]
    after = _contents(bare_db, there)
    del before["alembic_version"], after["alembic_version"]
    assert after == before

    with bare_db.read() as conn:
        video = conn.execute(sa.select(s.video).where(s.video.c.video_id == 1)).one()
        assert (video.recorded_on, video.frame_s) == (date(2013, 5, 7), 0.5), "its day is the local one of its split"
        track = conn.execute(sa.select(s.track).where(s.track.c.state == "live")).one()
        assert (track.first_s, track.last_s) == (0.5, 1.0)
        answer = conn.execute(sa.text("SELECT anim_id, source FROM v_track_identity")).one()
        assert tuple(answer) == ("FF", "person")
        kept = conn.execute(sa.select(s.standing_answer.c.track_id, s.standing_answer.c.annotation_id)).all()
        assert [tuple(row) for row in kept] == [(1 << 20, "a")]
        e = s.annotation.c
        searched = conn.execute(sa.select(e.shown_mode, e.shown_flag, e.shown_conflict).order_by(e.seq)).all()
        assert [tuple(row) for row in searched] == [("gallery", True, "b"), (None, None, None), (None, None, None)]
    # Pictures without a chunk, and evidence without the decisions that it follows from, are what was written above.
    assert [ill for ill in check_database(bare_db) if "chunk" not in ill and "who track" not in ill] == []
    with pytest.raises(sa.exc.IntegrityError), bare_db.write() as conn:
        conn.execute(sa.delete(s.frame).where(s.frame.c.frame_no == 1))


def test_a_round_asks_once_about_a_track_and_once_about_a_pair(db: Database) -> None:
    """Two plain nulls are equal to SQL Server and to nobody else: the rule is the filter's, on every database."""
    make_world(db)
    one, other = track(1), track(2)
    plan(db, [one, one], lanes=["typical", "pairs"], other_track_ids=[None, other])
    q = s.acquisition_queue
    with db.read() as conn:
        row = dict(conn.execute(sa.select(q).where(q.c.lane == "typical")).one()._mapping)
    for again in ({"other_track_id": None, "lane": "audit"}, {"other_track_id": other, "lane": "pairs"}):
        with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
            conn.execute(sa.insert(q).values({**row, "item_id": 99, **again}))
    for wrong in ({"other_track_id": one, "lane": "pairs"}, {"other_track_id": None, "lane": "pairs"},
                  {"other_track_id": track(1, 1), "lane": "audit"}):  # fmt: skip
        with pytest.raises(sa.exc.IntegrityError), db.write() as conn:
            conn.execute(sa.insert(q).values({**row, "item_id": 99, "track_id": one, **wrong}))


def _upgrade_to(db: Database, revision: str) -> None:
    """What `upgrade` of that version did, but for its views."""
    if db.file is not None:
        db.file.touch()
    config = _config()
    with db.migrate() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)


def _contents(db: Database, tables: sa.MetaData) -> dict[str, list[tuple[Any, ...]]]:
    """Every value of these tables and columns, as the database has it now."""
    with db.read() as conn:
        return {
            table.name: sorted((tuple(row) for row in conn.execute(sa.select(*table.c))), key=repr)
            for table in tables.sorted_tables
        }


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def write(self, text: str) -> None:
        self.lines.append(text)

    def flush(self) -> None:
        pass


def _with_second_revision(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> None:
    """The shipped history and one revision more, as a later version of the product would have it."""
    shutil.copytree(shipped_file("sql"), folder / "sql")
    (folder / "sql" / "migrations" / "versions" / "9000_later.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision = '9000'\n"
        f"down_revision = '{REVISIONS[-1]}'\n"
        f"branch_labels = None\ndepends_on = None\ndef upgrade():\n    {body}\n"
    )
    monkeypatch.setattr("chimp_assets.database.upkeep.migrations.shipped_file", lambda name: folder / name)


def _types_differ(context: Any, there: Any, ours: Any, there_type: Any, our_type: Any) -> bool | None:
    # PostgreSQL spells FLOAT(24) and FLOAT(53) in its own words; Alembic takes them for others.
    spelt = {24: sa.REAL, 53: sa.DOUBLE_PRECISION}
    if isinstance(our_type, sa.Float) and our_type.precision in spelt:
        return False if isinstance(there_type, spelt[our_type.precision]) else None
    return None


def _defaults_differ(
    context: Any, there: Any, ours: Any, there_default: Any, our_default: Any, rendered: Any
) -> bool | None:
    if our_default is None or our_default.arg != "":
        return None
    # SQLite's reflection gives the default '' as (').
    return there_default is None or not str(there_default).startswith(("''", "(''"))
