"""What really is in a generated archive: who, where and when. Only the simulated expert and tests read it.

Belongs here: the records of the truth and their JSON form. Does not belong here: how the archive is made (`archive`),
and anything that the model side could read: the file lies outside the archive.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chimp_assets.errors import ChimpError

FORMAT = "chimp-assets archive truth 1"


class TruthError(ChimpError):
    """A truth file is missing or was not written by this module."""


@dataclass(frozen=True)
class TrueIndividual:
    """One animal of the cast. Dates are ISO text; mom is the mother's anim_id."""

    anim_id: str
    name: str
    sex: str
    birth_date: str
    mom: str | None = None
    newcomer: bool = False
    """Appears on the last day only and is in nobody's list of individuals beforehand."""


@dataclass(frozen=True)
class TrueAnimal:
    """One animal's stay in one video.

    times_s: seconds since the first picture, ascending, one for each picture in which it can be seen.
    boxes: (x, y, w, h) of the whole animal, clipped to the picture, as fractions of the picture.
    visible: share of the animal that nothing hides and that lies inside the picture, 0 to 1.
    """

    anim_id: str
    times_s: list[float]
    boxes: list[tuple[float, float, float, float]]
    visible: list[float]


@dataclass(frozen=True)
class TrueVideo:
    """One file. uri: path inside the archive with forward slashes; recorded_at: ISO text in UTC."""

    uri: str
    site: str
    camera: str
    recorded_at: str
    width: int
    height: int
    fps: float
    seconds: float
    damage: str = ""
    """Empty, or what is wrong with the file, in words."""
    animals: list[TrueAnimal] = field(default_factory=list)
    turned: float = 0.0
    """Share of the picture's width by which the camera was turned before; 0: as on the first day."""


@dataclass(frozen=True)
class ArchiveTruth:
    """The whole archive: its seed, its cast and its files."""

    seed: int
    individuals: list[TrueIndividual]
    videos: list[TrueVideo]

    def video(self, uri: str) -> TrueVideo | None:
        """The file at a path inside the archive, or None."""
        return next((video for video in self.videos if video.uri == uri), None)

    def individual_rows(self, newcomers: bool = False) -> list[dict[str, Any]]:
        """The cast as rows for `database.individuals.upsert_individuals` (mom_id is an anim_id).

        Without newcomers: what a research group knows before the archive is looked at.
        """
        return [
            {"anim_id": i.anim_id, "name": i.name, "sex": i.sex, "birth_date": i.birth_date, "mom_id": i.mom}
            for i in self.individuals
            if newcomers or not i.newcomer
        ]

    def save(self, file: Path) -> None:
        """Writes the JSON form; the same truth gives the same bytes."""
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=None, separators=(",", ":"), sort_keys=True)
        file.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> ArchiveTruth:
        """Reads what `save` wrote. Raises TruthError."""
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TruthError(
                f"The truth file {file} does not exist.", "Make the archive again: python -m chimp_assets.demo.archive."
            ) from None
        except ValueError as error:
            raise TruthError(f"The truth file {file} is not JSON: {error}.", "Make the archive again.") from None
        if not isinstance(tree, dict) or tree.get("format") != FORMAT:
            raise TruthError(f"{file} is not a truth file of this version ({FORMAT}).", "Make the archive again.")
        return cls(
            seed=tree["seed"],
            individuals=[TrueIndividual(**row) for row in tree["individuals"]],
            videos=[_video(row) for row in tree["videos"]],
        )


def _video(row: dict[str, Any]) -> TrueVideo:
    animals = [
        TrueAnimal(a["anim_id"], a["times_s"], [(b[0], b[1], b[2], b[3]) for b in a["boxes"]], a["visible"])
        for a in row["animals"]
    ]
    return TrueVideo(**{**row, "animals": animals})
