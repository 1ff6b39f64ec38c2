"""One bundle from video to names, a step a function: each may be killed at any moment and run again.

Belongs here: what an asset of a bundle and the foreground do alike, and the attempts of a bundle. Does not belong here:
the work of a step (`archive`, `vision`), choosing bundles (`database.work`, `rescore`). The tracker is imported inside
the function that tracks: it brings cv2.

**Attempts.** A bundle whose runs keep dying must stop asking for runs, so each attempt is counted before its first
byte is read, in a transaction of its own: kill -9 leaves it counted. An attempt is a way through the whole bundle: it
begins with `decode` and ends with `track`, in one run or in two, and whatever dies between them (a blocking check, a
picture for the web UI) leaves it counted as well. An end forgets all attempts of the bundle. Where nothing is left to
track, `decode` ends the attempt itself, since nobody needs to come after it. Where a job tracks
many bundles, the run of a bundle ends its attempt with the frames, and the job counts its own.

**What ends an attempt** decides how soon the bundle is given up. An error of the work itself comes again on any
machine: three of them (`MAX_ERRORS`) are enough. A run that is gone without a word may have been on a node that was
taken away, or the video may have killed it (no memory, a fault in a codec): nobody is left to tell them apart, and a
store or a database that is away says nothing about the bundle either. What tells them apart is whether the bundle gets
any further. Nodes are taken away anywhere, so that most attempts leave a video or two behind them, and the count begins
anew with each that did; a video that kills its process stops every attempt at the same place, and after eight in a row
that got no further (`MAX_ATTEMPTS`) the bundle is given up. A retry of a step inside its run is no attempt of its own,
and its error is counted once. `chimp ingest --retry-failed` forgets everything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.archive.ingest import BundleDecode, decode_bundle
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.store import StoreError
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import DatabaseError
from chimp_assets.database.work import due
from chimp_assets.database.work.waiting_tracks import tracked_by_jobs
from chimp_assets.errors import FullDiskError, SettingsError
from chimp_assets.home import Home
from chimp_assets.loop.progress import Progress
from chimp_assets.monitoring.films.facts import note_facts
from chimp_assets.vision.embedding.bundle import BundleEmbeddings, embed_bundle
from chimp_assets.vision.identity.predict import PredictionReport, predict_bundles
from chimp_assets.vision.models.checkpoint import ModelRow, champion

if TYPE_CHECKING:
    from chimp_assets.vision.tracking.bundle import BundleTracks

log = logging.getLogger(__name__)


def decode(home: Home, bundle_key: str, progress: Progress | None = None, retry: int = 0) -> BundleDecode:
    """Frames of a bundle's registered videos; begins an attempt.

    retry: how often this attempt has tried the step before; a retry is no attempt of its own. What is new in the files
    of a camera is noted as alerts (`monitoring.films.facts`), which stops no bundle. Raises as `decode_bundle`.
    """
    if retry == 0:
        home.note_settings()
        due.begin_attempt(home.database, bundle_key)
    with _errors_counted(home, bundle_key, retry):
        done = decode_bundle(home.database, home.archive, home.store, bundle_key, home.settings, progress)
    try:
        done.facts = note_facts(home.database, bundle_key, home.settings)
    except Exception as error:  # frames are there; what is noted of them must not cost them
        done.facts_failed = f"{type(error).__name__}: {error}"
        log.warning("Facts of bundle %s were not compared", bundle_key, exc_info=True)
    with home.database.read() as conn:
        waiting = conn.scalar(_waiting_videos(bundle_key).limit(1))
    if waiting is None:
        due.finish_attempt(home.database, bundle_key)
    return done


def _waiting_videos(bundle_key: str) -> sa.Select[tuple[int]]:
    """Videos of a bundle that are still to be decoded or tracked."""
    return (
        sa.select(t.video.c.video_id)
        .join(t.bundle, t.bundle.c.bundle_id == t.video.c.bundle_id)
        .where(t.bundle.c.bundle_key == bundle_key, t.video.c.state.in_(("registered", "decoded")))
    )


@contextmanager
def _errors_counted(home: Home, bundle_key: str, retry: int) -> Iterator[None]:
    """Counts an error of the work; what is away, full or forbidden is none, and what kills us counts nothing."""
    try:
        yield
    except (OSError, StoreError, DatabaseError, ArchiveError, FullDiskError, SettingsError):
        raise
    except Exception:
        if retry == 0:
            with suppress(DatabaseError):  # the error itself is worth more
                due.note_error(home.database, bundle_key)
        raise


def track(home: Home, bundle_key: str, progress: Progress | None = None, retry: int = 0) -> BundleTracks:
    """Detections and tracks of a bundle's decoded videos; ends the attempt. retry: as for `decode`.

    Raises as `track_bundle`.
    """
    from chimp_assets.vision.tracking.bundle import track_bundle

    with _errors_counted(home, bundle_key, retry):
        done = track_bundle(home.database, home.store, bundle_key, home.settings, progress)
    due.finish_attempt(home.database, bundle_key)
    return done


def leave_to_job(home: Home, bundle_key: str) -> bool:
    """Whether tracking is left to a job that takes many bundles. If so this ends the attempt: a run did all it may do.

    The job counts attempts of its own (`heavy.waiting_tracks`).
    """
    with home.database.read() as conn:
        if not tracked_by_jobs(conn, home.settings):
            return False
    due.finish_attempt(home.database, bundle_key)
    return True


def embed(home: Home, bundle_key: str) -> tuple[ModelRow, BundleEmbeddings] | None:
    """The champion embedder and the file that it made of a bundle; None before there is an embedder."""
    embedder = champion_embedder(home)
    if embedder is None:
        return None
    return embedder, embed_bundle(home.database, home.store, bundle_key, home.settings)


def predict(home: Home, bundle_key: str) -> tuple[ModelRow, PredictionReport] | None:
    """The head that scores (`scoring_head`), and what it wrote of a bundle's live tracks; None while there is none."""
    head = scoring_head(home)
    if head is None:
        return None
    return head, predict_bundles(home.database, home.store, [bundle_key], home.settings)


def champion_embedder(home: Home) -> ModelRow | None:
    """The embedder whose vectors are used, if there is one."""
    with home.database.read() as conn:
        return champion(conn, "embedder")


def scoring_head(home: Home) -> ModelRow | None:
    """The champion head if it was fitted on the champion embedder, whose vectors it is to read; else None.

    A new embedder has none until the archive is embedded and the labels are learned again.
    """
    with home.database.read() as conn:
        embedder, head = champion(conn, "embedder"), champion(conn, "head")
    return head if head is not None and embedder is not None and head.parent_id == embedder.model_id else None
