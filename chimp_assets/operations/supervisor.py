"""Starting and stopping the long-lived processes together: Dagster's daemon and web UI, the ranker, the labelling page.

Belongs here: starting them, starting again what fell, ending them all however this process ends, logs. Does not belong
here: what they do, who may run a home (`home_lock`), ports (`ports`), how processes are found and ended (`processes`).

Nothing outlives the supervisor. On Linux the kernel ends the children when it dies; a watchdog, which holds a pipe to
it, ends everything that carries its mark, in whatever session it is; and the next `chimp up` sweeps what is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, MappingProxyType

from chimp_assets import private_files
from chimp_assets.addresses import redacted
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.operations import processes
from chimp_assets.operations.ports import free_port
from chimp_assets.settings import shipped_file

__all__ = [
    "GRACE_S",
    "Child",
    "SupervisorError",
    "command_of",
    "daemon_arguments",
    "fallen",
    "fell",
    "free_port",
    "launcher_advice",
    "page_arguments",
    "ranker_arguments",
    "running",
    "stop",
    "tend",
    "watch",
    "web_arguments",
]

GRACE_S = 15.0
"""A run in flight has this long to write where it stopped before it is killed."""
LEFTOVERS_GRACE_S = 2.0
"""What a fallen process leaves behind has this long: whoever waits for the page should not wait for it."""
STEADY_S = 20.0
"""A process that stays up for this long has started well, and its earlier falls are forgotten."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
LONGEST_PAUSE_OF_PAGE_S = 4.0
"""People stand before the page: it comes back within 15 s, also when it falls again and again."""
FIRST_ALONE_S = 8.0
"""The process that people wait for has the machine to itself for at most this long while it starts."""
LOOK_S = 0.25
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


class SupervisorError(ChimpError):
    """A process that should stay up went down, or an address is taken."""


@dataclass
class Child:
    """One process of ours, in a session of its own, and how to start it again.

    again_at: when it is started again, if it is down (time.monotonic); falls: since it was last steady; ever_steady:
    whether it has ever stayed up; number: how often it was started.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    started_at: float = 0.0
    log_began: int = 0
    number: int = 1
    falls: int = 0
    ever_steady: bool = False
    again_at: float | None = None

    @property
    def part(self) -> str:
        """The mark of this process and of what it started."""
        return f"{self.name}.{self.number}"


class Children(list[Child]):
    """The processes of one start of a home. up_id: the mark that they carry."""

    def __init__(self, up_id: str, log: Path) -> None:
        super().__init__()
        self.up_id = up_id
        self.log = log
        self.watchdog = _Watchdog(up_id)

    def note(self, sentence: str) -> None:
        """A line in the supervisor's own log."""
        with contextlib.suppress(OSError), open(self.log, "a", encoding="utf-8", opener=private_files.opener) as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {sentence}\n")


class _Watchdog:
    """The process that ends the others when this one is gone."""

    def __init__(self, up_id: str) -> None:
        self._up_id = up_id
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (a module of ours)
            [sys.executable, "-m", "chimp_assets.operations.watchdog", self._up_id, str(GRACE_S)],
            stdin=subprocess.PIPE,  # its other end is closed by the kernel, whatever becomes of us
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name not in (processes.UP_ID, processes.PART)},
            start_new_session=True,
        )

    def look(self) -> None:
        """Starts it again if it was killed."""
        if self._process.poll() is not None:
            self._close()
            self._process = self._start()

    def release(self) -> None:
        """Lets it go: nothing is left for it to end."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


def _start(child: Child) -> None:
    """Starts a child, for the first time or again."""
    with open(child.log, "ab", opener=private_files.opener) as out:
        child.log_began = out.tell()
        child.process = subprocess.Popen(  # noqa: S603 (commands of our own environment)
            child.arguments,
            env={**child.environment, processes.PART: child.part},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=-1 if os.name == "nt" else private_files.UMASK,
            preexec_fn=_end_with(os.getpid()),
        )
    child.started_at = time.monotonic()
    child.again_at = None


def _end_with(parent: int) -> Callable[[], None] | None:
    """On Linux: what makes the kernel ask the child to end when this process dies. It watches the thread that starts
    the child, so other threads than the main one leave that to the watchdog.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # Behind `chimp up &` SIGINT is ignored, and Dagster treats SIGTERM like SIGINT: it would not end.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if os.getppid() != parent:  # it died before it was watched
            os._exit(1)

    return ask


def command_of(name: str) -> str:
    """A command that was installed beside this Python. Raises SupervisorError."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise SupervisorError(f"{name} is not installed beside {sys.executable}.", "Install chimp-assets again.")
    return str(path)


def daemon_arguments() -> list[str]:
    """The daemon: sensors, schedules, run queue."""
    return [command_of("dagster-daemon"), "run", "-w", str(shipped_file("workspace.yaml"))]


def web_arguments(host: str, port: int) -> list[str]:
    """Dagster's web UI behind our door; a plain `dagster-webserver` lets in everybody who can reach its port."""
    return [sys.executable, "-m", "chimp_assets.web.dagster.serve", host, str(port)]


def ranker_arguments() -> list[str]:
    """What ranks the waiting items again after each answer."""
    return [sys.executable, "-m", "chimp_assets.loop.rerank"]


def page_arguments(port: int) -> list[str]:
    """The labelling page, on the address of its settings."""
    return [sys.executable, "-m", "chimp_assets.web.serve", str(port)]


def launcher_advice(home: Home) -> str | None:
    """What to say to a home whose Dagster does not notice runs that died with the machine; None: nothing."""
    file = home.settings.dagster_home / "dagster.yaml"
    if not file.is_file() or not re.search(
        r"^\s*class:\s*DefaultRunLauncher\b", file.read_text(encoding="utf-8"), re.MULTILINE
    ):
        return None
    return (
        f"{file} names DefaultRunLauncher, which counts a run that a power cut ended as running for a day. Set "
        "module: chimp_assets.automation.launchers.local and class: LocalRunLauncher there."
    )


def end_orphans(home: Home) -> int:
    """Ends what an earlier start of this home has left behind; returns how many processes. For whoever holds the lock
    of the home: with somebody else in it these are no orphans.
    """
    return len(processes.end(lambda: processes.marked(home=home.settings.home), LEFTOVERS_GRACE_S))


def stop(children: list[Child], hurry: Callable[[], bool] = bool) -> None:
    """Asks all of them to end at once, waits, and kills what is left, with everything that they started.

    hurry: the wait is cut short as soon as it gives True.
    """
    for child in children:
        if child.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while any(child.process.poll() is None for child in children) and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
    if isinstance(children, Children):
        left_s = max(deadline - time.monotonic(), LEFTOVERS_GRACE_S)
        processes.end(lambda: processes.marked(children.up_id), left_s, hurry)


@contextlib.contextmanager
def running(
    home: Home,
    commands: Mapping[str, list[str]],
    first_is_up: Callable[[], bool] | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[list[Child]]:
    """The named processes, up while the block runs and stopped with it, also on SIGTERM and on a closed terminal.

    first_is_up: whether the first of them serves; the others start once it does, or after FIRST_ALONE_S, because all
    that start at once on a small machine keep each other waiting. environment: beside the home's.

    Who waits in the block calls `tend` (or `watch`), which starts again what fell.
    """
    logs = home.settings.home / "logs"
    private_files.make_folder(logs)
    with _signals() as hurry:
        children = Children(processes.new_id(), logs / "up.log")
        marked = {**home.environment(), **environment, processes.UP_ID: children.up_id}
        try:
            for name, arguments in commands.items():
                child = Child(name, None, logs / f"{name}.log", arguments, marked)  # type: ignore[arg-type]
                _start(child)
                children.append(child)
                if first_is_up is not None and len(children) == 1:
                    _wait_for(child, first_is_up)
            yield children
        finally:
            hurry.begin()
            stop(children, lambda: hurry.asked)
            children.watchdog.release()


def _wait_for(child: Child, is_up: Callable[[], bool]) -> None:
    """Until a process serves, is down, or has had its time alone."""
    latest = time.monotonic() + FIRST_ALONE_S
    while child.process.poll() is None and time.monotonic() < latest and not is_up():
        time.sleep(LOOK_S)


class _Hurry:
    """Before the end, a signal interrupts the block; while all are stopped, another one only cuts the wait short."""

    def __init__(self) -> None:
        self._ending = False
        self.asked = False

    def begin(self) -> None:
        self._ending = True

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if not self._ending:
            self._ending = True  # a second one must not interrupt the stopping
            raise KeyboardInterrupt
        self.asked = self.asked or signum == signal.SIGINT


@contextlib.contextmanager
def _signals() -> Iterator[_Hurry]:
    """Ctrl-C, SIGTERM and the closed terminal end the block; what the caller ignored (nohup) stays ignored."""
    hurry = _Hurry()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, hurry)
    try:
        yield hurry
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def fallen(children: list[Child]) -> Child | None:
    """The first process that is down although it should stay up."""
    return next((child for child in children if child.process.poll() is not None), None)


def tend(children: list[Child], say: Say | None = None) -> None:
    """One look: starts again, after a pause that doubles, what fell; never waits long. say: hears each fall.

    Raises SupervisorError, with its last words, when a process ends by itself before it has ever stayed up: what cannot
    start once will not start later. One that was killed is started again in any case.
    """
    for child in children:
        now = time.monotonic()
        code = child.process.poll()
        if code is None:
            if now - child.started_at >= STEADY_S:
                child.ever_steady, child.falls = True, 0
            continue
        if child.again_at is None:
            if code >= 0 and not child.ever_steady:
                raise fell(child)
            longest = LONGEST_PAUSE_OF_PAGE_S if child.name == "page" else LONGEST_PAUSE_S
            pause = min(FIRST_PAUSE_S * 2**child.falls, longest)
            child.falls += 1
            child.again_at = now + pause
            _tell(
                children,
                say,
                f"{fell(child).sentence.rstrip('.')}. It is started again in {pause:g} s; its log is {child.log}.",
            )
        elif now >= child.again_at:
            if isinstance(children, Children):
                processes.end(lambda: processes.marked(children.up_id, child.part), LEFTOVERS_GRACE_S)  # noqa: B023
            child.number += 1
            _start(child)
    if isinstance(children, Children):
        children.watchdog.look()


def _tell(children: list[Child], say: Say | None, sentence: str) -> None:
    if isinstance(children, Children):
        children.note(sentence)
    if say is not None:
        say(sentence)


def watch(children: list[Child], say: Say | None = None, look: Callable[[], None] | None = None) -> None:
    """Waits until interrupted, and starts again what falls. look: called now and then. Raises SupervisorError if a
    process cannot start at all.
    """
    while True:
        tend(children, say)
        if look is not None:
            look()
        time.sleep(LOOK_S)


def fell(child: Child) -> SupervisorError:
    """The error for a process that went down: how, its last words and its log."""
    code = child.process.poll()
    killed = code is not None and code < 0
    how = f"was ended by {_signal_name(-(code or 0))}" if killed else f"ended: {_last_words(child)}"
    return SupervisorError(f"The {child.name} process {how}", f"Its log is {child.log}.")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(child: Child) -> str:
    with child.log.open("rb") as log:
        log.seek(child.log_began)
        lines = log.read()[-10_000:].decode(errors="replace").strip().splitlines()
    return redacted(lines[-1]) if lines else "it wrote nothing"
