"""The whole way in the foreground: `chimp ingest` lists, decodes, tracks, embeds, names and plans, one after the other.

Belongs here: the order of the steps, and the report. Does not belong here: the steps (`bundle`, `rescore`, `plan`, the
modules beside this one), and printing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.database.footage.archive_state import listing_is_noted
from chimp_assets.database.footage.passed_over import StrandedLabels, labels_left_behind
from chimp_assets.database.footage.times import Times, times_of
from chimp_assets.database.work import due
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.loop.embedders import fit_first_embedder
from chimp_assets.loop.plan import replan
from chimp_assets.loop.progress import Progress, naming, silent, titled
from chimp_assets.loop.rescore import rescore

if TYPE_CHECKING:
    from chimp_assets.archive.catalogue.listing import PassedOverFile


@dataclass(frozen=True)
class IngestReport:
    """What a foreground ingest did, counted from SQL at its end.

    same_pictures: files whose bytes are new and whose pictures are not, so that they keep tracks and labels;
    left_behind: files with other pictures than before whose labels could not go along. passed_over, endings, named:
    what the archive holds beside videos, as in `Discovery`. times: by witness and certainty, with cameras whose
    witnesses disagree; times_changed: videos whose time has changed because of why_times, such as a setting.
    """

    listed: int
    new: int
    bundles: int
    frames: int
    tracks: int
    duplicates: int
    failed: list[tuple[str, str]]
    embedder_model_id: int | None
    round_id: int | None
    why_no_plan: str | None
    times: Times
    times_changed: int = 0
    why_times: str = ""
    replaced: int = 0
    retired: int = 0
    returned: int = 0
    waiting: int = 0
    same_pictures: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    named: list[PassedOverFile] = field(default_factory=list)
    left_behind: list[StrandedLabels] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return {
            **self.__dict__,
            "failed": [{"uri": uri, "error": error} for uri, error in self.failed],
            "times": self.times.as_dict(),
            "named": [vars(one) for one in self.named],
            "left_behind": [vars(one) for one in self.left_behind],
        }


@dataclass
class BundleTotals:
    """What all bundles of one ingest added up to. failed: (uri, sentence and remedy)."""

    bundles: int = 0
    frames: int = 0
    tracks: int = 0
    duplicates: int = 0
    same_pictures: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def ingest(home: Home, progress: Progress | None = None) -> IngestReport:
    """Discovery to predictions in the foreground. May be interrupted at any moment and run again."""
    settings, database = home.settings, home.database
    tell = progress or silent
    tell("listing the archive", 0, 1)
    with listing_is_noted(database, home.secret_free_archive_url):
        found = discover(database, home.archive, settings)
    tell("listing the archive", 1, 1)
    with database.read() as conn:
        left_before = {one.uri: one.n_labels for one in labels_left_behind(conn)}
    totals = _decode_and_track(home, tell)
    with database.read() as conn:
        embedder_due = due.embedder_due(conn, settings)
    embedder = fit_first_embedder(home, progress) if embedder_due.due else None
    while rescore(home, progress).left:
        pass
    with database.read() as conn:
        plan_due = due.queue_due(conn, settings)
        times = times_of(conn)
        left = [one for one in labels_left_behind(conn) if left_before.get(one.uri) != one.n_labels]
    report = replan(home) if plan_due.due else None
    return IngestReport(
        listed=found.listed,
        new=found.new,
        bundles=totals.bundles,
        frames=totals.frames,
        tracks=totals.tracks,
        duplicates=totals.duplicates,
        failed=totals.failed,
        embedder_model_id=embedder,
        round_id=report.round_id if report else None,
        why_no_plan=None if report else plan_due.reason,
        times=times,
        times_changed=found.times.changed if found.times.why else 0,
        why_times=found.times.why,
        replaced=found.replaced,
        retired=found.retired,
        returned=found.returned,
        waiting=found.waiting,
        same_pictures=totals.same_pictures,
        passed_over=found.passed_over,
        endings=found.endings,
        named=found.named,
        left_behind=left,
    )


def _decode_and_track(home: Home, tell: Progress) -> BundleTotals:
    """Every unfinished bundle, oldest first, those that used up their attempts too: somebody is watching."""
    with home.database.read() as conn:
        waiting = due.unfinished_bundles(conn, None)
        to_decode = due.registered_videos(conn)
    totals = BundleTotals(bundles=len(waiting))
    begun = 0
    for number, key in enumerate(waiting, start=1):
        which = f"bundle {number} of {len(waiting)}"
        decoded = bundle.decode(home, key, naming(tell, f"decode {which}", begun, to_decode))
        tracked = bundle.track(home, key, titled(tell, f"track {which}"))
        begun += decoded.videos + len(decoded.failed) + len(decoded.duplicates) + len(decoded.same_pictures)
        totals.frames += decoded.frames
        totals.tracks += tracked.tracks
        totals.duplicates += len(decoded.duplicates)
        totals.same_pictures += len(decoded.same_pictures)
        totals.failed += [*decoded.failed, *decoded.partial, *tracked.failed]
    return totals
