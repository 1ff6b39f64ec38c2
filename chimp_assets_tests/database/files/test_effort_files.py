"""Deployments and sampling gaps from files: in order, apart, stored once."""

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
from chimp_assets.database.files.effort_files import EffortImportReport, import_effort

DEPLOYMENTS = """site,camera,start_date,end_date,latitude,longitude,note
Kasekela,cam1,2020-01-01,2020-03-01,"-4,67",29.63,"tree, left"
Kasekela,cam1,2020-03-02,,,,
Mitumba,cam1,2020-02-01,,-4.63,29.6,
"""


@pytest.fixture
def csv_import(db: Database, tmp_path: Path) -> Any:
    def run(text: str, skip_bad: bool = False) -> EffortImportReport:
        file = tmp_path / "effort.csv"
        file.write_text(text, encoding="utf-8")
        return import_effort(db, file, skip_bad)

    return run


def rows(db: Database, table: sa.Table) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(sa.select(table).order_by(table.c.start_date)))


def counts(done: EffortImportReport) -> tuple[int, int, int]:
    return done.added, done.changed, done.unchanged


def test_deployments_are_added_changed_and_left_alone(db: Database, csv_import: Any) -> None:
    """Effort is the denominator: a file that is imported twice must not count a camera twice."""
    done = csv_import(DEPLOYMENTS)
    assert (done.table, *counts(done)) == ("deployments", 3, 0, 0)
    first = rows(db, s.deployment)[0]
    assert (first.site, first.camera, first.end_date, first.latitude, first.note) == (
        "Kasekela", "cam1", date(2020, 3, 1), -4.67, "tree, left",
    )  # fmt: skip
    assert counts(csv_import(DEPLOYMENTS)) == (0, 0, 3)
    assert counts(csv_import("Camera;Site;Start_Date;End Date\ncam1;Kasekela;2020-03-02;2021-01-01\n")) == (0, 1, 0)
    assert (rows(db, s.deployment)[2].end_date, len(rows(db, s.deployment))) == (date(2021, 1, 1), 3)
    assert rows(db, s.deployment)[0].note == "tree, left"


def test_gaps_may_name_no_place_and_may_overlap(db: Database, csv_import: Any) -> None:
    """A flood closes everything, and the batteries of one camera were empty before."""
    text = (
        "site,camera,start_date,end_date,reason\n,,2020-01-01,2020-01-31,flood\nK,cam1,2020-01-15,2020-02-01,battery\n"
    )
    done = csv_import(text)
    assert (done.table, *counts(done)) == ("sampling gaps", 2, 0, 0)
    assert counts(csv_import(text)) == (0, 0, 2)
    assert counts(csv_import(text.replace("flood", "high water"))) == (0, 1, 1)
    assert [(row.site, row.reason) for row in rows(db, s.sampling_gap)] == [(None, "high water"), ("K", "battery")]


WRONG = """camera,site,start_date,end_date,latitude,note
cam1,K,2020-02-01,2020-03-01,,overlaps the next
cam1,K,2020-03-01,,,
,K,2020-01-01,,,
cam2,K,2020-02-01,2020-01-01,,
cam3,K,1/2/2020,,,
cam4,K,2020-01-01,,95,
cam5,K,2020-01-01,,north,
cam6,K,2020-01-01,,,
cam6,K,2020-01-01,,,
cam7,K,,,,
"""


def test_what_cannot_be_is_named_by_line_and_column(db: Database, csv_import: Any) -> None:
    """A camera that stands in two places at once doubles its days."""
    with pytest.raises(FaultyTableError) as caught:
        csv_import(WRONG)
    assert [(f.line, f.column) for f in caught.value.faults] == [
        (3, "start_date"), (4, "camera"), (5, "end_date"), (6, "start_date"), (7, "latitude"), (8, "latitude"),
        (10, "start_date"), (11, "start_date"),
    ]  # fmt: skip
    assert rows(db, s.deployment) == []
    done = csv_import(WRONG, skip_bad=True)
    assert (done.added, len(done.skipped)) == (2, 8)


def test_a_deployment_is_checked_against_those_that_are_known(db: Database, csv_import: Any) -> None:
    """The file of this year knows nothing of the camera that was never taken down."""
    csv_import("camera,start_date\ncam1,2020-01-01\n")
    with pytest.raises(FaultyTableError, match="stands from 2020-01-01 without an end"):
        csv_import("camera,start_date\ncam1,2021-01-01\n")
    csv_import("camera,start_date,end_date\ncam1,2021-01-01,\ncam1,2020-01-01,2020-12-31\n")
    with pytest.raises(FaultyTableError):
        csv_import("camera,start_date,end_date\ncam1,2019-01-01,2020-01-01\n")
    assert len(rows(db, s.deployment)) == 2


@pytest.mark.parametrize("text", ["site,camera\na,b\n", "camera,start_date,latitud\na,2020-01-01,1\n"])
def test_a_file_that_is_neither_is_refused_in_words(csv_import: Any, text: str) -> None:
    """A misspelt column would otherwise be dropped without a word."""
    with pytest.raises(TableFileError, match="line 1"):
        csv_import(text)
