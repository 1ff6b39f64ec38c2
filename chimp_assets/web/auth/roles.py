"""Who may do what: the roles of the database as the rungs of one ladder, and the dependency that every route declares.

Belongs here: the mapping, what each kind of answer and each question needs, and `require`. Does not belong here: whose
answer weighs more (`database.events.ROLE_ORDER`, which this does not touch) and who is signed in (`sessions`).

| role in the database | rung here  | may                                                        | its answers weigh |
|----------------------|------------|------------------------------------------------------------|-------------------|
| viewer               | viewer     | look                                                       | nothing           |
| volunteer            | annotator  | draw boxes, answer same or different                       | as one of many    |
| identifier           | identifier | name animals                                               | as one of many    |
| reviewer             | reviewer   | decide between answers, take back what others said, merge  | more              |
| expert               | reviewer   | the same: nobody needs permission to correct a volunteer   | most              |
| admin                | admin      | users, models, everything                                  | more              |
"""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request

from chimp_assets.database.schema import DISPUTED, PAIRS
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
# What each kind of answer needs: most say who or what one animal is.
RUNG_OF_KIND: dict[str, Rung] = {
    "box": "annotator",
    "same": "annotator",
    "different": "annotator",
    "retract": "annotator",
}
DEFAULT_RUNG: Rung = "identifier"
# These may also be about two tracks, and then ask for eyes alone.
OF_PAIRS = ("cannot_tell", "skip")
# What a question of the queue needs, by its lane; those of all others ask who an animal is.
RUNG_OF_LANE: dict[str, Rung] = {PAIRS: "annotator", DISPUTED: "reviewer"}
# A person with a password for one sign-in may do nothing but choose another.
WITH_OLD_PASSWORD = ("/api/me", "/api/password", "/api/sign-out", "/password")


def may(person: Person | None, rung: Rung) -> bool:
    """Whether a person stands on this rung or above it."""
    return person is not None and LADDER.index(RUNG_OF[person.role]) >= LADDER.index(rung)


def may_answer(person: Person, kind: str, about_two: bool = False) -> bool:
    """Whether a person may give answers of this kind. about_two: about a pair of tracks, not about one."""
    eyes = about_two and kind in OF_PAIRS
    return may(person, "annotator" if eyes else RUNG_OF_KIND.get(kind, DEFAULT_RUNG))


def may_settle(person: Person, lane: str) -> bool:
    """Whether a person may answer questions of this lane."""
    return may(person, RUNG_OF_LANE.get(lane, "identifier"))


class RoleRequirement:
    """The declared role of a route. A test walks all routes and fails on one without it. rung None: everybody."""

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
    """The dependency of a route for people on this rung or above; it gives the person."""
    return RoleRequirement(rung)


def everybody() -> RoleRequirement:
    """The dependency of a route that needs no sign-in: `sessions.person_of` tells who is there."""
    return RoleRequirement(None)
