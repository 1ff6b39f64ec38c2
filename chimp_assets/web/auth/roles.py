"""Permissions: the roles of the database as rungs of one ladder, and the dependency that every route declares.

Belongs here: the mapping, the rung that each kind of answer and question needs, and `require`. Does not belong here:
the weight of answers (`database.labels`: `ROLE_ORDER`) and who is signed in (`sessions`).

| role in the database | rung here  | may                                                        | its answers weigh |
|----------------------|------------|------------------------------------------------------------|-------------------|
| viewer               | viewer     | look                                                       | nothing           |
| volunteer            | annotator  | draw boxes, answer "same?" and "is this X?"                | as one of many    |
| identifier           | identifier | name animals                                               | as one of many    |
| reviewer             | reviewer   | decide between answers, take back others' answers, merge   | more              |
| expert               | reviewer   | the same: nobody needs permission to correct a volunteer   | most              |
| admin                | admin      | users, models, everything                                  | more              |
"""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request

from chimp_assets.database.schema import DISPUTED, IS_IT, PAIRS
from chimp_assets.web.auth.sessions import Person, person_of
from chimp_assets.web.errors import SignedOutError, WebError

Rung = Literal["viewer", "annotator", "identifier", "reviewer", "admin"]

LADDER: tuple[Rung, ...] = ("viewer", "annotator", "identifier", "reviewer", "admin")
RUNG_OF: dict[str, Rung] = {
    "viewer": "viewer",
    "volunteer": "annotator",
    "identifier": "identifier",
    "reviewer": "reviewer",
    "expert": "reviewer",
    "admin": "admin",
}
# The rung for each kind of answer; all others identify an animal.
RUNG_OF_KIND: dict[str, Rung] = {
    "box": "annotator",
    "same": "annotator",
    "different": "annotator",
    "is_individual": "annotator",
    "not_individual": "annotator",
    "retract": "annotator",
}
DEFAULT_RUNG: Rung = "identifier"
# These may also be about two tracks, or about one individual; then nobody needs to know all of them.
BY_EYE = ("cannot_tell", "skip")
# The rung for questions of a lane; questions of all other lanes identify an animal.
RUNG_OF_LANE: dict[str, Rung] = {PAIRS: "annotator", IS_IT: "annotator", DISPUTED: "reviewer"}
# With a one-time password a person may only choose a new one.
WITH_OLD_PASSWORD = ("/api/me", "/api/password", "/api/sign-out", "/password")


def may(person: Person | None, rung: Rung) -> bool:
    """Whether a person has this rung or a higher one."""
    return person is not None and LADDER.index(RUNG_OF[person.role]) >= LADDER.index(rung)


def may_answer(person: Person, kind: str, by_eye: bool = False) -> bool:
    """Whether a person may give answers of this kind. by_eye: about a pair of tracks, or to "is this X?"."""
    eyes = by_eye and kind in BY_EYE
    return may(person, "annotator" if eyes else RUNG_OF_KIND.get(kind, DEFAULT_RUNG))


def may_settle(person: Person, lane: str) -> bool:
    """Whether a person may answer questions of this lane."""
    return may(person, RUNG_OF_LANE.get(lane, "identifier"))


class RoleRequirement:
    """The declared permission of a route; a test fails on routes without one. rung None: everybody."""

    def __init__(self, rung: Rung | None) -> None:
        self.rung = rung

    def __call__(self, request: Request) -> Person | None:
        if self.rung is None:
            return None
        person = person_of(request)
        if person is None:
            raise SignedOutError
        if person.must_change and request.url.path not in WITH_OLD_PASSWORD:
            raise WebError(
                403,
                "password_must_change",
                "Your password was valid for one sign-in only.",
                "Choose a password of your own.",
            )
        if not may(person, self.rung):
            raise WebError(
                403,
                "role",
                f"This needs the role {self.rung}; you are {RUNG_OF[person.role]}.",
                "Ask an administrator.",
            )
        return person


def require(rung: Rung) -> RoleRequirement:
    """The dependency of a route for people with this rung or a higher one; it gives the person."""
    return RoleRequirement(rung)


def everybody() -> RoleRequirement:
    """The dependency of a route without sign-in; `sessions.person_of` gives the person, if any."""
    return RoleRequirement(None)
