"""Every export on every database, and by its command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from chimp_assets import cli
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import exports
from chimp_assets.exchange.exports.conditions import selection_of
from chimp_assets.exchange.exports.export import ExportError, ExportRequest, write_export
from chimp_assets.home import Home
from chimp_assets.settings import Settings
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.exchange.exports.conftest import finish_study

EVERYTHING = ["individual=FF,FI", "from=2013-05-06", "to=2014-01-03", "min_probability=0.5"]
PLACES = ["camera=a/cam1,cam3", "site=a,b", "status=any", "from=2013-05-06"]


def write_all(db: Database, settings: Settings, out: Path) -> dict[str, int]:
    """Every export that needs no pictures, with all conditions that it takes; how much was in each."""
    found: dict[str, int] = {}
    for where in (EVERYTHING, PLACES):
        for name, one in exports().items():
            given = [text for text in where if one.may_narrow(text.partition("=")[0])]
            with db.read() as conn:
                request = ExportRequest(db, settings, selection=selection_of(conn, given))
            try:
                n = write_export(one, request, out / one.file_name(name), force=True, name=name)
            except ExportError:
                continue  # there is no store here
            found[name] = max(n, found.get(name, 0))
    return found


def test_every_export_speaks_t_sql_and_finds_something(study: Database, settings: Settings, tmp_path: Path) -> None:
    heard: list[Any] = []

    def listen(conn: Any, element: Any, several: Any, parameters: Any, options: Any) -> None:
        heard.append(element)

    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        found = write_all(study, settings, tmp_path)
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    assert {"sightings", "association_network", "camtrap_dp", "coco", "mot", "yolo"} <= found.keys()
    assert all(found.values()), found
    said = {str(one): one for one in heard if not isinstance(one, str)}
    assert len(said) > 20
    assert [faults for one in said.values() if (faults := t_sql.faults_of(t_sql.compiled(one)))] == []


def test_every_export_on_postgresql(postgresql_db: Database, settings: Settings, tmp_path: Path) -> None:
    finish_study(postgresql_db, tmp_path)
    (tmp_path / "out").mkdir()
    assert all(write_all(postgresql_db, settings, tmp_path / "out").values())


def test_the_command_selects_chooses_and_says_what_it_did(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_study(home.database, tmp_path)
    home.database.dispose()
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli.app, ["export", *words], catch_exceptions=True)

    listed = run()
    assert "coco  .json" in listed.output
    assert "camtrap_dp  a folder" in listed.output
    assert "--set pictures=no" in listed.output
    done = json.loads(run("mot", "--where", "individual=fifi", "--where", "to=2013-05-11", "--json").output)
    assert done == {"export": "mot", "file": "mot", "n": done["n"], "notes": []}
    assert done["n"] == json.loads((tmp_path / "mot" / "about.json").read_text())["counts"]["boxes"] > 0
    again = run("mot")
    assert "is there already" in str(again.exception)
    assert run("mot", "--force").exit_code == 0
    assert "Did you mean camera" in str(run("coco", "--where", "camra=cam1").exception)
    assert "Did you mean only_with_boxes" in str(run("coco", "--set", "with_boxes=yes").exception)
    refused = str(run("camtrap_dp").exception)
    assert "project.title" in refused
    assert '\n[project]\ntitle = "' in refused
    with (home.settings.home / "chimp.toml").open("a") as toml:
        toml.write(
            '\n[project]\ntitle = "A forest"\nspecies = "Pan troglodytes"\nsampling_design = "targeted"\n'
            'contributors = ["Jane"]\ndata_licence = "CC0-1.0"\nmedia_licence = "CC0-1.0"\n'
        )
    told = run("camtrap_dp", "--exact-places", "dp.zip")
    assert told.exit_code == 0, told.output
    assert "written to dp.zip" in told.output
    assert "the whole Earth as uncertainty" in told.output
