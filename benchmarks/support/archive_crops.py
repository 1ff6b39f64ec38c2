"""The tracks of a generated archive as crops with names, for a replay: `-m benchmarks.support.archive_crops FOLDER`.

Films an archive, decodes and tracks it as the product does, asks the truth who each live track shows, and writes one
crop of each (that in the middle of its best) and FOLDER/crops.csv in the format of `benchmarks.identity` (session: the
video; frames: boxes of the track). So the tracks are those that a tracker makes, pieces, odd boxes and all; what shows
no animal or two of them is left out and counted, since a replay has no answer for it. An archive that is there is not
filmed again.

Does not belong here: what is measured with them (`label_efficiency`, `identity`).
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections import Counter
from pathlib import Path

import cv2
import sqlalchemy as sa

from benchmarks.support.archives import decoded
from benchmarks.support.crops import CropsError
from benchmarks.support.harness import cores
from chimp_assets.errors import ChimpError


def write_crops(folder: Path, clips: int, individuals: int, days: int, seed: int, faces: Path | None) -> Counter[str]:
    """Counts tracks by what they show: identify, not_animal, cannot_tell. The crops of the first are in crops.csv.

    Raises CropsError for a folder with other things in it, DemoArchiveError for an archive that cannot be made.
    """
    from chimp_assets.database import schema
    from chimp_assets.demo.archive import make_archive
    from chimp_assets.demo.expert import SimulatedExpert
    from chimp_assets.vision.pictures.crops import read_crops
    from chimp_assets.vision.tracking.bundle import track_bundle

    if not (folder / "truth.json").is_file():
        # An archive without its truth is one whose filming was interrupted: it is filmed again.
        if folder.is_dir() and {entry.name for entry in folder.iterdir()} - {"archive"}:
            raise CropsError(f"{folder} holds other things, and homes and crops are replaced: name a new folder.")
        make_archive(
            folder / "archive", folder / "truth.json", seed=seed, individuals=individuals, cameras=4, days=days,
            clips=clips, faces=faces, workers=cores(),
        )  # fmt: skip
    shutil.rmtree(folder / "home", ignore_errors=True)
    shutil.rmtree(folder / "crops", ignore_errors=True)
    home, truth = decoded(folder)
    with home.database.read() as conn:
        bundles = list(conn.scalars(sa.select(schema.bundle.c.bundle_key).order_by(schema.bundle.c.bundle_id)))
        videos = {row.video_id: row.uri for row in conn.execute(sa.select(schema.video.c.video_id, schema.video.c.uri))}
    for key in bundles:
        track_bundle(home.database, home.store, key, home.settings)
    with home.database.read() as conn:
        boxes = {
            row.track_id: row.n_detections
            for row in conn.execute(sa.select(schema.track.c.track_id, schema.track.c.n_detections))
        }
    expert = SimulatedExpert(home.database, truth, seed=1)
    counts: Counter[str] = Counter()
    rows = []
    side, best = home.settings.embed.crop_side, home.settings.embed.crops_per_track
    for video_id in sorted(videos):
        tracks = list(read_crops(home.database, home.store, video_id, best, side))
        really = expert.really([one.track_id for one in tracks])
        for one in tracks:
            shows = really[one.track_id]
            counts[shows.kind] += 1
            if shows.kind != "identify" or shows.anim_id is None:
                continue
            file = Path("crops") / shows.anim_id / f"{one.track_id}.png"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / file), one.crops[len(one.crops) // 2][..., ::-1])
            rows.append((file.as_posix(), shows.anim_id, videos[video_id], one.track_id, boxes[one.track_id]))
    with (folder / "crops.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("path", "individual", "session", "photo", "frames"))
        writer.writerows(rows)
    return counts


def main(arguments: list[str] | None = None) -> int:
    """The entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.support.archive_crops", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--individuals", type=int, default=30)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--faces", type=Path, help="a folder with one folder of pictures for each individual")
    given = parser.parse_args(arguments)
    try:
        counts = write_crops(given.folder, given.clips, given.individuals, given.days, given.seed, given.faces)
    except (ChimpError, CropsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    said = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    sys.stdout.write(f"{given.folder / 'crops.csv'}: tracks by what they show: {said}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
