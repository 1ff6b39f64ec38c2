"""A better embedder from the archive's own names: crops of labelled tracks, learning, and the comparison on other days.

Belongs here: which tracks teach and which judge, the candidate's file and row, its numbers.
Does not belong here: the recipe (`metric_learning`), the loop (`training`), the verdict (`promotion`), when it is due
(`database.work`).

A new embedder means that every track of the archive is embedded again. So a candidate becomes champion only if, on
recording days that it never saw, it leaves the expert fewer minutes to go than the champion, beyond noise; where no
minutes are forecast, if it retrieves animals more often.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from chimp_assets.acquisition.minutes.embedders import MinutesSaved, held_out_chances, minutes_saved
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.database.work.due import ONNX_BACKBONE
from chimp_assets.statistics.blocks import paired_gain
from chimp_assets.vision.datasets.remaining import frames_of_tracks, work_to_do
from chimp_assets.vision.datasets.roles import DayRoles, roles_of_days
from chimp_assets.vision.datasets.training_set import Members, read_members
from chimp_assets.vision.embedding.backbones import SMALL, backbone_of, load_imagenet, load_weights
from chimp_assets.vision.embedding.crop_file import CropFile, CropRows, crops_on_disk
from chimp_assets.vision.embedding.embedder import Embedder, load_embedder
from chimp_assets.vision.embedding.inference import track_vectors
from chimp_assets.vision.embedding.metric_learning import Crops, LearningResult, Recipe, learn
from chimp_assets.vision.learning.checkpoints import TrainingCheckpoints, TrainingState
from chimp_assets.vision.learning.device import device_of
from chimp_assets.vision.learning.ranks import ALONE, Ranks
from chimp_assets.vision.learning.scratch import node_folder
from chimp_assets.vision.learning.unfinished import adopt_former_state, training_key
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    ModelRow,
    champion,
    register_model,
    registered_model,
    save_checkpoint,
)
from chimp_assets.vision.models.onnx_file import SUFFIX
from chimp_assets.vision.models.weights import local_weights

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

LARGE = "resnet50"


@dataclass(frozen=True)
class FineTuningReport:
    """Result of a fine-tuning. unreadable: labelled tracks skipped because their pictures cannot be read;
    champion_retrieval, retrieval: share of held-out tracks whose nearest teaching track is of the same animal;
    gain_low, gain_high: 95 % interval of the difference."""

    model_id: int
    training_set_id: int
    backbone: str
    tracks: int
    crops: int
    classes: int
    unreadable: int
    steps: int
    stopped: str
    judging_tracks: int
    judging_days: int
    champion_retrieval: float
    retrieval: float
    gain_low: float
    gain_high: float
    loss: float | None
    accuracy: float | None
    seconds: float


def fine_tune(
    db: Database,
    store: BlobStore,
    settings: Settings,
    training_set_id: int,
    report: Callable[[TrainingState], None] | None = None,
    ranks: Ranks = ALONE,
) -> tuple[FineTuningReport, TrainingState] | None:
    """Learn a candidate embedder from a training set; its parent is the champion. None except on rank 0.

    A second run, on whichever machine, resumes an interrupted training at its last checkpoint in the store, or returns
    the model of a finished one. Each node keeps the crops in a folder of its own for the time of the training; only
    rank 0 writes to the store and the database. Raises ModelError without an embedder, with fewer than 2 classes, or
    if too few recording days remain to judge; DeviceError if compute.device is not there.
    """
    with node_folder(f"embedder-{training_set_id}", ranks) as folder:
        return _fine_tune(db, store, settings, training_set_id, report, ranks, folder)


def _fine_tune(
    db: Database,
    store: BlobStore,
    settings: Settings,
    training_set_id: int,
    report: Callable[[TrainingState], None] | None,
    ranks: Ranks,
    folder: Path,
) -> tuple[FineTuningReport, TrainingState] | None:
    """`fine_tune`. folder: of this node, for the crops."""
    began = time.monotonic()
    device = device_of(settings.compute.device, ranks)
    checkpoints = TrainingCheckpoints(store, training_key("embedder", training_set_id))
    if ranks.first:
        adopt_former_state(settings.home, store)
    members, now = _members_and_champion(db, store, training_set_id)
    refuse_onnx(settings.embed.fine_tune_backbone, now)
    roles = roles_of_days(members, settings.seed)
    embed = settings.embed
    # The side of the champion's crops, so that both see the same pictures.
    side = int(now.config["crop_side"])
    found = crops_on_disk(
        db, store, training_set_id, members, folder, embed.crops_per_track, side, embed.workers, ranks
    )
    recipe = _recipe(settings, now, on_gpu=device.type == "cuda")
    crops = _teaching_crops(found, members, roles.teaches)
    before = load_embedder(store, now, device)
    tuned = learn(
        crops,
        recipe,
        seed=settings.seed,
        dimensions=int(now.config["dimensions"]),
        start=_start(settings, store, now, before, recipe),
        checkpoints=checkpoints,
        ranks=ranks,
        device=settings.compute.device,
        workers=embed.workers,
        minutes=embed.fine_tune_minutes,
        validate=(lambda one: float(_hits(one, found, members, roles.teaches, roles.stops).mean()))
        if roles.stops.any()
        else None,
        report=report,
    )
    if not ranks.first:
        return None
    held_out = _compare(db, before, tuned.embedder, found, members, roles, settings.seed)
    config = _config(tuned, recipe, now, settings, int(roles.teaches.sum()), len(crops.target), found, held_out)
    model_id = _candidate(db, store, config, tuned, now, training_set_id)
    checkpoints.remove()  # the result is kept as a model
    _, loss, accuracy = tuned.state.history[-1] if tuned.state.history else (0, math.nan, math.nan)
    return FineTuningReport(
        model_id=model_id,
        training_set_id=training_set_id,
        backbone=recipe.backbone,
        tracks=int(roles.teaches.sum()),
        crops=len(crops.target),
        classes=len(np.unique(crops.target)),
        unreadable=len(found.unreadable),
        steps=tuned.state.step,
        stopped=tuned.state.stopped,
        judging_tracks=held_out.tracks,
        judging_days=held_out.days,
        champion_retrieval=held_out.champion,
        retrieval=held_out.candidate,
        gain_low=held_out.gain_low,
        gain_high=held_out.gain_high,
        loss=None if math.isnan(loss) else loss,
        accuracy=None if math.isnan(accuracy) else accuracy,
        seconds=round(time.monotonic() - began, 1),
    ), tuned.state


def _members_and_champion(db: Database, store: BlobStore, training_set_id: int) -> tuple[Members, ModelRow]:
    """The members to learn from, and the embedder that the candidate must beat. Raises ModelError."""
    members = read_members(db, store, training_set_id)
    with db.read() as conn:
        now = champion(conn, "embedder")
    if now is None:
        raise ModelError(
            "There is no embedder to start from.", "`chimp ingest` fits one as soon as there are enough tracks."
        )
    if len(np.unique(members.class_id)) < 2:
        raise ModelError(
            f"Training set {training_set_id} names one individual; an embedder learns from two or more.",
            "Label tracks of another individual too.",
        )
    return members, now


def refuse_onnx(asked: str, now: ModelRow) -> None:
    """Raises ModelError if what would be trained is an ONNX file. asked: embed.fine_tune_backbone."""
    if asked == "auto" and str(now.config.get("backbone")).startswith(ONNX_BACKBONE):
        raise ModelError(
            f"Embedder {now.model_id} is an ONNX file, which cannot be trained further.",
            "Set embed.fine_tune_backbone to small or resnet50 to train another network, or embed.fine_tune to off.",
        )


def _teaching_crops(found: CropFile, members: Members, teaches: np.ndarray) -> Crops:
    """The crops of the teaching tracks, read from the file on access."""
    mine = np.flatnonzero(teaches[found.track])
    track = found.track[mine]
    return Crops(
        CropRows(found.pictures, mine), members.class_id[track], _weights(track, members), members.group[track]
    )


@dataclass(frozen=True)
class HeldOutComparison:
    """Candidate and champion on days that the candidate never saw: shares of tracks whose nearest teaching track is of
    the same animal, the 95 % interval of their difference, and numbers of tracks and days.

    champion_minutes, candidate_minutes: of the expert until the goal with a head on either, and the 95 % interval of
    what the candidate saves; None where nothing is forecast or left, and where days cannot say it."""

    tracks: int
    days: int
    champion: float
    candidate: float
    gain_low: float
    gain_high: float
    champion_minutes: float | None = None
    candidate_minutes: float | None = None
    saved_low: float | None = None
    saved_high: float | None = None


def _compare(
    db: Database, before: Embedder, after: Embedder, found: CropFile, members: Members, roles: DayRoles, seed: int
) -> HeldOutComparison:
    seen = [_seen(one, found, roles.teaches | roles.judges) for one in (before, after)]
    old, new = (_found_again(rows, vectors, members, roles.teaches, roles.judges) for rows, vectors in seen)
    days = members.group[roles.judges & np.isin(np.arange(len(members.track_id)), found.track)]
    low, high = gain_interval(new.astype(float) - old, days)
    saved = _minutes_saved(db, seen, members, roles, seed)
    return HeldOutComparison(
        tracks=len(new),
        days=len(np.unique(days)),
        champion=round(float(old.mean()), 4),
        candidate=round(float(new.mean()), 4),
        gain_low=round(low, 4),
        gain_high=round(high, 4),
        champion_minutes=None if saved is None else round(saved.before, 2),
        candidate_minutes=None if saved is None else round(saved.after, 2),
        saved_low=None if saved is None else _rounded(saved.low),
        saved_high=None if saved is None else _rounded(saved.high),
    )


def _rounded(limit: float) -> float | None:
    """None of a limit that is not finite: days that are one, or agree in all, say nothing."""
    return round(limit, 2) if math.isfinite(limit) else None


def _minutes_saved(
    db: Database, seen: list[tuple[np.ndarray, np.ndarray]], members: Members, roles: DayRoles, seed: int
) -> MinutesSaved | None:
    """What the candidate saves of the expert's minutes, on the judging tracks; None where nothing is forecast."""
    rows = seen[0][0]
    taught, asked = rows[roles.teaches[rows]], rows[roles.judges[rows]]
    with db.read() as conn:
        work = work_to_do(conn)
        if work is None:
            return None
        frames = frames_of_tracks(conn, members.track_id[asked])
    old, new = (
        held_out_chances(
            vectors[roles.teaches[rows]].astype(np.float32),
            members.class_id[taught],
            vectors[roles.judges[rows]].astype(np.float32),
            members.class_id[asked],
            members.group[asked],
            seed,
        )
        for _, vectors in seen
    )
    return minutes_saved(old, new, frames, members.group[asked], work, Prices(), seed)


def _config(
    tuned: LearningResult,
    recipe: Recipe,
    now: ModelRow,
    settings: Settings,
    n_tracks: int,
    n_crops: int,
    found: CropFile,
    held_out: HeldOutComparison,
) -> dict[str, Any]:
    """The config of the candidate's row: how to load it, how it was made, how it was judged."""
    return {
        **embedder_config(tuned.embedder),
        "kind": "names",
        "crops_per_track": int(now.config["crops_per_track"]),
        "seed": settings.seed,
        "recipe": asdict(recipe),
        "licence": now.config.get("licence", "not stated"),
        "n_tracks": n_tracks,
        "n_crops": n_crops,
        "unreadable": len(found.unreadable),
        "steps": tuned.state.step,
        "stopped": tuned.state.stopped,
        "held_out": asdict(held_out),
    }


def _candidate(
    db: Database, store: BlobStore, config: dict[str, Any], tuned: LearningResult, now: ModelRow, training_set_id: int
) -> int:
    """Write the candidate's file and row; returns the key of the row, an existing one if the bytes are the same."""
    uri, digest = save_checkpoint(store, "models/embedder/embedder", tuned.embedder.state_dict(), config)
    model_id = registered_model(db, "embedder", training_set_id, digest, now.model_id)
    if model_id is None:
        name = f"{config['backbone']} {tuned.embedder.dimensions}, from {config['n_tracks']} named tracks"
        model_id = register_model(db, "embedder", name, config, uri, digest, now.model_id, training_set_id)
    return model_id


def gain_interval(gain: np.ndarray, day: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean gain on days to come: a paired interval by camera-days (`statistics.blocks`).

    gain: f64 [n], 1 found by the candidate alone, -1 by the champion alone; day: i64 [n]. One day says nothing.
    """
    if not len(gain):
        return math.nan, math.nan
    found = paired_gain(gain > 0, gain < 0, day)
    return found.low, found.high


def embedder_config(embedder: Embedder) -> dict[str, Any]:
    """The part of an embedder's config that `load_embedder` needs."""
    return {
        "dimensions": embedder.dimensions,
        "crop_side": embedder.crop_side,
        "backbone": embedder.backbone_name,
        "network_side": embedder.network_side,
        "parts": [[part.rows, part.weight] for part in embedder.parts],
        "mirrored": embedder.mirrored,
        "atoms": embedder.atoms,
        "pretrained": embedder.pretrained is not None,
        "mobile": embedder.mobile is not None,
        "pretrained_side": embedder.pretrained_side,
    }


def _recipe(settings: Settings, now: ModelRow, on_gpu: bool) -> Recipe:
    """The recipe by the settings. On a GPU, or if the champion already has a network, a larger one is worth its
    time."""
    embed = settings.embed
    name = embed.fine_tune_backbone
    if name == "auto":
        name = now.config.get("backbone") or (LARGE if on_gpu else SMALL)
    recipe = replace(Recipe(), backbone=name, epochs=embed.fine_tune_epochs, pretrained=embed.weights == "auto")
    if embed.fine_tune_batch is not None:
        recipe = replace(recipe, batch=embed.fine_tune_batch)
    if embed.fine_tune_rate is not None:
        recipe = replace(recipe, rate=embed.fine_tune_rate)
    return recipe if name == SMALL else replace(recipe, side=int(now.config["crop_side"]))


def _start(
    settings: Settings, store: BlobStore, now: ModelRow, before: Embedder, recipe: Recipe
) -> dict[str, Tensor] | None:
    """Initial weights: the champion's, those of a user's file, ImageNet's, or none."""
    if now.config.get("backbone") == recipe.backbone and before.backbone is not None:
        found = before.backbone.state_dict()
    else:
        network, _ = backbone_of(recipe.backbone)
        wanted = settings.embed.weights
        named = settings.embed.weights_file
        if named is not None and not named.endswith(SUFFIX) and settings.embed.backbone == recipe.backbone:
            file = local_weights(settings, store, named)
            load_weights(network, file, settings.embed.weights_licence)
        elif wanted == "self_supervised" or not load_imagenet(network, recipe.backbone):
            return None
        found = network.state_dict()
    return {f"backbone.{name}": tensor.detach().cpu().clone() for name, tensor in found.items()}


def _weights(track: np.ndarray, members: Members) -> np.ndarray:
    """f64 [n]: the crops of a track share its weight, and tracks of frequent classes weigh less (square root)."""
    _, of_track, crops = np.unique(track, return_inverse=True, return_counts=True)
    taught = members.class_id[np.unique(track)]
    _, of_class, tracks = np.unique(taught, return_inverse=True, return_counts=True)
    return (1 / np.sqrt(tracks[of_class]))[of_track] / crops[of_track]


def _hits(embedder: Embedder, found: CropFile, members: Members, teaches: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """bool [k], one for each asked track with crops, ascending: whether the nearest teaching track is of the same
    animal."""
    return _found_again(*_seen(embedder, found, teaches | asked), members, teaches, asked)


def _seen(embedder: Embedder, found: CropFile, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members that have crops, ascending, i64 [k], and their vectors [k, D]. wanted: bool, of each member."""
    rows, first = np.unique(found.track, return_index=True)
    last = np.append(first[1:], len(found.track))
    mine = wanted[rows]
    pieces = (np.array(found.pictures[a:b]) for a, b in zip(first[mine], last[mine], strict=True))
    return rows[mine], np.stack(list(track_vectors(embedder, pieces)))


def _found_again(
    rows: np.ndarray, vectors: np.ndarray, members: Members, teaches: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """As `_hits`, of members and their vectors."""
    gallery, question = np.flatnonzero(teaches[rows]), np.flatnonzero(asked[rows])
    hits = []
    for start in range(0, len(question), 2048):
        part = question[start : start + 2048]
        nearest = gallery[(vectors[part] @ vectors[gallery].T).argmax(1)]
        hits.append(members.class_id[rows[nearest]] == members.class_id[rows[part]])
    return np.concatenate(hits) if hits else np.zeros(0, dtype=bool)
