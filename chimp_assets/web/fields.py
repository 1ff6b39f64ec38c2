"""Types that requests are made of.

Belongs here: what several routes take. Does not belong here: the bodies of one route.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Key = Annotated[int, Field(ge=0, lt=2**53)]
"""A key of a row: what JavaScript can hold exactly, and every database can be asked for."""
FrameNo = Annotated[int, Field(ge=0, lt=2**31)]


class Body(BaseModel):
    """A body of a request: an unknown field is a mistake to be told, not to be passed over."""

    model_config = ConfigDict(extra="forbid")


class EmptyBody(Body):
    """An empty body."""
