"""Starting and stopping together: nothing is left behind, and who falls is named with its last words."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chimp_assets.home import init_home
from chimp_assets.operations import supervisor
from chimp_assets.operations.home_lock import RunningError, holder_of, only_one
from chimp_assets.operations.ports import PortError, port_for
from chimp_assets.operations.processes import UP_ID
from chimp_assets.operations.supervisor import SupervisorError, free_port, running, watch

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


def test_children_hear_the_signals_that_their_parent_ignores(home):
    """With SIGINT ignored (`chimp up &` in a script) Dagster ignores SIGTERM too, and every stop took 15 s."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        say = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"]
        with running(home, {"say": say}) as children:
            assert _first_line(children[0].log) == "False"
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_others_start_when_the_first_serves(home):
    """Four that start at once on two cores kept people before the page waiting for twice as long."""
    looks = []

    def serves() -> bool:
        looks.append((home.settings.home / "logs" / "ranker.log").exists())
        return len(looks) == 3

    with running(home, {"page": _SLEEPER, "ranker": _SLEEPER}, serves) as children:
        assert [child.name for child in children] == ["page", "ranker"]
    assert looks == [False] * 3


@pytest.mark.parametrize("first", [_SLEEPER, [sys.executable, "-c", "raise SystemExit(3)"]], ids=["slow", "down"])
def test_the_others_start_also_when_the_first_never_serves(home, monkeypatch, first):
    monkeypatch.setattr(supervisor, "FIRST_ALONE_S", 0.5 if first is _SLEEPER else 600.0)
    with running(home, {"page": first, "ranker": _SLEEPER}, lambda: False) as children:
        assert [child.name for child in children] == ["page", "ranker"]


def test_a_taken_port_is_replaced_by_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = free_port(port)
    assert other != port
    assert free_port(other) == other


# A supervisor of two children, one of which starts a process with a session of its own; says all numbers and waits.
_SUPERVISOR = """
import signal, sys, time
from pathlib import Path
from chimp_assets.operations import supervisor
from chimp_assets.home import Home

supervisor.GRACE_S = 2.0
far = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
far += "start_new_session=True); print(p.pid, flush=True); time.sleep(600)"
commands = {"near": [sys.executable, "-c", "import time; time.sleep(600)"], "far": [sys.executable, "-c", far]}
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever those above us ignore
signal.signal(signal.SIGHUP, signal.SIG_DFL)
try:
    with supervisor.running(Home.open(sys.argv[1]), commands) as children:
        while not children[1].log.read_text():
            time.sleep(0.02)
        print(*(child.process.pid for child in children), children[1].log.read_text().strip(), flush=True)
        supervisor.watch(children)
except KeyboardInterrupt:
    print("orderly", flush=True)
"""


def _until(there, within_s: float = 60.0):
    deadline = time.monotonic() + within_s
    while not (found := there()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_however_the_supervisor_ends_nothing_of_it_lives_on(home, how):
    """A closed terminal left daemon, page and ranker alive; the next start made a second set of them."""
    one = subprocess.Popen([sys.executable, "-c", _SUPERVISOR, str(home.settings.home)], stdout=subprocess.PIPE)
    pids = [int(word) for word in one.stdout.readline().split()]
    assert len(pids) == 3
    assert all(_is_alive(pid) for pid in pids)
    one.send_signal(how)
    _until(lambda: not any(_is_alive(pid) for pid in pids))
    assert one.wait(60) == (-how if how == signal.SIGKILL else 0)
    assert one.stdout.read() == (b"" if how == signal.SIGKILL else b"orderly\n")


def test_what_an_earlier_start_left_is_ended_by_the_next_one_and_nothing_else(home, tmp_path):
    """After a kill -9 of everything that could have cleaned up, the next start does."""
    other = init_home(tmp_path / "other")
    mark = {**os.environ, UP_ID: "0" * 16}
    left = subprocess.Popen(_SLEEPER, env={**mark, "CHIMP_HOME": str(home.settings.home)}, start_new_session=True)
    theirs = subprocess.Popen(_SLEEPER, env={**mark, "CHIMP_HOME": str(other.settings.home)})
    by_hand = subprocess.Popen(_SLEEPER, env={**os.environ, "CHIMP_HOME": str(home.settings.home)})
    try:
        assert supervisor.end_orphans(home) == 1
        assert left.wait(10) == -signal.SIGTERM
        assert theirs.poll() is None
        assert by_hand.poll() is None
    finally:
        for process in (left, theirs, by_hand):
            process.kill()
            process.wait()


def test_a_process_that_is_killed_is_started_again_with_what_it_had_started_gone(home, monkeypatch):
    """15 of 15 kills of page, ranker or daemon ended everything."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.01)
    said: list[str] = []
    with running(home, {"sleeper": _SLEEPER, "parent": _PARENT}) as children:
        grandchild = int(_first_line(children[1].log))
        sleeper, first = children[0].process.pid, children[1].process.pid
        for _ in range(2):
            before = children[1].process.pid
            os.kill(before, signal.SIGKILL)
            children[1].process.wait()

            def is_back(before=before) -> bool:
                supervisor.tend(children, said.append)
                return children[1].process.pid != before and children[1].process.poll() is None

            _until(is_back)
        assert not _is_alive(first)
        assert not _is_alive(grandchild)
        assert children[0].process.pid == sleeper
        assert len(said) == 2
        assert "The parent process was ended by SIGKILL. It is started again in 0.01 s" in said[0]
        assert "in 0.02 s" in said[1]
        assert children[1].log.name in said[0]
        log = home.settings.home / "logs" / "up.log"
        assert log.read_text().count("SIGKILL") == 2


class _Corpse:
    """A process that has ended, for questions about time only."""

    pid = 2**22 + 7

    def __init__(self, code: int | None) -> None:
        self.code = code

    def poll(self) -> int | None:
        return self.code


@pytest.mark.parametrize(
    ("name", "pauses"), [("ranker", [0.5, 1, 2, 4, 8, 16, 32, 60, 60]), ("page", [0.5, 1, 2, 4, 4, 4])]
)
def test_the_pause_doubles_up_to_a_limit_and_begins_anew_after_a_steady_while(tmp_path, monkeypatch, name, pauses):
    """A crash at every start must not take a core; people stand before the page, so its limit is low."""
    now = [1000.0]
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        supervisor, "_start", lambda child: (setattr(child, "again_at", None), setattr(child, "started_at", now[0]))
    )
    log = tmp_path / "log"
    log.write_text("")
    child = supervisor.Child(name, _Corpse(-9), log, started_at=now[0])
    for pause in pauses:
        supervisor.tend([child])
        assert child.again_at == now[0] + pause
        now[0] += pause
        supervisor.tend([child])
        assert child.again_at is None
    child.process.code = None
    now[0] += supervisor.STEADY_S
    supervisor.tend([child])
    child.process.code = 1  # by itself, but it had stayed up
    supervisor.tend([child])
    assert child.again_at == now[0] + 0.5


def test_the_last_words_are_those_of_this_start(home):
    """The log of yesterday's crash is not why it ends today."""
    logs = home.settings.home / "logs"
    logs.mkdir()
    (logs / "web.log").write_text("yesterday's words\n")
    with running(home, {"web": [sys.executable, "-c", "raise SystemExit(3)"]}) as children:
        children[0].process.wait()
        assert supervisor.fell(children[0]).sentence == "The web process ended: it wrote nothing"


def test_a_second_start_on_a_home_is_refused_and_says_who_is_there_and_where(home):
    """Two daemons on one home ran everything twice; the second page was on a random port."""
    with only_one(home, "chimp up") as lock:
        lock.note({"page": "http://127.0.0.1:3001"})
        with pytest.raises(RunningError) as caught, only_one(home, "chimp demo"):
            pass
        assert holder_of(home).pages == {"page": "http://127.0.0.1:3001"}
    assert f"`chimp up`, process {os.getpid()} since" in caught.value.sentence
    assert "page at http://127.0.0.1:3001" in caught.value.sentence
    assert f"kill {os.getpid()}" in caught.value.remedy
    assert holder_of(home) is None
    with only_one(home, "chimp demo"):
        assert holder_of(home).command == "chimp demo"


def test_the_lock_of_a_killed_start_is_free_at_once(home):
    hold = (
        "import sys, time; from chimp_assets.home import Home; from chimp_assets.operations.home_lock import only_one\n"
        "with only_one(Home.open(sys.argv[1]), 'chimp up'):\n    print('held', flush=True); time.sleep(600)"
    )
    one = subprocess.Popen([sys.executable, "-c", hold, str(home.settings.home)], stdout=subprocess.PIPE)
    assert one.stdout.readline() == b"held\n"
    with pytest.raises(RunningError), only_one(home, "chimp up"):
        pass
    one.kill()
    one.wait()
    with only_one(home, "chimp up"):
        pass


def test_a_taken_port_is_said_with_who_has_it_and_replaced_only_where_that_was_asked_for():
    """Answers that a browser keeps belong to one port: a random one, unsaid, hides them."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0", "localhost"):
            with pytest.raises(PortError) as caught:
                port_for("the labelling page", host, port, option="--page-port")
            assert f"Port {port} is taken by" in caught.value.sentence
            assert f"process {os.getpid()}" in caught.value.sentence
            assert "--page-port" in caught.value.remedy
        other = port_for("the labelling page", "127.0.0.1", port, any_port=True)
    assert other not in (0, port)
    assert port_for("the labelling page", "127.0.0.1", other) == other
    assert port_for("the labelling page", "127.0.0.1", 0) > 0
    with pytest.raises(PortError, match=r"no\.such\.host\.invalid"):
        port_for("the labelling page", "no.such.host.invalid", 3001)
    with pytest.raises(PortError, match="203"):
        port_for("the labelling page", "203.0.113.7", 3001)
