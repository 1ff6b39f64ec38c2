"""`chimp detector`: networks that find animals. Does not belong here: `vision.detection`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, answer, opened

app = typer.Typer(no_args_is_help=True, help="Detectors: try a network on a picture or video.")


@app.callback()
def _group() -> None:
    """A group, even while it has one command."""


@app.command("try")
def try_(
    network: Annotated[Path, typer.Argument(help="The .onnx file of the network.")],
    media: Annotated[Path, typer.Argument(help="A picture or video with animals.")],
    out: Annotated[Path, typer.Option(help="Write the picture with the boxes to this .jpg file.")] = Path(
        "detector_try.jpg"
    ),
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Look at so many kept pictures of a video.")] = 20,
    decoding: Annotated[str | None, typer.Option(help="In place of the setting detect.decoding.")] = None,
    classes: Annotated[str | None, typer.Option(help="In place of detect.classes, with commas between.")] = None,
    json: Json = False,
) -> None:
    """Try a network as the settings of this home would use it, and show what it finds."""
    from chimp_assets.database.files.whole_file import write_whole
    from chimp_assets.vision.detection.interface import DetectorError
    from chimp_assets.vision.detection.onnx.onnx_detector import onnx_detector_of
    from chimp_assets.vision.detection.onnx.trial import as_jpeg, pictures_of, tried

    settings = opened().settings
    changed: dict[str, object] = {"detector": "onnx", "weights": str(network)}
    if decoding is not None:
        changed["decoding"] = decoding
    if classes is not None:
        changed["classes"] = tuple(one.strip() for one in classes.split(",") if one.strip())
    settings = settings.model_copy(update={"detect": settings.detect.model_copy(update=changed)})
    detector = onnx_detector_of(settings)
    pictures = list(pictures_of(media, settings.decode, frames))
    if not pictures:
        raise DetectorError(f"{media} has no picture.", "Name another picture or video.")
    found = tried(detector, pictures, settings.detect.min_score)
    facts = {**detector.about, "sha256": detector.config["weights_sha256"]}
    numbers = {"pictures": found.pictures, "boxes": found.boxes, "weak": found.weak, "ms": round(found.ms, 1)}
    write_whole(out, lambda stream: stream.write(as_jpeg(found.picture)))
    answer(
        json,
        {**facts, **numbers, "time_s": found.time_s, "best": found.best.round(4).tolist(), "out": str(out)},
        *(f"{name}: {value}" for name, value in facts.items()),
        f"{found.boxes} boxes of {settings.detect.min_score:g} or more in {found.pictures} pictures"
        f" ({found.weak} weaker), {found.ms:.0f} ms a picture.",
        f"The picture with most of them (at {found.time_s:.1f} s) is {out}.",
    )
