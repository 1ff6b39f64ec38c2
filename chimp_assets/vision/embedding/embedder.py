"""The embedder: crops of an animal to one unit vector; and fitting the first one of an archive.

Belongs here: the network (a fixed descriptor or patches by a dictionary, a backbone, and a linear projection), where
weights come from, the vector of a track, the first embedder of an archive.
Does not belong here: learning without labels (`self_supervision`), reading crops (`crops`), files of embeddings
(`bundle`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
import torch
from torch import Tensor, nn
from torch.nn import functional

from chimp_assets.database import schema
from chimp_assets.database.labels.splits import hash01
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.settings import IN_STORE
from chimp_assets.vision.embedding import descriptor
from chimp_assets.vision.embedding.backbones import (
    LITE_FILE,
    LITE_LICENCE,
    LITE_SHA256,
    MOBILE_FILE,
    MOBILE_LICENCE,
    MOBILE_SHA256,
    LocalWeights,
    backbone_of,
    load_imagenet,
    load_weights,
    mobile_network,
    pretrained_network,
)
from chimp_assets.vision.embedding.lite import FORMER_SIDE, SIDE, Lite0
from chimp_assets.vision.embedding.mobile import MobileNetV2
from chimp_assets.vision.embedding.onnx_backbone import backbone_of_file, settings_for_file
from chimp_assets.vision.embedding.patches import Patches
from chimp_assets.vision.embedding.self_supervision import (
    CropSet,
    fit_projection,
    gain_beside,
    nearest_of_same_track,
    retrieval,
    train_backbone,
)
from chimp_assets.vision.learning.device import device_of
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    ModelFileError,
    ModelRow,
    load_checkpoint,
    register_model,
    save_checkpoint,
)
from chimp_assets.vision.models.onnx_file import SUFFIX
from chimp_assets.vision.models.weights import local_weights
from chimp_assets.vision.pictures.crops import read_crops

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

# Channel statistics of ImageNet, which torchvision's weights expect of RGB in 0..1; harmless for what is trained here.
CHANNEL_MEAN = (0.485, 0.456, 0.406)
CHANNEL_STD = (0.229, 0.224, 0.225)
BATCH = 64
"""Crops that go through the network at once on a CPU; more are no faster there."""
BATCH_GPU = 512
"""On a GPU, of 96 pixels; fewer of larger ones."""
MIN_TRAINING_TRACKS = 4
# With fewer crops a network from zero learns nothing: with 138 crops of 43 tracks (chimpanzee faces) twelve epochs of
# NT-Xent left a ResNet-18 worse than its random start, after 1,000 times the work of the closed form.
BACKBONE_CROPS = 4_000


@dataclass(frozen=True)
class VectorPart:
    """Consecutive dimensions that are scaled to length `weight` before the whole vector is scaled to length one."""

    rows: int
    weight: float


class Embedder(nn.Module):
    """Crops to unit vectors. backbone: a name that `backbones` knows, or None for the descriptor alone.

    network_side: pixels that the backbone sees, None for those of the crop. parts: of the vector, empty for one whole;
    with parts the backbone's features are not normalised. mirrored: average of crops and their mirror images. atoms: of
    the dictionaries of `patches` that replace the descriptor, 0 for the descriptor. pretrained, mobile: with the
    features of networks trained on ImageNet (`lite`, `mobile`), which see crops enlarged to pretrained_side.
    """

    channel_mean: Tensor
    channel_std: Tensor
    mean: Tensor
    weight: Tensor

    def __init__(
        self,
        dimensions: int,
        crop_side: int,
        backbone: str | None = None,
        *,
        network_side: int | None = None,
        parts: tuple[VectorPart, ...] = (),
        mirrored: bool = False,
        atoms: int = 0,
        pretrained: bool = False,
        mobile: bool = False,
        pretrained_side: int = SIDE,
    ) -> None:
        super().__init__()
        if parts and sum(part.rows for part in parts) != dimensions:
            raise ValueError(f"parts of {[part.rows for part in parts]} rows make no {dimensions} dimensions")
        self.dimensions = dimensions
        self.crop_side = crop_side
        self.network_side = network_side
        self.parts = parts
        self.mirrored = mirrored
        self.atoms = atoms
        self.backbone_name = backbone
        self.backbone: nn.Module | None = None
        n_backbone = 0
        if backbone is not None:
            self.backbone, n_backbone = backbone_of(backbone)
        self.patches = Patches(atoms) if atoms else None
        n_described = self.patches.n_features if self.patches is not None else descriptor.N_FEATURES
        self.pretrained_side = pretrained_side
        self.pretrained = Lite0(pretrained_side) if pretrained else None
        self.mobile = MobileNetV2(pretrained_side) if mobile else None
        n_described += sum(one.n_features for one in (self.pretrained, self.mobile) if one is not None)
        self.n_features = n_described + n_backbone
        self.register_buffer("channel_mean", torch.tensor(CHANNEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("channel_std", torch.tensor(CHANNEL_STD).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("weight", torch.zeros(dimensions, self.n_features))
        self.eval()

    @property
    def at_once(self) -> int:
        """Crops that go through the network at once."""
        if self.mean.device.type != "cuda":
            return BATCH
        return max(16, min(BATCH_GPU, round(BATCH_GPU * (96 / self.crop_side) ** 2)))

    def normalise(self, pictures: Tensor) -> Tensor:
        """Pictures f32 [n, 3, s, s] in 0..1, as the backbone expects them."""
        return (pictures - self.channel_mean) / self.channel_std

    def features(self, crops: np.ndarray) -> np.ndarray:
        """Features before the projection. crops: u8 [n, s, s, 3] RGB; returns f32 [n, n_features]."""
        parts = self._in_batches(crops, self._features)
        return np.concatenate(parts) if parts else np.zeros((0, self.n_features), dtype=np.float32)

    def backbone_features(self, crops: np.ndarray) -> np.ndarray:
        """Features of the backbone alone; there must be one. crops: u8 [n, s, s, 3], n > 0; returns f32 [n, f]."""
        return np.concatenate(self._in_batches(crops, self._seen_by_backbone))

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Unit vectors of crops. crops: u8 [n, s, s, 3] RGB; returns f32 [n, dimensions]."""
        parts = self._in_batches(crops, self.forward)
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), dtype=np.float32)

    def embed_track(self, crops: np.ndarray) -> np.ndarray:
        """The vector of a track: the normalised mean of its crops. u8 [m, s, s, 3], m > 0; returns f32 [dimensions]."""
        return mean_direction(self.embed(crops))

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures: f32 [n, 3, s, s] in 0..1; returns unit vectors f32 [n, dimensions]."""
        projected = self._projected(pictures)
        if self.mirrored:
            projected = projected + self._projected(pictures.flip(3))
        # A crop without structure projects to zero, which has no direction; it gets the first axis.
        flat = projected.norm(dim=1, keepdim=True) < 1e-8
        axis = torch.zeros_like(projected)
        axis[:, 0] = 1
        return functional.normalize(torch.where(flat, axis, projected), dim=1)

    def _projected(self, pictures: Tensor) -> Tensor:
        projected = (self._features(pictures) - self.mean) @ self.weight.T
        if not self.parts:
            return projected
        pieces = projected.split([part.rows for part in self.parts], 1)
        return torch.cat(
            [functional.normalize(piece, dim=1) * part.weight for piece, part in zip(pieces, self.parts, strict=True)],
            1,
        )

    def _features(self, pictures: Tensor) -> Tensor:
        found = [self.patches(pictures) if self.patches is not None else descriptor.describe(pictures)]
        found += [one(pictures) for one in (self.pretrained, self.mobile) if one is not None]
        if self.backbone is not None:
            features = self._seen_by_backbone(pictures)
            found.append(features if self.parts else functional.normalize(features, dim=1))
        return torch.cat(found, 1)

    def _seen_by_backbone(self, pictures: Tensor) -> Tensor:
        assert self.backbone is not None
        seen = self.normalise(pictures)
        if self.network_side is not None and self.network_side != seen.shape[-1]:
            side = (self.network_side, self.network_side)
            seen = functional.interpolate(seen, side, mode="bilinear", antialias=True, align_corners=False)
        features: Tensor = self.backbone(seen)
        return features

    def _in_batches(self, crops: np.ndarray, function: Callable[[Tensor], Tensor]) -> list[np.ndarray]:
        most = self.at_once
        return [self._in_batch(crops[start : start + most], function) for start in range(0, len(crops), most)]

    def _in_batch(self, crops: np.ndarray, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        device = self.mean.device
        with torch.inference_mode():
            held = torch.from_numpy(np.ascontiguousarray(crops))
            if device.type == "cuda":
                held = held.pin_memory()  # bytes, not floats, cross the bus while the host continues
            pictures = held.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
            return function(pictures).float().cpu().numpy()


def mean_direction(vectors: np.ndarray) -> np.ndarray:
    """The vector of a track: the normalised mean of those of its crops. f32 [m, d], m > 0; returns f32 [d]."""
    mean = vectors.mean(0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:  # crops that point in opposite directions: take the first
        return np.asarray(vectors[0])
    return np.asarray(mean / np.float32(length))


@dataclass(frozen=True)
class SampledCrops:
    """Crops of training tracks of the archive, and the keys of these tracks."""

    crops: CropSet
    track_id: np.ndarray


def fit_embedder(db: Database, store: BlobStore, settings: Settings, progress: Progress | None = None) -> int:
    """Fit the first embedder of an archive, make it the champion, return its model_id.

    Learns from crops of live tracks outside the audit reserve and outside test days, without labels. Beside the
    descriptor it uses what settings.embed.weights names: a packaged network with ImageNet weights, the backbone with
    torchvision's weights or with those of a file, or nothing; without any, a backbone trained from zero if there are
    enough crops and it measurably helps on held-out tracks. The projection is always learned from the tracks.
    The same archive, settings and machine give the same bytes.
    Raises ModelError if there are too few live tracks, or if torchvision's weights are required and not available.
    """
    settings = settings_for_file(settings, store)
    embed = settings.embed
    crops = sample_crops(db, store, settings, progress).crops
    device = device_of(settings.compute.device)
    plain = Embedder(embed.dimensions, embed.crop_side).to(device)
    described = plain.features(crops.crops)
    group = crops.video[crops.track]
    measured: dict[str, float | None] = {
        "plain": _rounded(retrieval(described, crops.track, group, None, settings.seed)),
        "tracks": _rounded(retrieval(described, crops.track, group, embed.dimensions, settings.seed)),
    }
    chosen, features, kind, local = plain, described, "tracks", None
    given = _with_given_weights(settings, store)
    if given is not None:
        chosen, kind, local = given
        chosen = chosen.to(device)
        features = chosen.features(crops.crops)
        measured[kind] = _rounded(retrieval(features, crops.track, group, embed.dimensions, settings.seed))
        if chosen.pretrained is not None and (beside := mobile_network()) is not None:
            without, with_it, helps = gain_beside(crops, features, beside.to(device), embed.dimensions, settings.seed)
            measured |= {"judged: lite0": _rounded(without), "judged: lite0+mobile": _rounded(with_it)}
            if helps:
                chosen, kind = _with_mobile(settings, chosen, beside).to(device), "lite0+mobile+tracks"
                features = chosen.features(crops.crops)
    elif len(crops.crops) >= BACKBONE_CROPS:
        larger, with_it, without = _trained_backbone(crops, described, settings, device, progress)
        measured["new videos: backbone+tracks"], measured["new videos: tracks"] = _rounded(with_it), _rounded(without)
        if with_it > without:
            chosen, kind = larger, "backbone+tracks"
            features = larger.features(crops.crops)
    mean, weight = fit_projection(features, crops.track, embed.dimensions)
    chosen.mean.copy_(torch.from_numpy(mean))
    chosen.weight.copy_(torch.from_numpy(weight))
    config = {
        "kind": kind,
        "backbone": chosen.backbone_name,
        "pretrained": chosen.pretrained is not None,
        "mobile": chosen.mobile is not None,
        "pretrained_side": chosen.pretrained_side,
        "dimensions": embed.dimensions,
        "crop_side": embed.crop_side,
        "crops_per_track": embed.crops_per_track,
        "seed": settings.seed,
        "n_tracks": crops.n_tracks,
        "n_crops": len(crops.crops),
        "held_out_retrieval": measured,
    }
    if local is not None:
        config |= {"weights": local.path, "weights_sha256": local.sha256, "licence": local.licence}
    elif chosen.pretrained is not None:
        config |= {"weights": LITE_FILE, "weights_sha256": LITE_SHA256, "licence": LITE_LICENCE}
        if chosen.mobile is not None:
            config |= {"mobile_weights": MOBILE_FILE, "mobile_sha256": MOBILE_SHA256, "mobile_licence": MOBILE_LICENCE}
    log.info("Embedder %s from %d crops of %d tracks; %s", kind, len(crops.crops), crops.n_tracks, measured)
    uri, digest = save_checkpoint(store, "models/embedder/embedder", chosen.state_dict(), config)
    return register_model(db, "embedder", f"{kind} {embed.dimensions}", config, uri, digest, state="champion")


def _with_given_weights(settings: Settings, store: BlobStore) -> tuple[Embedder, str, LocalWeights | None] | None:
    """The embedder with the weights that the settings name, its kind, and their file; None if they name none.

    Raises ModelError if torchvision's weights are required and not available, ModelFileError if the file is unfit.
    """
    embed = settings.embed
    if embed.weights_file is not None:
        file = local_weights(settings, store, embed.weights_file)
        if file.suffix == SUFFIX:
            network, _, digest = backbone_of_file(file, embed.weights_mean, embed.weights_std)
            embedder = Embedder(embed.dimensions, embed.crop_side, network.name)
            embedder.backbone = network
            given = LocalWeights(str(file), digest, embed.weights_licence, 1)
        else:
            embedder = Embedder(embed.dimensions, embed.crop_side, embed.backbone)
            assert embedder.backbone is not None
            given = load_weights(embedder.backbone, file, embed.weights_licence)
        if embed.weights_file.startswith(IN_STORE):
            given = replace(given, path=embed.weights_file)  # where it was kept here says nothing elsewhere
        return embedder, "file+tracks", given
    if embed.weights == "imagenet":
        embedder = Embedder(embed.dimensions, embed.crop_side, embed.backbone)
        assert embedder.backbone is not None
        if not load_imagenet(embedder.backbone, embed.backbone):
            raise ModelError(
                f"The ImageNet weights of {embed.backbone} are not on this machine and cannot be downloaded.",
                "Connect to the internet once, or set embed.weights to auto.",
            )
        return embedder, "imagenet+tracks", None
    if embed.weights == "auto" and (lite := pretrained_network()) is not None:
        embedder = Embedder(embed.dimensions, embed.crop_side, pretrained=True)
        assert embedder.pretrained is not None
        embedder.pretrained.load_state_dict(lite.state_dict())
        return embedder, "lite0+tracks", None
    return None


def _with_mobile(settings: Settings, lite: Embedder, network: MobileNetV2) -> Embedder:
    """The embedder with the features of both packaged networks."""
    embedder = Embedder(settings.embed.dimensions, settings.embed.crop_side, pretrained=True, mobile=True)
    for mine, given in ((embedder.pretrained, lite.pretrained), (embedder.mobile, network)):
        assert mine is not None
        assert given is not None
        mine.load_state_dict(given.state_dict())
    return embedder


def load_embedder(store: BlobStore, model: ModelRow, device: torch.device | None = None) -> Embedder:
    """The embedder of a model row, ready to embed. device: None for a GPU if there is one.

    Raises ModelFileError if its file is missing, changed or unfit.
    """
    if model.checkpoint_uri is None or model.checkpoint_hash is None:
        raise ModelFileError(f"Model {model.model_id} has no checkpoint.", "Fit an embedder.")
    tensors, config = load_checkpoint(store, model.checkpoint_uri, model.checkpoint_hash)
    embedder = Embedder(
        config["dimensions"],
        config["crop_side"],
        config["backbone"],
        network_side=config.get("network_side"),
        parts=tuple(VectorPart(int(rows), float(weight)) for rows, weight in config.get("parts", ())),
        mirrored=bool(config.get("mirrored", False)),
        atoms=int(config.get("atoms", 0)),
        pretrained=bool(config.get("pretrained", False)),
        mobile=bool(config.get("mobile", False)),
        pretrained_side=int(config.get("pretrained_side", FORMER_SIDE)),
    )
    try:
        embedder.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelFileError(
            f"The model file {model.checkpoint_uri} does not match its own config: {error}.",
            "Fit an embedder again.",
        ) from error
    return embedder.to(device or device_of()).eval()


def sample_crops(db: Database, store: BlobStore, settings: Settings, progress: Progress | None = None) -> SampledCrops:
    """Crops that an embedder may learn from: live tracks outside the audit reserve and outside test days.

    At most settings.embed.max_crops; tracks are taken in the order of a hash. Memory: max_crops * crop_side^2 * 3
    bytes. Raises ModelError if the archive has fewer than settings.embed.min_tracks live tracks.
    """
    tracks = _training_tracks(db, settings)
    embed = settings.embed
    by_video: dict[int, list[int]] = {}
    for track_id in tracks:
        by_video.setdefault(int(tracks[track_id][0]), []).append(track_id)
    found: list[tuple[int, np.ndarray]] = []
    for number, (video_id, ids) in enumerate(sorted(by_video.items())):
        for track in read_crops(db, store, video_id, embed.crops_per_track, embed.crop_side, ids):
            found.append((track.track_id, track.crops))
        if progress is not None:
            progress("reading crops", number + 1, len(by_video))
    found.sort(key=lambda pair: pair[0])
    if len(found) < MIN_TRAINING_TRACKS:
        raise ModelError(
            f"Only {len(found)} tracks lie outside the audit reserve and outside test days; an embedder needs"
            f" {MIN_TRAINING_TRACKS}.",
            "Ingest more videos.",
        )
    facts = np.array([tracks[track_id] for track_id, _ in found], dtype=np.int64)
    return SampledCrops(
        crops=CropSet(
            crops=np.concatenate([crops for _, crops in found]),
            track=np.repeat(np.arange(len(found)), [len(crops) for _, crops in found]),
            video=facts[:, 0],
            first=facts[:, 1],
            last=facts[:, 2],
        ),
        track_id=np.array([track_id for track_id, _ in found], dtype=np.int64),
    )


def _training_tracks(db: Database, settings: Settings) -> dict[int, tuple[int, int, int]]:
    """track_id to (video_id, first, last frame_no) of the sampled tracks. Raises ModelError if too few are live."""
    t, split = schema.track.c, schema.split_assignment.c
    with db.read() as conn:
        live = conn.scalar(sa.select(sa.func.count()).select_from(schema.track).where(t.state == "live")) or 0
        if live < settings.embed.min_tracks:
            raise ModelError(
                f"The archive has {live} live tracks; an embedder needs {settings.embed.min_tracks}.",
                "Ingest more videos, or lower embed.min_tracks.",
            )
        # Inner join: a video without a split may belong to a test day.
        rows = conn.execute(
            sa.select(t.track_id, t.video_id, t.first_frame_no, t.last_frame_no)
            .join_from(schema.track, schema.split_assignment, split.video_id == t.video_id)
            .where(t.state == "live", split.split != "test")
            .order_by(t.track_id)
        ).all()
        ids = np.array([row.track_id for row in rows], dtype=np.int64)
        outside = ~reserved_mask(conn, ids, settings.seed, settings.acquisition.audit_reserve)
    order = np.nonzero(outside)[0][np.argsort(hash01(ids[outside], settings.seed), kind="stable")]
    kept = order[: max(MIN_TRAINING_TRACKS, settings.embed.max_crops // settings.embed.crops_per_track)]
    return {int(ids[i]): (rows[i].video_id, rows[i].first_frame_no, rows[i].last_frame_no) for i in kept}


def _trained_backbone(
    crops: CropSet, described: np.ndarray, settings: Settings, device: torch.device, progress: Progress | None
) -> tuple[Embedder, float, float]:
    """A backbone learned from zero on four fifths of the videos, and the retrieval on the rest with and without it."""
    embed = settings.embed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        larger = Embedder(embed.dimensions, embed.crop_side, embed.backbone).to(device)
    assert larger.backbone is not None
    videos = np.unique(crops.video)
    order = np.random.default_rng(settings.seed).permutation(len(videos))
    seen = np.isin(crops.video, videos[order[: math.ceil(len(videos) * 0.8)]])
    train_backbone(
        larger.backbone,
        larger.n_features - descriptor.N_FEATURES,
        _tracks_of(crops, seen),
        larger.normalise,
        epochs=embed.epochs,
        seed=settings.seed,
        device=device,
        progress=progress,
    )
    rows = seen[crops.track]
    scores = []
    for features in (larger.features(crops.crops), described):
        mean, weight = fit_projection(features[rows], crops.track[rows], embed.dimensions)
        hits, tries = nearest_of_same_track((features[~rows] - mean) @ weight.T, crops.track[~rows])
        scores.append(hits / max(1, tries))
    return larger, scores[0], scores[1]


def _tracks_of(crops: CropSet, wanted: np.ndarray) -> CropSet:
    rows = wanted[crops.track]
    new_row = np.cumsum(wanted) - 1
    return CropSet(
        crops.crops[rows], new_row[crops.track[rows]], crops.video[wanted], crops.first[wanted], crops.last[wanted]
    )


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
