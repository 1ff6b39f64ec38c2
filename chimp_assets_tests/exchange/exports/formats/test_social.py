"""asnipe, bisonR and STRAND are told what the views say, and indices from their files are those of the views."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.export import ExportRequest, write_export
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.social import asnipe
from chimp_assets.settings import Settings

EVERY_NAME = Selection(min_probability=0.0)
"""Names of the model whatever their probability: what the views count."""


def written(db: Database, name: str, folder: Path, settings: Settings, **options: str) -> Path:
    request = ExportRequest(db, settings, selection=EVERY_NAME, options=options)
    write_export(export(name), request, folder, name=name)
    return folder


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def asked(db: Database, statement: str) -> list[sa.RowMapping]:
    with db.read() as conn:
        return list(conn.execute(sa.text(statement)).mappings())


@pytest.mark.parametrize("rule", ["video", "day", "frame"])
def test_groups_are_those_of_the_views(study: Database, settings: Settings, tmp_path: Path, rule: str) -> None:
    folder = written(study, "asnipe", tmp_path / "asnipe", settings, rule=rule)
    members = rows_of(folder / "memberships.csv")
    wanted = asked(study, f"SELECT * FROM v_gbi WHERE group_rule = '{rule}'")
    key = lambda row: (int(row["group_id"]), row["anim_id"])  # noqa: E731
    found = {key(row): row for row in members}
    assert found.keys() == {(row["group_id"], row["anim_id"]) for row in wanted}
    for row in wanted:
        mine = found[row["group_id"], row["anim_id"]]
        assert float(mine["seconds"]) == pytest.approx(row["seconds"], abs=1e-3)
        assert float(mine["probability"]) == pytest.approx(row["probability"], abs=1e-6)
        assert int(mine["human_reviewed"]) == row["human_reviewed"]
    groups = {int(row["group_id"]): row for row in rows_of(folder / "groups.csv")}
    for row in asked(study, f"SELECT * FROM v_group WHERE group_rule = '{rule}' AND n_known > 0"):
        mine = groups.pop(row["group_id"])
        assert (int(mine["n_known"]), int(mine["n_unknown"])) == (row["n_known"], row["n_unknown"])
    assert not groups
    about = json.loads((folder / "about.json").read_text())
    assert about["together"] == rule


def test_the_matrix_gives_the_index_that_asnipe_would(study: Database, settings: Settings, tmp_path: Path) -> None:
    """get_network, SRI: x / (x + yA + yB + yAB), over groups; a video is a time of its own, so yAB is 0 here."""
    folder = written(study, "asnipe", tmp_path / "asnipe", settings)
    rows = rows_of(folder / "gbi.csv")
    names = [name for name in rows[0] if name != "group_id"]
    gbi = np.array([[int(row[name]) for name in names] for row in rows])
    assert [row["group_id"] for row in rows] == [row["group_id"] for row in rows_of(folder / "groups.csv")]
    assert names == [row["anim_id"] for row in rows_of(folder / "individuals.csv")]
    assert gbi.sum(axis=1).min() >= 1
    both = gbi.T @ gbi
    seen: dict[str, set[int]] = defaultdict(set)
    for row in asked(study, "SELECT anim_id, video_id FROM v_sighting"):
        seen[row["anim_id"]].add(row["video_id"])
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            either = both[i, i] + both[j, j] - both[i, j]
            assert both[i, j] / either == len(seen[one] & seen[other]) / len(seen[one] | seen[other])


def test_entry_and_exit_are_those_of_the_biographies(study: Database, settings: Settings, tmp_path: Path) -> None:
    rows = {
        row["anim_id"]: row for row in rows_of(written(study, "asnipe", tmp_path / "a", settings) / "individuals.csv")
    }
    assert "NEW-9" not in rows  # merged into ZU
    assert (rows["ZU"]["enter_day"], rows["ZU"]["leave_time"]) == ("2013-05-07", "")
    assert int(rows["ZU"]["enter_time"]) == 1367884800  # 2013-05-07T00:00:00Z
    assert (rows["MW"]["leave_day"], int(rows["MW"]["leave_time"])) == ("2013-05-09", 1368144000)


def test_a_matrix_that_is_too_wide_is_left_to_r(
    study: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asnipe, "MOST_CELLS", 5)
    folder = written(study, "asnipe", tmp_path / "asnipe", settings)
    assert not (folder / "gbi.csv").exists()
    assert "get_group_by_individual" in (folder / "README.md").read_text()
    assert rows_of(folder / "memberships.csv")


@pytest.mark.parametrize("rule", ["moment", "video", "day"])
def test_days_of_pairs_are_those_of_the_view(study: Database, settings: Settings, tmp_path: Path, rule: str) -> None:
    folder = written(study, "bisonr", tmp_path / "bisonr", settings, rule=rule)
    found = {(row["group_id"], row["node_1_id"], row["node_2_id"]): row for row in rows_of(folder / "days.csv")}
    wanted = asked(study, f"SELECT * FROM v_dyad_event WHERE group_rule = '{rule}'")
    assert found.keys() == {(row["unit"], row["anim_id_a"], row["anim_id_b"]) for row in wanted}
    for row in wanted:
        mine = found[row["unit"], row["anim_id_a"], row["anim_id_b"]]
        assert (int(mine["event"]), mine["duration"], mine["relation"]) == (row["together"], "1", row["relation"])
        for column, value in (
            ("seconds_together", row["seconds_together"]), ("p_joint", row["p_joint"]), ("p_1", row["p_a"]),
            ("p_2", row["p_b"]), ("age_1", row["age_y_a"]), ("age_2", row["age_y_b"]),
        ):  # fmt: skip
            assert number(mine[column]) == (None if value is None else pytest.approx(value, abs=1e-3)), column
        assert float(mine["recorded_h"]) == pytest.approx(row["recorded_s"] / 3600, abs=1e-4)


@pytest.mark.parametrize("rule", ["moment", "video", "day"])
def test_sums_and_ties_give_the_indices_of_the_view(
    study: Database, settings: Settings, tmp_path: Path, rule: str
) -> None:
    sums = {
        (row["node_1_id"], row["node_2_id"]): row
        for row in rows_of(written(study, "bisonr", tmp_path / "b", settings, rule=rule) / "sums.csv")
    }
    folder = written(study, "strand", tmp_path / "s", settings, rule=rule)
    ties = {(row["from"], row["to"]): row for row in rows_of(folder / "ties.csv")}
    nodes = [row["id"] for row in rows_of(folder / "individuals.csv")]
    assert ties.keys() == {(one, other) for one in nodes for other in nodes if one != other}
    wanted = asked(study, f"SELECT * FROM v_dyad WHERE group_rule = '{rule}' AND period_kind = 'all'")
    compared = 0
    for row in wanted:
        pair = row["anim_id_a"], row["anim_id_b"]
        if row["sri"] is None:
            assert pair not in sums
        else:
            mine = sums[pair]
            assert (int(mine["event"]), int(mine["duration"])) == (row["x"], row["sri_denominator"])
            assert int(mine["event"]) / int(mine["duration"]) == row["sri"]
            assert int(mine["videos_together"]) == row["videos_together"]
        if pair in ties:
            compared += 1
            there, back = ties[pair], ties[pair[::-1]]
            assert int(there["outcome"]) == int(back["outcome"]) == row["x"]
            assert int(there["exposure"]) == int(back["exposure"]) == row["sri_denominator"]
            assert int(there["exposure_from"]) == row["x"] + row["y_a"] + row["y_ab"]
            assert int(back["exposure_from"]) == row["x"] + row["y_b"] + row["y_ab"]
            assert int(there["sampled_days"]) == row["both_alive"]
            assert there["possible"] == "1"
    assert compared > 10


def test_a_moment_needs_no_length_of_a_frame(study: Database, settings: Settings, tmp_path: Path) -> None:
    """Photographs and imported tracks have no seconds: nobody was at the same moment with anybody."""

    def at_once() -> list[tuple[list[tuple[object, ...]], dict[tuple[str, ...], str]]]:
        views = [
            f"SELECT anim_id_a, anim_id_b, {unit} FROM {view} WHERE group_rule = 'moment' AND {met}"
            for view, unit, met in (
                ("v_dyad", "x", "period_kind = 'all' AND x > 0"),
                ("v_dyad_event", "unit", "together = 1"),
            )
        ]
        folder = written(study, "bisonr", tmp_path / str(len(found)), settings, rule="moment")
        days = {
            (row["node_1_id"], row["node_2_id"], row["group_id"]): row["event"] for row in rows_of(folder / "days.csv")
        }
        return [([sorted(tuple(row.values()) for row in asked(study, view)) for view in views], days)]

    found: list[object] = []
    found += at_once()
    assert found[0][0][0]
    with study.write() as conn:
        conn.execute(sa.text("UPDATE video SET frame_s = 0"))
    found += at_once()
    with study.write() as conn:
        conn.execute(sa.text("UPDATE video SET frame_s = NULL, duration_s = NULL"))
    found += at_once()
    assert found[0] == found[1] == found[2]


def test_a_selection_narrows_groups_and_pairs(study: Database, settings: Settings, tmp_path: Path) -> None:
    (one, other) = asked(study, "SELECT individual_id, anim_id FROM individual WHERE anim_id IN ('FF', 'TU')")
    chosen = tuple((row["individual_id"], row["anim_id"]) for row in (one, other))
    request = ExportRequest(study, settings, selection=Selection(individuals=chosen, min_probability=0.0))
    write_export(export("asnipe"), request, tmp_path / "a")
    assert {row["anim_id"] for row in rows_of(tmp_path / "a" / "memberships.csv")} == {"FF", "TU"}
    write_export(export("strand"), request, tmp_path / "s")
    assert len(rows_of(tmp_path / "s" / "ties.csv")) == 2


@pytest.mark.parametrize("name", ["asnipe", "bisonr", "strand"])
def test_an_empty_database_gives_empty_tables(db: Database, settings: Settings, tmp_path: Path, name: str) -> None:
    folder = written(db, name, tmp_path / name, settings)
    tables = list(folder.glob("*.csv"))
    assert tables
    assert all(rows_of(file) == [] and file.read_text().strip() for file in tables)


def number(text: str) -> float | None:
    return float(text) if text else None
