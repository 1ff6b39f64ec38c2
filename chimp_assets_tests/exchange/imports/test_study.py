"""A study with existing annotations goes from files to association indices without a line of SQL."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from chimp_assets.cli import app
from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets_tests.exchange.imports.pictures import add_pictures, everything

NAMES = [f"Chimp {number:02d}" for number in range(62)]
DAYS = [date(2024, 3, 1) + timedelta(days=number) for number in range(20)]


@pytest.fixture
def study(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))
    return home


def chimp(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def photos() -> Iterator[tuple[str, date, list[tuple[str, tuple[int, int, int, int]]]]]:
    """(path, day, who at which box) of 360 photos: families are seen together, others by chance."""
    dice = random.Random(62)
    for number in range(360):
        family = dice.randrange(31)
        there = {NAMES[2 * family]}
        if dice.random() < 0.6:
            there.add(NAMES[2 * family + 1])
        if dice.random() < 0.3:
            there.add(dice.choice(NAMES))
        boxes = [(who, (40 + 190 * place, 60, 150, 300)) for place, who in enumerate(sorted(there))]
        yield f"cam{number % 4}/IMG_{number:04d}.JPG", DAYS[dice.randrange(len(DAYS))], boxes


def indices(seen: dict[date, dict[str, set[str]]]) -> dict[tuple[str, str], tuple[float, float]]:
    """(simple ratio, half weight) of every pair ever together, counted here by hand from day: photo: who."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for photos_of_day in seen.values():
        present = set().union(*photos_of_day.values())
        met = {pair for who in photos_of_day.values() for pair in combinations(sorted(who), 2)}
        for pair in combinations(sorted(NAMES), 2):
            both = len(present & set(pair))
            if both == 2:
                counts[pair][0 if pair in met else 1] += 1
            elif both == 1:
                counts[pair][2] += 1
    return {
        pair: (x / (x + apart + alone), x / (x + apart + alone / 2)) for pair, (x, apart, alone) in counts.items() if x
    }


def test_a_table_with_boxes_names_and_days_becomes_association_indices(study: Home, tmp_path: Path) -> None:
    everywhere = list(photos())
    add_pictures(study.database, [f"archive/{path}" for path, _, _ in everywhere])
    file = tmp_path / "annotations.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "identity", "bbox", "date", "species"])
        for path, day, boxes in everywhere:
            for who, box in boxes:
                writer.writerow([f"D:\\study\\{path}".replace("/", "\\"), who, str(list(box)), day, "chimpanzee"])
    before = everything(study.database)
    dry = chimp("import", "wildlife_datasets", str(file), "--new-individuals", "--dry-run")
    assert "dry run" in dry
    assert everything(study.database) == before
    words = chimp("import", "wildlife_datasets", str(file), "--new-individuals")
    assert "new individuals" in words
    stored = everything(study.database)
    again = chimp("import", "wildlife_datasets", str(file), "--new-individuals")
    assert "taken in before" in again
    assert everything(study.database) == stored
    seen: dict[date, dict[str, set[str]]] = defaultdict(dict)
    for path, day, boxes in everywhere:
        seen[day][path] = {who for who, _ in boxes}
    wanted = indices(seen)
    chimp("query", "seen_with_whom", "--csv", str(tmp_path / "with.csv"))
    chimp("export", "association_network", str(tmp_path / "network.graphml"))
    found = edges(tmp_path / "network.graphml")
    assert found.keys() == wanted.keys()
    for pair, values in wanted.items():
        assert found[pair] == pytest.approx(values, abs=1e-6), pair
    with study.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.individual)) == 62
        assert set(conn.scalars(sa.select(t.annotation.c.lane))) == {"import"}


def test_crop_folders_name_pictures_whose_days_come_from_a_table(study: Home, tmp_path: Path) -> None:
    dice = random.Random(7)
    rows = [(who, f"{who}/{who.replace(' ', '_')}_{n}.jpg", dice.choice(DAYS)) for who in NAMES for n in range(4)]
    add_pictures(study.database, [f"faces/{path}" for _, path, _ in rows])
    for _, path, _ in rows:
        crop = tmp_path / "faces" / path
        crop.parent.mkdir(parents=True, exist_ok=True)
        crop.write_bytes(b"a crop")
    days = tmp_path / "days.csv"
    days.write_text("file;date\n" + "".join(f"{path};{day:%d.%m.%Y}\n" for _, path, day in rows if day.day > 12))
    with days.open("a") as stream:
        stream.writelines(f"{path};{day:%Y-%m-%d}\n" for _, path, day in rows if day.day <= 12)
    chimp("import", "csv", str(days))
    chimp("import", "crops", str(tmp_path / "faces"), "--new-individuals", "--as", "expert")
    with study.database.read() as conn:
        named = conn.execute(
            sa.text(
                "SELECT i.name, v.uri, v.recorded_on, v.recorded_at_source, k.n_detections, d.w, d.h"
                " FROM standing_answer s JOIN individual i ON i.individual_id = s.individual_id"
                " JOIN track k ON k.track_id = s.track_id JOIN video v ON v.video_id = k.video_id"
                " JOIN detection d ON d.track_id = k.track_id"
            )
        ).all()
    assert sorted(map(tuple, named)) == sorted(
        (who, f"faces/{path}", str(day), "user", 1, 1.0, 1.0) for who, path, day in rows
    )
    stored = everything(study.database)
    chimp("import", "crops", str(tmp_path / "faces"), "--new-individuals")
    chimp("import", "csv", str(days))
    assert everything(study.database) == stored


def edges(file: Path) -> dict[tuple[str, str], tuple[float, float]]:
    from xml.etree import ElementTree

    root = ElementTree.parse(file).getroot()
    names = {
        node.get("id"): next(one.text for one in node if one.get("key") == "node_name")
        for node in root.findall(".//{*}node")
    }
    found = {}
    for edge in root.findall(".//{*}edge"):
        values = {one.get("key"): float(one.text or 0) for one in edge if (one.get("key") or "").startswith("edge_w")}
        pair = tuple(sorted(names[edge.get(end)] or "" for end in ("source", "target")))
        found[pair[0], pair[1]] = (values["edge_weight_sri"], values["edge_weight_hwi"])
    return found
