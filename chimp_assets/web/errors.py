"""What a request is refused with: a status, a sentence, a remedy and a code for programs.

Belongs here: the errors of the web itself and how every error becomes an answer. Does not belong here: the errors of
the domain, which are `ChimpError` with a sentence and a remedy of their own.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from chimp_assets.errors import ChimpError


class WebError(ChimpError):
    """A request that is refused. status: of HTTP; code: a word for programs; headers: sent with it."""

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
    """Raised while a body is read: the framework passes exceptions of this class on, and swallows others."""

    def __init__(self) -> None:
        super().__init__(413, "This is more than one request may hold.")


class Json(JSONResponse):
    """JSON of anything that a request may hold, half of a surrogate pair too: it goes back as it came, escaped."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace")


def answer(
    status: int, code: str, sentence: str, remedy: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    """The one form of an error: {error, remedy, code}."""
    body: dict[str, Any] = {"error": sentence, "remedy": remedy, "code": code}
    return Json(body, status, {"Cache-Control": "no-store", **(headers or {})})
