"""`python -m benchmarks.exchange.intake [SHARE]`: how long imports take, and in how much memory.

100,000 pictures of MegaDetector (300,000 boxes) matched with an archive of as many, and a study of 3,506 photos of 62
individuals as a table with boxes and days. Each in a home and a process of its own; seconds and peak memory are printed
beside the target, and beside the second import of the same file, which changes nothing. SHARE (default 1): of these
sizes. Belongs here: generating, measuring, printing. Does not belong here: imports.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.exchange.reading import write
from chimp_assets.exchange.imports.annotations import ReadOptions
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home, init_home

PICTURES, PHOTOS, INDIVIDUALS = 100_000, 3_506, 62
TARGETS = {"megadetector": (60.0, 400.0), "wildlife_datasets": (60.0, 400.0)}
_IN_BUNDLE = 200


def main(arguments: list[str]) -> int:
    """Prints a line for each import; or, told a format, a file and a home, imports it and prints what that took."""
    if len(arguments) == 3:
        print(json.dumps(_taken(*arguments)))
        return 0
    part = float(arguments[0]) if arguments else 1.0
    print(f"{'import':<20}{'media':>9}{'rows':>9}{'seconds':>9}{'again':>7}{'memory':>9}  target")
    met = True
    for name, (most_s, most_mb) in TARGETS.items():
        with tempfile.TemporaryDirectory() as folder:
            home, file = init_home(Path(folder) / "home"), Path(folder) / "annotations"
            uris = _megadetector(file, part) if name == "megadetector" else _study(file, part)
            fill(home, uris, decoded=name != "megadetector")
            home.database.dispose()
            first, again = (_measured(name, file, home.settings.home) for _ in range(2))
        met = met and first["s"] <= most_s * part and first["mb"] <= most_mb
        print(
            f"{name:<20}{first['media']:>9,.0f}{first['rows']:>9,.0f}{first['s']:>9.1f}{again['s']:>7.1f}"
            f"{first['mb']:>6.0f} MB  {most_s * part:g} s, {most_mb:.0f} MB"
        )
    print("All targets met." if met else "A target is missed.")
    return 0


def _megadetector(file: Path, part: float) -> list[str]:
    write("megadetector", file, part)
    return [f"archive/site{n % 37}/cam{n % 11}/IMG_{n:06d}.JPG" for n in range(int(PICTURES * part))]


def _study(file: Path, part: float) -> list[str]:
    dice = random.Random(0)
    uris = [f"photos/cam{n % 9}/{n:05d}.jpg" for n in range(int(PHOTOS * part))]
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "identity", "bbox", "date"])
        for uri in uris:
            day = f"2024-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
            writer.writerow([uri, f"Chimp {dice.randrange(INDIVIDUALS):02d}", "[10, 20, 200, 300]", day])
    return uris


def fill(home: Home, uris: list[str], decoded: bool) -> None:
    """An archive of pictures as rows, in bundles of 200."""
    from chimp_assets_tests.exchange.imports.pictures import add_pictures

    for number, start in enumerate(range(0, len(uris), _IN_BUNDLE), start=1):
        some = uris[start : start + _IN_BUNDLE]
        state = "tracked" if decoded else "registered"
        add_pictures(home.database, some, state=state, bundle_id=number, first=start + 1)


def _measured(name: str, file: Path, home: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.exchange.intake", name, str(file), str(home)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _taken(name: str, file: str, home: str) -> dict[str, float]:
    began, worked = time.monotonic(), time.process_time()
    report = take_in(Home.open(home), name, Path(file), ReadOptions(), Wishes(new_individuals=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    rows = report.rows.proposals + report.rows.new_tracks
    return {
        "media": report.media.matched, "rows": rows, "s": time.process_time() - worked,
        "wall": time.monotonic() - began, "mb": memory,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
