"""Settings of the labelling page and of sign-in: [web] and [web.oidc].

Belongs here: every knob a user may turn, with its unit and the reason of its default. Does not belong here: secrets,
which only the environment holds.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from chimp_assets.settings.section import Section


class OidcSettings(Section):
    """Sign-in through an identity provider such as Entra ID. The secret is never here: CHIMP_OIDC_CLIENT_SECRET."""

    metadata_url: str | None = Field(
        None,
        description="https://login.microsoftonline.com/TENANT/v2.0/.well-known/openid-configuration; none: local "
        "accounts only",
    )
    client_id: str | None = Field(None, description="the application that is registered at the provider")
    name: str = Field("Microsoft", max_length=60, description="on the button of the sign-in page")
    roles: dict[str, str] = Field(
        {
            "chimp.viewer": "viewer",
            "chimp.annotator": "volunteer",
            "chimp.identifier": "identifier",
            "chimp.reviewer": "reviewer",
            "chimp.expert": "expert",
            "chimp.admin": "admin",
        },
        description="app role of the provider -> role here; of several the highest counts; without one nobody signs in",
    )

    @model_validator(mode="after")
    def _client_belongs_to_provider(self) -> Self:
        if bool(self.metadata_url) != bool(self.client_id):
            raise ValueError("metadata_url and client_id are set both or neither")
        return self


class WebSettings(Section):
    """The labelling page: where it listens, how long people stay signed in, how it looks at their work."""

    host: str = Field("127.0.0.1", description="address to listen on; other machines reach this one only with 0.0.0.0")
    port: int = Field(3001, ge=0, le=65535, description="port of the labelling page; 0: any free one")
    public_url: str | None = Field(
        None, description="the address that people type, if there is a proxy in front: https://labels.example.org"
    )
    hosts: tuple[str, ...] = Field((), description="more host names of this server, without ports")
    proxies: tuple[str, ...] | None = Field(
        None,
        description="addresses or networks (10.0.0.0/8) of the proxies whose X-Forwarded-For is believed; "
        "not set: this machine's where public_url is set, else nobody's",
    )
    insecure_http: bool = Field(
        False, description="sign-in over plain http from other machines: passwords can be read on the way"
    )
    idle_hours: float = Field(12.0, gt=0, description="a session ends when it has not been used for this long")
    expert_days: float = Field(30.0, gt=0, description="the same for experts on a device that they call their own")
    session_days: float = Field(180.0, gt=0, description="no session lasts longer, however much it is used")
    body_bytes: int = Field(2 * 1024 * 1024, ge=4096, description="longer requests are refused")
    connections: int = Field(
        500, ge=8, description="at once, and at most a quarter of the files that a process may open"
    )
    header_s: float = Field(10.0, gt=0, description="seconds that a client has to send the headers of a request")
    body_s: float = Field(10.0, gt=0, description="seconds that it has for the body, and one more for each 2,000 bytes")
    drain_s: float = Field(
        0.0,
        ge=0,
        description="seconds that the page still answers after SIGTERM, while /readyz says 503 and load balancers "
        "turn to another one",
    )
    database_wait_s: float = Field(
        5.0, gt=0, description="seconds that a request waits for a busy database; then the page tries again by itself"
    )
    offline_hours: float = Field(72.0, gt=0, description="how long items that somebody takes offline stay reserved")
    blind_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of items shown without suggestions, to measure how far suggestions sway people",
    )
    gold_first: int = Field(
        20, ge=0, description="of the first answers, this many, of somebody who may not correct others ..."
    )
    gold_first_share: float = Field(0.3, ge=0, lt=1, description="... this share is about tracks that experts named")
    gold_share: float = Field(0.05, ge=0, lt=1, description="and this share afterwards")
    media_wait_s: float = Field(1.5, ge=0, description="seconds that a claim waits for pictures that are not made yet")
    pictures_mb: int = Field(
        256,
        ge=1,
        description="cache of pictures made on request, on this machine; 10,000 of the demo are 84 MB",
    )
    films_gb: float = Field(
        5.0,
        gt=0,
        description="cache of what the page of a video plays, on this machine; an hour of video is about 70 MB",
    )
    stored_pictures_gb: float = Field(
        50.0,
        gt=0,
        description="pictures and clips in the store; above it the oldest are deleted, except those of queued tracks "
        "and references",
    )
    oidc: OidcSettings = OidcSettings()

    @property
    def stored_pictures_bytes(self) -> int:
        """The same in bytes."""
        return int(self.stored_pictures_gb * 1e9)

    @field_validator("proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in proxies or ():
            try:
                ip_network(one, strict=False)
            except ValueError:
                raise ValueError(f"{one!r} is no address or network like 10.0.0.0/8") from None
        return proxies

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url!r} is not like https://labels.example.org")
        return url.rstrip("/")
