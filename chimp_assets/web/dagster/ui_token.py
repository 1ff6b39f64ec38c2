"""Tokens that open Dagster's web UI: the one that `chimp up` prints, of which only the hash is stored, and the one in
the environment, which all servers of a deployment share.

Belongs here: making and comparing them. Does not belong here: the cookie that carries it (`door`).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from chimp_assets.home import Home, home_error
from chimp_assets.web.auth.sessions import hash_of

FILE = "web-ui-token.sha256"
LONGEST = 200
SHARED = "CHIMP_UI_TOKEN"
"""The variable that holds the token of several servers."""
SHORTEST = 20
"""Characters of it; a shorter one opens nothing."""


def renew(home: Home) -> str:
    """A new token; the previous one is no longer valid. A restart of the web UI alone does not change it.

    Raises ChimpError if the home cannot be written.
    """
    token = secrets.token_urlsafe(32)
    file = home.settings.home / FILE
    part = file.with_name(f"{FILE}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(hash_of(token))
        part.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise home_error(home.settings.home, error) from None
    return token


def is_right(home: Path, token: str | None) -> bool:
    """Whether this is the token of the last `chimp up` in this home, or the shared one, in constant time."""
    if not token or len(token) > LONGEST:
        return False
    shared = os.environ.get(SHARED, "")
    if len(shared) >= SHORTEST and hmac.compare_digest(hash_of(shared), hash_of(token)):
        return True
    try:
        kept = (home / FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return bool(kept) and hmac.compare_digest(kept, hash_of(token))
