"""One long-lived process of the product by itself, as containers and services of the system run it: no supervisor.

Belongs here: its arguments, its environment, and becoming it. Does not belong here: the same processes together and
looked after (`supervisor`).

The command becomes the process (exec), so that signals, exit code and output are its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import NoReturn

from chimp_assets import private_files
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home
from chimp_assets.operations.supervisor import command_of
from chimp_assets.settings import shipped_file

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second one out
    fcntl = None  # type: ignore[assignment]

LOCATION = "chimp_assets"
"""Dagster's name of the code location: sensors keep their state under it."""


def become(home: Home, arguments: list[str]) -> NoReturn:
    """Turns this process into another one, in the environment of the home. Raises SettingsError without an instance."""
    sys.stdout.flush()
    os.execve(arguments[0], arguments, instance_environment(home))  # noqa: S606  commands of our own environment


def with_records(home: Home) -> Home:
    """The home, after Dagster's records were made: of several processes that start at once in it, one makes them.

    Nothing is made for an instance that DAGSTER_HOME names. Raises SettingsError if they cannot be made.
    """
    from chimp_assets.dagster_home import make_records, prepare

    folder = home.settings.dagster_home
    if (folder / "dagster.yaml").is_file():
        with open(folder / "records.lock", "a", encoding="ascii", opener=private_files.opener) as turn:
            if fcntl is not None:
                fcntl.flock(turn, fcntl.LOCK_EX)
            if sentence := prepare(home.settings):
                print(sentence, file=sys.stderr)  # noqa: T201  a log
            make_records(home.settings)
    return home


def instance_environment(home: Home) -> dict[str, str]:
    """The environment of Dagster's processes: the instance of the home, else the one that DAGSTER_HOME names.

    Raises SettingsError if neither has a dagster.yaml.
    """
    environment = home.environment()
    if not (home.settings.dagster_home / "dagster.yaml").is_file():
        named = os.environ.get("DAGSTER_HOME", "")
        if not named or not os.path.isfile(os.path.join(named, "dagster.yaml")):  # noqa: PTH113, PTH118
            raise SettingsError(
                f"There is no dagster.yaml in {home.settings.dagster_home}, nor where DAGSTER_HOME says.",
                "Make one with chimp init, or set DAGSTER_HOME to the folder of the one to use.",
            )
        environment["DAGSTER_HOME"] = named
    return environment


def daemon(code: str | None) -> list[str]:
    """Dagster's daemon. code: HOST:PORT of a code server; None: it starts its own."""
    return [command_of("dagster-daemon"), "run", "-w", workspace(code)]


def code_server(host: str, port: int) -> list[str]:
    """The code server: what daemon and web UI of other machines load the asset graph from."""
    return [
        command_of("dagster"), "api", "grpc", "--module-name", "chimp_assets.definitions", "--location-name", LOCATION,
        "--host", host, "--port", str(port), "--log-format", "json",
    ]  # fmt: skip


def web_ui(host: str, port: int, code: str | None) -> list[str]:
    """Dagster's web UI behind the sign-in of the page."""
    return [sys.executable, "-m", "chimp_assets.web.dagster.serve", host, str(port), workspace(code)]


def workspace(code: str | None) -> str:
    """Path of a file that says where Dagster finds the asset graph. Raises SettingsError if code is not HOST:PORT."""
    if code is None:
        return str(shipped_file("workspace.yaml"))
    host, _, port = code.rpartition(":")
    if not host or not port.isdigit() or any(c.isspace() or c in "'\"{}[]#" for c in host.strip("[]")):
        raise SettingsError(
            f"{code!r} is no address of a code server.", "Write it as HOST:PORT, for example code:4266."
        )
    entry = f'{{host: "{host.strip("[]")}", port: {port}, location_name: {LOCATION}}}'
    with tempfile.NamedTemporaryFile("w", prefix="chimp-workspace-", suffix=".yaml", delete=False) as file:
        file.write(f"load_from:\n  - grpc_server: {entry}\n")
    return file.name
