"""What the commands print: progress bars, tables, one-sentence errors, the machine-readable last line.

Does not belong here: what the commands do (`cli`).

Nothing that is printed is read as markup or as emoji, and every unseen character is written out: names of files and
people come from elsewhere, and an escape sequence in one would write elsewhere on the screen (`Terminal`).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from chimp_assets.acquisition.returns.words import saving_in_words
from chimp_assets.database.footage.passed_over import LeftBehind, PassedOverFiles
from chimp_assets.database.footage.times import CameraTimes, Times, in_words, quarrel_in_words
from chimp_assets.database.labels.agreement import SelfAgreement
from chimp_assets.database.texts import visible, visible_json
from chimp_assets.database.work.pace import Pace
from chimp_assets.errors import ChimpError
from chimp_assets.insight.questions import Answer, Question
from chimp_assets.insight.status import Bought, Failures, HeadStatus, LabelsToReview, Status
from chimp_assets.loop.evidence import MergeProposal
from chimp_assets.loop.progress import Progress as Tell
from chimp_assets.operations.doctor import Finding

if TYPE_CHECKING:
    from chimp_assets.archive.catalogue.cameras import CameraReport
    from chimp_assets.archive.times.corrections import Corrected, Listed
    from chimp_assets.loop.ingest import Ingested
    from chimp_assets.vision.identity.label_quality import DoubtfulLabel
    from chimp_assets.vision.models.registry import ModelLine


class Terminal(Console):
    """A console that prints texts as they are: no markup, no emoji codes, no control characters."""

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **how)
        self.push_render_hook(_Visible())

    def render_str(self, text: str, **how: Any) -> Text:
        """As the base class does it, with unseen characters written out before anything is measured."""
        return super().render_str(visible(text), **how)


class _Visible(RenderHook):
    """The net below `render_str`: what reaches the console as a `Text` is looked through, too."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_WrittenOut(one) for one in renderables]


class _WrittenOut:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


out = Terminal()
err = Terminal(stderr=True)

CONCLUSIONS_SHOWN = 10
"""Contradictions and merges to decide about, each, at a glance; --json names all."""

MARKS = {"well": "green", "warning": "yellow", "ill": "red"}


def say_error(error: ChimpError) -> None:
    """One sentence and the remedy, on the error stream."""
    err.print(error.sentence, style="red", soft_wrap=True)
    if error.remedy:
        err.print(error.remedy, soft_wrap=True)


def say_json(answer: dict[str, Any]) -> None:
    """One machine-readable line."""
    print(visible_json(json.dumps(answer, default=str, ensure_ascii=False)))  # noqa: T201


def show_notes(notes: list[str]) -> None:
    """What was assumed about a file, each a sentence."""
    for note in notes:
        err.print(f"Note: {note}.", style="yellow", soft_wrap=True)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Texts one behind the other, some with a style."""
    return Text.assemble(*(visible(one) if isinstance(one, str) else (visible(one[0]), one[1]) for one in parts))


_LONGEST_WORD = 24
"""Longer words of a cell, mostly addresses of files, may be broken where a table is too wide."""


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table whose words and headers are never broken; where the terminal is too narrow, a block for each row."""
    room = out.width - 3 * len(names) - 1
    natural, least = [], []
    for place, name in enumerate(names):
        cells = [visible(row[place]) for row in rows]
        words = [word for cell in cells for word in cell.split()]
        lines = [line for cell in [name, *cells] for line in cell.splitlines()]
        natural.append(max(map(cell_len, lines), default=1) or 1)
        pieces = max(map(cell_len, _pieces(name)), default=1) or 1
        least.append(max(pieces, min(_LONGEST_WORD, max(map(cell_len, words), default=0))))
    table = Table(title=title or None, title_justify="left")
    if sum(least) > room:  # without lines between columns there is a letter more for each
        room = out.width - 2 * len(names)
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if sum(least) > room:
        _print_blocks(names, rows, title)
        return
    for name, width in zip(names, _widths(natural, least, room), strict=True):
        header = name if cell_len(name) <= width else "\n".join(_lines_of(_pieces(name), width))
        table.add_column(header, overflow="fold", width=width)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _print_blocks(names: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    if title:
        out.print(title, style="italic")
    for row in rows:
        block = Table(show_header=False, box=None)
        block.add_column(no_wrap=True, style="bold")
        block.add_column(overflow="fold")
        for name, cell in zip(names, row, strict=True):
            block.add_row(name, cell)
        out.print()
        out.print(block)


def _pieces(name: str) -> list[str]:
    """Where a header may be broken: behind underscores and at blanks."""
    return re.findall(r"[^_\s]*_+|[^_\s]+", name) or [name]


def _lines_of(pieces: list[str], width: int) -> list[str]:
    lines = [""]
    for piece in pieces:
        joined = lines[-1] + ("" if not lines[-1] or lines[-1].endswith("_") else " ") + piece
        if lines[-1] and cell_len(joined) > width:
            lines.append(piece)
        else:
            lines[-1] = joined
    return lines


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Room for every column: what it needs, and a fair part of what is left."""
    widths = [min(n, w) for n, w in zip(natural, least, strict=True)]
    left = room - sum(widths)
    while left > 0 and (wanting := [i for i, n in enumerate(natural) if n > widths[i]]):
        for place in wanting[:left]:
            widths[place] += 1
            left -= 1
    return widths


class _Remaining(ProgressColumn):
    """The pace of decoding where there is one, else what the bar's own clock estimates."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))
        self._clock = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        pace = task.fields.get("pace")
        return Text(pace, style="progress.remaining") if pace else self._clock.render(task)


# The pace is a sum over all videos: it may take this share of the time, and is not asked more often than this.
_PACE_SHARE = 0.02
_PACE_S = 2.0


class _PaceText:
    """The pace in words, asked again when it is old enough."""

    def __init__(self, ask: Callable[[], Pace]) -> None:
        self._ask = ask
        self._again_at = 0.0
        self._words = ""

    def __str__(self) -> str:
        began = time.monotonic()
        if began >= self._again_at:
            pace = self._ask()
            self._words = ", ".join(_words_of_pace(pace)) if pace.speed else ""
            ended = time.monotonic()
            self._again_at = ended + max(_PACE_S, (ended - began) / _PACE_SHARE)
        return self._words


@contextmanager
def progress_bar(quiet: bool = False, pace: Callable[[], Pace] | None = None) -> Iterator[Tell]:
    """A progress callback that draws one bar for each kind of step, its first word. quiet draws nothing.

    pace: asked now and then for the bar of decoding.
    """
    if quiet:
        yield lambda what, done, total: None
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _Remaining(),
        console=err,
        expand=True,
    ) as bars:
        tasks: dict[str, Any] = {}
        words = _PaceText(pace) if pace else None

        def tell(what: str, done: int, total: int) -> None:
            # One bar for each kind of step: an archive has thousands of bundles.
            kind = what.split(maxsplit=1)[0]
            if kind not in tasks:
                tasks[kind] = bars.add_task(visible(what), total=total)
            shown = str(words) if words and kind == "decode" else ""
            bars.update(tasks[kind], description=visible(what), completed=done, total=total, pace=shown)

        yield tell


def _words_of_pace(pace: Pace) -> list[str]:
    words = [f"{_hours(pace.hours_done)} done"]
    if pace.speed:
        words.append(f"{pace.speed:,.0f}x" if pace.speed >= 10 else f"{pace.speed:.1f}x")
    if pace.seconds_left:
        words.append(f"{_duration(pace.seconds_left)} left")
    return words


def _hours(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 3 h 20 min, 5 days."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 60 / 24:.0f} days"


def show_findings(findings: list[Finding]) -> None:
    """The doctor's lines."""
    for finding in findings:
        mark = (f"{finding.verdict:<7}", MARKS[finding.verdict])
        out.print(styled(mark, f" {finding.part:<9} {finding.says}"), soft_wrap=True)
        if finding.remedy:
            out.print(f"                  {finding.remedy}", style="dim", soft_wrap=True)


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
        table.add_row(*(cell for cell in _head_line(head)))
    return table


def show_review(labels: list[DoubtfulLabel], n: int, agreement: list[SelfAgreement]) -> None:
    """Labels to look at again, and how often people asked twice said the same."""
    if labels:
        rows = [
            (
                str(label.rank),
                str(label.track_id),
                f"{label.labelled} ({label.probability_labelled:.0%})",
                f"{label.suggested} ({label.probability_suggested:.0%})",
                f"{label.quality:.2f}",
                "yes" if label.likely_error else "",
            )
            for label in labels
        ]
        print_table(("", "track", "labelled", "the models say", "quality", "likely an error"), rows)
    out.print(f"{n:,} labels are contradicted by models that never saw them." if n else "No label is contradicted.")
    for one in agreement:
        out.print(_agreed(one), highlight=False)


def _agreed(one: SelfAgreement) -> str:
    return (
        f"{one.annotator}, asked again, said the same {one.n_same} of {one.n_repeats} times: "
        f"{one.share:.0%} ({one.ci_low:.0%} to {one.ci_high:.0%})."
    )


def show_models(models: list[ModelLine]) -> None:
    """Models in order: state, origin, audit accuracy, reason."""
    if not models:
        out.print("There are no models yet.")
        return
    names = ("model", "task", "version", "state", "parent", "training set", "audit accuracy (95 %)", "reason")
    rows = []
    for line in models:
        accuracy = (
            ""
            if line.top1 is None
            else f"{line.top1:.0%} ({line.ci_low or 0:.0%} to {line.ci_high or 0:.0%}, n = {line.n_audit})"
        )
        cells = (line.model_id, line.task, line.version, line.state, line.parent_id, line.training_set_id, accuracy)
        rows.append(["" if cell is None else str(cell) for cell in (*cells, line.reason)])
    print_table(names, rows)


def show_model(known: dict[str, Any]) -> None:
    """One model: facts, decisions of people, its newest measures, how it is made again."""
    facts = Table(show_header=False, box=None)
    facts.add_column(no_wrap=True)
    facts.add_column()
    for name in ("model_id", "task", "version", "name", "state", "reason", "parent_id", "training_set_id",
                 "checkpoint_uri", "checkpoint_hash", "made_again_by"):  # fmt: skip
        if known[name] is not None:
            facts.add_row(name.replace("_", " "), str(known[name]))
    for name, value in known["config"].items():
        facts.add_row(f"config {name}", str(value))
    for decision in known["decisions"]:
        who = decision["by"] or "the command line"
        facts.add_row(f"{decision['at']:%Y-%m-%d %H:%M}", f"{decision['action']} by {who}: {decision['why']}")
    out.print(facts)
    if not known["metrics"]:
        return
    rows = []
    for m in known["metrics"]:
        of = f"{m['slice_kind']} {m['slice_value']}".strip()
        span = "" if m["ci_low"] is None else f"{m['ci_low']:.3f} to {m['ci_high']:.3f}"
        rows.append((of, m["name"], f"{m['value']:.3f}", span, str(m["n"])))
    print_table(("slice", "metric", "value", "95 %", "n"), rows)


NAMED = 100
"""Paths of each reason that are kept with their names (`archive.listing`)."""
FILES_SHOWN = 10
"""Files that an ingest names at its end; `chimp status --failed` names all."""


def show_failed(failed: list[tuple[str, str]]) -> None:
    """What an ingest could not read, or not whole, and why."""
    if not failed:
        return
    out.print(f"{counted(len(failed), 'file', 'files')} failed or lost something:")
    _show_files(failed[:FILES_SHOWN])
    if len(failed) > FILES_SHOWN:
        out.print(f"... and {len(failed) - FILES_SHOWN:,} more: `chimp status --failed`")


QUARRELS_SHOWN = 5
"""Cameras whose witnesses quarrel, at a glance; `chimp times list` names all."""


def show_how_timed(times: Times, changed: int = 0, why: str = "") -> None:
    """Who says when videos were recorded, how surely, and whose witnesses quarrel."""
    if why:
        out.print(
            f"{why}: the times of {counted(changed, 'video', 'videos')} are others now.", highlight=False,
            soft_wrap=True,
        )  # fmt: skip
    out.print(
        f"Times: {in_words(times.by_witness)}. How sure: {in_words(times.by_certainty)}.", highlight=False,
        soft_wrap=True,
    )  # fmt: skip
    for one in times.quarrels[:QUARRELS_SHOWN]:
        out.print(f"Witnesses quarrel at {quarrel_in_words(one)}", highlight=False, soft_wrap=True)
    if times.n_asks:
        out.print(
            f"{counted(times.n_asks, 'name', 'names')} may be read with day or month first: set archive.date_order, or"
            " `chimp times correct CAMERA --order day_first`.",
            highlight=False,
            soft_wrap=True,
        )
    if times.quarrels:
        out.print("See `chimp times list`; `chimp times correct CAMERA ...` says what a clock did.", highlight=False)


def show_times(times: Times, cameras: list[CameraTimes], corrections: list[Listed]) -> None:
    """Times of each camera, and what people said of clocks."""
    table = Table("camera", "videos", "said by", "how sure", "quarrels")
    for one in cameras:
        table.add_row(
            one.name,
            f"{one.n_videos:,}",
            in_words(one.by_witness),
            in_words(one.by_certainty),
            f"{one.n_quarrels:,}" if one.n_quarrels else "",
        )
    out.print(table)
    show_how_timed(times)
    for said in corrections:
        end = (
            ""
            if said.revoked_at is None
            else f"; revoked {said.revoked_at:%Y-%m-%d}"
            + (f" by {said.revoked_by}" if said.revoked_by else "")
            + (f": {said.revoke_reason}" if said.revoke_reason else "")
        )
        who = f" by {said.by}" if said.by else ""
        why = f": {said.reason}" if said.reason else ""
        line = f"Correction {said.correction_id}, {said.camera}: {said.words} ({said.made_at:%Y-%m-%d}{who}{why}){end}"
        out.print(line, highlight=False, soft_wrap=True)


def show_correction(done: Corrected, title: str) -> None:
    """What a correction changes, with some examples."""
    out.print(title, highlight=False, soft_wrap=True)
    for uri, before, after in done.examples:
        line = f"  {uri}: {_moment(before)} -> {_moment(after)}"
        out.print(line, highlight=False, soft_wrap=True)
    would = "would be" if done.correction_id is None else "are"
    number = "" if done.correction_id is None else f" Undo it with `chimp times undo {done.correction_id}`."
    moved = f" {counted(done.moved, 'video', 'videos')} changed the split with the day." if done.moved else ""
    number = "" if title.startswith("Revoked") else number
    out.print(
        f"The times of {counted(done.n_changed, 'video', 'videos')} {would} others now.{moved}{number}",
        highlight=False,
        soft_wrap=True,
    )


def _moment(moment: datetime | None) -> str:
    return "nobody knows" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


PASSED_OVER_WORDS = {
    "not_video": "no videos by their names",
    "system": "hidden, or kept by an operating system",
    "own": "homes and stores of Chimp Assets",
    "link": "symbolic links that are not followed",
    "unreadable": "not readable",
    "name": "names that cannot be stored",
    "not_file": "pipes, sockets and devices",
}
_MENDABLE = ("unreadable", "name", "link")


def show_changes(done: Ingested) -> None:
    """Files that are not as they were."""
    kinds = (
        (done.replaced, "replaced"),
        (done.retired, "gone"),
        (done.returned, "back"),
        (done.waiting, "still being written"),
    )
    said = ", ".join(f"{n:,} {what}" for n, what in kinds if n)
    if said:
        out.print(f"Of the files: {said}.", highlight=False)
    if done.same_pictures:
        one = done.same_pictures == 1
        out.print(
            f"{done.same_pictures:,} {'shows' if one else 'show'} the same pictures as before and "
            f"{'keeps its' if one else 'keep their'} tracks and labels.",
            highlight=False,
        )


def show_passed_over(
    counts: dict[str, int], endings: dict[str, int], named: list[tuple[str, str, str]], most: int = FILES_SHOWN
) -> None:
    """What lies in the archive and is not read: how much, why, and by name what a person may mend."""
    for line in passed_over_lines(counts, endings):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    shown = [one for one in named if one[1] in _MENDABLE or one[1] == "own" or "looks like" in one[2]]
    _show_files([(path, detail) for path, _, detail in shown[:most]])
    if len(shown) > most:
        out.print("... and more: `chimp status --failed`")


def passed_over_lines(counts: dict[str, int], endings: dict[str, int]) -> list[str]:
    """Numbers of what is passed over, a sentence for each reason."""
    lines = []
    for reason, words in PASSED_OVER_WORDS.items():
        n = counts.get(reason, 0)
        if not n:
            continue
        by = ""
        if reason == "not_video" and endings:
            most = sorted(endings.items(), key=lambda one: (-one[1], one[0]))
            by = ", ".join(f"{m:,} {ending or 'without an ending'}" for ending, m in most[:FILES_SHOWN])
            by = f" ({by}, ...)" if len(most) > FILES_SHOWN else f" ({by})"
        lines.append(f"Passed over, {words}: {n:,}{by}")
    return lines


def show_left_behind(left: list[LeftBehind]) -> None:
    """Labels that could not go along with a replaced file."""
    for one in left[:FILES_SHOWN]:
        out.print(f"{one}.", highlight=False, markup=False, soft_wrap=True)
    if len(left) > FILES_SHOWN:
        out.print(f"... and {len(left) - FILES_SHOWN:,} more files like these: `chimp status --failed`")


def show_cameras(report: CameraReport) -> None:
    """Cameras, a line each; then what is doubtful, and what was said of them."""
    table = Table(box=None)
    for name in ("camera", "videos", "first day", "last day", "written"):
        table.add_column(name)
    for line in report.cameras:
        written = ", ".join(spelling for spelling in line.spellings if spelling != line.camera)
        days = [str(day or "") for day in (line.first_day, line.last_day)]
        table.add_row(Text(line.name), f"{line.n_videos:,}", *days, Text(f"also {written}" if written else ""))
    out.print(table)
    for line in report.cameras:
        for doubt in line.doubts:
            _say(f"Not sure of {line.name}: {doubt}.")
    for proposal in report.proposals:
        _say(
            f"{proposal.camera} may be {proposal.into}, {proposal.why}:"
            f' chimp cameras map "{proposal.camera}" "{proposal.into}"'
        )
    for name in report.silent:
        _say(f"A deployment of {name} has no video.")
    for mapping in report.mappings:
        who = f" by {mapping.by}" if mapping.by else ""
        why = f" ({mapping.why})" if mapping.why else ""
        into = f"{mapping.site}/{mapping.camera}" if mapping.site else mapping.camera
        day = f"{mapping.at:%Y-%m-%d}"
        _say(f"Mapping {mapping.mapping_id}: {mapping.kind} {mapping.subject} is {into}; made{who} on {day}{why}.")
    if report.unknown:
        _say(f"{counted(report.unknown, 'video lies', 'videos lie')} in no folder that names a camera.")
    if report.misplaced:
        _say(
            f"{counted(report.misplaced, 'video is', 'videos are')} filed under another camera than the path names:"
            " chimp cameras apply"
        )


def _say(sentence: str) -> None:
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)


def _show_files(files: list[tuple[str, str]]) -> None:
    for uri, error in files:
        out.print(Padding(styled((uri, "bold")), (0, 0, 0, 2)))
        out.print(Padding(styled(error), (0, 0, 0, 6)))


def show_status(status: Status) -> None:
    """A home at a glance."""
    facts = Table(show_header=False, box=None)
    facts.add_column(no_wrap=True)
    facts.add_column()
    for name, value in (
        ("videos", _counts(status.videos)),
        ("video", f"{_hours(status.hours)} decoded{_hours_left(status.pace)}"),
        *([("times", _times(status.times))] if status.times else []),
        ("frames", f"{status.frames:,} ({status.shard_bytes / 1e6:,.1f} MB of shards)"),
        ("speed", _speed(status.pace)),
        ("tracks", _counts(status.tracks)),
        ("individuals", str(status.individuals)),
        ("labels by lane", _counts(status.labels)),
        *(("asked twice", _agreed(one)) for one in status.agreement),
        *([("labels to review", _to_review(status.to_review))] if status.to_review else []),
        ("queue", _counts(status.queue)),
        *([("pairs", _counts(status.pairs))] if status.pairs else []),
        *([("disputed answers", _counts(status.disputed))] if status.disputed else []),
        ("failures", _failures(status)),
        *([("not read", _passed_over(status.passed_over))] if status.passed_over.counts else []),
    ):
        facts.add_row(name, value)
    out.print(facts)
    if status.heads:
        out.print(head_table(status.heads))
    for line in bought_lines(status.bought):
        out.print(line, highlight=False)
    for line in status.contradictions[:CONCLUSIONS_SHOWN]:
        out.print(f"{line}.", highlight=False, soft_wrap=True)
    for merge in status.proposals[:CONCLUSIONS_SHOWN]:
        out.print(proposal_line(merge), highlight=False, soft_wrap=True)
    show_left_behind(status.left_behind)
    for at, subject, _ in status.failed_runs:
        out.print(styled(("run failed", "red"), f" {at:%Y-%m-%d %H:%M} UTC: {subject}"))


def _times(times: Times) -> str:
    lines = [f"{in_words(times.by_witness)}; {in_words(times.by_certainty)}"]
    lines += [f"quarrel at {quarrel_in_words(one)}" for one in times.quarrels[:QUARRELS_SHOWN]]
    if times.quarrels:
        lines.append("see `chimp times list`")
    return "\n".join(lines)


def _passed_over(files: PassedOverFiles) -> str:
    faults = {"unreadable": "cannot be read", "name": "with names that cannot be stored", "link": "links not followed"}
    others = sum(n for reason, n in files.counts.items() if reason not in faults)
    parts = [f"{files.counts[reason]:,} {words}" for reason, words in faults.items() if files.counts.get(reason)]
    if others:
        parts.append(counted(others, "other file", "other files"))
    return f"{', '.join(parts)}: see `chimp status --failed`"


def proposal_line(merge: MergeProposal) -> str:
    """A merge that a person should decide about, and how."""
    into = f"{merge.into_name} ({merge.into_anim_id})" if merge.into_name else merge.into_anim_id
    return (
        f"{merge.anim_id} is {into}, by what people said of {len(merge.track_ids)} tracks:"
        f" chimp individuals merge {merge.anim_id} {merge.into_anim_id}"
    )


def _to_review(labels: LabelsToReview) -> str:
    return (
        f"{labels.n_likely_errors:,} likely errors among {labels.n_judged:,} labels that head {labels.model_id} was not"
        " fitted on when it judged them: see `chimp labels review`"
    )


def bought_lines(bought: Bought | None) -> list[str]:
    """What the labels bought, and whether to go on, in sentences."""
    if bought is None:
        return []
    lines = []
    if bought.accuracy is not None and bought.labels is not None and bought.minutes is not None:
        needed = (math.inf if n is None else n for n in (bought.random_labels, bought.random_low, bought.random_high))
        lines.append(saving_in_words(bought.accuracy, bought.labels, bought.minutes, *needed))
    if bought.next_hour is not None:
        lines.append(
            f"The next hour of answers is expected to add {100 * bought.next_hour:.1f} points of accuracy "
            f"({100 * (bought.next_hour_low or 0):.1f} to {100 * (bought.next_hour_high or 0):.1f})."
        )
    done = [lane for lane in bought.says_stop if lane != "all"]
    if done:
        lines.append(f"Hardly anything new comes from {', '.join(done)} any more.")
    if "all" in bought.says_stop:
        lines.append("The newest heads say nearly the same of tracks that nobody has answered.")
    return lines


def _hours_left(pace: Pace) -> str:
    if pace.hours_left == 0:
        return ""
    return ", more waiting" if pace.hours_left is None else f", about {_hours(pace.hours_left)} waiting"


def _speed(pace: Pace) -> str:
    if pace.speed is None:
        return "not measured yet"
    left = f", about {_duration(pace.seconds_left)} left to decode" if pace.seconds_left else ""
    return f"{pace.speed:,.1f} x real time{left}"


def counted(n: int, one: str, many: str) -> str:
    """How many of what, in its number."""
    return f"{n:,} {one if n == 1 else many}"


def _failures(status: Status) -> str:
    kinds = (
        (status.n_failed, "failed", "failed"),
        (status.n_lost_something, "lost something", "lost something"),
        (status.n_duplicates, "duplicate", "duplicates"),
        (len(status.given_up), "bundle given up", "bundles given up"),
    )
    said = ", ".join(counted(n, one, many) for n, one, many in kinds if n)
    return f"{said}: see `chimp status --failed`" if said else "none"


def show_failures(failures: Failures) -> None:
    """Every file that a person must look at: what happened and what to do, a paragraph each."""
    for files, title in (
        (failures.failed, styled(("Failed", "red"), ": nothing of these files was kept")),
        (failures.lost_something, styled(("Lost something", "yellow"), ": the rest of these files was kept")),
    ):
        if files:
            out.print(styled().join((title, styled(f" ({len(files):,})"))))
        _show_files(files)
    if failures.duplicates:
        out.print(
            f"Duplicates: files whose bytes another file holds; decoded once ({len(failures.duplicates):,})",
            highlight=False,
        )
        for uri, other in failures.duplicates:
            out.print(Padding(styled((uri, "bold"), " is the same as ", other), (0, 0, 0, 2)))
    if failures.given_up:
        out.print(
            styled(
                ("Given up", "red"),
                f": runs of these bundles kept dying ({len(failures.given_up):,}): {', '.join(failures.given_up)}",
            )
        )
    if failures.failed or failures.given_up:
        out.print("After a repair: `chimp ingest --retry-failed`. A file that was replaced is taken by itself.")
    elif not (failures.lost_something or failures.duplicates):
        out.print("No file has failed.")
    show_left_behind(failures.left_behind)
    more = failures.passed_over
    if more.counts:
        out.print(f"Passed over: what lies in the archive and is not read ({sum(more.counts.values()):,})")
        for line in passed_over_lines(more.counts, more.endings):
            _say(f"  {line.removeprefix('Passed over, ')}")
        _show_files([(path, detail) for path, _, detail in more.named])
        named = [reason for _, reason, _ in more.named]
        if any(named.count(reason) >= NAMED for reason in more.counts):
            out.print("Of very many, the first of each kind are named.")


def show_questions(known: list[Question]) -> None:
    """Names of questions, what each asks and what it takes."""
    for one in known:
        out.print(one.name, style="bold")
        out.print(Padding(styled(one.asks), (0, 0, 0, 4)))
        for parameter in one.parameters:
            out.print(Padding(Text(f"--set {parameter.usage}  {parameter.what}", style="dim"), (0, 0, 0, 6)))
    out.print("\nAsk one: `chimp query NAME --set parameter=value`", highlight=False)


def show_answer(answer: Answer) -> None:
    """An answer as a table, with the question above it."""
    print_table(answer.columns, [[cell_of(value) for value in row] for row in answer.rows], answer.question.asks)
    if not answer.rows:
        out.print("No rows: nothing in the database answers this.")


def cell_of(value: object) -> str:
    """A value as people read it: four significant digits, moments without their fractions, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    text = str(value)
    return re.sub(r"(\d\d:\d\d:\d\d)\.\d+(?:\+00:00)?$", r"\1", text)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"


def show_individuals(individuals: list[dict[str, Any]]) -> None:
    """Who may be named, a line each."""
    table = Table(box=None)
    for name in ("AnimID", "name", "sex", "born", ""):
        table.add_column(name)
    for row in individuals:
        remark = f"is {row['same_as']}" if row["same_as"] else "provisional" if row["provisional"] else ""
        cells = (row["anim_id"], row["name"], row["sex"], row["birth_date"], remark)
        table.add_row(*(cell or "" for cell in cells))
    out.print(table)
    out.print(f"{len(individuals):,} individuals.", highlight=False)


def show_individual(known: dict[str, Any]) -> None:
    """One individual, a line for each thing that is known of it."""

    def span(row: dict[str, Any], start: str, end: str) -> str:
        return f" {row[start] or '...'} to {row[end] or '...'}" if row[start] or row[end] else ""

    for name, value in known.items():
        if value is not None and not isinstance(value, list):
            out.print(f"{name}: {value}", highlight=False, markup=False)
    if known["merged_into_it"]:
        out.print(f"also seen as: {', '.join(known['merged_into_it'])}", highlight=False, markup=False)
    for row in known["aliases"]:
        out.print(f"alias: {row['alias']}{span(row, 'valid_from', 'valid_to')}", highlight=False, markup=False)
    for row in known["memberships"]:
        out.print(f"member of {row['community']}:{span(row, 'start_date', 'end_date')}", highlight=False, markup=False)
    for row in known["log"]:
        why = f" ({row['rationale']})" if row["rationale"] else ""
        by = f" {row['made_by']}:" if row["made_by"] else ""
        out.print(f"{row['made_at'][:16]}{by} {row['description']}{why}", highlight=False, markup=False)
