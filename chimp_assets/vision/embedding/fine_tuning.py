"""A better embedder from the archive's own names: crops of the labelled tracks, learning, and the proof on other days.

Belongs here: which tracks teach and which judge, their crops on disk, the candidate's file and row, its verdict.
Does not belong here: the recipe (`metric_learning`), the loop (`training`), when it is due (`database.work`).

A new embedder means that every track of the archive is embedded again. So a candidate becomes champion only if on
recording days that it never saw it finds an animal again more often than the champion, beyond noise.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database import schema
from chimp_assets.vision.datasets.reading import SqlTrackDataset, TrackQuery
from chimp_assets.vision.datasets.training_set import Members, read_members
from chimp_assets.vision.embedding.backbones import SMALL, backbone_of, load_imagenet, load_weights
from chimp_assets.vision.embedding.embedder import Embedder, load_embedder
from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn
from chimp_assets.vision.learning.ranks import ALONE, Ranks
from chimp_assets.vision.learning.training import State
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    ModelRow,
    champion,
    content_hash,
    model_of,
    refuse,
    register_model,
    save_checkpoint,
)
from chimp_assets.vision.models.registry import promote_by_gate

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

log = logging.getLogger(__name__)

JUDGING_SHARE = 0.2
"""Of the recording days: they judge every candidate and teach none, today and after the next thousand labels."""
STOPPING_SHARE = 0.1
"""Of the recording days: they say when a training has seen enough."""
MIN_JUDGING_TRACKS = 20
DRAWS = 2_000
LARGE = "resnet50"
INDEX_FILE = "tracks.json"
CROPS_FILE = "crops.npy"
WAIT_FOR_CROPS_S = 24 * 3600


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning made. unreadable: labelled tracks whose pictures cannot be read, left out; champion_retrieval,
    retrieval: share of held-out tracks whose nearest teaching track is of the same animal; gain_low, gain_high: 95 % of
    the difference."""

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


@dataclass(frozen=True)
class TrackCropsOnDisk:
    """Crops of labelled tracks as a memory map u8 [n, s, s, 3]; track: i64 [n], row of the member of each crop."""

    pictures: np.ndarray
    track: np.ndarray
    unreadable: list[int]


def fine_tune(
    db: Database,
    store: BlobStore,
    settings: Settings,
    training_set_id: int,
    report: Callable[[State], None] | None = None,
    ranks: Ranks = ALONE,
) -> tuple[FineTuned, State] | None:
    """Learn a candidate embedder from a training set; its parent is the champion. None on all ranks but the first.

    Killed and run again it goes on from its last checkpoint; run after it has ended it returns the model that is there.
    Raises ModelError without an embedder, with fewer than 2 classes, or where too few recording days remain to judge.
    """
    began = time.monotonic()
    members = read_members(db, store, training_set_id)
    with db.read() as conn:
        now = champion(conn, "embedder")
    if now is None:
        raise ModelError("There is no embedder to begin with.", "Fit one first: `chimp ingest` does.")
    if len(np.unique(members.class_id)) < 2:
        raise ModelError(
            f"Training set {training_set_id} names one individual; an embedder learns from two or more.",
            "Label tracks of another individual too.",
        )
    teaches, stops, judges = roles_of_days(members, settings.seed)
    embed = settings.embed
    # The champion's crops, so that both see the same pictures.
    side = int(now.config["crop_side"])
    folder = settings.home / "training" / f"embedder-{training_set_id}"
    found = crops_on_disk(
        db, store, training_set_id, members, folder, embed.crops_per_track, side, embed.workers, ranks
    )
    recipe = _recipe(settings, now)
    mine = np.flatnonzero(teaches[found.track])
    crops = Crops(
        _Rows(found.pictures, mine),
        members.class_id[found.track[mine]],
        _weights(found.track[mine], members),
        members.group[found.track[mine]],
    )
    before = load_embedder(store, now)
    tuned = learn(
        crops,
        recipe,
        seed=settings.seed,
        dimensions=int(now.config["dimensions"]),
        start=_start(settings, now, before, recipe),
        folder=folder / "checkpoints",
        ranks=ranks,
        workers=embed.workers,
        minutes=embed.fine_tune_minutes,
        validate=(lambda one: float(_hits(one, found, members, teaches, stops).mean())) if stops.any() else None,
        report=report,
    )
    if not ranks.first:
        return None
    old = _hits(before, found, members, teaches, judges)
    new = _hits(tuned.embedder, found, members, teaches, judges)
    days = members.group[judges & np.isin(np.arange(len(members.track_id)), found.track)]
    low, high = gain_interval(new.astype(float) - old, days, settings.seed)
    last = tuned.state.history[-1] if tuned.state.history else (0, math.nan, math.nan)
    config = {
        **embedder_config(tuned.embedder),
        "kind": "names",
        "crops_per_track": int(now.config["crops_per_track"]),
        "seed": settings.seed,
        "recipe": asdict(recipe),
        "licence": now.config.get("licence", "not stated"),
        "n_tracks": int(teaches.sum()),
        "n_crops": len(mine),
        "unreadable": len(found.unreadable),
        "steps": tuned.state.step,
        "stopped": tuned.state.stopped,
        "held_out": {
            "tracks": len(new),
            "days": len(np.unique(days)),
            "champion": round(float(old.mean()), 4),
            "candidate": round(float(new.mean()), 4),
            "gain_low": round(low, 4),
            "gain_high": round(high, 4),
        },
    }
    uri, digest = save_checkpoint(store, "models/embedder/embedder", tuned.embedder.state_dict(), config)
    model_id = _known(db, training_set_id, now.model_id, digest)
    if model_id is None:
        name = f"{recipe.backbone} {tuned.embedder.dimensions}, from {int(teaches.sum())} named tracks"
        model_id = register_model(db, "embedder", name, config, uri, digest, now.model_id, training_set_id)
    # The crops can be read again; what was learned lies in the store.
    shutil.rmtree(folder, ignore_errors=True)
    return FineTuned(
        model_id=model_id,
        training_set_id=training_set_id,
        backbone=recipe.backbone,
        tracks=int(teaches.sum()),
        crops=len(mine),
        classes=len(np.unique(crops.target)),
        unreadable=len(found.unreadable),
        steps=tuned.state.step,
        stopped=tuned.state.stopped,
        judging_tracks=len(new),
        judging_days=len(np.unique(days)),
        champion_retrieval=round(float(old.mean()), 4),
        retrieval=round(float(new.mean()), 4),
        gain_low=round(low, 4),
        gain_high=round(high, 4),
        loss=None if math.isnan(last[1]) else last[1],
        accuracy=None if math.isnan(last[2]) else last[2],
        seconds=round(time.monotonic() - began, 1),
    ), tuned.state


def unfinished_training(conn: sa.Connection, settings: Settings) -> int | None:
    """The training set of a fine-tuning that was killed, the newest; None if none was. It ends with its own labels,
    also where new ones have landed meanwhile: beginning anew at each of them would never end."""
    model = schema.model.c
    begun = [
        int(folder.parent.name.removeprefix("embedder-"))
        for folder in (settings.home / "training").glob("embedder-*/checkpoints")
        if folder.parent.name.removeprefix("embedder-").isdigit()
    ]
    there = set(conn.scalars(sa.select(schema.training_set.c.training_set_id)))
    done = set(conn.scalars(sa.select(model.training_set_id).where(model.task == "embedder")))
    return max((one for one in begun if one in there - done), default=None)


def decide_embedder(db: Database, candidate_id: int) -> tuple[bool, str]:
    """Promote a candidate embedder or refuse it: (promoted, why). Raises ModelError if it was measured against another
    champion than today's, since the measure says nothing then."""
    with db.read() as conn:
        candidate, now = model_of(conn, candidate_id), champion(conn, "embedder")
    if candidate.state == "champion":
        return True, candidate.reason or "It is the champion."
    if now is None or candidate.parent_id != now.model_id:
        why = f"It was measured against embedder {candidate.parent_id}, which is not the champion."
        refuse(db, candidate_id, why)
        return False, why
    seen = candidate.config["held_out"]
    says = (
        f"finds {seen['candidate']:.1%} of {seen['tracks']} tracks of {seen['days']} days that it never saw, champion"
        f" {now.version} {seen['champion']:.1%} (gain {seen['gain_low']:+.1%} to {seen['gain_high']:+.1%})"
    )
    if seen["tracks"] < MIN_JUDGING_TRACKS:
        why = f"Too few tracks to judge, {MIN_JUDGING_TRACKS} are needed: it {says}."
        refuse(db, candidate_id, why)
        return False, why
    if seen["gain_low"] > 0:
        why = f"Better beyond noise: it {says}."
        promote_by_gate(db, candidate_id, why)
        return True, why
    why = f"Not better beyond noise, and a new embedder means embedding the archive again: it {says}."
    refuse(db, candidate_id, why)
    return False, why


def roles_of_days(members: Members, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which members teach, which end the training, which judge: bool [n] each. By a hash of the day, so a day keeps its
    role for ever. Raises ModelError if a role that must be there has no day."""
    share = {
        day: int.from_bytes(hashlib.blake2b(f"{seed} {day}".encode(), digest_size=7).digest(), "big") / 2.0**56
        for day in sorted(set(members.day))
    }
    drawn = np.array([share[day] for day in members.day])
    judges = drawn < JUDGING_SHARE
    stops = (drawn >= JUDGING_SHARE) & (drawn < JUDGING_SHARE + STOPPING_SHARE)
    teaches = ~judges & ~stops
    if not judges.any() or not teaches.any() or len(np.unique(members.class_id[teaches])) < 2:
        raise ModelError(
            f"The labels come from {len(share)} recording days, and of those none is left to"
            f" {'judge an embedder' if teaches.any() else 'learn from'}.",
            "Label tracks of more days.",
        )
    return teaches, stops, judges


def crops_on_disk(
    db: Database,
    store: BlobStore,
    training_set_id: int,
    members: Members,
    folder: Path,
    per_track: int,
    side: int,
    workers: int = 0,
    ranks: Ranks = ALONE,
) -> TrackCropsOnDisk:
    """Crops of the members, read once by a DataLoader over `SqlTrackDataset` and kept in a file that any step can read.

    A track whose pictures cannot be read is left out and counted. Memory: one batch of tracks; disk: crops * side^2 * 3
    bytes. The other ranks wait for the first. Raises ModelError if no track can be read.
    """
    index = folder / INDEX_FILE
    wanted = {"members": content_hash(members.track_id.tobytes()), "side": side, "per_track": per_track}
    if ranks.first and _index(index, wanted) is None:
        folder.mkdir(parents=True, exist_ok=True)
        dataset = SqlTrackDataset(
            db, store, TrackQuery(training_set=training_set_id), crops_per_track=per_track, side=side
        )
        file = np.lib.format.open_memmap(
            folder / CROPS_FILE, mode="w+", dtype=np.uint8, shape=(len(dataset) * per_track, side, side, 3)
        )
        tracks: list[int] = []
        unreadable: list[int] = []
        loader = DataLoader(
            _Readable(dataset), batch_size=16, num_workers=workers, collate_fn=list,
            multiprocessing_context="spawn" if workers else None,
        )  # fmt: skip
        for batch in loader:
            for number, crops in batch:
                if crops is None:
                    unreadable.append(int(dataset.track_id[number]))
                    continue
                file[len(tracks) : len(tracks) + len(crops)] = crops
                tracks += [number] * len(crops)
        file.flush()
        line = {**wanted, "track": tracks, "unreadable": unreadable}
        partial = index.with_suffix(".partial")
        partial.write_text(json.dumps(line))
        partial.replace(index)
    until = time.monotonic() + WAIT_FOR_CROPS_S
    while (known := _index(index, wanted)) is None:
        if time.monotonic() > until:
            raise ModelError(f"The first process has written no crops to {folder}.", "Share the folder among machines.")
        time.sleep(1)
    if not known["track"]:
        raise ModelError("The pictures of no labelled track can be read.", "Say `chimp doctor`.")
    track = np.array(known["track"], dtype=np.int64)
    return TrackCropsOnDisk(np.load(folder / CROPS_FILE, mmap_mode="r")[: len(track)], track, known["unreadable"])


def gain_interval(gain: np.ndarray, day: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % of the mean gain, by a paired bootstrap over days (tracks, where days are fewer than 5). gain: f64 [n]."""
    if not len(gain):
        return math.nan, math.nan
    names, row = np.unique(day, return_inverse=True)
    if len(names) < 5:
        row = np.arange(len(gain))
    sums, counts = np.bincount(row, gain), np.bincount(row)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (DRAWS, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def embedder_config(embedder: Embedder) -> dict[str, Any]:
    """What `load_embedder` needs to know of an embedder."""
    return {
        "dimensions": embedder.dimensions,
        "crop_side": embedder.crop_side,
        "backbone": embedder.backbone_name,
        "network_side": embedder.network_side,
        "parts": [[part.rows, part.weight] for part in embedder.parts],
        "mirrored": embedder.mirrored,
        "atoms": embedder.atoms,
        "pretrained": embedder.pretrained is not None,
    }


class _Readable(Dataset[Any]):
    """(number, crops u8 [k, s, s, 3], or None where a picture cannot be read) of the tracks of a dataset."""

    def __init__(self, dataset: SqlTrackDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, number: int) -> Any:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: list[int]) -> list[Any]:
        try:
            samples = self._dataset.__getitems__(numbers)
        except PictureError as error:
            if len(numbers) == 1:
                log.warning("Track %d is left out: %s", self._dataset.track_id[numbers[0]], error)
                return [(numbers[0], None)]
            return [self.__getitems__([number])[0] for number in numbers]
        return [(n, sample["crops"].permute(0, 2, 3, 1).numpy()) for n, sample in zip(numbers, samples, strict=True)]


class _Rows:
    """Some rows of a memory map, read when they are asked for."""

    def __init__(self, pictures: np.ndarray, rows: np.ndarray) -> None:
        self._pictures, self._rows = pictures, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._rows), *self._pictures.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        return np.asarray(self._pictures[self._rows[which]])


def _index(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return known if all(known.get(name) == value for name, value in wanted.items()) else None


def _recipe(settings: Settings, now: ModelRow) -> Recipe:
    """On a GPU, and wherever the champion has a network already, a larger one is worth its time."""
    embed = settings.embed
    name = embed.fine_tune_backbone
    if name == "auto":
        name = now.config.get("backbone") or (LARGE if torch.cuda.is_available() else SMALL)
    recipe = replace(Recipe(), backbone=name, epochs=embed.fine_tune_epochs, pretrained=embed.weights == "auto")
    if embed.fine_tune_batch is not None:
        recipe = replace(recipe, batch=embed.fine_tune_batch)
    if embed.fine_tune_rate is not None:
        recipe = replace(recipe, rate=embed.fine_tune_rate)
    return recipe if name == SMALL else replace(recipe, side=int(now.config["crop_side"]))


def _start(settings: Settings, now: ModelRow, before: Embedder, recipe: Recipe) -> dict[str, Tensor] | None:
    """Weights to begin with: the champion's, a file of the user's, ImageNet's, or none."""
    if now.config.get("backbone") == recipe.backbone and before.backbone is not None:
        found = before.backbone.state_dict()
    else:
        network, _ = backbone_of(recipe.backbone)
        wanted = settings.embed.weights
        if settings.embed.weights_file is not None and settings.embed.backbone == recipe.backbone:
            load_weights(network, settings.embed.weights_file, settings.embed.weights_licence)
        elif wanted == "self_supervised" or not load_imagenet(network, recipe.backbone):
            return None
        found = network.state_dict()
    return {f"backbone.{name}": tensor.detach().cpu().clone() for name, tensor in found.items()}


def _weights(track: np.ndarray, members: Members) -> np.ndarray:
    """f64 [n]: the crops of a track share its weight, and tracks of frequent classes have less (square root)."""
    _, of_track, crops = np.unique(track, return_inverse=True, return_counts=True)
    taught = members.class_id[np.unique(track)]
    _, of_class, tracks = np.unique(taught, return_inverse=True, return_counts=True)
    return (1 / np.sqrt(tracks[of_class]))[of_track] / crops[of_track]


def _hits(
    embedder: Embedder, found: TrackCropsOnDisk, members: Members, teaches: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """bool [k] of the asked tracks with crops, ascending: whether the nearest teaching track is of the same animal."""
    rows, first = np.unique(found.track, return_index=True)
    last = np.append(first[1:], len(found.track))
    wanted = teaches[rows] | asked[rows]
    vectors = np.stack(
        [embedder.embed_track(np.array(found.pictures[a:b])) for a, b in zip(first[wanted], last[wanted], strict=True)]
    )
    rows = rows[wanted]
    gallery, question = np.flatnonzero(teaches[rows]), np.flatnonzero(asked[rows])
    hits = []
    for start in range(0, len(question), 2048):
        part = question[start : start + 2048]
        nearest = gallery[(vectors[part] @ vectors[gallery].T).argmax(1)]
        hits.append(members.class_id[rows[nearest]] == members.class_id[rows[part]])
    return np.concatenate(hits) if hits else np.zeros(0, dtype=bool)


def _known(db: Database, training_set_id: int, parent_id: int, digest: str) -> int | None:
    c = schema.model.c
    with db.read() as conn:
        return conn.scalar(
            sa.select(sa.func.min(c.model_id)).where(
                c.task == "embedder",
                c.training_set_id == training_set_id,
                c.parent_id == parent_id,
                c.checkpoint_hash == digest,
            )
        )
