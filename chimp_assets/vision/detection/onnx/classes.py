"""Which classes of a network are animals.

Belongs here: names that exporters wrote into a file, what the user asked for, what is taken where nobody said. Does not
belong here: scores (`onnx_detector`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chimp_assets.vision.detection.interface import DetectorError
from chimp_assets.vision.detection.onnx.decoding import Decoding
from chimp_assets.vision.models.onnx_file import UNREADABLE_TEXT

COCO_LIVING = {80: (0, *range(14, 24), 77), 91: (1, *range(16, 26), 88)}
"""person, bird to giraffe, teddy bear, by the number of classes (80 from 0; 91 with gaps). COCO has no apes: they come
out as people, bears, dogs, cats and teddy bears, so that all of these are one class here."""
_COCO_NAMES = {
    "person", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "teddy bear",
}  # fmt: skip
_NO_ANIMALS = {
    "person", "people", "human", "humans", "man", "woman", "pedestrian", "vehicle", "vehicles", "car", "truck", "bus",
    "van", "bicycle", "bike", "motorcycle", "motorbike", "boat", "background", "__background__", "blank", "empty",
    "nothing", "none", "n/a",
}  # fmt: skip
_MOST = 100_000
"""Classes that are believed; detectors have up to a few thousand."""
COCO, ALL = "coco", "all"


@dataclass(frozen=True)
class AnimalClasses:
    """Numbers of the classes that are animals, ascending, or None for all but a background; why: for people."""

    numbers: tuple[int, ...] | None
    why: str

    @property
    def text(self) -> str:
        """Numbers on one line: `0, 14-23, 77`, or `all`."""
        if self.numbers is None:
            return ALL
        parts: list[list[int]] = []
        for number in self.numbers:
            if parts and parts[-1][1] == number - 1:
                parts[-1][1] = number
            else:
                parts.append([number, number])
        return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def names_in(metadata: Mapping[str, str]) -> dict[int, str]:
    """The names of classes that an exporter wrote: a dictionary or list, as Ultralytics does; {} if there are none."""
    for key in ("names", "classes", "labels", "id2label", "class_names"):
        try:
            found = ast.literal_eval(metadata.get(key, ""))
            pairs = found.items() if isinstance(found, dict) else enumerate(found)
            names = {int(number): str(name)[:100] for number, name in pairs}
        except UNREADABLE_TEXT:
            continue
        if names and min(names) >= 0 and max(names) < _MOST:
            return names
    return {}


def animal_classes(
    asked: Sequence[str], names: Mapping[int, str], count: int | None, decoding: Decoding
) -> AnimalClasses:
    """Which classes are animals. asked: numbers, names, `coco` or `all`; names: of the file; count: of the outputs.

    Where nobody asked: of a network with COCO's classes those that live, of MegaDetector the animals, of others with
    names all but people and vehicles, of others all. Raises DetectorError for an unknown name or number.
    """
    if asked:
        return AnimalClasses(_asked(asked, names, count, decoding), "by detect.classes")
    known = {name.lower() for name in names.values()}
    if names and len(names) >= 80 and known >= _COCO_NAMES:
        return AnimalClasses(
            tuple(sorted(n for n, name in names.items() if name.lower() in _COCO_NAMES)), "what lives of COCO's classes"
        )
    if "animal" in known:
        return AnimalClasses(
            tuple(sorted(n for n, name in names.items() if name.lower() == "animal")), "the class called animal"
        )
    if names:
        left = tuple(sorted(n for n, name in names.items() if name.lower() not in _NO_ANIMALS))
        if not left:
            raise DetectorError(
                f"None of the classes of the network looks like an animal: {_listed(names)}.",
                "Name those that are in detect.classes.",
            )
        return AnimalClasses(left, "all named classes but people and vehicles")
    if count in COCO_LIVING:
        return AnimalClasses(COCO_LIVING[count], "what lives of COCO's classes")
    return AnimalClasses(None, "all classes: the file names none")


def _asked(
    asked: Sequence[str], names: Mapping[int, str], count: int | None, decoding: Decoding
) -> tuple[int, ...] | None:
    if ALL in asked:
        return None
    by_name = {name.lower(): number for number, name in names.items()}
    found: set[int] = set()
    for one in asked:
        if one.lower() in by_name:
            found.add(by_name[one.lower()])
        elif one.isdecimal() and len(one) < 7:
            found.add(int(one))
        elif one == COCO:
            found.update(COCO_LIVING[count if count in COCO_LIVING else decoding.coco])
        else:
            raise DetectorError(
                f"The network has no class {one!r}; it names {_listed(names)}.",
                "Write numbers or names of its classes, coco or all in detect.classes.",
            )
    if count is not None and max(found) >= count:
        raise DetectorError(
            f"detect.classes asks for class {max(found)}, and the network has {count}, numbered from 0.",
            "Write other numbers in detect.classes.",
        )
    return tuple(sorted(found))


def _listed(names: Mapping[int, str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(f"{number} {name}" for number, name in sorted(names.items())[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
