"""Child processes that read video files: one that dies takes nothing with it but the call it was busy with.

Belongs here: starting a child, calling a function in it, noticing that it died or hangs.
Does not belong here: what is called (`ingest`, `discover`), and what a death means for a video.

Children are started with a fresh interpreter rather than through multiprocessing, which would import the parent's main
module again: under Dagster that is Dagster, seconds and 150 MB a child.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any

from chimp_assets.errors import ChimpError

Beat = Callable[[], None]
# A child that says nothing for this long hangs: it beats about once a second while it works.
STALL_S = 600.0
_LENGTH = struct.Struct("<Q")
_START = "from chimp_assets.archive.workers import serve; serve()"


class WorkerDied(Exception):
    """The child ended, or was ended because it hung, before it answered. how: in words, such as `SIGSEGV`."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class WorkerFailed(Exception):
    """The called function raised something that is not a ChimpError; the text is its traceback."""

    def __init__(self, short: str, text: str) -> None:
        super().__init__(short, text)
        self.short = short
        self.text = text


class Worker:
    """One child at a time; a new one is started when it is needed. For one thread. Use as a context manager."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        self._stall_s = stall_s
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def call(self, function: Callable[[Any, Beat], Any], argument: Any) -> Any:
        """function(argument, beat) in the child. function is importable by name; it calls beat at least once a minute.

        Raises the function's ChimpError, WorkerFailed for any other exception in it, and WorkerDied.
        """
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        request = pickle.dumps((function, argument))
        hung = threading.Event()
        while True:
            watchdog = threading.Timer(self._stall_s, _end_hung, (child, hung))
            watchdog.daemon = True
            watchdog.start()
            try:
                if request:
                    _send(child.stdin, request)
                    request = b""
                answer = _receive(child.stdout)
            except OSError:
                answer = None
            finally:
                watchdog.cancel()
            if answer is None:
                raise WorkerDied(self._bury(child, hung.is_set()))
            kind, value = pickle.loads(answer)  # noqa: S301 - written by our own child
            if kind == "result":
                return value
            if kind == "error":
                raise value

    def close(self) -> None:
        """End the child, whatever it does."""
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            _close_pipes(child)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise WorkerDied("closed")
        if self._child is None:
            paths = [os.path.abspath(p) if p else os.getcwd() for p in sys.path]  # noqa: PTH100, PTH109
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Safe path: a folder named `av` where the user happens to stand must not be imported.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"},
            )
        return self._child

    def _bury(self, child: subprocess.Popen[bytes], hung: bool) -> str:
        self._child = None
        try:
            code = child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        _close_pipes(child)
        if hung:
            return f"no sign of life for {self._stall_s:.0f} s"
        if code < 0:
            name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
            return f"{name}, perhaps out of memory" if name == "SIGKILL" else name
        return f"exit code {code}"


def _end_hung(child: subprocess.Popen[bytes], hung: threading.Event) -> None:
    hung.set()
    child.kill()


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(_LENGTH.pack(len(content)) + content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(head)[0]
    content = pipe.read(length)
    return content if len(content) == length else None


def serve() -> None:
    """The child: answers calls until its parent closes the pipe or is gone. Run by `Worker` only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends its children
    # Nothing else may write into the answers: libraries that print go to the parent's stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    while (request := _receive(requests)) is not None:
        try:
            function, argument = pickle.loads(request)  # noqa: S301 - written by our own parent
            answer = ("result", function(argument, lambda: _send(answers, pickle.dumps(("beat", None)))))
        except BrokenPipeError:
            return
        except ChimpError as error:
            answer = ("error", error)
        except Exception as error:
            short = f"{type(error).__name__}: {error}"
            answer = ("error", WorkerFailed(short, traceback.format_exc()))
        try:
            _send(answers, pickle.dumps(answer))
        except BrokenPipeError:
            return
