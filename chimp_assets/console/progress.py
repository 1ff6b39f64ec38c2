"""Progress bars: one for each kind of step, with the pace of decoding.

Does not belong here: measuring the pace (`database.work.pace`), the steps themselves (`loop`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from chimp_assets.console import output
from chimp_assets.console.words import duration_in_words, hours_in_words
from chimp_assets.database.texts import visible

if TYPE_CHECKING:
    from chimp_assets.database.work.pace import DecodingPace
    from chimp_assets.loop.ingest import Progress as Tell

# The pace is a sum over all videos: it may take this share of the time, and is not queried more often than this.
_PACE_SHARE = 0.02
_PACE_S = 2.0


@contextmanager
def progress_bar(quiet: bool = False, pace: Callable[[], DecodingPace] | None = None) -> Iterator[Tell]:
    """A progress callback that draws one bar for each kind of step, its first word. quiet draws nothing.

    pace: queried now and then for the bar of decoding.
    """
    if quiet:
        yield lambda what, done, total: None
        return
    with Progress(
        _DescriptionColumn(),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        _RemainingColumn(),
        console=output.err,
        expand=True,
    ) as bars:
        tasks: dict[str, TaskID] = {}
        words = _PaceText(pace) if pace else None

        def tell(what: str, done: int, total: int) -> None:
            # One bar for each kind of step: an archive has thousands of bundles.
            kind = what.split(maxsplit=1)[0]
            if kind not in tasks:
                tasks[kind] = bars.add_task(visible(what), total=total)
            shown = str(words) if words and kind == "decode" else ""
            bars.update(tasks[kind], description=visible(what), completed=done, total=total, pace=shown)

        yield tell


class _DescriptionColumn(ProgressColumn):
    """What is done now, on one line. It alone is cut where the terminal is narrow: the numbers matter more."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=False))

    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _RemainingColumn(ProgressColumn):
    """The pace of decoding where there is one, else what the bar's own clock estimates."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))
        self._clock = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        pace = task.fields.get("pace")
        return Text(pace, style="progress.remaining") if pace else self._clock.render(task)


class _PaceText:
    """The pace in words, queried again once it is old enough."""

    def __init__(self, query: Callable[[], DecodingPace]) -> None:
        self._query = query
        self._next_at = 0.0
        self._words = ""

    def __str__(self) -> str:
        began = time.monotonic()
        if began >= self._next_at:
            pace = self._query()
            self._words = ", ".join(_words_of_pace(pace)) if pace.speed else ""
            ended = time.monotonic()
            self._next_at = ended + max(_PACE_S, (ended - began) / _PACE_SHARE)
        return self._words


def _words_of_pace(pace: DecodingPace) -> list[str]:
    words = [f"{hours_in_words(pace.hours_done)} done"]
    if pace.speed:
        words.append(f"{pace.speed:,.0f}x" if pace.speed >= 10 else f"{pace.speed:.1f}x")
    if pace.seconds_left:
        words.append(f"{duration_in_words(pace.seconds_left)} left")
    return words
