"""Signing in to Azure SQL with a Microsoft Entra ID token instead of a password.

Belongs here: getting tokens and handing them to the two drivers. Does not belong here: which address asks for it
(`engine`). Nothing of Azure is imported before the first connection.
"""

from __future__ import annotations

import struct
import time
from typing import Any, Literal, NamedTuple, get_args

import sqlalchemy as sa
from sqlalchemy import event

Credential = Literal["default", "managed_identity"]
CREDENTIALS: tuple[str, ...] = get_args(Credential)

SCOPE = "https://database.windows.net/.default"
SQL_COPT_SS_ACCESS_TOKEN = 1256
"""msodbcsql.h: a connection attribute that is set before connecting."""
RENEW_S = 300
"""A token is renewed so long before it ends: a connection must not be refused in the middle of its handshake."""


class Token(NamedTuple):
    """token: the text that the service gave; expires_on: seconds since 1970."""

    token: str
    expires_on: int


class TokenSource:
    """Tokens for the database, kept until shortly before they end. Dies with the engine that it belongs to.

    credential: `default` tries the environment, a managed identity, then the tools a developer is signed in with;
    `managed_identity` only that, with client_id where the machine has several.
    """

    def __init__(self, credential: str, client_id: str | None = None) -> None:
        self._kind, self._client_id = credential, client_id
        self._credential: Any = None
        self._token: Token | None = None

    def get_token(self, scope: str = SCOPE, **_: Any) -> Token:
        """A token that is good for at least RENEW_S seconds. Raises what azure.identity raises."""
        if self._token is None or self._token.expires_on < time.time() + RENEW_S:
            if self._credential is None:
                self._credential = self._make()
            fresh = self._credential.get_token(scope)
            self._token = Token(fresh.token, int(fresh.expires_on))
        return self._token

    def _make(self) -> Any:
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

        if self._kind == "managed_identity":
            return ManagedIdentityCredential(client_id=self._client_id)
        return DefaultAzureCredential(managed_identity_client_id=self._client_id)


def packed(token: str) -> bytes:
    """A token as ODBC wants it: its length in bytes as a little-endian 32-bit number, then UTF-16 without a mark."""
    text = token.encode("utf-16-le")
    return struct.pack("<I", len(text)) + text


def use_tokens(engine: sa.Engine, source: TokenSource) -> None:
    """Every new connection of the engine signs in with a token. engine: of mssql+pyodbc or mssql+mssqlpython."""

    @event.listens_for(engine, "do_connect")
    def _with_token(dialect: Any, record: Any, arguments: list[Any], keywords: dict[str, Any]) -> None:
        if dialect.driver == "mssqlpython":
            # The driver asks by itself: also for the second connection that its bulk copy opens.
            keywords["token_provider"] = source
            return
        # SQLAlchemy asks for Windows' own sign-in where the address has no user; a token excludes it.
        arguments[0] = arguments[0].replace(";Trusted_Connection=Yes", "")
        keywords["attrs_before"] = {SQL_COPT_SS_ACCESS_TOKEN: packed(source.get_token().token)}
