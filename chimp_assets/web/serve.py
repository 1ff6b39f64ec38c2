"""Serving the labelling page: `python -m chimp_assets.web.serve`, in the home that CHIMP_HOME names.

Belongs here: the process. Does not belong here: the application (`app`).
"""

from __future__ import annotations

import gc
import signal
import sys

from chimp_assets import private_files
from chimp_assets.errors import ChimpError, SettingsError
from chimp_assets.home import Home
from chimp_assets.settings import WebSettings

GARBAGE_AFTER = 20_000
"""New objects between two collections of the youngest generation of garbage."""


def address_of(settings: WebSettings, port: int | None = None) -> str:
    """The address that people type to open the page."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  only compared
    shown = f"[{host}]" if ":" in host else host
    return settings.public_url or f"http://{shown}:{settings.port if port is None else port}"


def check_address(settings: WebSettings) -> None:
    """Raises SettingsError if other machines can reach the page but their name for it is unset."""
    if settings.host in ("0.0.0.0", "::") and not settings.public_url and not settings.hosts:  # noqa: S104
        raise SettingsError(
            f"web.host is {settings.host}, so other machines can reach the page, but no name is set for it.",
            "Set web.public_url (https://...), or web.hosts.",
        )


def main(arguments: list[str] | None = None) -> int:
    """Serve until the process is asked to end, which is a good end (0). The first argument is the port; default: the
    setting.
    """
    return _served(arguments)[0]


def _served(arguments: list[str] | None = None) -> tuple[int, int | None]:
    """The exit code, and the signal that ended it."""
    from threadpoolctl import threadpool_limits

    from chimp_assets.web import connections
    from chimp_assets.web.app import create_app
    from chimp_assets.web.auth import sessions

    given = sys.argv[1:] if arguments is None else arguments
    private_files.keep_private()
    try:
        home = Home.open()
        settings = home.settings.web
        check_address(settings)
        home.require_right_clock()  # leases are compared with those of other pages
        app = create_app(home)
        sessions.sweep(app.state.db)
        # A page of 20,000 tracks makes 100,000 objects: collecting garbage among them all the time is slow, and so is
        # collecting among objects that stay.
        gc.freeze()
        gc.set_threshold(GARBAGE_AFTER)
        # Matrices of pages have some hundred rows: threads on them wait for each other, and others' pages with them.
        threadpool_limits(1, user_api="blas")
    except ChimpError as error:
        print(error, file=sys.stderr)  # noqa: T201  a log
        return 2, None

    def leave() -> None:
        app.state.readiness.leaving = True

    ended_by = connections.serve(app, settings, settings.host, int(given[0]) if given else settings.port, leave)
    app.state.media.end()
    app.state.faces.end()
    app.state.films.end()
    return 0, ended_by


if __name__ == "__main__":
    code, ended_by = _served()
    if ended_by == signal.SIGTERM:
        # The supervisor tells who was ended from outside from who cannot start.
        signal.raise_signal(signal.SIGTERM)
    sys.exit(code)
