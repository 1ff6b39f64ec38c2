"""Ports: whether one is free, and who has it if not.

Belongs here: asking the machine. Does not belong here: what is served on them. A taken port is an error, never
quietly replaced: bookmarks, sign-ins and answers that a browser keeps belong to one address, port included.
"""

from __future__ import annotations

import errno
import socket

import psutil

from chimp_assets.errors import ChimpError
from chimp_assets.operations.processes import described


class PortError(ChimpError):
    """A port is taken, or cannot be listened on."""


def free_port(wanted: int) -> int:
    """`wanted` if it is free on 127.0.0.1, else a free one. For tools that may listen anywhere."""
    for port in (wanted, 0):
        try:
            return _bound("127.0.0.1", port)
        except OSError:
            continue
    raise PortError("No port of this machine is free.", "Stop some of the servers on this machine.")


def port_for(what: str, host: str, wanted: int, any_port: bool = False, option: str = "--port") -> int:
    """The port on which `what` will listen: the wanted one, or a free one where it is 0 or (any_port) taken.

    what: the subject of the sentence, as in "the labelling page"; option: what chooses another one. Raises PortError,
    with the name of the process that has the port where this user may see it.
    """
    try:
        return _bound(host, wanted)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            if any_port:
                return _bound(host, 0)
            raise PortError(
                f"Port {wanted} is taken by {holder_of(wanted)}, so {what} cannot be reached there.",
                f"Stop it, or choose another port with {option} PORT (0: any free one).",
            ) from None
        if number == errno.EACCES:
            raise PortError(
                f"Your user may not listen on port {wanted}, where {what} should be reached.",
                f"Choose one above 1023 with {option} PORT.",
            ) from None
        raise PortError(
            f"{what[:1].upper()}{what[1:]} cannot listen on {host}, port {wanted}: {error}.",
            "Name an address of this machine and a port up to 65535.",
        ) from None


def holder_of(port: int) -> str:
    """Who listens on a port, in words."""
    try:
        listening = [
            one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.laddr.port == port
        ]
    except (psutil.Error, OSError):
        listening = []
    pid = next((one.pid for one in listening if one.pid), None)
    return "another process" if pid is None else described(pid)


def is_listened_on(host: str, port: int) -> bool:
    """Whether somebody answers there."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  only compared
    try:
        with socket.create_connection((reached, port), timeout=0.5):
            return True
    except OSError:
        return False


def _bound(host: str, port: int) -> int:
    """The port that could be bound. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        if socket.has_ipv6 and family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        return int(probe.getsockname()[1])
