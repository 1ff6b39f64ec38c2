"""What the commands print: progress bars, tables, one-sentence errors, the machine-readable last line.

Does not belong here: what the commands do (`cli`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from chimp_assets.database.status import HeadStatus, Status
from chimp_assets.doctor import Finding
from chimp_assets.errors import ChimpError
from chimp_assets.pipeline import Progress as Tell

out = Console()
err = Console(stderr=True)

MARKS = {"well": "[green]well   [/]", "warning": "[yellow]warning[/]", "ill": "[red]ill    [/]"}


def say_error(error: ChimpError) -> None:
    """One sentence and the remedy, on the error stream."""
    err.print(f"[red]{_plain(error.sentence)}[/]", soft_wrap=True, highlight=False)
    if error.remedy:
        err.print(_plain(error.remedy), soft_wrap=True, highlight=False)


def say_json(answer: dict[str, Any]) -> None:
    """One machine-readable line."""
    print(json.dumps(answer, default=str, ensure_ascii=False))  # noqa: T201


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Tell]:
    """A progress callback that draws one bar for each kind of step, its first word. quiet draws nothing."""
    if quiet:
        yield lambda what, done, total: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
    ) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            # One bar for each kind of step: an archive has thousands of bundles.
            kind = what.split(maxsplit=1)[0]
            if kind not in tasks:
                tasks[kind] = bars.add_task(what, total=total)
            bars.update(tasks[kind], description=what, completed=done, total=total)

        yield tell


def show_findings(findings: list[Finding]) -> None:
    """The doctor's lines."""
    for finding in findings:
        line = f"{MARKS[finding.verdict]} {finding.part:<9} {_plain(finding.says)}"
        out.print(line, highlight=False, soft_wrap=True)
        if finding.remedy:
            out.print(f"                  [dim]{_plain(finding.remedy)}[/]", highlight=False, soft_wrap=True)


def _head_line(head: HeadStatus) -> tuple[str, str, str, str, str]:
    accuracy = (
        "not measured"
        if head.audit_top1 is None
        else f"{head.audit_top1:.0%} ({head.ci_low or 0:.0%} to {head.ci_high or 0:.0%}, n = {head.n_audit})"
    )
    return str(head.version), head.state, str(head.n_labels), accuracy, head.reason or ""


def head_table(heads: list[HeadStatus]) -> Table:
    """Heads in order: verdict, labels, audit accuracy, reason."""
    table = Table(title="Models", title_justify="left")
    for name in ("head", "verdict", "labels", "audit accuracy (95 %)", "reason"):
        table.add_column(name)
    for head in heads:
        table.add_row(*(_plain(cell) for cell in _head_line(head)))
    return table


def failed_table(failed: list[tuple[str, str]]) -> Table:
    """Files that could not be read, or not whole, and why."""
    table = Table(title="Files that failed or lost something", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("what happened, and what to do", overflow="fold")
    for uri, error in failed:
        table.add_row(_plain(uri), _plain(error))
    return table


def show_status(status: Status, failed_only: bool = False) -> None:
    """A home at a glance."""
    if not failed_only:
        facts = Table(show_header=False, box=None)
        for name, value in (
            ("videos", _counts(status.videos)),
            ("hours", f"{status.hours:.2f}"),
            ("frames", f"{status.frames:,} ({status.shard_bytes / 1e6:,.1f} MB of shards)"),
            ("tracks", _counts(status.tracks)),
            ("individuals", str(status.individuals)),
            ("labels by lane", _counts(status.labels)),
            ("queue", _counts(status.queue)),
        ):
            facts.add_row(name, value)
        out.print(facts)
        if status.heads:
            out.print(head_table(status.heads))
        for at, subject, _ in status.failed_runs:
            out.print(f"[red]run failed[/] {at:%Y-%m-%d %H:%M} UTC: {_plain(subject)}")
    if status.failed:
        out.print(failed_table(status.failed))
    elif failed_only:
        out.print("No file has failed.")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"
