"""Child processes that read video files: one that dies takes nothing with it but the call it was busy with.

Belongs here: starting a child, calling a function in it, noticing that it died or hangs.
Does not belong here: what is called (`reading`, `segments`), and what a death means for a video (`ingest`).

Children are started with a fresh interpreter rather than through multiprocessing, which would import the parent's main
module again: under Dagster that is Dagster, seconds and 150 MB a child. What travels between the two is JSON and plain
arrays, never pickle: a child reads files that strangers made, and a file that takes it over must not take the parent.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any

import numpy as np

from chimp_assets.errors import ChimpError

Beat = Callable[[], None]
# A child that says nothing for this long hangs: it beats about once a second while it works.
STALL_S = 600.0
_LENGTH = struct.Struct("<Q")
# Numbers only: an array of objects would be pickle by another name.
_KINDS = "biuf"
_ARRAY = "array"
_START = "from chimp_assets.archive.video.workers import serve; serve()"


class WorkerDeathError(Exception):
    """The child ended, or was ended because it hung, before it answered. how: in words, such as `SIGSEGV`."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class WorkerFailureError(Exception):
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

    def call(self, function: Callable[[Any, Beat], Any], message: Any) -> Any:
        """function(message, beat) in the child. function is importable by name; it calls beat at least once a minute.

        message and answer: what JSON knows (tuples become lists) and arrays of numbers.
        Raises the function's ChimpError (with its own class, where that is loaded here), WorkerFailureError for any
        other exception in it, WorkerDeathError if the child died.
        """
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        request: list[bytes] | None = _packed({"call": [function.__module__, function.__qualname__], "with": message})
        hung = threading.Event()
        while True:
            watchdog = threading.Timer(self._stall_s, _end_hung, (child, hung))
            watchdog.daemon = True
            watchdog.start()
            try:
                if request:
                    _send(child.stdin, request)
                    request = None
                answer = _receive(child.stdout)
            except (OSError, ValueError):
                answer = None
                child.kill()  # what it says is no answer
            finally:
                watchdog.cancel()
            if answer is None:
                raise WorkerDeathError(self._bury(child, hung.is_set()))
            if "result" in answer:
                return answer["result"]
            if "refused" in answer:
                raise _error_of(answer["refused"])
            if "failed" in answer:
                raise WorkerFailureError(*(str(text) for text in answer["failed"]))

    def start(self) -> None:
        """Start the child now rather than at the first call: it needs half a second."""
        self._started()

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
            raise WorkerDeathError("closed")
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


def _packed(message: Any) -> list[bytes]:
    """A message as parts: JSON, then the bytes of each array that it mentions."""
    arrays: list[bytes] = []

    def array(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray) or value.dtype.kind not in _KINDS:
            raise TypeError(f"{type(value).__name__} cannot be sent to another process")
        arrays.append(value.tobytes())
        return {_ARRAY: len(arrays), "dtype": value.dtype.str, "shape": value.shape}

    head = json.dumps(message, default=array).encode()
    return [head, *arrays]


def _unpacked(parts: list[bytes]) -> Any:
    """Raises ValueError if the parts are no message."""

    def array(found: dict[str, Any]) -> Any:
        if set(found) != {_ARRAY, "dtype", "shape"}:
            return found
        kind = np.dtype(str(found["dtype"]))
        if kind.kind not in _KINDS:
            raise ValueError(f"arrays of {kind} are not taken")
        return np.frombuffer(parts[int(found[_ARRAY])], kind).reshape(found["shape"])

    try:
        return json.loads(parts[0], object_hook=array)
    except (IndexError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from None


def _send(pipe: IO[bytes], parts: list[bytes]) -> None:
    pipe.write(_LENGTH.pack(len(parts)))
    for part in parts:
        pipe.write(_LENGTH.pack(len(part)))
        pipe.write(part)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """The next message; None where the other side has closed the pipe."""
    count = _number(pipe)
    if not count or count > _PARTS:
        return None
    parts = []
    for _ in range(count):
        length = _number(pipe)
        if length is None or length > _PART_BYTES:
            return None
        part = pipe.read(length)
        if len(part) < length:
            return None
        parts.append(part)
    return _unpacked(parts)


# No message is larger; a child that says so has lost its mind.
_PARTS = 100
_PART_BYTES = 1 << 30


def _number(pipe: IO[bytes]) -> int | None:
    head = pipe.read(_LENGTH.size)
    return int(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else None


def _error_of(refusal: Any) -> ChimpError:
    """The child's error, of its own class if that is one that callers tell apart."""
    name, sentence, remedy = (str(text) for text in refusal)
    known = {kind.__name__: kind for kind in _kinds_below(ChimpError) if kind.__module__.startswith("chimp_assets.")}
    return known.get(name, ChimpError)(sentence, remedy)


def _kinds_below(kind: type[ChimpError]) -> list[type[ChimpError]]:
    below = [child for one in kind.__subclasses__() for child in _kinds_below(one)]
    return [kind, *below]


def serve() -> None:
    """The child: answers calls until its parent closes the pipe or is gone. Run by `Worker` only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends its children
    # Nothing else may write into the answers: libraries that print go to the parent's stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    while (request := _receive(requests)) is not None:
        try:
            module, name = request["call"]
            function = getattr(importlib.import_module(module), name)
            answer = {"result": function(request["with"], lambda: _send(answers, _packed({"beat": 1})))}
            parts = _packed(answer)
        except BrokenPipeError:
            return
        except ChimpError as error:
            parts = _packed({"refused": [type(error).__name__, error.sentence, error.remedy]})
        except Exception as error:
            parts = _packed({"failed": [f"{type(error).__name__}: {error}", traceback.format_exc()]})
        try:
            _send(answers, parts)
        except BrokenPipeError:
            return
