"""Known devices: those on which somebody signed in before, by a signed cookie.

Belongs here: the cookie, and the secret of the page, which signs it. Does not belong here: sessions (`sessions`), the
advantage of a known device (`throttle`).

The cookie gives no access: a thief may only mistype passwords, as often as anybody, while others are slowed down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import page_secret
from chimp_assets.web.auth.sessions import is_secure

SECURE_COOKIE, LOCAL_COOKIE = "__Host-device", "device"
# The longest that browsers keep a cookie (RFC 6265bis).
KEPT_S = 400 * 86_400
MOST_ACCOUNTS = 8
"""Accounts of one device: the people of a station share a tablet."""
_VALUE = re.compile(r"[A-Za-z0-9_-]{22}(~[A-Za-z0-9_-]{22}){1,8}")


def secret_of(db: Database) -> bytes:
    """The secret that all servers of a database share; created if there is none."""

    def work(conn: sa.Connection) -> None:
        made = {"secret": secrets.token_hex(32), "created_at": datetime.now(UTC)}
        conn.execute(sa.insert(page_secret).values(name="page", **made))

    def found() -> str | None:
        with db.read() as conn:
            return conn.scalar(sa.select(page_secret.c.secret).where(page_secret.c.name == "page"))

    secret = found()
    if secret is None:
        with suppress(sa.exc.IntegrityError):  # another server made one in the same moment
            db.transact(work)
        secret = found()
    return str(secret).encode()


class Devices:
    """Signs and checks the cookies of known devices."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def known(self, request: Request, account: str) -> str | None:
        """The id of the requesting device, if this account signed in on it before; else None."""
        device, *signatures = self._read(request)
        wanted = self._sign(device, account) if device else ""
        return device if any([hmac.compare_digest(wanted, one) for one in signatures]) else None

    def remember(self, request: Request, response: Response, account: str) -> None:
        """Records on the device that gets this answer that the account signed in."""
        device, *signatures = self._read(request)
        device = device or _coded(secrets.token_bytes(16))
        mine = self._sign(device, account)
        kept = [mine, *(one for one in signatures if one != mine)][:MOST_ACCOUNTS]
        response.set_cookie(
            _cookie_name(request),
            "~".join([device, *kept]),
            max_age=KEPT_S,
            path="/",
            secure=is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _read(self, request: Request) -> list[str]:
        value = request.cookies.get(_cookie_name(request), "")
        return value.split("~") if _VALUE.fullmatch(value) else [""]

    def _sign(self, device: str, account: str) -> str:
        text = f"device:{device}:{account}".encode(errors="backslashreplace")
        return _coded(hmac.digest(self._secret, text, hashlib.sha256)[:16])


def _cookie_name(request: Request) -> str:
    return SECURE_COOKIE if is_secure(request) else LOCAL_COOKIE


def _coded(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
