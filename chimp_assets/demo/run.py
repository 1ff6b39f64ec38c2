"""`chimp demo`: the real daemon and its sensors drive everything; this module only plays the expert and shows progress.

Belongs here: the demo's settings, its stages on the screen, when it ends.
Does not belong here: any step of the flow. What the demo shows, the daemon did, exactly as in `chimp up`.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chimp_assets import private_files
from chimp_assets.addresses import toml_string
from chimp_assets.console import output
from chimp_assets.console.progress import progress_bar
from chimp_assets.console.words import counts_in_words
from chimp_assets.dagster_home import folder_for_dagster, make_records, prepare
from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home, init_home
from chimp_assets.insight.status import Status, status_of
from chimp_assets.operations import supervisor
from chimp_assets.operations.home_lock import only_one

if TYPE_CHECKING:
    from chimp_assets.demo.expert import SimulatedExpert

PATIENCE_S = 600.0
"""If the database does not change for this long, something is wrong, and the demo says where to look."""

CLIPS = 60
"""Good files of the archive: enough tracks for three rounds of questions."""

TURNED = 0.2
"""Share of the picture's width by which somebody turns a camera before the last days: what watches must notice."""

LAST_RUNS_S = 60.0
"""Time at the end for runs that are still writing their last lines."""

DEMO_TOML = """\
# Settings of the demo: a small archive, an expert with little patience.
archive_url = "{archive}"

[archive]
bundle_videos = 20

[decode]
longest_side = 640

[acquisition]
batch = 36
low_water = 4
# A third of all is asked only to measure: a demo must show its truth with few tracks. An institute needs less.
audit_reserve = 0.33
cold_shares = {{ typical = 0.62, audit = 0.38 }}
warm_shares = {{ frames = 0.62, audit = 0.38 }}

[head]
min_labels = 10
min_new_labels = 10
cool_down_s = 2.0

[gate]
min_audit_labels = 6

[monitoring]
# The slice that changes has some twenty tracks, half of them kept for the audit and for testing.
labels_to_close = 5

[words]
en = "a chimpanzee"
fr = "un chimpanzé"
"""

SENSOR_SECONDS = {
    name: "2"
    for name in (
        "CHIMP_SENSOR_NEW_VIDEOS_S",
        "CHIMP_SENSOR_UNFINISHED_BUNDLES_S",
        "CHIMP_SENSOR_FIRST_EMBEDDER_S",
        "CHIMP_SENSOR_NEW_LABELS_S",
        "CHIMP_SENSOR_CHAMPION_CHANGED_S",
        "CHIMP_SENSOR_QUEUE_LOW_S",
        "CHIMP_SENSOR_DRIFT_WATCH_S",
    )
} | {"CHIMP_SENSOR_MISSING_PICTURES_S": "600", "CHIMP_SENSOR_DRIFT_WATCH_PAUSE_S": "15"}
"""Pictures are for people; the simulated expert needs none, and the labelling page makes its own."""


class DemoError(ChimpError):
    """The demo cannot start or has stalled."""


@dataclass
class Story:
    """The events so far, for the screen."""

    started: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Adds a line once."""
        if not self.lines or self.lines[-1] != line:
            self.lines.append(line)
            if not output.err.is_terminal:
                output.err.print(f"{time.monotonic() - self.started:4.0f} s  {line}", soft_wrap=True)


def run_demo(
    folder: Path,
    faces: Path | None,
    rounds: int,
    json: bool,
    promise: bool = False,
    volunteers: int = 2,
    **filming: Any,
) -> None:
    """Generates the archive, starts the daemon, answers as the expert, and ends with the report.

    promise: after the wanted trainings go on until most frames are named and the promise about them is kept;
    volunteers: who answer "is this X?" meanwhile; filming: arguments of `make_archive` that differ from the default
    archive.
    Run again on the same folder, it resumes; once finished, it only shows the report. Raises DemoError.
    """
    from chimp_assets.demo.archive import make_archive
    from chimp_assets.demo.report import build_report, show_report

    folder = folder.resolve()
    private_files.make_folder(folder)
    with _only_one(folder):
        story = Story()
        truth_file = folder / "truth.json"
        if not truth_file.exists():
            story.tell("making an archive of real H.264 video, with animals whose names only the truth file knows")
            with progress_bar(json) as tell:
                make_archive(
                    folder / "archive",
                    truth_file,
                    faces=faces,
                    progress=tell,
                    **{"clips": CLIPS, "turned": TURNED, **filming},
                )
        home = init_home(folder, toml=DEMO_TOML.format(archive=toml_string(str(folder / "archive"))[1:-1]))
        with home.database.read() as conn:
            finished = _decided(conn) >= rounds and _settled(conn, home)
        ended = folder / "demo_end.txt"
        if not finished or (promise and not ended.exists()):
            _drive(home, truth_file, rounds, story, promise, volunteers)
            if promise:
                with open(ended, "w", opener=private_files.opener, encoding="utf-8") as file:
                    file.write(story.lines[-1] + "\n")
        report = build_report(home.database, home.store, home.settings, truth_file, folder / "learning_curve.png")
        if json:
            output.say_json(report.as_dict())
        else:
            show_report(report)
            output.say(
                "\nNext:"
                "\n  make up              this demo in the web UI: assets, runs, plots, sensors"
                "\n  chimp ingest FOLDER  your own videos, in a home of their own (.venv/bin/chimp)"
            )


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Holds the lock of the home, with Dagster's records made."""
    with only_one(home, "chimp demo"):
        prepare(home.settings)
        make_records(home.settings)
        yield


def _drive(home: Home, truth_file: Path, rounds: int, story: Story, promise: bool, volunteers: int) -> None:
    """Runs the daemon and the expert until the wanted trainings are decided and the queue is ranked, and then, if
    wanted, until the promise is kept."""
    from chimp_assets.database.labels.promises.goals import set_goal
    from chimp_assets.demo.end import keep_promise
    from chimp_assets.demo.expert import SimulatedExpert
    from chimp_assets.demo.lives import record_lives
    from chimp_assets.demo.truth import ArchiveTruth
    from chimp_assets.demo.volunteers import SimulatedVolunteers

    truth = ArchiveTruth.load(truth_file)
    expert = SimulatedExpert(home.database, truth, seed=home.settings.seed)
    expert.introduce()
    record_lives(home.database, truth)
    others = SimulatedVolunteers(expert, volunteers) if promise and volunteers else None
    if others is not None:
        others.introduce()
    if promise:
        set_goal(home.database, error=0.05, named=0.9, confidence=0.95)
    story.tell("starting Dagster's daemon: from here on sensors decide what runs")
    commands = {"daemon": supervisor.daemon_arguments()}
    with (
        _alone(home),
        supervisor.running(home, commands, environment=SENSOR_SECONDS) as children,
    ):
        look = f"The log is {children[0].log}; `make up` shows the runs. `make demo` resumes here."
        tend = partial(supervisor.tend, children, story.tell)
        play(home, expert, rounds, story, tend, look)
        if promise:
            keep_promise(home, expert, others, story.tell, tend, partial(_settled, home=home))
        _let_runs_end(home)


def play(
    home: Home,
    expert: SimulatedExpert,
    rounds: int,
    story: Story,
    tend: Callable[[], None],
    remedy: str,
    patience_s: float = PATIENCE_S,
) -> None:
    """Answers as the expert until the wanted trainings are decided and the queue is ranked.

    tend: called once a second. Raises DemoError with this remedy if nothing happens for so long.
    """
    last_change, last_seen = time.monotonic(), ""
    with _screen() as live:
        while True:
            tend()
            with home.database.read() as conn:
                now = status_of(conn)
                settled = _settled(conn, home)
                trainable = due.labels_due(conn, home.settings, _now()).due
                plannable = due.queue_due(conn, home.settings).due
                has_embedder = bool(conn.scalar(sa.select(sa.func.count()).where(t.model.c.task == "embedder")))
            _narrate(story, now, has_embedder)
            live.update(_picture(now, story))
            decided = sum(head.state != "candidate" for head in now.heads)
            if decided >= rounds and settled:
                story.tell(f"{decided} trainings decided and the queue is ranked by the champion: the demo ends here")
                break
            waiting = now.queue.get("pending", 0)
            if waiting and not trainable and decided < rounds and settled:
                counts = expert.answer_queue(waiting)
                story.tell("the expert answered " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
            elif not waiting and not trainable and not plannable and settled:
                story.tell(f"no track is left to ask after {decided} trainings: the archive is small")
                break
            seen = repr(now)
            if seen != last_seen:
                last_change, last_seen = time.monotonic(), seen
            if time.monotonic() - last_change > patience_s:
                raise DemoError(
                    f"Nothing has changed for {patience_s:.0f} s, so the demo stops; everything done so far is kept.",
                    remedy,
                )
            time.sleep(1.0)


def _let_runs_end(home: Home) -> None:
    """Waits until Dagster has nothing queued or running: a run cut off at its last line counts as failed."""
    import dagster as dg

    from chimp_assets.automation.brakes import IN_FLIGHT

    deadline = time.monotonic() + LAST_RUNS_S
    with dg.DagsterInstance.from_config(str(folder_for_dagster(home.settings))) as instance:
        while time.monotonic() < deadline and instance.get_runs_count(dg.RunsFilter(statuses=IN_FLIGHT)):
            time.sleep(0.5)


def _now() -> datetime:
    return datetime.now(UTC)


def _decided(conn: sa.Connection) -> int:
    decided = t.model.c.state != "candidate"
    return conn.scalar(sa.select(sa.func.count()).where(t.model.c.task == "head", decided)) or 0


def _settled(conn: sa.Connection, home: Home) -> bool:
    """Whether no candidate waits, every bundle is scored, and the newest plan was made with today's champions."""
    candidates = conn.scalar(sa.select(sa.func.count()).where(t.model.c.task == "head", t.model.c.state == "candidate"))
    head = conn.scalar(sa.select(t.model.c.model_id).where(t.model.c.task == "head", t.model.c.state == "champion"))
    last = conn.execute(
        sa.select(t.acquisition_round.c.head_model_id, t.acquisition_round.c.round_id)
        .order_by(t.acquisition_round.c.round_id.desc())
        .limit(1)
    ).first()
    return last is not None and not candidates and last.head_model_id == head and not due.unscored_bundles(conn)


def _narrate(story: Story, now: Status, has_embedder: bool) -> None:
    registered = sum(now.videos.values())
    done = now.videos.get("tracked", 0) + now.videos.get("failed", 0)
    if registered and not has_embedder and (done % 10 == 0 or done == registered):
        story.tell(f"{done} of {registered} videos tracked")
    ready = "the embedder is ready"
    if has_embedder and now.queue and not now.heads and not any(line.startswith(ready) for line in story.lines):
        story.tell(f"{ready}; {sum(now.queue.values())} tracks are chosen for the expert")
    for head in now.heads:
        if head.state != "candidate" and not any(line.startswith(f"head {head.version} ") for line in story.lines):
            verdict = "was refused" if head.state == "refused" else "was promoted"
            story.tell(f"head {head.version} ({head.n_labels} labels) {verdict}: {head.reason}")


def _picture(now: Status, story: Story) -> Table:
    table = Table(title=f"Chimp Assets demo, {time.monotonic() - story.started:.0f} s", title_justify="left", box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in (
        ("videos", counts_in_words(now.videos)),
        ("frames", f"{now.frames:,}"),
        ("tracks", counts_in_words(now.tracks)),
        ("labels", counts_in_words(now.labels)),
        ("queue", counts_in_words(now.queue)),
        ("models", ", ".join(f"head {head.version} {head.state}" for head in now.heads)),
    ):
        table.add_row(name, value or "-")
    for line in story.lines[-8:]:
        table.add_row("", Text(line, style="dim"))
    return table


@contextmanager
def _screen() -> Iterator[Live]:
    """A live table on a terminal; elsewhere the story is printed line by line."""
    live = Live(console=output.err, refresh_per_second=2, transient=False)
    if not output.err.is_terminal:
        yield live
        return
    with live:
        yield live


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Locks the folder: two demos would answer each other's questions."""
    with open(folder / "demo.lock", "w", opener=private_files.opener) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"Another demo is running in {folder}.", "Wait for it, or choose another folder with --home."
            ) from None
        yield
