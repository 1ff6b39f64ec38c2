"""Makes an archive of real H.264 video with known truth: `python -m chimp_assets.demo.archive FOLDER --truth FILE`.

Belongs here: filming the planned clips, encoding, the two bad files, the layout on disk, writing the truth.
Does not belong here: looks, places and routes (`faces`, `bodies`, `scene`, `casting`).

Layout: <site>/<camera>/<YYYY-MM-DD>/<camera>_<YYYYMMDD>_<HHMMSS>.mp4, times in UTC. Every second file says its time in
the container too. The same arguments give the same bytes on the same build of the encoder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np

from chimp_assets.demo.bodies import Figure
from chimp_assets.demo.casting import CastMember, ClipPlan, cast, plan_clips, routes
from chimp_assets.demo.faces import photo_face
from chimp_assets.demo.scene import CameraView, Layer, Visibility, weather_of
from chimp_assets.demo.truth import ArchiveTruth, TrueAnimal, TrueIndividual, TrueVideo
from chimp_assets.errors import ChimpError

__all__ = ["ArchiveTruth", "DemoArchiveError", "TrueAnimal", "TrueIndividual", "TrueVideo", "make_archive"]

WIDTH, HEIGHT = 640, 360
TURNED_DAYS = 2
MIN_VISIBLE = 0.12
"""Visible share below which an animal is not in the truth of a picture."""

Progress = Callable[[str, int, int], None]


class DemoArchiveError(ChimpError):
    """The archive cannot be made with these arguments."""


@dataclass(frozen=True)
class _Job:
    plan: ClipPlan
    seed: int
    cast_size: int
    photos: dict[str, list[Path]]
    file: Path
    damage: str


def make_archive(
    folder: Path,
    truth_file: Path,
    seed: int = 20,
    individuals: int = 10,
    cameras: int = 3,
    days: int = 4,
    clips: int = 48,
    seconds: float = 6,
    faces: Path | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    crowd: int | None = None,
    turned: float = 0.0,
) -> ArchiveTruth:
    """Films `clips` good files, one damaged file and one that is no video, and writes the truth.

    faces: a folder with one folder of pictures for each individual; visitors then wear photographs.
    progress: called with (what, done, total). workers: processes, default one for each core.
    crowd: this many animals in every clip, drawn from the whole cast at random, instead of the planned groups.
    turned: share of the picture's width by which somebody turns the first camera before its last TURNED_DAYS, of two
    days before the second.
    Existing files are replaced. Raises DemoArchiveError.
    """
    if truth_file.resolve().is_relative_to(folder.resolve()):
        raise DemoArchiveError(
            f"The truth file {truth_file} lies inside the archive {folder}.",
            "Choose a place outside: nothing that reads the archive may see the truth.",
        )
    if min(cameras, days, clips) < 1 or seconds < 2:
        raise DemoArchiveError(
            "An archive needs at least one camera, one day and one clip of two seconds.", "Raise these numbers."
        )
    photos = _photos(faces, individuals)
    try:
        members = cast(seed, individuals)
    except ValueError as error:
        raise DemoArchiveError(f"The cast cannot be made: {error}.", "Choose 3 to 200 individuals.") from None
    members = _named_after(members, photos)
    by_id = {member.who.anim_id: files for member, files in zip(members, photos.values(), strict=False)}
    # One clip more than asked for: it is damaged after it was filmed.
    plans = plan_clips(seed, members, cameras, days, clips + 1, seconds)
    if crowd is not None:
        everyone, rng = [member.who.anim_id for member in members], np.random.default_rng([seed, 80])
        plans = [replace(plan, visitors=tuple(rng.permutation(everyone)[:crowd].tolist())) for plan in plans]
    first_turned = max(1, days - TURNED_DAYS)
    plans = [replace(p, turned=turned if p.camera_no == 0 and p.day_no >= first_turned else 0.0) for p in plans]
    jobs = [_Job(p, seed, individuals, by_id, folder / p.uri, "") for p in plans[:-1]]
    jobs.append(_Job(plans[-1], seed, individuals, by_id, folder / plans[-1].uri, "corrupt middle, cut off at the end"))

    videos = _film_all(jobs, workers or os.cpu_count() or 1, progress or (lambda what, done, total: None))
    videos.append(_field_notes(folder, plans[0]))
    truth = ArchiveTruth(seed, [m.who for m in members], sorted(videos, key=lambda video: video.uri))
    truth.save(truth_file)
    return truth


def _photos(faces: Path | None, individuals: int) -> dict[str, list[Path]]:
    if faces is None:
        return {}
    if not faces.is_dir():
        raise DemoArchiveError(
            f"The folder of faces {faces} does not exist.", "Name a folder that holds one folder for each individual."
        )
    found = {
        folder.name: sorted(f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for folder in sorted(faces.iterdir())
        if folder.is_dir()
    }
    found = {name: files for name, files in found.items() if files}
    if len(found) < individuals:
        raise DemoArchiveError(
            f"{faces} holds pictures of {len(found)} individuals, but {individuals} are needed.",
            "Add folders, or choose fewer individuals.",
        )
    return dict(list(found.items())[:individuals])


def _named_after(members: list[CastMember], photos: dict[str, list[Path]]) -> list[CastMember]:
    """With photographs of real animals the invented names and families would be wrong: only the folder names stay."""
    if not photos:
        return members
    return [
        replace(m, who=replace(m.who, anim_id=name.upper()[:40], name=name, sex="U", mom=None))
        for m, name in zip(members, photos, strict=True)
    ]


def _film_all(jobs: list[_Job], workers: int, progress: Progress) -> list[TrueVideo]:
    if workers == 1 or len(jobs) <= 2:
        videos = []
        for done, job in enumerate(jobs):
            videos.append(_film(job))
            progress("clips", done + 1, len(jobs))
        return videos
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_film, job) for job in jobs]
        for done, _ in enumerate(as_completed(futures)):
            progress("clips", done + 1, len(jobs))
        return [future.result() for future in futures]


def _film(job: _Job) -> TrueVideo:
    """Films one clip into its file and returns its truth. Runs in a process of its own."""
    cv2.setNumThreads(1)
    plan = job.plan
    members = {m.who.anim_id: m for m in _named_after(cast(job.seed, job.cast_size), job.photos)}
    rng = np.random.default_rng([job.seed, 79, plan.index])
    figures = [_figure(members[anim_id], job.photos.get(anim_id), rng) for anim_id in plan.visitors]
    animals: list[TrueAnimal] = [TrueAnimal(anim_id, [], [], []) for anim_id in plan.visitors]

    def pictures() -> Iterator[np.ndarray]:
        for index, (picture, seen) in enumerate(_shots(job, figures, rng)):
            for animal, what in zip(animals, seen, strict=True):
                _note(animal, index / plan.fps, what)
            yield picture

    job.file.parent.mkdir(parents=True, exist_ok=True)
    partial = job.file.with_suffix(".partial")
    _encode(partial, pictures(), plan)
    if job.damage:
        _damage(partial, rng)
    partial.replace(job.file)
    return TrueVideo(
        uri=plan.uri,
        site=plan.site,
        camera=plan.camera,
        recorded_at=plan.recorded_at.isoformat(),
        width=WIDTH,
        height=HEIGHT,
        fps=plan.fps,
        seconds=round(plan.seconds * plan.fps) / plan.fps,
        damage=job.damage,
        animals=[animal for animal in animals if animal.times_s],
        turned=plan.turned,
    )


def _figure(member: CastMember, photos: list[Path] | None, rng: np.random.Generator) -> Figure:
    if not photos:
        return Figure(member.look)
    return Figure(member.look, photo_face(photos[int(rng.integers(len(photos)))]))


def _shots(job: _Job, figures: list[Figure], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, list[Visibility]]]:
    plan = job.plan
    view = CameraView(
        WIDTH,
        HEIGHT,
        job.seed * 1000 + plan.camera_no,
        plan.day_no,
        job.seed * 100_000 + plan.index,
        round(plan.turned * WIDTH),
    )
    hour = plan.recorded_at.hour + plan.recorded_at.minute / 60
    weather = weather_of(rng, hour, plan.seconds, plan.handheld)
    paths = routes(rng, plan, [figure.look for figure in figures], WIDTH, HEIGHT)
    for index in range(round(plan.seconds * plan.fps)):
        layers = []
        for figure, route in zip(figures, paths, strict=True):
            picture, foot = figure.draw(route.poses[index])
            x, y = route.feet[index]
            layers.append(Layer(picture, round(x - foot[0]), round(y - foot[1]), float(y)))
        yield view.frame(index / plan.fps, index, weather, layers)


def _note(animal: TrueAnimal, time_s: float, seen: Visibility) -> None:
    if seen.box is None or seen.visible < MIN_VISIBLE:
        return
    x, y, w, h = seen.box
    animal.times_s.append(round(time_s, 4))
    animal.boxes.append((round(x / WIDTH, 4), round(y / HEIGHT, 4), round(w / WIDTH, 4), round(h / HEIGHT, 4)))
    animal.visible.append(round(seen.visible, 3))


def _encode(file: Path, pictures: Iterator[np.ndarray], plan: ClipPlan) -> None:
    """H.264 with two B-frames and the index in front, so that a truncated file still plays from the start."""
    with av.open(str(file), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        if plan.tells_time:
            container.metadata["creation_time"] = plan.recorded_at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        stream = container.add_stream("libx264", rate=plan.fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": "23", "bf": "2", "g": str(2 * plan.fps)}
        for picture in pictures:
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))


def _damage(file: Path, rng: np.random.Generator) -> None:
    """A disk error in the middle and an interrupted copy: 6 % of the bytes are noise, the last 20 % are missing."""
    content = bytearray(file.read_bytes())
    start, length = int(0.5 * len(content)), int(0.06 * len(content))
    content[start : start + length] = rng.bytes(length)
    file.write_bytes(content[: int(0.8 * len(content))])


def _field_notes(folder: Path, beside: ClipPlan) -> TrueVideo:
    uri = str(Path(beside.uri).parent / "field_notes.mp4")
    (folder / uri).parent.mkdir(parents=True, exist_ok=True)
    (folder / uri).write_text("Morning: mist, camera cleaned. Somebody gave this text the name of a video.\n")
    at = beside.recorded_at.isoformat()
    return TrueVideo(uri, beside.site, beside.camera, at, 0, 0, 0.0, 0.0, damage="a text file with a video's name")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(prog="python -m chimp_assets.demo.archive", description=main.__doc__)
    parser.description = "Makes a demo archive of real video files and, outside it, a file with the truth."
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truth", type=Path, required=True, help="file for the truth, outside the archive")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--individuals", type=int, default=10)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--faces", type=Path, help="folder with one folder of face photographs for each individual")
    options = vars(parser.parse_args(arguments))
    options["truth_file"] = options.pop("truth")
    try:
        truth = make_archive(**options)
    except ChimpError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{len(truth.videos)} files with {len(truth.individuals)} individuals\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
