"""The real origin of a request behind a proxy.

Belongs here: reading `X-Forwarded-For` and `X-Forwarded-Proto`, and which proxies are trusted. Does not belong here:
using the address (`throttle`, `sessions`).

Anybody can send these headers, and each proxy appends to them. So they are read from the right: as long as an address
belongs to a trusted proxy, that proxy wrote the next one to the left. The first other address is the client. A text
that is no address was written by no trusted proxy and ends the search.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from chimp_assets.settings import WebSettings

LOCAL = ("127.0.0.1", "::1")
MOST_HOPS = 20
_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def proxies_of(settings: WebSettings) -> list[_Network]:
    """Networks of trusted proxies: `web.proxies`; if unset and a public address is set, this machine."""
    named = settings.proxies if settings.proxies is not None else LOCAL if settings.public_url else ()
    return [ip_network(one, strict=False) for one in named]


def as_proxies_say(scope: Scope, proxies: Iterable[_Network]) -> Scope:
    """The scope of a request with the address and scheme from trusted proxies; unchanged without one."""
    believed = list(proxies)
    client = scope.get("client")
    peer = address_in(client[0]) if client else None
    if peer is None or not _is_of(peer, believed):
        return scope
    headers = Headers(scope=scope)
    found = {**scope, "client": (str(_origin(peer, headers.getlist("x-forwarded-for"), believed)), 0)}
    scheme = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
    return {**found, "scheme": scheme} if scheme in ("http", "https") else found


def address_in(text: str) -> _Address | None:
    """The address that a proxy wrote, with or without its port; None for anything else."""
    text = text.strip()
    if len(text) > 60:
        return None
    if text.startswith("["):
        text, _, port = text[1:].partition("]")
        if port and not _is_port(port):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # The name of an interface (fe80::1%eth0) may be any text.
        return found.ipv4_mapped or IPv6Address(int(found))
    return found


def _origin(peer: _Address, lines: list[str], proxies: list[_Network]) -> _Address:
    origin = peer
    for text in ",".join(lines).rsplit(",", MOST_HOPS)[::-1][:MOST_HOPS]:
        found = address_in(text)
        if found is None:
            break
        origin = found
        if not _is_of(found, proxies):
            break
    return origin


def _is_of(address: _Address, networks: list[_Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and text[1:].isdecimal()
