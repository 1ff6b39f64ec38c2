"""Types of request fields.

Belongs here: types that several routes take. Does not belong here: the bodies of one route.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Key = Annotated[int, Field(ge=0, lt=2**53)]
"""The key of a row: a number that JavaScript holds exactly, and every database accepts."""
FrameNo = Annotated[int, Field(ge=0, lt=2**31)]


class Body(BaseModel):
    """A request body. Unknown fields are refused, because they are mistakes."""

    model_config = ConfigDict(extra="forbid")


class EmptyBody(Body):
    """An empty body."""
