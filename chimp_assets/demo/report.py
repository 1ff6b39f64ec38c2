"""The demo's report: what the product did, read from SQL, and how accurate it was, judged by the truth.

Belongs here: gathering the numbers, the tables for people, the learning curve, the JSON form.
Does not belong here: running anything (`run`) and the random baseline itself (`baseline`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.console.output import say, styled
from chimp_assets.console.status import promise_line
from chimp_assets.console.tables import print_facts, print_table
from chimp_assets.console.words import counts_in_words
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.database.labels.kinds import ANSWER_KINDS
from chimp_assets.database.upkeep.views import load_query
from chimp_assets.demo.baseline import (
    AuditScore,
    Benchmark,
    RandomBaseline,
    judge,
    random_labels_baseline,
    read_benchmark,
)
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.minutes import NamedArchive, named_archive
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.insight.status import HeadStatus, Status, status_of
from chimp_assets.monitoring.alerts import alerts
from chimp_assets.monitoring.words import sentence

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import Settings

DRAWS = 10
"""Random draws of the baseline at each point: enough for a mean, at a few seconds each on a demo's archive."""


@dataclass(frozen=True)
class HeadLine:
    """One training: the answers it had cost, its accuracy on today's audit, and the random baseline beside it."""

    version: int
    state: str
    reason: str
    asked: int
    """Answers in training lanes up to this training; audit answers are not trained on and are counted apart."""
    today: AuditScore
    random: RandomBaseline | None


@dataclass(frozen=True)
class Naming:
    """Tracks that got a name, against the truth (which only this report may read)."""

    by_person: int
    by_model: int
    by_model_right: int
    by_model_nobody: int
    """Named by the model although they show no animal, or two in about equal parts: never correct."""
    unknown: int
    unlabelled: int
    nobody: int
    """Live tracks that show no animal, or two in about equal parts."""


@dataclass(frozen=True)
class NoticedChange:
    """A change that the product noticed, and the tracks that it asked about because of it.

    noticed: when the alert opened, ISO text. why: what became of it, empty while it is open.
    """

    sentence: str
    noticed: str
    state: str
    why: str
    asked: int
    answered: int


@dataclass(frozen=True)
class DemoReport:
    """The demo in numbers. visits: true stays of an animal in a video; visits_found: those with a live track.

    turned: (camera, first day) where the archive's maker had a camera turned. archive: minutes, names and the promise;
    None where nothing was forecast.
    """

    status: Status
    asked: int
    audited: int
    n_audit: int
    visits: int
    visits_found: int
    naming: Naming
    heads: list[HeadLine]
    together: list[dict[str, Any]]
    curve: str | None
    noticed: list[NoticedChange]
    turned: list[tuple[str, str]]
    archive: NamedArchive | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        tree = asdict(self)
        for line, head in zip(tree["heads"], self.heads, strict=True):
            low, high = head.today.interval
            line["today"] = {"accuracy": head.today.accuracy, "ci_low": low, "ci_high": high, **line["today"]}
        return tree


def build_report(
    db: Database, store: BlobStore, settings: Settings, truth_file: Path, curve: Path | None, draws: int = DRAWS
) -> DemoReport:
    """Reads everything, fits the random baselines, draws the learning curve to `curve`. Writes nothing else."""
    truth = ArchiveTruth.load(truth_file)
    expert = SimulatedExpert(db, truth, settings.seed)
    with db.read() as conn:
        status = status_of(conn)
        by_lane = Counter(dict(_answers_by_lane(conn, None)))
        asked_by = {h.model_id: _asked_before(conn, h.model_id) for h in status.heads}
        embedder = conn.scalar(
            sa.select(t.model.c.model_id).where(t.model.c.task == "embedder", t.model.c.state == "champion")
        )
        together = [
            dict(row)
            for row in conn.execute(
                sa.text(load_query("fred_with_mother")),
                {"child": "FI", "mother": "FF", "max_age_years": None, "min_family": 0, "limit": 3},
            ).mappings()
        ]
        noticed = _noticed(conn)
    benchmark = read_benchmark(db, store, settings, embedder) if embedder is not None else None
    heads = [_head_line(db, store, settings, benchmark, expert, h, asked_by[h.model_id], draws) for h in status.heads]
    visits, found, naming = _against_truth(db, expert, truth)
    report = DemoReport(
        status=status,
        asked=sum(n for lane, n in by_lane.items() if lane not in t.MEASURING_LANES),
        audited=sum(by_lane[lane] for lane in t.MEASURING_LANES),
        n_audit=len(benchmark.audit_name) if benchmark is not None else 0,
        visits=visits,
        visits_found=found,
        naming=naming,
        heads=heads,
        together=together,
        curve=str(curve) if curve is not None and heads else None,
        noticed=noticed,
        turned=_turned(truth),
        archive=None
        if embedder is None
        else named_archive(db, store, expert, embedder, [settings.seed * 1000 + draw for draw in range(draws)]),
    )
    if report.curve is not None:
        draw_curve(heads, Path(report.curve))
    return report


def _turned(truth: ArchiveTruth) -> list[tuple[str, str]]:
    first: dict[str, str] = {}
    for video in sorted((one for one in truth.videos if one.turned), key=lambda one: one.recorded_at):
        first.setdefault(video.camera, video.recorded_at[:10])
    return sorted(first.items())


def _noticed(conn: sa.Connection) -> list[NoticedChange]:
    """Alerts, those that opened first first, with the items of the lane `drift` about their slices."""
    item, track, video = t.acquisition_queue.c, t.track.c, t.video.c
    rows = conn.execute(
        sa.select(place_of_video().label("camera"), video.recorded_on, item.state)
        .join_from(t.acquisition_queue, t.track, track.track_id == item.track_id)
        .join(t.video, video.video_id == track.video_id)
        .where(item.lane == "drift")
    ).all()
    changes = []
    for alert in reversed(alerts(conn)):
        about = [
            row.state
            for row in rows
            if row.recorded_on is not None
            and alert.since <= row.recorded_on
            and (alert.until is None or row.recorded_on < alert.until)
            and alert.camera in ("", row.camera)
        ]
        answered = about.count("answered")
        changes.append(
            NoticedChange(
                sentence=sentence(alert),
                noticed=alert.opened_at.isoformat(timespec="seconds"),
                state=alert.state,
                why=alert.why or "",
                asked=len(about) - about.count("withdrawn"),
                answered=answered,
            )
        )
    return changes


def _answers_by_lane(conn: sa.Connection, watermark_seq: int | None) -> list[tuple[str, int]]:
    a = t.annotation.c
    statement = (
        sa.select(a.lane, sa.func.count()).where(a.kind.in_(ANSWER_KINDS), a.other_track_id.is_(None)).group_by(a.lane)
    )
    if watermark_seq is not None:
        statement = statement.where(a.seq <= watermark_seq)
    return [(lane, n) for lane, n in conn.execute(statement)]


def _asked_before(conn: sa.Connection, model_id: int) -> int:
    watermark = conn.scalar(
        sa.select(t.training_set.c.watermark_seq)
        .join(t.model, t.model.c.training_set_id == t.training_set.c.training_set_id)
        .where(t.model.c.model_id == model_id)
    )
    return sum(n for lane, n in _answers_by_lane(conn, watermark or 0) if lane not in t.MEASURING_LANES)


def _head_line(
    db: Database,
    store: BlobStore,
    settings: Settings,
    benchmark: Benchmark | None,
    expert: SimulatedExpert,
    head: HeadStatus,
    asked: int,
    draws: int,
) -> HeadLine:
    if benchmark is None or not len(benchmark.audit_name):
        return HeadLine(head.version, head.state, head.reason or "", asked, AuditScore(0, 0), None)
    seeds = [settings.seed * 1000 + draw for draw in range(draws)]
    random = random_labels_baseline(benchmark, expert, settings.head, asked, seeds) if asked else None
    today = _judge_head(db, store, benchmark, head.model_id)
    return HeadLine(head.version, head.state, head.reason or "", asked, today, random)


def _judge_head(db: Database, store: BlobStore, benchmark: Benchmark, model_id: int) -> AuditScore:
    from chimp_assets.vision.identity.head import load_head
    from chimp_assets.vision.models.checkpoint import model_of

    with db.read() as conn:
        row = model_of(conn, model_id)
        names: dict[int, str] = {
            key: anim_id
            for key, anim_id in conn.execute(sa.select(t.individual.c.individual_id, t.individual.c.anim_id))
        }
    if row.parent_id != benchmark.embedder_id:
        return AuditScore(0, 0)  # it reads the vectors of an older embedder
    head = load_head(store, row)
    return judge(benchmark, head.W, head.b, [names[int(c)] for c in head.classes])


def _against_truth(db: Database, expert: SimulatedExpert, truth: ArchiveTruth) -> tuple[int, int, Naming]:
    """(visits in the truth, visits with a live track of their own, names against the truth)."""
    v = sa.table("v_track_identity", *(sa.column(c) for c in ("track_id", "video_id", "anim_id", "source", "status")))
    with db.read() as conn:
        rows = conn.execute(
            sa.select(v.c.track_id, v.c.anim_id, v.c.source, v.c.status, t.video.c.uri).join(
                t.video, t.video.c.video_id == v.c.video_id
            )
        ).all()
    really = expert.really(row.track_id for row in rows)
    by_model = [row for row in rows if row.source == "model" and row.status == "identified"]
    found = {(row.uri, really[row.track_id].anim_id) for row in rows if really[row.track_id].kind == "identify"}
    visits = {(video.uri, animal.anim_id) for video in truth.videos for animal in video.animals}
    naming = Naming(
        by_person=sum(row.source == "person" and row.status == "identified" for row in rows),
        by_model=len(by_model),
        by_model_right=sum(row.anim_id == really[row.track_id].anim_id for row in by_model),
        by_model_nobody=sum(really[row.track_id].kind != "identify" for row in by_model),
        unknown=sum(row.status == "unknown" for row in rows),
        unlabelled=sum(row.status == "unlabelled" for row in rows),
        nobody=sum(really[row.track_id].kind != "identify" for row in rows),
    )
    return len(visits), len(visits & found), naming


def show_report(report: DemoReport) -> None:
    """Prints the report: facts, trainings, the mission's query, damaged files, where the curve is."""
    status, naming = report.status, report.naming
    say(styled(("\nWhat the demo did", "bold")))
    usable = sum(status.tracks.values()) - status.tracks.get("junk", 0)
    print_facts(
        [
            ("videos", counts_in_words(status.videos)),
            ("frames", f"{status.frames:,} from {status.hours * 60:.0f} minutes"),
            ("tracks", counts_in_words(status.tracks)),
            ("animals seen", f"{report.visits_found} of {report.visits} true visits have a track"),
            ("asked", f"{report.asked} of {usable} tracks for training, {report.audited} for the audit"),
            ("lanes", counts_in_words(status.labels)),
            (
                "named",
                f"{naming.by_person} tracks by the expert; {naming.by_model} by the model, of which"
                f" {naming.by_model_right} correctly ({_share(naming.by_model_right, naming.by_model)}) and"
                f" {naming.by_model_nobody} show no single animal;"
                f" {naming.unknown} unknown, {naming.unlabelled} without a name",
            ),
        ],
        name_style="dim",
    )
    if report.heads:
        _print_heads(report)
    if report.together:
        best = report.together[0]
        say(
            f"Fred (FI) with his mother Fifi (FF): {best['video_uri']} at {best['time_s']:.1f} s,"
            f" probability {best['joint_probability']:.2f}."
        )
    _print_noticed(report)
    for uri, error in status.failed:
        say(styled(("damaged", "yellow"), f"  {uri}: {error}"))
    if report.archive is not None:
        _print_minutes(report.archive)
    if report.curve:
        say(f"Learning curve: {report.curve}")


def _print_noticed(report: DemoReport) -> None:
    for camera, day in report.turned:
        say(f"What nobody told it: before {day} somebody turned {camera}.")
    for change in report.noticed:
        became = f"{change.state}: {change.why}" if change.why else change.state
        say(styled(("noticed", "yellow"), f"  {change.sentence}"))
        say(f"         Because of it {change.asked} tracks were asked and {change.answered} answered; it is {became}")
    if report.turned and not report.noticed:
        say("Nothing was noticed of it.")


def _print_minutes(archive: NamedArchive) -> None:
    """What the mission counts: minutes, named frames, and whether what is said of them is true."""
    goal, promise = archive.goal.goal, archive.goal.promise
    random = "never got as far" if archive.random is None else f"{archive.random:.1f}"
    truth = "true" if archive.holds else "not true"
    rows = [
        ("minutes of the expert", f"{archive.spent:.1f}"),
        ("minutes of volunteers", f"{archive.volunteers:.1f}"),
        ("minutes of random asking", random),
        ("frames named", f"{archive.named:.1%} (goal {goal.named:.0%})"),
        ("names expected to be wrong", f"{archive.goal.expected_error:.1%} (goal {goal.error:.0%})"),
        ("names really wrong", f"{archive.wrong:.1%}"),
        ("promise", promise_line(promise).removeprefix("Promise: ")),
        (f"at most {goal.error:.0%} wrong", f"{truth}, by the truth file"),
    ]
    print_table(("", ""), rows, "Minutes, and the promise about the names")


def _print_heads(report: DemoReport) -> None:
    draws = max((head.random.draws for head in report.heads if head.random), default=0)
    names = ("head", "asked", "correct on audit", "95 % interval", f"random tracks ({draws} draws)", "verdict")
    rows = []
    for head in report.heads:
        low, high = head.today.interval
        random = head.random
        rows.append(
            (
                str(head.version),
                str(head.asked),
                _share(head.today.right, head.today.n),
                f"{low:.0%} to {high:.0%}" if head.today.n else "-",
                f"{random.mean:.0%} ({random.low:.0%} to {random.high:.0%})" if random else "-",
                f"{head.state}: {head.reason}" if head.reason else head.state,
            )
        )
    print_table(names, rows, f"Trainings, all judged on the same {report.n_audit} audit answers")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def draw_curve(heads: list[HeadLine], file: Path) -> None:
    """Audit accuracy against what the expert was asked, beside random tracks, as a PNG under 100 kB."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    judged = [head for head in heads if head.today.n]
    asked = [head.asked for head in judged]
    right = [head.today.accuracy for head in judged]
    ends = [head.today.interval for head in judged]
    bars = [
        [max(0.0, r - low) for r, (low, _) in zip(right, ends, strict=True)],
        [max(0.0, high - r) for r, (_, high) in zip(right, ends, strict=True)],
    ]
    axes.errorbar(asked, right, yerr=bars, marker="o", capsize=3, color="#1b6ca8", label="asked by the product (95 %)")
    yardsticks = [head.random for head in judged if head.random is not None]
    if yardsticks:
        x = [y.n_labels for y in yardsticks]
        axes.plot(x, [y.mean for y in yardsticks], marker="s", color="#b8562f", label="random tracks, mean of draws")
        low, high = [y.low for y in yardsticks], [y.high for y in yardsticks]
        axes.fill_between(x, low, high, color="#b8562f", alpha=0.18, label="95 % of draws")
    for head in judged:
        if head.state == "refused":
            axes.annotate("refused", (head.asked, head.today.accuracy), textcoords="offset points", xytext=(6, -12))
    n = judged[0].today.n if judged else 0
    axes.set(xlabel="tracks asked for training", ylabel=f"correct on {n} audit tracks", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    if judged:
        axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
