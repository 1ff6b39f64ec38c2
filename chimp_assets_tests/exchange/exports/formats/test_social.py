"""asnipe, bisonR and STRAND are told what the views say, and indices from their files are those of the views."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.export import ExportError, ExportRequest, write_export
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.social import asnipe
from chimp_assets.exchange.exports.social.frames import group_frame, pair_frame
from chimp_assets.insight.association.errors import champion_errors
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

    def at_once(name: str) -> list[list[tuple[Any, ...]]]:
        views = (
            "SELECT anim_id_a, anim_id_b, x FROM v_dyad WHERE group_rule = 'moment' AND period_kind = 'all' AND x > 0",
            "SELECT anim_id_a, anim_id_b, unit FROM v_dyad_event WHERE group_rule = 'moment' AND together = 1",
        )
        days = rows_of(written(study, "bisonr", tmp_path / name, settings, rule="moment") / "days.csv")
        met = [(row["node_1_id"], row["node_2_id"], row["group_id"]) for row in days if row["event"] == "1"]
        return [*(sorted(tuple(row.values()) for row in asked(study, view)) for view in views), sorted(met)]

    as_filmed = at_once("filmed")
    assert as_filmed[1] == as_filmed[2] != []
    with study.write() as conn:
        conn.execute(sa.text("UPDATE video SET frame_s = 0"))
    assert at_once("without length") == as_filmed
    with study.write() as conn:
        conn.execute(sa.text("UPDATE video SET frame_s = NULL, duration_s = NULL"))
    assert at_once("nothing known") == as_filmed


def test_a_video_or_some_minutes_may_be_the_unit(study: Database, settings: Settings, tmp_path: Path) -> None:
    """Whoever counts clips as units must get them from here, not from a sum of days."""
    sightings = asked(study, "SELECT s.anim_id, s.video_id, v.unix_s FROM v_sighting AS s"
                             " INNER JOIN v_video_day AS v ON v.video_id = s.video_id"
                             " INNER JOIN v_individual_day AS i ON i.individual_id = s.individual_id"
                             " AND v.day_no BETWEEN i.from_day_no AND i.until_day_no")  # fmt: skip
    for text, unit in (("video", lambda row: str(row["video_id"])), ("7", lambda row: int(row["unix_s"]) // 420)):
        seen: dict[str, set[object]] = defaultdict(set)
        films: dict[str, set[int]] = defaultdict(set)
        for row in sightings:
            seen[row["anim_id"]].add(unit(row))
            films[row["anim_id"]].add(row["video_id"])
        of_video = {row["video_id"]: unit(row) for row in sightings}
        folder = written(study, "bisonr", tmp_path / f"b{text}", settings, unit=text)
        assert not (folder / "days.csv").exists()
        units = {(row["node_1_id"], row["node_2_id"], row["group_id"]) for row in rows_of(folder / "units.csv")}
        assert len(units) == len(rows_of(folder / "units.csv"))
        sums = {(row["node_1_id"], row["node_2_id"]): row for row in rows_of(folder / "sums.csv")}
        for a, b in sums:
            assert int(sums[a, b]["event"]) == len({of_video[v] for v in films[a] & films[b]})
            if text == "video" and all(life in ("FF", "FD", "G1") for life in (a, b)):  # there from first to last
                assert int(sums[a, b]["duration"]) == len(seen[a] | seen[b])
        ties = {
            (row["from"], row["to"]): row
            for row in rows_of(written(study, "strand", tmp_path / f"s{text}", settings, unit=text) / "ties.csv")
        }
        assert all(ties[pair]["outcome"] == row["event"] for pair, row in sums.items() if pair in ties)
    folder = written(study, "asnipe", tmp_path / "a", settings, rule="minutes", minutes="7")
    groups = {row["group_id"]: row for row in rows_of(folder / "groups.csv")}
    windows = {(row["location"], int(float(row["time"])) // 420) for row in groups.values()}
    assert len(windows) == len(groups) > 5
    with study.write() as conn:
        conn.execute(sa.text("UPDATE video SET recorded_at = NULL"))
    of_animals = "SELECT DISTINCT video_id FROM v_track_identity WHERE status NOT IN ('not_animal', 'bad_box')"
    for name, option in (("asnipe", {"rule": "minutes"}), ("bisonr", {"unit": "7"})):
        folder = written(study, name, tmp_path / f"timeless {name}", settings, **option)
        about = json.loads((folder / "about.json").read_text())
        assert about["counts"]["videos_without_time"] == len(asked(study, of_animals))
    for wrong in ({"unit": "0"}, {"unit": "week"}, {"unit": "10", "rule": "day"}):
        with pytest.raises(ExportError, match="unit"):
            written(study, "bisonr", tmp_path / "wrong", settings, **wrong)
    with pytest.raises(ExportError, match="minutes"):
        written(study, "asnipe", tmp_path / "wrong", settings, rule="minutes", minutes="day")


def test_how_often_names_err_lies_beside_and_the_readme_takes_it_out(
    study: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of names that err is biased: the matrix of the audit must come with it, in a form that programs use."""
    counted = asked(study, "SELECT true_id, predicted_id FROM v_audit_answer WHERE true_id IS NOT NULL")
    for name, table in (("asnipe", "both"), ("bisonr", "X"), ("strand", "X")):
        folder = written(study, name, tmp_path / name, settings)
        answers = rows_of(folder / "audit_answers.csv")
        assert sum(int(row["n"]) for row in answers) == len(counted) > 0
        assert sum(int(row["n"]) for row in answers if row["true"] == row["named"]) == sum(
            row["true_id"] == row["predicted_id"] for row in counted
        )
        matrix = rows_of(folder / "misclassification.csv")
        assert [column for column in matrix[0]][1:-1] == [row["true"] for row in matrix]
        for row in matrix:
            assert sum(float(value) for key, value in row.items() if key != "true") >= 1 - 1e-6
        monkeypatch.chdir(folder)
        said: dict[str, Any] = {}
        for block in re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL):
            exec(block, said)
        observed = said[table]
        m = said["M"].loc[observed.index, observed.index].to_numpy()
        again = m.T @ said["correct"](observed).to_numpy() @ m
        assert again == pytest.approx(observed.to_numpy(), abs=1e-9)
    assert all(0 <= float(row["expected_outcome"]) <= float(row["outcome"]) for row in rows_of(folder / "ties.csv"))


def test_frames_of_pandas_hold_what_the_files_hold(study: Database, settings: Settings, tmp_path: Path) -> None:
    """Whoever works in Python needs no files in between."""
    folder = written(study, "bisonr", tmp_path / "b", settings, rule="day")
    with study.read() as conn:
        frame = pair_frame(conn, EVERY_NAME, "day")
        members = group_frame(conn, EVERY_NAME, "minutes", minutes=7)
    days = rows_of(folder / "days.csv")
    assert len(frame) == len(days)
    assert frame["together"].sum() == sum(int(row["event"]) for row in days)
    assert frame["p_joint"].sum() == pytest.approx(sum(float(row["p_joint"] or 0) for row in days), abs=1e-3)
    wide = rows_of(written(study, "asnipe", tmp_path / "a", settings, rule="minutes", minutes="7") / "memberships.csv")
    assert sorted(zip(members["group_id"], members["anim_id"], strict=True)) == sorted(
        (int(row["group_id"]), row["anim_id"]) for row in wide
    )


def test_the_matrix_is_the_one_that_pages_take_errors_out_with(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    """Two definitions of one matrix would make two corrected networks of one archive."""
    for least in (0.0, 0.75):
        request = ExportRequest(study, settings, selection=Selection(min_probability=least))
        write_export(export("strand"), request, tmp_path / str(least))
        matrix = rows_of(tmp_path / str(least) / "misclassification.csv")
        with study.read() as conn:
            errors = champion_errors(conn, least)
            found = conn.execute(sa.text("SELECT anim_id, individual_id FROM individual"))
            key = {row.anim_id: row.individual_id for row in found}
        assert errors.n_answers > 0
        names = errors.of([key[row["true"]] for row in matrix])
        assert names.n == len(matrix), "everybody of the answers has a row"
        wanted = names.matrix(names.strength())
        told = np.array([[float(row[other["true"]]) for other in matrix] for row in matrix])
        assert np.allclose(told, wanted, atol=1e-7)


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
    (note,) = json.loads((folder / "about.json").read_text())["notes"]
    assert "No audit track is answered" in note


def number(text: str) -> float | None:
    return float(text) if text else None
