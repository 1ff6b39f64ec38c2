"""The history of the schema: complete, in agreement with the tables, careful with what it finds."""

from __future__ import annotations

import importlib.util
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from chimp_assets.database import views
from chimp_assets.database.engine import Database, DatabaseError
from chimp_assets.database.migrations import require_head, state_of, upgrade
from chimp_assets.database.schema import counter, metadata
from chimp_assets.settings import shipped_file

REVISIONS = ["0001", "0002", "0003"]


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
            assert conn.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all() == []


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
    assert upgrade(db) == ["0004"]
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
    (folder / "sql" / "migrations" / "versions" / "0004_later.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision = '0004'\ndown_revision = '0003'\n"
        f"branch_labels = None\ndepends_on = None\ndef upgrade():\n    {body}\n"
    )
    monkeypatch.setattr("chimp_assets.database.migrations.shipped_file", lambda name: folder / name)


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
