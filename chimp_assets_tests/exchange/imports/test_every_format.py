"""The same two animals of a film in every format of tracks, each through the whole command into a home of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.exchange.imports.annotations import ReadOptions
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets_tests.exchange.imports.films import HEIGHT, SIDE, WIDTH, film, place_of, uneven, with_archive
from chimp_assets_tests.support.homes import copied

MOMENTS = uneven(90, 5)
NAME = "pool/clip.mp4"
TRACKS = {3: ("Fifi", 0), 12: ("Fred", 1)}


def boxes() -> list[tuple[int, int, int, int]]:
    """(track, number of the picture, left, top): the second animal is where the square stands one picture later."""
    return [(track, number, *place_of(number + later)) for track, (_, later) in TRACKS.items() for number in range(90)]


def coco(file: Path) -> None:
    images = [{"id": n + 1, "video_id": 1, "frame_index": n, "file_name": f"{n}.png"} for n in range(90)]
    found = [
        {"id": n, "image_id": number + 1, "category_id": 1, "track_id": track, "bbox": [x, y, SIDE, SIDE],
         "attributes": {"individual": TRACKS[track][0]}}
        for n, (track, number, x, y) in enumerate(boxes())
    ]  # fmt: skip
    videos = [{"id": 1, "name": NAME, "width": WIDTH, "height": HEIGHT}]
    categories = [{"id": 1, "name": "chimpanzee"}]
    file.write_text(json.dumps({"videos": videos, "images": images, "annotations": found, "categories": categories}))


def cvat(file: Path) -> None:
    parts = [
        f"<annotations><version>1.1</version><meta><task><id>1</id><size>90</size><start_frame>0</start_frame>"
        f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size><source>{NAME}</source>"
        "</task></meta>"
    ]
    for track, (name, _) in TRACKS.items():
        parts.append(f'<track id="{track}" label="chimp">')
        parts += [
            f'<box frame="{number}" outside="0" occluded="0" keyframe="1" xtl="{x}" ytl="{y}" xbr="{x + SIDE}"'
            f' ybr="{y + SIDE}"><attribute name="individual">{name}</attribute></box>'
            for of, number, x, y in boxes()
            if of == track
        ]
        parts.append("</track>")
    file.write_text("".join([*parts, "</annotations>"]))


def viame(file: Path) -> None:
    lines = [
        "# 1: Detection or Track-id,2: Video or Image Identifier,3: Unique Frame Identifier,4-7: Img-bbox(TL_x,TL_y,"
        "BR_x,BR_y),8: Detection or Length Confidence,9: Target Length (0 or -1 if invalid),10-11+: Repeated Species"
    ]
    lines += [
        f"{track},{NAME},{number},{x},{y},{x + SIDE},{y + SIDE},1,-1,chimp,1,(trk-atr) individual {TRACKS[track][0]}"
        for track, number, x, y in boxes()
    ]
    file.write_text("\n".join(lines))


def mot(file: Path) -> None:
    file.write_text("".join(f"{number + 1},{track},{x},{y},{SIDE},{SIDE},1,1,1\n" for track, number, x, y in boxes()))


def table(file: Path) -> None:
    rows = [f"{NAME},{number},{track},{TRACKS[track][0]},{x},{y},{SIDE},{SIDE}" for track, number, x, y in boxes()]
    file.write_text("\n".join(["file,frame,track,individual,x,y,w,h", *rows]))


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "coco": ("a.json", coco), "cvat": ("annotations.xml", cvat), "viame": ("a.csv", viame),
    "mot": ("gt.txt", mot), "csv": ("a.csv", table),
}  # fmt: skip


@pytest.fixture(scope="module")
def filmed(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filmed")
    film(folder / "archive" / NAME, MOMENTS)
    home = with_archive(copied(empty_home, folder / "home"), folder / "archive")
    home.database.dispose()
    return home.settings.home


@pytest.mark.parametrize("name", FORMATS)
def test_tracks_come_out_as_they_were_drawn(filmed: Path, tmp_path: Path, name: str) -> None:
    home = copied(filmed, tmp_path / "home")
    file_name, write = FORMATS[name]
    file = tmp_path / file_name
    write(file)
    report = take_in(home, name, file, ReadOptions(video=NAME), Wishes(new_individuals=True))
    assert (report.media.matched, report.rows.new_tracks, report.rows.unplaced.n) == (1, 2, 0), report
    f, d = t.frame.c, t.detection.c
    with home.database.read() as conn:
        times = dict(conn.execute(sa.select(f.frame_no, f.time_s)).all())
        sources = dict(conn.execute(sa.select(t.imported_track.c.track_id, t.imported_track.c.source_id)).all())
        found = conn.execute(sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h)).all()
        named = {row.track_id: row.name for row in conn.execute(_named())}
    assert len(found) == 2 * len(times)
    for track_id, frame_no, *sides in found:
        track = int(sources[track_id])
        number = min(range(90), key=lambda n: abs(MOMENTS[n] - times[frame_no]))
        x, y = place_of(number + TRACKS[track][1])
        wanted = [x / WIDTH, y / HEIGHT, SIDE / WIDTH, SIDE / HEIGHT]
        assert sides == pytest.approx(wanted, abs=0.5 / WIDTH), (name, frame_no)
    if name != "mot":  # which has no names
        assert {sources[track]: who for track, who in named.items()} == {"3": "Fifi", "12": "Fred"}


def _named() -> sa.Select[tuple[int, str]]:
    s, i = t.standing_answer, t.individual
    return sa.select(s.c.track_id, i.c.name).join_from(s, i, i.c.individual_id == s.c.individual_id)


def test_a_file_of_megadetector_stands_for_detecting_in_a_film(filmed: Path, tmp_path: Path) -> None:
    """frame_number counts pictures: of a film of variable rate their times are those of the pictures."""
    from chimp_assets.vision.detection.imported import imported_detector

    home = copied(filmed, tmp_path / "home")
    found = [
        {"category": "1", "conf": 0.9, "frame_number": number,
         "bbox": [x / WIDTH, y / HEIGHT, SIDE / WIDTH, SIDE / HEIGHT]}
        for track, number, x, y in boxes() if track == 3
    ]  # fmt: skip
    file = tmp_path / "md.json"
    entry = {"file": f"D:\\all\\{NAME}".replace("/", "\\"), "frame_rate": 16.0, "detections": found}
    categories = {"1": "animal", "2": "person"}
    file.write_text(
        json.dumps({"images": [entry], "detection_categories": categories, "info": {"format_version": "1.5"}})
    )
    report = take_in(home, "megadetector", file, ReadOptions(), Wishes())
    assert (report.rows.proposals, report.by_pictures) == (90, 1)
    stand_in = imported_detector(home.database, home.store, 1)
    assert stand_in is not None
    given = stand_in[0].proposals
    assert given.sampled.tolist() == list(range(len(given.frame_nos))), "a box on every stored picture"
    for place, box in zip(given.picture, given.boxes, strict=True):
        number = min(range(90), key=lambda n: abs(MOMENTS[n] - given.times[place]))
        x, y = place_of(number)
        assert box[:2].tolist() == pytest.approx([x / WIDTH, y / HEIGHT], abs=1e-4)
