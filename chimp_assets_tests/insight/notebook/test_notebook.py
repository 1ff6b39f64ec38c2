"""Every cell of the notebook runs, one after the other, on a study; nothing secret is in it and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home
from chimp_assets.insight.notebook.cells import CELLS, OPEN
from chimp_assets.insight.notebook.opened import OpenArchive
from chimp_assets.insight.notebook.writing import NotebookError, notebook, r_script, write_new
from chimp_assets.insight.questions import QuestionError
from chimp_assets_tests.database.study_database import make_study, write_study


def counts(db: Database) -> dict[str, int]:
    with db.read() as conn:
        return {
            name: int(conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
            for name, table in s.metadata.tables.items()
        }


def run(cells: list[str], given: dict[str, Any]) -> dict[str, Any]:
    """As a kernel does: one after the other, with one set of names."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for code in cells:
        exec(compile(code, "cell", "exec"), given)
        plt.close("all")
    return given


def test_every_cell_answers_on_a_study_and_on_an_empty_archive(db: Database, tmp_path: Path) -> None:
    import pandas as pd

    for full in (False, True):
        if full:
            write_study(db, make_study(3), tmp_path)
        before = counts(db)
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        names = run([one.code for one in CELLS], {"archive": OpenArchive(db), "pd": pd, "plt": plt})
        assert counts(db) == before
        for name in ("seen", "resident", "parties", "pairs", "hours", "effort", "last"):
            assert (len(names[name]) > 0) == full, name


def test_the_notebook_opens_the_own_home(home: Home) -> None:
    written = json.loads(notebook("Gombe", home.settings.home))
    code = ["".join(cell["source"]) for cell in written["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 1 + len(CELLS) == 11
    assert written["nbformat"] == 4
    assert len({cell["id"] for cell in written["cells"]}) == len(written["cells"])
    names = run(code[:1], {})
    assert len(names["archive"].questions()) >= 40
    assert "Gombe" in OPEN.words.format(title="Gombe")


def test_questions_and_sql_come_as_tables_and_nothing_is_written(home: Home) -> None:
    archive = OpenArchive(home.database)
    assert list(archive.sql("SELECT name FROM app_user WHERE role = :role", role="expert").columns) == ["name"]
    with pytest.raises(QuestionError):
        archive.ask("no_such_question")
    with pytest.raises(QuestionError):
        archive.ask("sightings_by_month", individual="NOBODY")
    before = counts(home.database)
    with pytest.raises(Exception, match=r"(?i)read|rows"):
        archive.sql("DELETE FROM app_user")
    assert counts(home.database) == before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sqlite:////data/it's/chimp.db", ["RSQLite", "SQLITE_RO", "/data/it\\'s/chimp.db"]),
        ("postgresql+psycopg://anna@server/gombe", ["RPostgres", "ARCHIVE_PASSWORD"]),
        ("mssql+pyodbc://anna@server/gombe", ["odbc", "ARCHIVE_PASSWORD"]),
    ],
)
def test_the_script_of_r_names_the_own_database_and_no_password(address: str, words: list[str]) -> None:
    script = r_script("Gombe", address)
    for word in (*words, "v_association", "get_network"):
        assert word in script
    assert script.count("{") == script.count("}")


def test_a_notebook_in_which_somebody_works_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "archive.ipynb"
    write_new(file, "one", force=False)
    with pytest.raises(NotebookError, match="may hold your work"):
        write_new(file, "two", force=False)
    assert file.read_text() == "one"
    write_new(file, "two", force=True)
    assert file.read_text() == "two"
    with pytest.raises(NotebookError, match="cannot be written"):
        write_new(tmp_path / "none" / "x.ipynb", "x", force=False)
