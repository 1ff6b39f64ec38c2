"""`chimp up`, `web`, `serve`, `worker`, `demo`: what stays in the foreground until Ctrl-C.

Does not belong here: keeping the processes alive (`operations.supervisor`), serving (`web.serve`), doing runs
(`automation.launchers`), the demo (`demo`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chimp_assets.cli.answers import Json, opened
from chimp_assets.console.output import say
from chimp_assets.console.words import counted
from chimp_assets.errors import ChimpError, SettingsError

if TYPE_CHECKING:
    from chimp_assets.home import Home

app = typer.Typer()
serve = typer.Typer(
    no_args_is_help=True,
    help="Run one process alone, in the foreground: for containers and services of the system, which look after it.",
)
app.add_typer(serve, name="serve", rich_help_panel="Groups of commands")

Code = Annotated[
    str | None, typer.Option("--code", help="HOST:PORT of a code server; default: the process starts one of its own.")
]

DEMO_HOME = Path("demo_home")

ARCHIVE_LOOK_S = 30.0


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Address of the web UI; 127.0.0.1: this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the web UI; 0: any free one.", min=0, max=65535)] = 3000,
    page_port: Annotated[
        int | None,
        typer.Option(help="Port of the labelling page, default: web.port; 0: any free one.", min=0, max=65535),
    ] = None,
    any_port: Annotated[
        bool, typer.Option("--any-port", help="Use a free port where one is taken, and say which.")
    ] = False,
) -> None:
    """Start the labelling page, the web UI and the daemon that does everything else. Ctrl-C stops them all."""
    from chimp_assets.dagster_home import make_records, prepare
    from chimp_assets.home import make_private
    from chimp_assets.operations import supervisor
    from chimp_assets.operations.home_lock import only_one
    from chimp_assets.operations.ports import is_listened_on, port_for
    from chimp_assets.web.serve import address_of, check_address

    home = opened()
    page = home.settings.web
    check_address(page)
    _ = home.database  # raises an error in words if it is not at head
    with only_one(home, "chimp up") as lock:
        orphans = supervisor.end_orphans(home)
        wanted = page.port if page_port is None else page_port
        ui_port = port_for("Dagster's web UI", host, port, any_port)
        own_port = port_for("the labelling page", page.host, wanted, any_port, "--page-port")
        notes = [
            f"Ended {counted(orphans, 'process', 'processes')} that an earlier start had left." if orphans else "",
            make_private(home),
            prepare(home.settings),
            _other_port("web UI", port, ui_port),
            _other_port("labelling page", wanted, own_port),
        ]
        make_records(home.settings)
        _say_first_admin(home)
        commands = {
            "page": supervisor.page_arguments(own_port),
            "daemon": supervisor.daemon_arguments(),
            "web": supervisor.web_arguments(host, ui_port),
            "ranker": supervisor.ranker_arguments(),
        }
        pages = {"page": address_of(page, own_port), "web UI": f"http://{host}:{ui_port}"}
        lock.note(pages)
        _announce(
            f"Label:   {pages['page']}",
            *web_ui_lines(home, host, ui_port),
            f"Home:    {home.settings.home}",
            f"Logs:    {home.settings.home / 'logs'}",
            *(note for note in notes if note),
        )
        if advice := supervisor.launcher_advice(home):
            _announce(advice)
        _announce("The daemon watches the archive and the labels. Ctrl-C stops everything.")
        serves = partial(is_listened_on, page.host, own_port)
        with suppress(KeyboardInterrupt), supervisor.running(home, commands, serves) as children:
            try:
                supervisor.watch(children, _announce, _archive_watch(home))
            except KeyboardInterrupt:
                _announce("Stopping ...")
    _announce("All processes have stopped; nothing is lost. `chimp up` resumes the work.")


@app.command()
def web(
    port: Annotated[int | None, typer.Option(help="Port; default: the setting web.port.")] = None,
) -> None:
    """Start the labelling page alone, at the address of the settings web.host and web.public_url. Ctrl-C stops it."""
    from chimp_assets.operations.ports import port_for
    from chimp_assets.web.serve import address_of, check_address, main

    home = opened()
    check_address(home.settings.web)
    _ = home.database  # raises an error in words if it is not at head
    own_port = port_for("the labelling page", home.settings.web.host, home.settings.web.port if port is None else port)
    _say_first_admin(home)
    _announce(f"Label:   {address_of(home.settings.web, own_port)}")
    code = main([] if own_port == home.settings.web.port else [str(own_port)])
    if code:
        raise typer.Exit(code)


@serve.command()
def page(
    port: Annotated[int | None, typer.Option(help="Port; default: the setting web.port.")] = None,
) -> None:
    """The labelling page; the same as `chimp web`. Any number of them may share a database and a store."""
    web(port)


@serve.command()
def ranker() -> None:
    """What ranks the waiting items again after each answer. One for a database."""
    import signal

    from chimp_assets.loop import rerank

    home = opened()
    _ = home.database
    # As the first process of a container it would not hear SIGTERM otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if code := rerank.main():
        raise typer.Exit(code)


@serve.command()
def daemon(code: Code = None) -> None:
    """Dagster's daemon: sensors, schedules, the queue of runs. One for an instance."""
    from chimp_assets.operations import alone

    home = opened()
    _ = home.database
    alone.become(alone.with_records(home), alone.daemon(code))


@serve.command()
def code(
    host: Annotated[str, typer.Option(help="Address to listen on; it has no sign-in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 4266,
) -> None:
    """The code server, from which a daemon and a web UI elsewhere load the asset graph (their option --code)."""
    from chimp_assets.operations import alone

    alone.become(opened(), alone.code_server(host, port))


@serve.command()
def ui(
    host: Annotated[str, typer.Option(help="Address of the web UI; 127.0.0.1: this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the web UI.", min=1, max=65535)] = 3000,
    code: Code = None,
) -> None:
    """Dagster's web UI behind the sign-in of the page. It opens for administrators, and with CHIMP_UI_TOKEN."""
    from chimp_assets.operations import alone
    from chimp_assets.web.dagster.ui_token import SHARED, SHORTEST

    home = opened()
    _ = home.database
    if 0 < len(os.environ.get(SHARED, "")) < SHORTEST:
        raise SettingsError(f"{SHARED} is too short to be a secret.", f"Use {SHORTEST} characters or more.")
    alone.become(alone.with_records(home), alone.web_ui(host, port, code))


@app.command()
def worker(
    queue: Annotated[list[str], typer.Option(help="cpu, gpu, or both by saying it twice.")] = ["cpu"],  # noqa: B006
    slots: Annotated[int, typer.Option(help="Runs at once. Each decodes with decode.workers processes.", min=1)] = 1,
) -> None:
    """Do runs that the daemon of another machine sends through CHIMP_BROKER_URL (engine celery).

    On SIGTERM or Ctrl-C the runs in flight are given up, and done again by another worker.
    """
    import os

    from chimp_assets.dagster_home import folder_for_dagster
    from chimp_assets.operations.engines import Engine, broker_url, complete_instance, require_workers

    broker = broker_url()
    require_workers()
    home = opened()
    complete_instance(home.settings, Engine.CELERY)
    _ = home.database  # raises an error in words if it is not at head
    home.database.dispose()  # its connections must not be those of children as well
    os.environ["CHIMP_HOME"] = str(home.settings.home)
    os.environ["DAGSTER_HOME"] = str(folder_for_dagster(home.settings))
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    _announce(f"Home:    {home.settings.home}", f"Queues:  {', '.join(queue)}", f"Slots:   {slots}")

    from chimp_assets.automation.launchers.worker import run_worker

    run_worker(broker, queue, slots)
    _announce("The worker has stopped; runs that it gave up are done again by others.")


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder of the demo; kept, so that you can look around.")] = DEMO_HOME,
    faces: Annotated[
        Path | None, typer.Option(help="Folder with one folder of face photographs for each individual.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Trainings to wait for.")] = 3,
    promise: Annotated[bool, typer.Option(help="Go on until the promise about the names is kept.")] = True,
    volunteers: Annotated[int, typer.Option(min=0, max=2, help='Simulated people who answer "is this X?".')] = 2,
    json: Json = False,
) -> None:
    """Watch the whole loop on a generated archive: real video, real daemon, a simulated expert who sometimes errs."""
    from chimp_assets.demo.run import run_demo

    run_demo(home, faces=faces, rounds=rounds, json=json, promise=promise, volunteers=volunteers)


def web_ui_lines(home: Home, host: str, port: int) -> list[str]:
    """The address of Dagster's web UI with the token that opens it, and a warning where others can reach it."""
    from chimp_assets.web.auth.security import is_local
    from chimp_assets.web.dagster import ui_token
    from chimp_assets.web.serve import address_of

    here = home.settings.web.model_copy(update={"host": host, "public_url": None})
    lines = [f"Web UI:  {address_of(here, port)}/?token={ui_token.renew(home)}"]
    if not is_local(host):
        lines.append(
            f"Other machines can reach the web UI at {host}: it answers them only by names in web.hosts, and lets them "
            "sign in only over https or with web.insecure_http."
        )
    return lines


def _announce(*lines: str) -> None:
    """Prints lines. The terminal may have been closed, and nobody reads them any more."""
    for line in lines:
        with suppress(OSError):
            say(line)


def _other_port(what: str, wanted: int, chosen: int) -> str:
    if wanted in (0, chosen):
        return ""
    from chimp_assets.operations.ports import holder_of

    return f"Port {wanted} is taken by {holder_of(wanted)}: the {what} is on port {chosen} this time."


def _say_first_admin(home: Home) -> None:
    """At the first start nobody can sign in: makes an administrator, and prints the password once."""
    from chimp_assets.web.auth.accounts import FIRST_ADMIN, first_account

    made = first_account(home.database)
    if made is None:
        return
    name, password = made
    if name != FIRST_ADMIN:
        say(f"No administrator could sign in, and another user is called {FIRST_ADMIN}: {name} was made.")
    say(f"Sign in as {name} with the password {password}")
    say("It works for one sign-in within a day, where you choose your own; it is not shown again.")


def _archive_watch(home: Home) -> Callable[[], None]:
    """Looks at the archive twice a minute and prints each change: a lost disk must not be in a log alone."""
    last: list[str | None] = [None]
    next_at = [0.0]

    def look() -> None:
        if time.monotonic() < next_at[0]:
            return
        next_at[0] = time.monotonic() + ARCHIVE_LOOK_S
        try:
            problem = home.archive_problem()
        except ChimpError:  # the database is busy or away, which others report
            return
        known = problem and problem.split(" (seen ")[0]
        if known != last[0]:
            _announce(f"The archive cannot be read: {problem}" if problem else "The archive can be read again.")
        last[0] = known

    return look
