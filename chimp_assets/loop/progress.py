"""How long steps report where they are.

Belongs here: the type of such a report, and reports made from reports. Does not belong here: showing them (`console`).
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""(what, done, total): long steps call it from time to time."""

_NAME_LETTERS = 28


def silent(what: str, done: int, total: int) -> None:
    """The progress of a step that nobody watches."""


def titled(progress: Progress, title: str) -> Progress:
    """A progress that shows one title, whatever its step is working on."""
    return lambda what, done, total: progress(title, done, total)


def naming(progress: Progress, title: str, before: int, of: int) -> Progress:
    """A progress that shows a title and the end of the file's name: one file may take an hour.

    before: files done before this step; of: files of all steps, where one bar covers them.
    """

    def report(what: str, done: int, total: int) -> None:
        name = what.rsplit("/", 1)[-1]
        shown = name if len(name) <= _NAME_LETTERS else f"…{name[1 - _NAME_LETTERS :]}"
        progress(f"{title}: {shown}", before + done, max(of, before + total))

    return report
