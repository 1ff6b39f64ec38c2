"""Starting and stopping together: nothing is left behind, and who falls is named with its last words."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from chimp_assets.supervisor import SupervisorError, free_port, running, watch

_SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
# Starts a process of its own, as Dagster's daemon does, says its number, and stays.
_PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(p.pid, flush=True); time.sleep(60)",
]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _first_line(log, within_s: float = 20.0) -> str:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines()
        if lines:
            return lines[0]
        time.sleep(0.05)
    raise AssertionError("the process said nothing")


def test_all_processes_and_what_they_started_stop_together(home):
    """A daemon that outlives `chimp up` would go on starting runs in a home that somebody deletes."""
    with running(home, {"sleeper": _SLEEPER, "parent": _PARENT}) as children:
        grandchild = int(_first_line(children[1].log))
        pids = [child.process.pid for child in children] + [grandchild]
        assert all(_is_alive(pid) for pid in pids)
    time.sleep(0.2)
    assert not any(_is_alive(pid) for pid in pids)


def test_a_process_that_falls_is_named_with_its_last_words_and_takes_the_others_along(home):
    crash = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    with running(home, {"sleeper": _SLEEPER, "web": crash}) as children:
        sleeper = children[0].process
        with pytest.raises(SupervisorError) as caught:
            watch(children)
    assert "web" in caught.value.sentence
    assert "the port is taken" in caught.value.sentence
    assert sleeper.poll() is not None


def test_the_children_know_the_home_and_dagsters_folder(home):
    say = [sys.executable, "-c", "import os; print(os.environ['CHIMP_HOME'], os.environ['DAGSTER_HOME'])"]
    with running(home, {"say": say}) as children:
        said = _first_line(children[0].log)
    assert said == f"{home.settings.home} {home.settings.dagster_home}"


def test_a_taken_port_is_replaced_by_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = free_port(port)
    assert other != port
    assert free_port(other) == other
