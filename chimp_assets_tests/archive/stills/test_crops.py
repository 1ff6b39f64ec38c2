"""Pictures cut to one animal: their folder is an individual and no camera, their files' dates say nothing."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.database import schema
from chimp_assets.home import Home, init_home
from chimp_assets_tests.archive.stills.photos import photo


def crops(home: Home, folder: Path, taken: dict[str, str | None]) -> Home:
    for name, when in taken.items():
        photo(folder / name, when)
    filmed = Home.open(home.settings.home, archive_url=str(folder), pictures={"crops": ["/"]})
    discover(filmed.database, filmed.archive, filmed.settings)
    return filmed


def rows_of(home: Home) -> dict[str, sa.Row]:
    video, split = schema.video.c, schema.split_assignment.c
    wanted = sa.select(
        video.uri, video.site, video.camera, video.recorded_on, video.recorded_at, video.recorded_at_source,
        split.day_key, split.split,
    ).join(schema.split_assignment, split.video_id == video.video_id)  # fmt: skip
    with home.database.read() as conn:
        return {row.uri: row for row in conn.execute(wanted)}


def test_a_folder_of_an_individual_is_no_camera_and_a_copied_file_has_no_day(tmp_path: Path) -> None:
    """By its folder, all that is known of an individual would teach or judge, and nothing could be learned of half."""
    names = [f"{who}/img-{number}-1.jpg" for who in ("Atra", "Fredy") for number in range(100, 200, 5)]
    filmed = crops(init_home(tmp_path / "home"), tmp_path / "faces", dict.fromkeys(names))
    rows = rows_of(filmed)
    assert len(rows) == len(names)
    assert {
        (row.site, row.camera, row.recorded_at, row.recorded_on, row.recorded_at_source) for row in rows.values()
    } == {(None, None, None, None, None)}
    for who in ("Atra", "Fredy"):
        splits = {row.split for uri, row in rows.items() if uri.startswith(who)}
        assert {"train", "test"} <= splits, who
    # Neighbours in a series look alike, so they stay together.
    assert rows["Atra/img-100-1.jpg"].day_key == rows["Atra/img-105-1.jpg"].day_key
    assert rows["Atra/img-105-1.jpg"].day_key != rows["Atra/img-110-1.jpg"].day_key
    assert rows["Atra/img-100-1.jpg"].day_key != rows["Fredy/img-100-1.jpg"].day_key
    discover(filmed.database, filmed.archive, filmed.settings)
    assert rows_of(filmed) == rows, "another listing believes the file's date no more than the first"
    filmed.database.dispose()


def test_a_crop_that_says_when_it_was_taken_has_that_day_whoever_is_in_it(tmp_path: Path) -> None:
    taken = {
        "Atra/a.jpg": "2023:05:06 07:08:09",
        "Fredy/b.jpg": "2023:05:06 09:10:11",
        "Fredy/c.jpg": "2023:05:09 09:10:11",
    }
    rows = rows_of(filmed := crops(init_home(tmp_path / "home"), tmp_path / "faces", dict(taken)))
    filmed.database.dispose()
    assert [str(rows[name].recorded_on) for name in taken] == ["2023-05-06", "2023-05-06", "2023-05-09"]
    assert {row.recorded_at_source for row in rows.values()} == {"exif"}
    assert rows["Atra/a.jpg"].day_key == rows["Fredy/b.jpg"].day_key != rows["Fredy/c.jpg"].day_key
