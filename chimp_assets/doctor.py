"""`chimp doctor`: is each part of a home well, and if not, what to do. One line for each part.

Belongs here: looking. Does not belong here: mending; a doctor that repairs hides what broke. Clearing away what nobody
names (`sweep`) mends nothing, and happens only when it is asked for.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from chimp_assets.database.passed_over import passed_over_files
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.sweep import SAFE_AGE_S

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


def _database(home: Home) -> Finding:
    from chimp_assets.database.migrations import state_of

    state = state_of(home.database)
    return Finding("database", "well", f"{home.settings.secret_free_database_url} is reachable and at {state}")


def _store(home: Home) -> Finding:
    key = "doctor/write-test"
    home.store.put(key, b"written by chimp doctor")
    home.store.delete(key)
    return Finding("store", "well", f"{home.settings.store_url} can be written")


def _files(home: Home, sweep: bool, older_than_s: float) -> Finding:
    from chimp_assets.sweep import audit_store

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
        f"{'deleted' if sweep else 'among them'} {what}" if unneeded else "each named by a row or younger than safe"
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
    if not home.settings.archive_url:
        return Finding("archive", "warning", "no archive is set", "Say `chimp ingest FOLDER`, or set archive_url.")
    first = next(iter(home.archive.list("", None, lambda path, why: None)), None)
    if first is None:
        return Finding("archive", "warning", f"{home.settings.archive_url} is empty", "Put videos there.")
    with home.database.read() as conn:
        beside = passed_over_files(conn)
    says = f"{home.settings.archive_url} can be read"
    faults = beside.n_faults
    others = sum(beside.counts.values()) - faults
    if others:
        says += f"; {others:,} {'file is' if others == 1 else 'files are'} no video or of a system"
    if faults:
        names = [f"{path} ({detail})" for path, reason, detail in beside.named if reason in FAULTS]
        some = "; ".join(names[:3]) + (" ..." if len(names) > 3 or faults > 3 else "")
        return Finding(
            "archive",
            "warning",
            f"{says}; {faults:,} {'entry is' if faults == 1 else 'entries are'} passed over: {some}",
            "`chimp status --failed` names them; mend, rename or remove them.",
            beside.counts,
        )
    return Finding("archive", "well", says, counts=beside.counts)


def _cameras(home: Home) -> Finding:
    from chimp_assets.archive.cameras import camera_report

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
        (len(report.proposals), "pairs may be one"),
        (doubtful, "may be several"),
        (report.misplaced, "videos are filed under another one than their path names"),
        (report.unknown, "videos of none that is known"),
        (len(report.silent), "deployments of cameras that no video has"),
    )
    said = ", ".join(f"{n:,} {what}" for n, what in kinds if n)
    says = f"{len(report.cameras):,} in the archive" + (f"; {said}" if said else "")
    if said:
        return Finding("cameras", "warning", says, "Look with `chimp cameras list`, decide with map or apply.", counts)
    return Finding("cameras", "well", says, counts=counts)


def _disk(home: Home) -> Finding:
    free = shutil.disk_usage(home.settings.home).free
    says = f"{free / 1024**3:.1f} GiB free where {home.settings.home} lies"
    if free < LOW_DISK_BYTES:
        return Finding("disk", "warning", says, "Free some space before a long ingest.")
    return Finding("disk", "well", says)


def _weights(home: Home) -> Finding:
    from chimp_assets.vision.backbones import LITE_PACKAGE, imagenet_weights_path

    wanted = home.settings.embed.weights
    if wanted == "self_supervised":
        return Finding("weights", "well", "self-supervised by setting: none needed")
    file = home.settings.embed.weights_file
    if file is not None:
        there = file.is_file()
        says = f"the weights file {file} {'is there' if there else 'is missing'}"
        return Finding("weights", "well" if there else "ill", says, "" if there else "Set embed.weights to another.")
    if wanted == "auto":
        if importlib.util.find_spec(LITE_PACKAGE) is not None:
            return Finding("weights", "well", "ImageNet weights of EfficientNet-Lite0 are installed")
        says = f"{LITE_PACKAGE} is not installed, so the archive's own crops alone teach the embedder"
        return Finding("weights", "warning", says, "Install what requirements.lock names.")
    found = imagenet_weights_path(home.settings.embed.backbone)
    if found is not None:
        return Finding("weights", "well", f"ImageNet weights of {home.settings.embed.backbone} are at {found}")
    return Finding(
        "weights",
        "ill",
        f"ImageNet weights of {home.settings.embed.backbone} are not on this machine; they are downloaded when wanted",
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
    from chimp_assets.database.invariants import gap_in_annotation_numbers

    with home.database.read() as conn:
        largest, rows = gap_in_annotation_numbers(conn)
    if largest != rows:
        return Finding(
            "labels", "ill", f"{rows} annotations but the last number is {largest}", "Restore the newest backup."
        )
    return Finding("labels", "well", f"{rows} annotations, numbered without a gap")


def examine(home: Home, sweep: bool = False, older_than_s: float = SAFE_AGE_S) -> list[Finding]:
    """Looks at each part; an error of one part is its finding and does not hide the others.

    sweep: delete files of the store that no row names and that are older than so many seconds.
    """
    parts: list[tuple[str, Callable[[Home], Finding]]] = [
        ("database", _database),
        ("labels", _labels),
        ("store", _store),
        ("files", partial(_files, sweep=sweep, older_than_s=older_than_s)),
        ("archive", _archive),
        ("cameras", _cameras),
        ("disk", _disk),
        ("weights", _weights),
        ("codecs", _codecs),
    ]
    findings: list[Finding] = []
    for part, look in parts:
        if part == "files" and any(f.verdict == "ill" and f.part in ("database", "store") for f in findings):
            continue  # two causes of one fault would be looked for twice
        try:
            findings.append(look(home))
        except ChimpError as error:
            findings.append(Finding(part, "ill", error.sentence, error.remedy))
        except Exception as error:  # a doctor that crashes helps nobody: the finding carries the error
            findings.append(Finding(part, "ill", f"{type(error).__name__}: {error}", "See `chimp --debug doctor`."))
    return findings
