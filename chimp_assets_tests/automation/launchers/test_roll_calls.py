"""What follows from who answers a roll call: a run is given up when it is surely gone, and only then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chimp_assets.automation.launchers.roll_calls import RollCall, RollCalls, WorkerAnswer, slots_of, why_gone

RUN = "the run"


def worker(name: str, *runs: str, queues: Sequence[str] = ("cpu",), slots: int = 1) -> WorkerAnswer:
    return WorkerAnswer(name, frozenset(queues), slots, frozenset(runs))


def calls(*answers: tuple[WorkerAnswer, ...] | None) -> list[RollCall]:
    """One every five seconds."""
    return [RollCall(5.0 * number, workers) for number, workers in enumerate(answers)]


HAS = (worker("a", RUN), worker("b"))
NOT = (worker("b"),)
AWAY = None
NOBODY: tuple[WorkerAnswer, ...] = ()


@pytest.mark.parametrize(
    ("seen", "gone"),
    [
        ([HAS] * 8, False),
        ([HAS] + [NOT] * 6, False),  # 25 s
        ([HAS] + [NOT] * 7, True),  # 30 s
        ([HAS] + [NOT] * 5 + [HAS] + [NOT] * 3, False),  # it was only late with its answer
        ([HAS] + [AWAY] * 20, False),  # the broker's fault
        ([HAS] + [AWAY] * 20 + [NOT] * 10, False),  # its worker may still look for the broker
        ([HAS] + [AWAY] * 20 + [NOT] * 13, True),
        ([HAS] + [NOBODY] * 30, False),  # nobody is there to do it again
        ([HAS] + [NOBODY] * 37, True),
        ([HAS] + [NOBODY] * 30 + [NOT] * 3, False),
    ],
)
def test_a_run_is_gone_when_living_workers_do_not_have_it(seen: list[tuple[WorkerAnswer, ...] | None], gone: bool):
    """Given up too early it would be done twice at once; never given up it would block a slot for a day."""
    heard = calls(*seen)
    assert bool(why_gone(heard, RUN, since=-1, now=heard[-1].at)) is gone


def test_what_was_asked_before_a_run_began_says_nothing_about_it():
    """A run was marked as failed in its first second, because nobody had named it before."""
    heard = calls(*[NOT] * 20)
    assert why_gone(heard, RUN, since=heard[-1].at - 1, now=heard[-1].at + 2) is None
    assert why_gone(heard, RUN, since=0, now=heard[-1].at + 2)


def test_old_answers_say_nothing():
    """A daemon that was stopped for a night knows nothing of the morning."""
    heard = calls(*[NOT] * 20)
    assert why_gone(heard, RUN, since=-1, now=heard[-1].at + 3600) is None
    assert slots_of(heard[-1], now=heard[-1].at + 3600) == {}


def test_slots_are_counted_by_queue_and_nothing_is_sent_to_nobody():
    """More runs than slots would wait in the broker, count as starting, and fail after three minutes."""
    call = RollCall(0, (worker("a", slots=2), worker("b", slots=3), worker("g", queues=["gpu"])))
    assert slots_of(call, 1) == {"cpu": 5, "gpu": 1}
    assert slots_of(RollCall(0, AWAY), 1) == slots_of(RollCall(0, NOBODY), 1) == slots_of(None, 1) == {}


def test_workers_are_asked_once_for_many_questions():
    """Every question of its own would keep the daemon waiting for seconds."""
    asked: list[int] = []

    def ask(app: object) -> RollCall:
        asked.append(1)
        import time

        return RollCall(time.monotonic(), NOT)

    seen = RollCalls(app=None, ask=ask)  # type: ignore[arg-type]
    assert [seen.newest() for _ in range(5)] == [seen.newest()] * 5
    assert len(asked) == 1
