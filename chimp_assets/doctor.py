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

from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.sweep import SAFE_AGE_S

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
    first = next(iter(home.archive.list("")), None)
    if first is None:
        return Finding("archive", "warning", f"{home.settings.archive_url} is empty", "Put videos there.")
    return Finding("archive", "well", f"{home.settings.archive_url} can be read")


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


def _times(home: Home) -> Finding:
    from chimp_assets.database.times import in_words, quarrel_in_words, times_of

    with home.database.read() as conn:
        times = times_of(conn)
    counts = {
        **{f"by_{name}": n for name, n in times.by_witness.items()},
        **times.by_certainty,
        "quarrelling_cameras": times.n_quarrelling_cameras,
        "unclear_dates": times.n_asks,
    }
    says = f"said by: {in_words(times.by_witness)}; how sure: {in_words(times.by_certainty)}"
    if times.quarrels:
        some = "; ".join(quarrel_in_words(one) for one in times.quarrels[:3])
        remedy = "See `chimp times list`, and say what the clock did with `chimp times correct CAMERA ...`"
        order = " or archive.date_order" if times.n_asks else ""
        return Finding("times", "warning", f"{says}; witnesses quarrel: {some}", f"{remedy}{order}.", counts)
    return Finding("times", "well", says, counts=counts)


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
        ("times", _times),
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
