"""Errors as answers: a status, a sentence, a remedy, and a code for programs.

Belongs here: errors of the web itself, and the one JSON form of all errors. Does not belong here: errors of the domain,
which are `ChimpError` with a sentence and a remedy.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from chimp_assets.errors import ChimpError


class WebError(ChimpError):
    """A refused request. status: of HTTP; code: a word for programs; headers: sent with the answer."""

    def __init__(
        self, status: int, code: str, sentence: str, remedy: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(sentence, remedy)
        self.status = status
        self.code = code
        self.headers = headers or {}


class SignedOutError(WebError):
    """Nobody is signed in, or the session has ended."""

    def __init__(self) -> None:
        super().__init__(401, "signed_out", "You are not signed in, or your session has ended.", "Sign in again.")


class BodyTooLongError(HTTPException):
    """Raised while a body is read. An HTTPException, because the framework swallows others at this point."""

    def __init__(self) -> None:
        super().__init__(413, "This request is too large.")


class Json(JSONResponse):
    """JSON of any text that a request may hold: half of a surrogate pair goes back escaped, as it came."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace")


def answer(
    status: int, code: str, sentence: str, remedy: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error as JSON: {error, remedy, code}."""
    body: dict[str, Any] = {"error": sentence, "remedy": remedy, "code": code}
    return Json(body, status, {"Cache-Control": "no-store", **(headers or {})})
