"""Child processes: results, errors, deaths and hangs."""

import os
import signal
import time

import pytest

from chimp_assets.archive.storage.store import StoreError
from chimp_assets.archive.video.workers import Worker, WorkerDeathError, WorkerFailureError


def echo(argument, beat):
    print("a library that prints must not spoil the answer")
    for _ in range(3):
        beat()
    return [argument, os.getpid()]


def die(argument, beat):
    os.kill(os.getpid(), argument)


def hang(argument, beat):
    time.sleep(60)


def refuse(argument, beat):
    raise StoreError("the sentence.", "the remedy.")


def crash(argument, beat):
    raise KeyError("a bug")


def test_a_worker_outlives_errors_and_is_replaced_after_a_death():
    """One crashing file would otherwise end the whole bundle."""
    with Worker() as worker:
        value, pid = worker.call(echo, {"n": [1, 2]})
        assert value == {"n": [1, 2]}
        assert pid != os.getpid()
        with pytest.raises(StoreError) as told:
            worker.call(refuse, None)
        assert (told.value.sentence, told.value.remedy) == ("the sentence.", "the remedy.")
        with pytest.raises(WorkerFailureError, match="KeyError"):
            worker.call(crash, None)
        assert worker.call(echo, 1) == [1, pid]
        with pytest.raises(WorkerDeathError, match="SIGSEGV"):
            worker.call(die, signal.SIGSEGV)
        value, new_pid = worker.call(echo, 2)
        assert new_pid != pid
    with pytest.raises(ProcessLookupError):
        os.kill(new_pid, 0)


def test_a_worker_that_hangs_is_ended():
    """A decoder in an endless loop would hold its bundle for ever."""
    with Worker(stall_s=2.0) as worker:
        began = time.monotonic()
        with pytest.raises(WorkerDeathError, match="no sign of life"):
            worker.call(hang, None)
        assert time.monotonic() - began < 30
