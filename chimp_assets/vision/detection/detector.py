"""Which detector is used, and the model row that says which detector drew a track.

Belongs here: choosing one from the settings or the champion, its row in `model`. Does not belong here: the detectors
(`motion`, `nanodet`, `torchvision_detector`), linking (`tracker`), reading pictures and writing rows
(`tracking.bundle`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.work.waiting_tracks import FINE_TUNED
from chimp_assets.vision.detection.interface import NANODET, Detector, DetectorError
from chimp_assets.vision.detection.motion import MotionDetector
from chimp_assets.vision.detection.whole_picture import WholePictureDetector
from chimp_assets.vision.models.checkpoint import CONFIG_LIMIT, champion, load_checkpoint
from chimp_assets.vision.models.weights import local_weights

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings


def detector_of(settings: Settings, store: BlobStore | None = None) -> Detector:
    """The detector that the settings choose, on compute.device. store: where weights lie that are a key of it.

    Raises DetectorError if its weights cannot be used, ModelFileError if the store does not have them.
    """
    made = KINDS.get(settings.detect.detector)
    if made is None:
        raise DetectorError(
            f"There is no detector {settings.detect.detector!r} in this version.",
            f"Set detect.detector to one of {', '.join(KINDS)}.",
        )
    return made(settings, store)


def _motion(settings: Settings, store: BlobStore | None) -> Detector:
    return MotionDetector()


def _nanodet(settings: Settings, store: BlobStore | None) -> Detector:
    from chimp_assets.vision.detection.nanodet.nanodet_detector import chosen_nanodet  # torch: motion needs none

    return chosen_nanodet(settings, store)


def _torchvision(settings: Settings, store: BlobStore | None) -> Detector:
    from chimp_assets.vision.detection.torchvision_detector import TorchvisionDetector
    from chimp_assets.vision.learning.device import device_of

    # Boxes far below the threshold are never used, so the network does not return them.
    least = round(settings.detect.min_score / 2, 3)
    weights = weights_of(settings, store)
    return TorchvisionDetector(weights, min_score=least, device=device_of(settings.compute.device))


def weights_of(settings: Settings, store: BlobStore | None) -> str | None:
    """Where the file that detect.weights names lies on this machine; None if it names none."""
    weights = settings.detect.weights
    if weights is not None and store is not None:
        weights = str(local_weights(settings, store, weights))
    return weights


def _onnx(settings: Settings, store: BlobStore | None) -> Detector:
    from chimp_assets.vision.detection.onnx.onnx_detector import onnx_detector_of

    return onnx_detector_of(settings, store)


def _whole_picture(settings: Settings, store: BlobStore | None) -> Detector:
    return WholePictureDetector()


KINDS: dict[str, Callable[[Settings, BlobStore | None], Detector]] = {
    "motion": _motion,
    "nanodet": _nanodet,
    "torchvision": _torchvision,
    "onnx": _onnx,
    "whole_picture": _whole_picture,
}
"""How each kind of detect.detector is made. Large libraries are imported inside."""


def current_detector(db: Database, store: BlobStore, settings: Settings) -> tuple[Detector, int]:
    """The detector to use and its model_id: a fine-tuned champion, else the one that the settings choose.

    Only a person makes a fine-tuned detector champion, so it stays until a person chooses another. Raises
    DetectorError, ModelFileError.
    """
    with db.read() as conn:
        row = champion(conn, "detector")
    if row is None or not row.name.startswith(FINE_TUNED) or row.checkpoint_uri is None or row.checkpoint_hash is None:
        detector = detector_of(settings, store)
        return detector, register_detector(db, detector)
    state, _ = load_checkpoint(store, row.checkpoint_uri, row.checkpoint_hash)
    if row.config["architecture"] == NANODET:
        from chimp_assets.vision.detection.nanodet.nanodet_detector import learned_nanodet

        return learned_nanodet(settings, state, row), row.model_id
    from chimp_assets.vision.detection.torchvision_detector import TorchvisionDetector, network_of
    from chimp_assets.vision.learning.device import device_of

    classes = 1 + max(row.config["animal_labels"])
    network = network_of(row.config["architecture"], classes, state, Path(row.checkpoint_uri))
    device = device_of(settings.compute.device)
    return TorchvisionDetector.of_network(network, row.config, row.checkpoint_hash, device), row.model_id


def register_detector(db: Database, detector: Detector) -> int:
    """model_id of this detector, which becomes the champion of its task if it is not.

    The same detector keeps its row; another kind or config adds a new version and retires the old one in the same
    transaction. Two simultaneous runs get the same row.
    """
    config = json.dumps(detector.config, sort_keys=True)
    if len(config) > CONFIG_LIMIT:
        raise ValueError(f"the config of the detector takes {len(config)} characters of JSON; {CONFIG_LIMIT} fit")
    for _ in range(3):
        try:
            with db.write() as conn:
                return _find_or_add(conn, detector.name, config)
        except sa.exc.IntegrityError:
            # Another run registered between our read and our write (PostgreSQL lets both read): read again.
            continue
    raise DetectorError(
        "The detector could not be registered, because other runs kept changing it.", "Run the step again."
    )


def detector_row(db: Database, detector: Detector) -> int:
    """model_id of a detector that draws tracks beside the champion, such as of pictures that are cut already.

    It never becomes champion by this; the same detector keeps its row, whatever its state.
    """
    config = json.dumps(detector.config, sort_keys=True)
    model = schema.model

    def find_or_add(conn: sa.Connection) -> int:
        of_task = model.c.task == "detector"
        known = sa.select(model.c.model_id, model.c.config).where(of_task, model.c.name == detector.name)
        for row in conn.execute(known).all():
            if json.dumps(json.loads(row.config), sort_keys=True) == config:
                return int(row.model_id)
        now = datetime.now(UTC)
        latest = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(model.c.version), 0)).where(of_task)) or 0
        added = conn.execute(
            sa.insert(model).values(
                task="detector",
                version=latest + 1,
                name=detector.name,
                state="retired",
                reason="for pictures that are cut to one animal each (pictures.crops)",
                config=config,
                created_at=now,
                decided_at=now,
            )
        )
        key = added.inserted_primary_key
        assert key is not None
        return int(key[0])

    for _ in range(3):
        try:
            with db.write() as conn:
                return find_or_add(conn)
        except sa.exc.IntegrityError:
            continue  # another run has added it, or another detector, meanwhile
    raise DetectorError(
        "The detector could not be registered, because other runs kept changing it.", "Run the step again."
    )


def _find_or_add(conn: sa.Connection, name: str, config: str) -> int:
    now = datetime.now(UTC)
    model = schema.model
    current = champion(conn, "detector")
    if current is not None and current.name == name and json.dumps(current.config, sort_keys=True) == config:
        return current.model_id
    of_task = model.c.task == "detector"
    latest = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(model.c.version), 0)).where(of_task)) or 0
    conn.execute(
        sa.update(model)
        .where(of_task, model.c.state == "champion")
        .values(state="retired", decided_at=now, reason="another detector was chosen in the settings")
    )
    added = conn.execute(
        sa.insert(model).values(
            task="detector",
            version=latest + 1,
            name=name,
            state="champion",
            reason="chosen in the settings",
            config=config,
            created_at=now,
            decided_at=now,
        )
    )
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])
