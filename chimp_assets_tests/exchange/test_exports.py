"""Exports: a file appears whole or not at all, holds what the database says, and runs in no spreadsheet."""

from __future__ import annotations

import csv
import errno
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.whole_file import FileWriteError, write_rows
from chimp_assets.exchange.exports import export, exports
from chimp_assets.exchange.exports.export import Export, ExportError, ExportRequest, write_export
from chimp_assets.insight.association.network import network
from chimp_assets.insight.association.scope import Scope
from chimp_assets.settings import Settings
from chimp_assets_tests.database.study_database import make_study, write_study


@pytest.fixture
def study(db: Database, tmp_path: Path) -> Database:
    write_study(db, make_study(3), tmp_path)
    return db


def test_each_export_says_what_it_is_and_names_are_found() -> None:
    known = exports()
    assert {"association_network", "sightings"} <= known.keys()
    assert all(one.what.endswith(".") and one.suffix.startswith(".") for one in known.values())
    with pytest.raises(ExportError, match="Did you mean sightings"):
        export("sighting")


def test_sightings_are_those_of_the_view(study: Database, tmp_path: Path) -> None:
    file = tmp_path / "sightings.csv"
    n = write_export(export("sightings"), ExportRequest(study, Settings()), file)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with study.read() as conn:
        wanted = conn.execute(sa.text("SELECT anim_id, uri, n_tracks FROM v_sighting")).all()
    assert n == len(rows) == len(wanted) > 0
    assert sorted((r["anim_id"], r["uri"], int(r["n_tracks"])) for r in rows) == sorted(map(tuple, wanted))


@pytest.mark.parametrize("dependants", ["counted", "left_out"])
def test_the_network_is_that_of_the_page(study: Database, tmp_path: Path, dependants: str) -> None:
    file = tmp_path / "network.graphml"
    request = ExportRequest(study, Settings(), options={"dependants": dependants})
    n = write_export(export("association_network"), request, file)
    root = ElementTree.parse(file).getroot()
    with study.read() as conn:
        found = network(conn, Scope(dependants=dependants == "counted"))
        assert (len(found.edges) == len(network(conn, Scope()).edges)) == (dependants == "counted")
    assert len(root.findall(".//{*}edge")) == n == len(found.edges) > 0
    assert {node.get("id") for node in root.findall(".//{*}node")} == {node.anim_id for node in found.nodes}


def test_a_file_appears_whole_or_stays_as_it_was(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    file.write_bytes(b"older")

    def full(_: ExportRequest, stream: BinaryIO) -> int:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(FileWriteError, match=r"out\.txt cannot be written: No space left"):
        write_export(Export("Half.", ".txt", full), ExportRequest(db, Settings()), file)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.name.startswith("out")] == [
        ("out.txt", b"older")
    ]
    with pytest.raises(FileWriteError, match="cannot be written"):
        write_export(export("sightings"), ExportRequest(db, Settings()), tmp_path / "no folder" / "a.csv")


def test_rows_are_written_as_all_tables_of_the_product(db: Database, tmp_path: Path) -> None:
    moment, day = datetime(2013, 5, 6, 7, 8), date(2013, 5, 6)

    def rows(_: ExportRequest, stream: BinaryIO) -> int:
        return write_rows(stream, ("a", "b", "c", "d"), [("=1+1", None, moment, day)])

    file = tmp_path / "rows.csv"
    assert write_export(Export("Rows.", ".csv", rows), ExportRequest(db, Settings()), file) == 1
    assert file.read_bytes() == b"a,b,c,d\r\n'=1+1,,2013-05-06T07:08:00,2013-05-06\r\n"
