"""Serves Dagster's web UI with sign-in: `python -m chimp_assets.web.dagster.serve HOST PORT [WORKSPACE]`, for the home
in CHIMP_HOME. WORKSPACE: a workspace.yaml of one's own, which may name a code server of another machine.

Belongs here: the process, and the private parts of Dagster that it needs. Does not belong here: who may enter (`door`).

Dagster's application runs in this process, inside the door. A `dagster-webserver` on another port behind a proxy would
leave that port open to every page and program of the machine.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from starlette.types import ASGIApp

from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.settings import shipped_file

# As `dagster-webserver` sets them.
_STATEMENT_MS, _RECYCLE_S, _OVERFLOW, _POLL_MS = 15_000, 3_600, 20, 2_000


@contextlib.contextmanager
def dagster_application(workspace_file: str | None = None) -> Iterator[ASGIApp]:
    """Dagster's web UI for the instance in DAGSTER_HOME; a code server that it starts ends with the block.

    workspace_file: where the asset graph is found; None: the shipped one, with a code server of its own.
    """
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_MS, _RECYCLE_S, _OVERFLOW)
        target = WorkspaceFileTarget(paths=[workspace_file or str(shipped_file("workspace.yaml"))])
        with WorkspaceProcessContext(instance, target, version=__version__) as workspace:
            yield create_app_from_workspace_process_context(workspace, "", _POLL_MS)


def main(arguments: list[str] | None = None) -> int:
    """Serve until the process is asked to end."""
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.web import connections
    from chimp_assets.web.dagster.door import Door
    from chimp_assets.web.serve import address_of

    given = sys.argv[1:] if arguments is None else arguments
    if len(given) not in (2, 3) or not given[1].isdigit():
        print("usage: python -m chimp_assets.web.dagster.serve HOST PORT [WORKSPACE]", file=sys.stderr)  # noqa: T201
        return 2
    host, port = given[0], int(given[1])
    # While Dagster starts: it ends its code server too.
    signal.signal(signal.SIGTERM, _end)
    try:
        home = Home.open()
        settings = home.settings
        _ = home.database  # raises ChimpError if it is not at head
        db = Database(settings.database_url, wait_s=settings.web.database_wait_s)
        with dagster_application(given[2] if len(given) == 3 else None) as app:
            door = Door(app, db, settings, host, address_of(settings.web))
            connections.serve(door, settings.web, host, port, log_level="warning", lifespan="off")
    except ChimpError as error:
        print(error, file=sys.stderr)  # noqa: T201  a log
        return 2
    return 0


def _end(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
