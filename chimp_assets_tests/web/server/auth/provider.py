"""A small identity provider on this machine: OpenID Connect with signed tokens and PKCE, as far as a client needs it.

It signs what `claims` say for whoever comes, so that a test decides who signs in; `spoil` makes it lie.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

CLIENT = "the-labelling-page"


class Provider:
    """Its address, whom it vouches for, and what it saw."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.issuer = f"http://{host}:{port}"
        self.claims: dict[str, Any] = {}
        self.spoil: dict[str, Any] = {}
        self.key = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self.strange_key = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self.codes: dict[str, dict[str, str]] = {}
        self.token_requests: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    @property
    def metadata_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    async def _metadata(self, request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _keys(self, request: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _authorize(self, request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> JSONResponse:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        authorization = request.headers.get("authorization", "").removeprefix("Basic ")
        given["basic"] = base64.b64decode(authorization).decode()
        self.token_requests.append(given)
        asked = self.codes.pop(given["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=")
        if asked is None or challenge.decode() != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "s", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            **self.claims, **self.spoil.get("claims", {}),
        }  # fmt: skip
        key = self.strange_key if self.spoil.get("key") else self.key
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        if self.spoil.get("unsigned"):
            none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
            token = f"{none}.{token.split('.')[1]}."
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Provider]:
    """A provider that answers on a free port while the block runs."""
    with socket.socket() as listening:
        listening.bind((host, 0))
        provider = Provider(listening.getsockname()[1], host)
        server = uvicorn.Server(uvicorn.Config(provider.app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield provider
        server.should_exit = True
        thread.join(timeout=10)
