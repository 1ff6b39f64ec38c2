"""Settings of the project and of pictures: what a data package must say, and what a picture archive is.

Belongs here: every knob of `[project]` and `[pictures]`. Does not belong here: steps of the flow (`steps`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from chimp_assets.settings.section import Section


class ProjectSettings(Section):
    """Who made these data, of which species, under which licence: what exports hand on. `chimp init` asks for none."""

    title: str | None = Field(None, max_length=300, description="of the study, as people cite it")
    description: str | None = Field(None, max_length=4000, description="of the study, in a few sentences")
    species: str | None = Field(None, max_length=200, description="scientific name of the animals: Pan troglodytes")
    vernacular: str | None = Field(None, max_length=200, description="what people call them: chimpanzee")
    sampling_design: Literal["simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted",
                             "opportunistic"] | None = Field(
        None, description="how places of cameras were chosen, in the terms of Camtrap DP"
    )  # fmt: skip
    contributors: tuple[str, ...] = Field(
        (), description='people and institutes: "Name <mail> (role)"; mail and role may be left out'
    )
    organisation: str | None = Field(None, max_length=300, description="rights holder")
    data_licence: str | None = Field(None, max_length=200, description="of tables: an SPDX name such as CC-BY-4.0")
    media_licence: str | None = Field(None, max_length=200, description="of pictures and videos")
    citation: str | None = Field(None, max_length=2000, description="how the data are to be cited")
    homepage: str | None = Field(None, max_length=500, description="address of the study's page")
    wet_months: tuple[int, ...] = Field(
        (),
        description="months of the wet season at the site, 1 to 12, that periods are compared by; the others are dry",
    )

    @field_validator("wet_months")
    @classmethod
    def _months_that_are(cls, months: tuple[int, ...]) -> tuple[int, ...]:
        if months and not (all(1 <= month <= 12 for month in months) and len(set(months)) < 12):
            raise ValueError("say 1 to 11 different months as numbers from 1 to 12")
        return tuple(sorted(set(months)))


class PicturesSettings(Section):
    """Still pictures in the archive."""

    suffixes: tuple[str, ...] = Field(
        (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".heif"),
        description="file name endings that are listed as pictures",
    )
    burst_s: float = Field(
        2.0, ge=0, description="pictures of one camera at most this far apart are one clip; 0: each is its own"
    )
    crops: tuple[str, ...] = Field(
        (),
        description="folders of the archive whose pictures are cut to one animal each; the whole picture is its track",
    )
