"""The `chimp` command: every step of the product for people who do not write Python.

Belongs here: arguments, options, printing. Does not belong here: the work; each command is a few calls.
Errors are one sentence and a remedy with exit code 2; `chimp --debug ...` shows the traceback as well.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from chimp_assets import private_files
from chimp_assets.errors import ChimpError

app = typer.Typer(
    name="chimp",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="From an archive of wildlife video to a database of who was seen where, when and with whom.",
)
labels = typer.Typer(no_args_is_help=True, help="Labels as CSV files.")
individuals = typer.Typer(no_args_is_help=True, help="Who may be named.")
effort = typer.Typer(no_args_is_help=True, help="When and where somebody could have been seen.")
cameras = typer.Typer(no_args_is_help=True, help="Which camera filmed what.")
users = typer.Typer(no_args_is_help=True, help="People who label.")
database = typer.Typer(no_args_is_help=True, help="The database.")
times = typer.Typer(no_args_is_help=True, help="When videos were recorded: who says so, and what camera clocks did.")
models = typer.Typer(no_args_is_help=True, help="Which models there are, and which of them answers.")
app.add_typer(labels, name="labels")
app.add_typer(individuals, name="individuals")
app.add_typer(effort, name="effort")
app.add_typer(times, name="times")
app.add_typer(cameras, name="cameras")
app.add_typer(users, name="user")
app.add_typer(database, name="db")
app.add_typer(models, name="models")

Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable line at the end, and no bars.")]

DEMO_HOME = Path("demo_home")

ARCHIVE_LOOK_S = 30.0

_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
"""A wrong command line. Typer keeps this class private and shows only its children."""


@app.callback()
def _everywhere(
    context: typer.Context, debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False
) -> None:
    context.obj = {"debug": debug}


@app.command()
def init(
    archive: Annotated[str | None, typer.Argument(help="Folder or az://container/prefix of your videos.")] = None,
    json: Json = False,
) -> None:
    """Make CHIMP_HOME: settings, database, store, Dagster's instance. Run again it changes nothing that is there."""
    from chimp_assets import console
    from chimp_assets.dagster_home import prepare
    from chimp_assets.home import home_from_environment, init_home, make_private_if_there

    opened = make_private_if_there(home_from_environment())
    home = init_home(archive_url=_archive_url(archive) if archive else None)
    notes = [note for note in (opened, prepare(home.settings)) if note]
    if json:
        console.say_json(
            {"home": str(home.settings.home), "database": home.settings.secret_free_database_url, "notes": notes}
        )
        return
    _print(f"The home is {home.settings.home}; its settings are in chimp.toml.", *notes)
    console.out.print("Next: `chimp ingest FOLDER` for your videos, then `chimp up` for the web UI.", highlight=False)


@app.command()
def doctor(
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Delete files of the store that no row names: what killed steps left.")
    ] = False,
    older_than: Annotated[
        float,
        typer.Option(help="Minutes: younger files may belong to a step at work. 0 only while nothing runs.", min=0),
    ] = 60.0,
    json: Json = False,
) -> None:
    """Say of each part of the home whether it is well, and what to do where it is not. Exit code 2 if one is ill."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.operations.doctor import examine

    findings = examine(Home.open(), sweep, older_than * 60)
    if json:
        console.say_json({"findings": [vars(finding) for finding in findings]})
    else:
        console.show_findings(findings)
    if any(finding.verdict == "ill" for finding in findings):
        raise typer.Exit(2)


@app.command()
def ingest(
    archive: Annotated[str | None, typer.Argument(help="Folder or az://container/prefix; else the one set.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Take up failed videos and given-up bundles again, after a repair.")
    ] = False,
    json: Json = False,
) -> None:
    """From the archive to predictions and a queue, in the foreground. Interrupt it at any moment and run it again."""
    from chimp_assets import console
    from chimp_assets.database.work import due
    from chimp_assets.database.work.pace import Pace, pace_of
    from chimp_assets.home import has_home, init_home, remember_archive, require_video
    from chimp_assets.loop import ingest as pipeline

    is_new = not has_home()
    if is_new:
        # A home that nobody asked for must not come from a wrong folder.
        require_video(_archive_url(archive) if archive is not None else None)
    home = init_home()
    if is_new and not json:
        _print(f"Made a home at {home.settings.home}: settings, database and pictures of this archive lie there.")
    if archive is not None:
        home = remember_archive(home, _archive_url(archive))
    retried = due.Retried(0, 0)
    if retry_failed:
        retried = due.retry_failed(home.database)
        if not json:
            console.out.print(
                f"{console.counted(retried.videos, 'failed video is', 'failed videos are')} tried again"
                + (
                    f", and {console.counted(retried.bundles, 'bundle', 'bundles')} given up before."
                    if retried.bundles
                    else "."
                ),
                highlight=False,
            )

    def pace() -> Pace:
        with home.database.read() as conn:
            return pace_of(conn, home.settings.decode.workers)

    with console.progress_bar(json, pace) as tell:
        done = pipeline.ingest(home, tell)
    if json:
        made = {"made_home": str(home.settings.home)} if is_new else {}
        console.say_json({**done.as_dict(), "retried": retried.videos, "pace": vars(pace()), **made})
        return
    console.out.print(
        f"{console.counted(done.listed, 'file', 'files')} listed, {done.new} new; {done.frames:,} frames kept and "
        f"{done.tracks:,} tracks followed in {console.counted(done.bundles, 'bundle', 'bundles')}."
        + (f" {done.duplicates:,} of them are duplicates or have moved." if done.duplicates else ""),
        highlight=False,
    )
    if done.replaced or done.retired or done.returned or done.waiting or done.same_pictures:
        console.show_changes(done)
    console.show_failed(done.failed)
    console.show_how_timed(done.times, done.times_changed, done.why_times)
    console.show_passed_over(done.passed_over, done.endings, [(p.path, p.reason, p.detail) for p in done.named])
    console.show_left_behind(done.left_behind)
    console.out.print(
        "The queue is filled: `chimp up`, or `chimp status`."
        if done.round_id
        else f"No new plan was made: {done.why_no_plan}."
    )


@app.command()
def status(
    failed: Annotated[
        bool, typer.Option("--failed", help="Every file that failed or lost something, with reason and remedy.")
    ] = False,
    json: Json = False,
) -> None:
    """What the home holds: videos, frames, tracks, labels, models, the queue, and what failed."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.insight.status import failures_of, status_of

    home = Home.open()
    with home.database.read() as conn:
        if failed:
            failures = failures_of(conn)
            console.say_json(failures.as_dict()) if json else console.show_failures(failures)
            return
        now = status_of(conn, home.settings.decode.workers)
    problem = home.archive_problem()
    if json:
        console.say_json({**now.as_dict(), "archive_problem": problem})
    else:
        console.show_status(now)
        if problem:
            console.out.print(f"The archive cannot be read: {problem}", style="red", highlight=False, markup=False)


@app.command()
def retrain(json: Json = False) -> None:
    """Fit a head on the labels there are, measure it on the audit, promote or refuse it; then score and plan."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.loop import plan, rescore
    from chimp_assets.loop import retrain as retraining

    home = Home.open()
    with console.progress_bar(json) as tell:
        done = retraining.retrain(home, tell)
        while done.promoted and rescore.rescore(home, tell).left:
            pass
    if done.promoted:
        plan.replan(home)
    if json:
        console.say_json(vars(done))
        return
    console.out.print(f"Head {done.model_id} was {'promoted' if done.promoted else 'refused'}: {done.reason}")


@app.command()
def score(json: Json = False) -> None:
    """Embeddings and predictions of the champions wherever they are missing."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.loop.rescore import rescore

    home = Home.open()
    bundles = tracks = 0
    with console.progress_bar(json) as tell:
        while True:
            done = rescore(home, tell)
            bundles, tracks = bundles + len(done.bundles), tracks + done.predicted_tracks
            if not done.left:
                break
    if json:
        console.say_json({"bundles": bundles, "tracks": tracks})
    else:
        console.out.print(f"{tracks:,} tracks of {bundles} bundles scored.")


@app.command()
def replan(json: Json = False) -> None:
    """Rank the queue anew from what is known now."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.loop import plan

    report = plan.replan(Home.open())
    if json:
        console.say_json(vars(report))
    else:
        lanes = ", ".join(f"{n} {lane}" for lane, n in report.lanes.items()) or "nothing left to ask"
        console.out.print(
            f"Round {report.round_id} ({report.phase}): {lanes}, from a pool of {report.n_pool:,} tracks;"
            f" {report.pairs} pairs and {report.disputed} disputed answers beside them."
        )


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the web UI; 0: any free one.", min=0, max=65535)] = 3000,
    page_port: Annotated[
        int | None,
        typer.Option(help="Port of the labelling page, else web.port; 0: any free one.", min=0, max=65535),
    ] = None,
    any_port: Annotated[
        bool, typer.Option("--any-port", help="Where a port is taken, use a free one and say which.")
    ] = False,
) -> None:
    """Start the labelling page, the web UI and the daemon that does everything by itself; Ctrl-C stops them all."""
    from chimp_assets import console
    from chimp_assets.dagster_home import make_records, prepare
    from chimp_assets.home import Home, make_private
    from chimp_assets.operations import supervisor
    from chimp_assets.operations.home_lock import only_one
    from chimp_assets.operations.ports import is_listened_on, port_for
    from chimp_assets.web.serve import address_of, check_address

    home = Home.open()
    page = home.settings.web
    check_address(page)
    _ = home.database  # says in words if it is not at head
    with only_one(home, "chimp up") as lock:
        orphans = supervisor.end_orphans(home)
        wanted = page.port if page_port is None else page_port
        ui_port = port_for("Dagster's web UI", host, port, any_port)
        own_port = port_for("the labelling page", page.host, wanted, any_port, "--page-port")
        ended = f"Ended {console.counted(orphans, 'process', 'processes')} that an earlier start had left behind."
        notes = [
            ended if orphans else "",
            make_private(home),
            prepare(home.settings),
            _other_port("web UI", port, ui_port),
            _other_port("labelling page", wanted, own_port),
        ]
        make_records(home.settings)
        _say_first_admin(home)
        commands = {
            "page": supervisor.page_arguments(own_port),
            "daemon": supervisor.daemon_arguments(),
            "web": supervisor.web_arguments(host, ui_port),
            "ranker": supervisor.ranker_arguments(),
        }
        pages = {"page": address_of(page, own_port), "web UI": f"http://{host}:{ui_port}"}
        lock.note(pages)
        _print(
            f"Label:   {pages['page']}",
            *_web_ui_lines(home, host, ui_port),
            f"Home:    {home.settings.home}",
            f"Logs:    {home.settings.home / 'logs'}",
            *(note for note in notes if note),
        )
        if advice := supervisor.launcher_advice(home):
            _print(advice)
        _print("The daemon watches the archive and the labels. Ctrl-C stops everything.")
        serves = partial(is_listened_on, page.host, own_port)
        with suppress(KeyboardInterrupt), supervisor.running(home, commands, serves) as children:
            try:
                supervisor.watch(children, _print, _archive_watch(home))
            except KeyboardInterrupt:
                _print("Stopping ...")
    _print("All processes have stopped; nothing is lost. `chimp up` goes on where they were.")


def _other_port(what: str, wanted: int, chosen: int) -> str:
    if wanted in (0, chosen):
        return ""
    from chimp_assets.operations.ports import holder_of

    return f"Port {wanted} is taken by {holder_of(wanted)}: the {what} is on port {chosen} this time."


def _archive_watch(home: Any) -> Callable[[], None]:
    """Looks after the archive twice a minute and says each change: a disk that went must not be in a log alone."""
    last: list[str | None] = [None]
    next_at = [0.0]

    def look() -> None:
        if time.monotonic() < next_at[0]:
            return
        next_at[0] = time.monotonic() + ARCHIVE_LOOK_S
        try:
            problem = home.archive_problem()
        except ChimpError:  # the database is busy or away, which others say
            return
        known = problem and problem.split(" (seen ")[0]
        if known != last[0]:
            _print(f"The archive cannot be read: {problem}" if problem else "The archive can be read again.")
        last[0] = known

    return look


def _print(*lines: str) -> None:
    """Lines as they are: paths may hold brackets. Nobody may be listening any more: the terminal was closed."""
    from chimp_assets import console

    for line in lines:
        with suppress(OSError):
            console.out.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def web(
    port: Annotated[int | None, typer.Option(help="Port; else the one of the settings (web.port).")] = None,
) -> None:
    """Start the labelling page alone; Ctrl-C stops it. Where it listens is a setting (web.host, web.public_url)."""
    from chimp_assets.home import Home
    from chimp_assets.operations.ports import port_for
    from chimp_assets.web.serve import address_of, check_address, main

    home = Home.open()
    check_address(home.settings.web)
    _ = home.database
    own_port = port_for("the labelling page", home.settings.web.host, home.settings.web.port if port is None else port)
    _say_first_admin(home)
    _print(f"Label:   {address_of(home.settings.web, own_port)}")
    code = main([] if own_port == home.settings.web.port else [str(own_port)])
    if code:
        raise typer.Exit(code)


def _web_ui_lines(home: Any, host: str, port: int) -> list[str]:
    """The address of Dagster's web UI with the token that opens it, and a warning where others can reach it."""
    from chimp_assets.web.auth.security import is_local
    from chimp_assets.web.dagster import ui_token
    from chimp_assets.web.serve import address_of

    here = home.settings.web.model_copy(update={"host": host, "public_url": None})
    lines = [f"Web UI:  {address_of(here, port)}/?token={ui_token.renew(home)}"]
    if not is_local(host):
        lines.append(
            f"Other machines can reach the web UI at {host}: it answers them only by names in web.hosts, and lets them "
            "sign in only over https or with web.insecure_http."
        )
    return lines


def _say_first_admin(home: Any) -> None:
    """At the first start there is nobody who could sign in: an administrator is made, and the password said once."""
    from chimp_assets import console
    from chimp_assets.web.auth.accounts import FIRST_ADMIN, first_account

    made = first_account(home.database)
    if made is not None:
        name, password = made
        if name != FIRST_ADMIN:
            console.out.print(
                f"No administrator could sign in, and {FIRST_ADMIN} is the name of somebody else: {name} was made.",
                soft_wrap=True,
            )
        console.out.print(f"Sign in as {name} with the password {password}", soft_wrap=True)
        console.out.print("It is for one sign-in within a day, in which you choose your own; it is not shown again.")


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder of the demo; kept, so that you can look around.")] = DEMO_HOME,
    faces: Annotated[Path | None, typer.Option(help="Folder with a folder of face photos for each individual.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Trainings to wait for.")] = 3,
    json: Json = False,
) -> None:
    """Watch the whole loop on a generated archive: real video, real daemon, a simulated expert who sometimes errs."""
    from chimp_assets.demo.run import run_demo

    run_demo(home, faces=faces, rounds=rounds, json=json)


@app.command()
def query(
    name: Annotated[str | None, typer.Argument(help="Name of a question; without it all are listed.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A parameter, as name=value.", metavar="N=V")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the answer into this CSV file.")] = None,
    json: Json = False,
) -> None:
    """Ask the database a question of the cookbook (sql/queries): who was seen where, when and with whom."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.insight.questions import QuestionError, ask, parameters_of, questions, write_csv

    if name is None:
        known = questions()
        if json:
            console.say_json({"questions": [{"name": q.name, "asks": q.asks} for q in known]})
        else:
            console.show_questions(known)
        return
    answer = ask(Home.open().database.replica, name, parameters_of(set_ or []))
    if answer.unknown:
        raise QuestionError(" ".join(answer.unknown), "See chimp individuals list, or chimp query for the parameters.")
    if csv is not None:
        write_csv(answer, csv)
    if json:
        told = {} if csv else {"rows": answer.as_records()}
        console.say_json({"question": name, "parameters": answer.parameters, "n_rows": len(answer.rows), **told})
    elif csv is not None:
        console.out.print(f"{len(answer.rows):,} rows written to {csv}.", highlight=False, markup=False)
    else:
        console.show_answer(answer)


@labels.command("import")
def labels_import(
    file: Annotated[Path, typer.Argument(help="CSV; columns in sql/README.md.")],
    annotator: Annotated[str | None, typer.Option(help="Who said so, where the file has no annotator column.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Store the good rows and list the bad ones.")] = False,
    json: Json = False,
) -> None:
    """Store labels from a CSV file. A bad row is named by line and column, and then nothing of the file is stored."""
    from chimp_assets import console
    from chimp_assets.database.files.label_files import import_labels
    from chimp_assets.home import Home

    report = import_labels(Home.open().database, file, annotator or "expert", skip_bad=skip_bad)
    if json:
        console.say_json(
            {
                "stored": report.stored,
                "duplicates": report.duplicates,
                "skipped": [vars(row) for row in report.skipped],
                "notes": report.notes,
            }
        )
        return
    console.show_notes(report.notes)
    console.out.print(f"{report.stored} labels stored, {report.duplicates} were there already.")
    for row in report.skipped:
        console.out.print(
            f"left out: line {row.line}, column {row.column}: {row.message}", highlight=False, markup=False
        )


@labels.command("export")
def labels_export(
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    all_events: Annotated[bool, typer.Option("--all-events", help="Every decision, not only those in effect.")] = False,
    json: Json = False,
) -> None:
    """Write the labels in effect (or every decision ever) into a CSV file that `labels import` reads."""
    from chimp_assets import console
    from chimp_assets.database.files.label_files import export_labels
    from chimp_assets.home import Home

    rows = export_labels(Home.open().database, file, all_events=all_events)
    if json:
        console.say_json({"rows": rows, "file": str(file)})
    else:
        console.out.print(f"{rows} labels written to {file}.", highlight=False)


@labels.command("review")
def labels_review(
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the whole list into this CSV file.")] = None,
    limit: Annotated[int, typer.Option(help="Labels to show.", min=1)] = 20,
    json: Json = False,
) -> None:
    """Labels that models which never saw them contradict, the most doubtful first; and who agrees with themselves."""
    from chimp_assets import console
    from chimp_assets.database.labels.agreement import self_agreement
    from chimp_assets.home import Home
    from chimp_assets.vision.identity.label_quality import doubtful_labels, write_csv

    home = Home.open()
    found = doubtful_labels(home.database, home.store, home.settings)
    with home.database.read() as conn:
        agreement = self_agreement(conn)
    if csv is not None:
        write_csv(found, csv)
    if json:
        told = {} if csv else {"labels": [vars(label) for label in found[:limit]]}
        console.say_json({"n_doubtful": len(found), "self_agreement": [vars(a) for a in agreement], **told})
        return
    console.show_review(found[:limit], len(found), agreement)
    if csv is not None:
        console.out.print(f"All {len(found):,} are in {csv}.", highlight=False, markup=False)


Why = Annotated[str | None, typer.Option("--why", help="The reason, for the log.")]
LooksAlike = Annotated[
    bool, typer.Option("--force", help="Although a new name looks like another, or mixes alphabets.")
]
By = Annotated[str | None, typer.Option("--by", help="The user who says so, for the log.")]


@individuals.command("import")
def individuals_import(
    file: Annotated[
        Path, typer.Argument(help="CSV of biographies, communities, memberships or aliases; see docs/individuals.md.")
    ],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Store the good rows and list the bad ones.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Memberships: drop others of the individuals that the file names.")
    ] = False,
    force: LooksAlike = False,
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Add what is known of individuals, or change it, from a CSV file with our, SokweDB's or PLHDB's column names.

    What cannot be true is named by line and column, and then nothing of the file is stored.
    """
    from chimp_assets import console
    from chimp_assets.database.files.individual_files import import_individuals
    from chimp_assets.database.individuals.biographies import Terms
    from chimp_assets.home import Home

    done = import_individuals(Home.open().database, file, Terms(skip_bad, why, by, replace, force))
    if json:
        console.say_json({**vars(done), "skipped": [vars(row) for row in done.skipped]})
        return
    console.show_notes(done.notes)
    removed = f", {done.removed} removed" if done.removed else ""
    console.out.print(
        f"{done.table}: {done.added} added, {done.changed} changed{removed}, {done.unchanged} were as the file says."
    )
    for what, names in (("new communities", done.communities), ("columns that are not stored", done.left_out)):
        if names:
            console.out.print(f"{what}: {', '.join(names)}", highlight=False, markup=False)
    for row in done.skipped:
        console.out.print(f"left out: {row}", highlight=False, markup=False)


@individuals.command("alias")
def individuals_alias(
    anim_id: str,
    alias: Annotated[str, typer.Argument(help="Another name; accepted wherever the anim_id is.")],
    valid_from: Annotated[str | None, typer.Option("--from", help="First day, like 1976-03-24.")] = None,
    valid_to: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    force: LooksAlike = False,
    why: Why = None,
    by: By = None,
) -> None:
    """Give an individual another name."""
    from chimp_assets import console
    from chimp_assets.database.individuals.biographies import Terms, add_alias
    from chimp_assets.home import Home

    add_alias(Home.open().database, anim_id, alias, valid_from, valid_to, Terms(why=why, by=by, force=force))
    console.out.print(f"{alias} is an alias of {anim_id.upper()}.", highlight=False, markup=False)


@individuals.command("rename")
def individuals_rename(
    anim_id: Annotated[str, typer.Argument(help="The present code.")],
    new: Annotated[str, typer.Argument(help="The code that it should be.")],
    why: Why = None,
    by: By = None,
    free: Annotated[bool, typer.Option("--free", help="The present code does not stay an alias.")] = False,
    force: LooksAlike = False,
    json: Json = False,
) -> None:
    """Mend a code that was mistyped. The former code stays an alias; renaming back undoes it."""
    from chimp_assets import console
    from chimp_assets.database.individuals.biographies import Terms, rename_individual
    from chimp_assets.home import Home

    done = rename_individual(Home.open().database, anim_id, new, Terms(why=why, by=by, force=force), free)
    if json:
        console.say_json(vars(done))
        return
    still = f"; {done.former} stays an alias of it" if done.alias else f"; {done.former} is free again"
    console.out.print(f"{done.former} is {done.anim_id} from now on{still}.", highlight=False, markup=False)


@individuals.command("merge")
def individuals_merge(
    anim_id: Annotated[str, typer.Argument(help="Who disappears.")],
    into: Annotated[str, typer.Argument(help="Who it is.")],
    why: Why = None,
    by: By = None,
    force: Annotated[
        bool, typer.Option("--force", help="Although it is not provisional, or the sexes differ.")
    ] = False,
    json: Json = False,
) -> None:
    """Say that two individuals are one. Labels keep what was said; `unmerge` undoes it."""
    from chimp_assets import console
    from chimp_assets.database.individuals.merges import merge_individuals
    from chimp_assets.home import Home

    done = merge_individuals(Home.open().database, anim_id, into, why, by, force)
    if json:
        console.say_json(vars(done))
    else:
        console.out.print(f"{done.anim_id} is now {done.into_anim_id}.", highlight=False, markup=False)


@individuals.command("unmerge")
def individuals_unmerge(
    anim_id: Annotated[str, typer.Argument(help="Who had disappeared.")],
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Undo a merge: the individual is itself again."""
    from chimp_assets import console
    from chimp_assets.database.individuals.merges import unmerge_individual
    from chimp_assets.home import Home

    done = unmerge_individual(Home.open().database, anim_id, why, by)
    if json:
        console.say_json(vars(done))
    else:
        console.out.print(f"{done.anim_id} is itself again.", highlight=False, markup=False)


@individuals.command("list")
def individuals_list(json: Json = False) -> None:
    """Who may be named, and who was merged into whom."""
    from chimp_assets import console
    from chimp_assets.database.individuals.biographies import list_individuals
    from chimp_assets.home import Home

    home = Home.open()
    with home.database.read() as conn:
        found = list_individuals(conn)
    if json:
        console.say_json({"individuals": found})
    else:
        console.show_individuals(found)


@individuals.command("show")
def individuals_show(anim_id: Annotated[str, typer.Argument(help="A code or an alias.")], json: Json = False) -> None:
    """What is known of one individual: biography, aliases, communities, merges, and how that has changed."""
    from chimp_assets import console
    from chimp_assets.database.individuals.biographies import show_individual
    from chimp_assets.home import Home

    home = Home.open()
    with home.database.read() as conn:
        known = show_individual(conn, anim_id)
    if json:
        console.say_json(known)
    else:
        console.show_individual(known)


@effort.command("import")
def effort_import(
    file: Annotated[Path, typer.Argument(help="CSV of deployments or of sampling gaps; see docs/individuals.md.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Store the good rows and list the bad ones.")] = False,
    json: Json = False,
) -> None:
    """Say when which camera stood where, or when nobody could have been seen."""
    from chimp_assets import console
    from chimp_assets.database.files.effort_files import import_effort
    from chimp_assets.home import Home

    done = import_effort(Home.open().database, file, skip_bad)
    if json:
        lists = {"skipped": [vars(row) for row in done.skipped], "unknown": [vars(row) for row in done.unknown]}
        console.say_json({**vars(done), **lists})
        return
    console.show_notes(done.notes)
    console.out.print(
        f"{done.table}: {done.added} added, {done.changed} changed, {done.unchanged} were as the file says."
    )
    for row in done.skipped:
        console.out.print(f"left out: {row}", highlight=False, markup=False)
    for one in done.unknown:
        console.out.print(f"{one}", highlight=False, markup=False, soft_wrap=True)
    if done.unknown:
        console.out.print("`chimp cameras list` names the cameras; `chimp cameras map` says which are one.")


@cameras.command("list")
def cameras_list(json: Json = False) -> None:
    """Every camera with its videos and spellings, which ones may be one, and what was said of them."""
    from chimp_assets import console
    from chimp_assets.archive.catalogue.cameras import camera_report
    from chimp_assets.home import Home

    with Home.open().database.read() as conn:
        report = camera_report(conn)
    if json:
        console.say_json(report.as_dict())
    else:
        console.show_cameras(report)


@cameras.command("map")
def cameras_map(
    what: Annotated[str, typer.Argument(help="A camera (SITE/CAMERA or CAMERA) or a folder of the archive.")],
    into: Annotated[str, typer.Argument(help="The camera that it is: SITE/CAMERA, or CAMERA of the same site.")],
    folder: Annotated[bool, typer.Option("--folder", help="It is a folder, although a camera has its name.")] = False,
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Say that a camera or a folder means this camera. Videos follow, those to come too; `unmap` undoes it."""
    from chimp_assets.archive.catalogue.cameras import map_camera
    from chimp_assets.home import Home

    home = Home.open()
    done = map_camera(
        home.database, what, into, timezone=home.settings.archive.timezone, folder=folder or None, why=why, by=by
    )
    _say_refiled(home, done, json, f"{what} is {into}")


@cameras.command("unmap")
def cameras_unmap(
    what: Annotated[str, typer.Argument(help="The camera or folder as it was mapped, or the number of the mapping.")],
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Take back what was said of a camera or a folder; its videos go back."""
    from chimp_assets.archive.catalogue.cameras import unmap_camera
    from chimp_assets.home import Home

    home = Home.open()
    done = unmap_camera(home.database, what, timezone=home.settings.archive.timezone, why=why, by=by)
    _say_refiled(home, done, json, f"{what} is itself again")


@cameras.command("apply")
def cameras_apply(json: Json = False) -> None:
    """File every video under the camera that its path names by the rules of this version, after an upgrade."""
    from chimp_assets.archive.catalogue.cameras import apply_mappings
    from chimp_assets.home import Home

    home = Home.open()
    _say_refiled(home, apply_mappings(home.database, home.settings.archive.timezone), json, "All paths were read")


def _say_refiled(home: Any, done: Any, json: bool, what: str) -> None:
    from chimp_assets import console
    from chimp_assets.archive.times.rows import keep_up

    times = keep_up(home.database, home.settings)  # what was said of a camera's clock holds for other videos now
    if json:
        console.say_json({**vars(done), "times_changed": times.changed})
        return
    console.out.print(f"{what}: {console.counted(done.videos, 'video has', 'videos have')} another camera now.")
    if done.splits_changed:
        console.out.print(
            f"{console.counted(done.splits_changed, 'video', 'videos')} changed the split, so that all videos of one "
            "camera and day share theirs."
        )
    if times.changed:
        console.out.print(f"The times of {console.counted(times.changed, 'video', 'videos')} are others now.")


DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


@times.command("list")
def times_list(json: Json = False) -> None:
    """Times by witness and certainty for each camera, cameras whose witnesses quarrel, and corrections."""
    from chimp_assets import console
    from chimp_assets.archive.times.corrections import list_corrections
    from chimp_assets.database.footage.times import camera_times, times_of
    from chimp_assets.home import Home

    with Home.open().database.read() as conn:
        whole, cameras, corrections = times_of(conn), camera_times(conn), list_corrections(conn)
    if json:
        console.say_json(
            {
                **whole.as_dict(),
                "cameras": [vars(one) for one in cameras],
                "corrections": [vars(one) for one in corrections],
            }
        )
    else:
        console.show_times(whole, cameras, corrections)


@times.command("correct")
def times_correct(
    camera: Annotated[str, typer.Argument(help="CAMERA or SITE/CAMERA; all for every camera of the archive.")],
    offset: Annotated[str | None, typer.Option(help="Added to its times: +1d2h, -13h, +00:30.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its clock ran in this zone: Africa/Nairobi or +03:00.")] = None,
    showed: Annotated[str | None, typer.Option(help="Its clock was reset and showed this ...")] = None,
    true: Annotated[str | None, typer.Option(help="... when it truly was this, like 2023-05-06T08:00+03:00.")] = None,
    order: Annotated[
        str | None, typer.Option(help="Its names write dates day_first, month_first or year_first.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this day or moment, as shown now.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this day, itself included, or moment.")] = None,
    why: Why = None,
    by: By = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Say that a camera's clock was wrong; days, seasons, sightings and splits follow. `undo` takes it back."""
    from chimp_assets import console
    from chimp_assets.archive.times.corrections import Said, correct
    from chimp_assets.home import Home

    home = Home.open()
    said = Said(camera, offset, zone, showed, true, order, since, until)
    done = correct(home.database, home.settings, said, why, by, dry_run)
    console.say_json(vars(done)) if json else console.show_correction(done, f"{camera}: {done.words}")


@times.command("undo")
def times_undo(
    correction_id: Annotated[int, typer.Argument(help="Its number, as `chimp times list` shows it.")],
    why: Why = None,
    by: By = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take a correction back: times are again what their witnesses and the other corrections say."""
    from chimp_assets import console
    from chimp_assets.archive.times.corrections import revoke
    from chimp_assets.home import Home

    home = Home.open()
    done = revoke(home.database, home.settings, correction_id, why, by, dry_run)
    console.say_json(vars(done)) if json else console.show_correction(done, f"Revoked: {done.words}")


@users.command("add")
def user_add(
    name: str,
    role: Annotated[
        str, typer.Option(help="viewer, volunteer, identifier, reviewer, expert or admin; it never changes")
    ] = "volunteer",
    force: LooksAlike = False,
) -> None:
    """Add a person who may label."""
    from chimp_assets import console
    from chimp_assets.database.people.users import add_user
    from chimp_assets.home import Home

    add_user(Home.open().database, name, role, force=force)
    console.out.print(f"{name} may now label as {role}.", highlight=False, markup=False)
    console.out.print("A password for the labelling page: chimp user password NAME", highlight=False, markup=False)


@users.command("password")
def user_password(
    name: str,
    once: Annotated[bool, typer.Option("--once", help="Print one for one sign-in, in which it is changed.")] = False,
) -> None:
    """Give a person a password for the labelling page; all sessions of that person end."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.web.auth.accounts import one_time_password, set_password

    password = one_time_password() if once else str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    set_password(Home.open().database, name, password, once=once)
    if once:
        console.out.print(f"{name} signs in once with {password}", highlight=False, markup=False, soft_wrap=True)
    else:
        console.out.print(f"{name} signs in with this password from now on.", highlight=False, markup=False)


@users.command("list")
def user_list(json: Json = False) -> None:
    """Who may label."""
    from chimp_assets import console
    from chimp_assets.database.people.users import list_users
    from chimp_assets.home import Home

    people = list_users(Home.open().database)
    if json:
        console.say_json({"users": [vars(person) for person in people]})
        return
    for person in people:
        mark = " (disabled)" if person.disabled else ""
        console.out.print(f"{person.name}: {person.role}{mark}", highlight=False, markup=False)


@users.command("disable")
def user_disable(name: str) -> None:
    """Let a person label no more; what they said stays."""
    from chimp_assets import console
    from chimp_assets.database.people.users import disable_user
    from chimp_assets.home import Home

    disable_user(Home.open().database, name)
    console.out.print(f"{name} may no longer label; their labels stay.", highlight=False, markup=False)


@database.command("upgrade")
def db_upgrade(json: Json = False) -> None:
    """Bring the database to this version of the code, and make its views anew."""
    from chimp_assets import console
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.database.upkeep.migrations import upgrade
    from chimp_assets.settings import load_settings

    applied = upgrade(Database(load_settings().database_url))
    if json:
        console.say_json({"applied": applied})
    else:
        console.out.print(f"Applied {', '.join(applied)}." if applied else "The database was up to date.")


@database.command("backup")
def db_backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")], json: Json = False
) -> None:
    """Copy the SQLite database while it is in use. The store's files are not in it: copy them with any file tool."""
    from chimp_assets import console
    from chimp_assets.database.upkeep.backup import back_up
    from chimp_assets.home import Home

    home = Home.open()
    with console.progress_bar(json) as tell:
        done = back_up(home.database, file, lambda pages, total: tell("copy pages", pages, total))
    if json:
        console.say_json(vars(done) | {"store": home.settings.secret_free_store_url})
        return
    console.out.print(
        f"{file}: {done.bytes / 1e6:,.1f} MB, {done.n_annotations:,} decisions of people, checked.", highlight=False
    )
    console.out.print(
        "It holds the database only. Pictures, embeddings and models are files of their own in"
        f" {home.settings.secret_free_store_url}; they never change, so any file tool copies them.",
        highlight=False,
    )


@database.command("restore")
def db_restore(
    file: Annotated[Path, typer.Argument(help="A file that chimp db backup has made.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also where people have decided more since; the replaced file is kept.")
    ] = False,
    json: Json = False,
) -> None:
    """Put a backup in the place of the SQLite database; stop everything that uses it first. The old file is kept."""
    from chimp_assets import console
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.database.upkeep.backup import restore
    from chimp_assets.database.upkeep.migrations import state_of
    from chimp_assets.settings import load_settings

    target = Database(load_settings().database_url)
    done = restore(target, file, force)
    behind = state_of(target) == "behind"
    if json:
        console.say_json(vars(done) | {"needs_upgrade": behind})
        return
    console.out.print(f"{done.file} is {file} now: {done.n_annotations:,} decisions of people.", highlight=False)
    if done.kept is not None:
        console.out.print(f"What was there before is {done.kept}.", highlight=False)
    for sentence in done.people:
        console.out.print(f"Look: {sentence}.", soft_wrap=True)
    if done.tables:
        console.out.print(f"Tables that are not ours came along: {', '.join(done.tables)}.", soft_wrap=True)
    console.out.print("Everybody signs in again.")
    if behind:
        console.out.print("It was made by an older version: run `chimp db upgrade`.")


@database.command("check")
def db_check(json: Json = False) -> None:
    """Look the whole database over: damage, orphans, counts, numbers, ledgers. Exit code 2 if something is ill."""
    from chimp_assets import console
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.database.upkeep.integrity import check_database
    from chimp_assets.settings import load_settings

    with console.progress_bar(json) as tell:
        ill = list(check_database(Database(load_settings().database_url), tell))
    if json:
        console.say_json({"ill": ill})
    else:
        for sentence in ill:
            console.out.print(sentence, highlight=False, markup=False, soft_wrap=True)
        console.out.print(
            "The database is well." if not ill else "Restore a backup (chimp db restore), or ask for help."
        )
    if ill:
        raise typer.Exit(2)


@models.command("list")
def models_list(
    task: Annotated[str | None, typer.Option(help="detector, embedder or head; else all.")] = None, json: Json = False
) -> None:
    """Every model: its state, where it comes from, and how it did on the audit."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.vision.models.registry import list_models

    with Home.open().database.read() as conn:
        found = list_models(conn, task)
    if json:
        console.say_json({"models": [vars(line) for line in found]})
    else:
        console.show_models(found)


@models.command("show")
def models_show(model_id: int, json: Json = False) -> None:
    """All that is known of one model, and how to make it again."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.vision.models.registry import show_model

    with Home.open().database.read() as conn:
        known = show_model(conn, model_id)
    if json:
        console.say_json(known)
    else:
        console.show_model(known)


@models.command("promote")
def models_promote(
    model_id: int,
    why: Why = None,
    by: By = None,
    force: Annotated[bool, typer.Option("--force", help="Although the gate refuses it; needs --why.")] = False,
    json: Json = False,
) -> None:
    """Make a model the champion of its task. A head must pass the gate; --force with --why overrules it."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.vision.models.registry import promote_by_hand

    home = Home.open()
    reason = promote_by_hand(home.database, home.store, home.settings, model_id, why, by, force)
    if json:
        console.say_json({"model_id": model_id, "reason": reason})
    else:
        console.out.print(f"Model {model_id} is the champion: {reason}", highlight=False, markup=False)
        console.out.print("`chimp score` brings its answers to every track; the daemon does by itself.")


@models.command("rollback")
def models_rollback(
    task: Annotated[str, typer.Argument(help="head, embedder or detector.")] = "head",
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Make the champion before the present one champion again."""
    from chimp_assets import console
    from chimp_assets.home import Home
    from chimp_assets.vision.models.registry import roll_back

    model_id, reason = roll_back(Home.open().database, task, why, by)
    if json:
        console.say_json({"model_id": model_id, "reason": reason})
    else:
        console.out.print(f"Model {model_id} is the champion again: {reason}", highlight=False, markup=False)


def _archive_url(text: str) -> str:
    """What the user typed, as an address: a folder becomes an absolute path."""
    return text if "://" in text else str(Path(text).expanduser().resolve())


def main() -> None:
    """Entry point: errors of the user become one sentence and exit code 2."""
    debug = "--debug" in sys.argv[1:]
    private_files.keep_private()
    try:
        code = app(standalone_mode=False)
        raise SystemExit(code if isinstance(code, int) else 0)
    except ChimpError as error:
        if debug:
            raise
        from chimp_assets.console import say_error

        say_error(error)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("Interrupted. What was committed stays; run the same command again to go on.\n")
        raise SystemExit(130) from None
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        error.show()
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
