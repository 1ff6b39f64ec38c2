"""Learning an embedder from names: crops and their classes in, an `Embedder` out.

Belongs here: the recipe (views, balanced batches, the loss), and how the learned network and the fixed descriptor
become one vector. Does not belong here: SQL and files (`fine_tuning`), the loop (`training`), networks (`backbones`).

A class is a number, whatever vocabulary it comes from. Usable without a database:

    tuned = learn(Crops(pictures, classes, weights), Recipe(), seed=1)
    vectors = tuned.embedder.embed(others)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from pytorch_metric_learning.losses import SubCenterArcFaceLoss
from pytorch_metric_learning.reducers import DoNothingReducer
from torch import Tensor, nn
from torch.utils.data import Dataset

from chimp_assets.vision import descriptor
from chimp_assets.vision.augmentation import LABELLED, SLIGHT, augment
from chimp_assets.vision.backbones import SMALL, backbone_of
from chimp_assets.vision.checkpoint import ModelError
from chimp_assets.vision.embedder import CHANNEL_MEAN, CHANNEL_STD, Embedder, Part
from chimp_assets.vision.self_supervision import fit_projection
from chimp_assets.vision.training import ALONE, Learner, Plan, Ranks, State, process_group, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_CROPS, COPIES = 4_000, 4
"""With few crops the closed forms see slightly changed views of each as well: 0.458 to 0.482 top-1 of the descriptor
alone, mean of five splits of chimpanzee faces."""
FITTED_CROPS = 20_000
"""Crops that the closed-form parts look at: as good on these as on a million."""


@dataclass(frozen=True)
class Recipe:
    """How to learn. What is here was chosen on held-out sessions of `benchmarks.identity` (docs/models.md).

    side: pixels that the network sees; epochs: passes over the crops, but at least min_views crops are shown; batch;
    rate: of AdamW; margin (radians), scale, sub_centres: of the sub-centre ArcFace loss (Deng et al. 2020), which lets
    a class be several clumps, as left and right faces are; mixing: how often two views are blended (mixup, Zhang et al.
    2018); descriptor: weight of the fixed descriptor beside the network, 0 for none; descriptor_rows: its dimensions.
    """

    backbone: str = SMALL
    side: int = 64
    epochs: int = 30
    min_views: int = 20_000
    batch: int = 32
    rate: float = 2e-3
    weight_decay: float = 0.05
    margin: float = 0.2
    scale: float = 16.0
    sub_centres: int = 2
    mixing: float = 0.0
    descriptor: float = 0.75
    descriptor_rows: int = 32

    def steps(self, n_crops: int) -> int:
        """Steps for a number of crops."""
        return math.ceil(max(self.min_views, self.epochs * n_crops) / self.batch)


class Pictures(Protocol):
    """u8 [n, s, s, 3] RGB: an array, or rows of a memory map that are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Any: ...


@dataclass(frozen=True)
class Crops:
    """What is learned from. pictures: u8 [n, s, s, 3] RGB; target: i64 [n], any class ids; weight: f64 [n], how often
    each is shown, or None for the square root of balance among the classes."""

    pictures: Pictures
    target: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None

    def weights(self) -> NDArray[np.float64]:
        """f64 [n], adding up to 1. Halfway between every crop and every class alike: a class with one crop is not shown
        a hundred times as often as its crop deserves."""
        if self.weight is not None:
            return self.weight / self.weight.sum()
        _, which, count = np.unique(self.target, return_inverse=True, return_counts=True)
        weight: NDArray[np.float64] = 1 / np.sqrt(count[which])
        return weight / weight.sum()

    def digest(self) -> str:
        """Names and number of what is learned from; pictures by a sample of 64."""
        whole = hashlib.blake2b(digest_size=16)
        whole.update(np.ascontiguousarray(self.target, dtype=np.int64).tobytes())
        whole.update(np.ascontiguousarray(self.pictures[:: max(1, len(self.pictures) // 64)]).tobytes())
        return whole.hexdigest()


@dataclass(frozen=True)
class Tuned:
    """A learned embedder, its network as it was trained (to go on from), and how the training went."""

    embedder: Embedder
    network: dict[str, Tensor]
    state: State


class MetricLearner(Learner):
    """Backbone, batch normalisation ("neck", Luo et al. 2019) and the loss with its class centres."""

    def __init__(self, recipe: Recipe, n_classes: int) -> None:
        super().__init__()
        self.backbone, self.n_features = backbone_of(recipe.backbone)
        self.neck = nn.BatchNorm1d(self.n_features)
        self.loss = SubCenterArcFaceLoss(
            num_classes=n_classes,
            embedding_size=self.n_features,
            margin=math.degrees(recipe.margin),
            scale=recipe.scale,
            sub_centers=recipe.sub_centres,
            reducer=DoNothingReducer(),
        )

    def forward(self, views: Tensor, target: Tensor, other: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """views: f32 [b, 3, s, s], normalised; target, other: i64 [b]; share f32 [b] of target in a blended view."""
        vectors = self.neck(self.backbone(views.contiguous(memory_format=torch.channels_last)))
        with torch.autocast(views.device.type, enabled=False):
            vectors = vectors.float()
            losses = share * self._losses(vectors, target)
            if bool((share < 1).any()):
                losses = losses + (1 - share) * self._losses(vectors, other)
            with torch.no_grad():
                named = self.loss.get_cosine(vectors).argmax(1)
        return losses, named == target

    def _losses(self, vectors: Tensor, target: Tensor) -> Tensor:
        losses: Tensor = self.loss(vectors, target)["loss"]["losses"]
        return losses


class Batches(Dataset[tuple[Tensor, ...]]):
    """Batch number `step` of one rank: a function of seed, step and rank, so that any step can be made at any time."""

    def __init__(self, crops: Crops, row: NDArray[np.int64], recipe: Recipe, seed: int, ranks: Ranks) -> None:
        self._crops, self._row, self._recipe, self._seed, self._ranks = crops, row, recipe, seed, ranks
        # Drawn by bisection of the sums: `choice` would add up a million weights at every step.
        self._sums = np.cumsum(crops.weights())
        self._mean = torch.tensor(CHANNEL_MEAN).view(1, 3, 1, 1)
        self._std = torch.tensor(CHANNEL_STD).view(1, 3, 1, 1)

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        recipe, ranks = self._recipe, self._ranks
        drawn = np.random.Generator(np.random.Philox(np.random.SeedSequence((self._seed, step, 1)))).random(
            recipe.batch
        )
        whole = np.minimum(np.searchsorted(self._sums, drawn * self._sums[-1], "right"), len(self._sums) - 1)
        mine = whole[ranks.rank :: ranks.world]
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence((self._seed, step, 2, ranks.rank)).generate_state(1, np.uint64)[0] >> 1)
        )
        pictures = np.stack([self._crops.pictures[i] for i in mine])
        plain = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        views = (augment(plain, recipe.side, generator, LABELLED) - self._mean) / self._std
        target = torch.from_numpy(self._row[mine])
        share = torch.ones(len(mine))
        other = target
        if recipe.mixing and float(torch.rand((), generator=generator)) < recipe.mixing:
            share = torch.full_like(share, float(torch.rand((), generator=generator)))
            partner = torch.randperm(len(mine), generator=generator)
            of_first = share.view(-1, 1, 1, 1)
            views, other = of_first * views + (1 - of_first) * views[partner], target[partner]
        return views, target, other, share

    def __getitems__(self, steps: list[int]) -> list[tuple[Tensor, ...]]:
        return [self[step] for step in steps]


def learn(
    crops: Crops,
    recipe: Recipe,
    *,
    seed: int,
    dimensions: int = 128,
    start: dict[str, Tensor] | None = None,
    folder: Path | None = None,
    ranks: Ranks = ALONE,
    workers: int = 0,
    minutes: float | None = None,
    validate: Callable[[Embedder], float] | None = None,
    report: Callable[[State], None] | None = None,
) -> Tuned:
    """Learn an embedder from named crops. The same crops, recipe, seed and number of threads give the same bits (CPU).

    start: tensors of a network to begin with (`Tuned.network`, or a backbone's under `backbone.`); those of another
    shape, such as centres of other classes, are left. folder: checkpoints, gone on from. validate: of the embedder as
    it would be, larger is better; ends the training early. Raises ModelError with fewer than 2 classes; see `train`.
    """
    if len(crops.pictures) != len(crops.target):
        raise ValueError(f"{len(crops.pictures)} pictures and {len(crops.target)} classes")
    classes, row = np.unique(crops.target, return_inverse=True)
    if len(classes) < 2:
        raise ModelError(
            f"All {len(crops.target)} crops show one individual; an embedder learns from two or more.",
            "Label tracks of another individual too.",
        )
    steps = recipe.steps(len(crops.target))
    plan = Plan(
        steps=steps,
        batch=recipe.batch,
        learning_rate=recipe.rate,
        weight_decay=recipe.weight_decay,
        checkpoint_every=max(25, steps // 20) if folder is not None else max(25, steps // 4),
        validate_every=max(1, steps // 8) if validate is not None else 0,
        minutes=minutes,
        identity=_identity(crops, recipe, seed, start),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner = MetricLearner(recipe, len(classes))
    if start is not None:
        _begin_with(learner, start)
    with process_group(ranks) as device:

        def judged() -> float:
            assert validate is not None
            return validate(embedder_of(learner, crops, recipe, dimensions))

        state = train(
            learner,
            Batches(crops, row.astype(np.int64), recipe, seed, ranks),
            plan,
            device,
            folder=folder,
            ranks=ranks,
            workers=workers,
            validate=judged if validate is not None else None,
            report=report,
        )
        embedder = embedder_of(learner, crops, recipe, dimensions)
    network = {name: tensor.detach().cpu().clone() for name, tensor in learner.state_dict().items()}
    return Tuned(embedder, network, state)


def embedder_of(learner: MetricLearner, crops: Crops, recipe: Recipe, dimensions: int) -> Embedder:
    """The embedder of a network: its features by their principal axes, beside discriminants of the descriptor.

    The neck is linear, so it is part of the projection. Each part has the length of its weight before the whole has 1.
    """
    if dimensions < 8:
        raise ValueError(f"{dimensions} dimensions")
    n_descriptor = min(recipe.descriptor_rows, dimensions // 2) if recipe.descriptor else 0
    n_network = dimensions - n_descriptor
    parts = [Part(n_network, 1.0)] + ([Part(n_descriptor, recipe.descriptor)] if n_descriptor else [])
    embedder = Embedder(
        dimensions,
        crops.pictures.shape[1],
        recipe.backbone,
        network_side=recipe.side,
        parts=tuple(parts),
        mirrored=True,
    )
    assert embedder.backbone is not None
    embedder.backbone.load_state_dict(learner.backbone.state_dict())
    embedder.to(next(learner.parameters()).device).eval()
    some = np.linspace(0, len(crops.target) - 1, min(FITTED_CROPS, len(crops.target))).astype(np.int64)
    pictures = np.stack([crops.pictures[i] for i in some])
    # Mirrored crops too: twice the poses for the closed forms.
    plain = embedder.features(np.concatenate([pictures, pictures[:, :, ::-1]]))
    described, found = plain[:, : -learner.n_features], plain[:, -learner.n_features :]
    target = np.concatenate([crops.target[some]] * 2)
    neck = learner.neck
    assert neck.running_var is not None
    gain = (neck.weight / torch.sqrt(neck.running_var + neck.eps)).detach().cpu().numpy()
    mean = found.mean(0, dtype=np.float64)
    axes = _axes((found - mean) * gain, n_network) * gain
    whole_mean = np.zeros(embedder.n_features, dtype=np.float32)
    whole = np.zeros((dimensions, embedder.n_features), dtype=np.float32)
    whole_mean[-learner.n_features :] = mean
    whole[: len(axes), -learner.n_features :] = axes
    if n_descriptor:
        if len(pictures) <= FEW_CROPS:
            more = [_described_views(pictures, seed) for seed in range(COPIES)]
            described, target = (
                np.concatenate([described, *more]),
                np.concatenate([target, *[crops.target[some]] * COPIES]),
            )
        centre, discriminants = fit_projection(described, target, n_descriptor)
        whole_mean[: -learner.n_features] = centre
        whole[n_network:, : -learner.n_features] = discriminants
    embedder.mean.copy_(torch.from_numpy(whole_mean))
    embedder.weight.copy_(torch.from_numpy(whole))
    return embedder


def _described_views(pictures: np.ndarray, seed: int) -> np.ndarray:
    """Descriptors of one slightly changed view of each picture, f32 [n, f]."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, len(pictures), 256):
        some = torch.from_numpy(pictures[start : start + 256]).permute(0, 3, 1, 2).float() / 255
        parts.append(descriptor.describe(augment(some, descriptor.SIDE, generator, SLIGHT)).numpy())
    return np.concatenate(parts)


def _axes(centred: np.ndarray, n: int) -> np.ndarray:
    """Principal axes f32 [min(n, f), f]; each with the sign of its largest number, so that they are the same anew."""
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = vectors[:, ::-1].T[:n]
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])
    return (axes * np.where(sign == 0, 1, sign)[:, None]).astype(np.float32)


def _begin_with(learner: MetricLearner, start: dict[str, Tensor]) -> None:
    own = learner.state_dict()
    learner.load_state_dict(
        {name: start[name] if name in start and start[name].shape == old.shape else old for name, old in own.items()}
    )


def _identity(crops: Crops, recipe: Recipe, seed: int, start: dict[str, Tensor] | None) -> str:
    whole = hashlib.blake2b(digest_size=16)
    whole.update(json.dumps([asdict(recipe), crops.digest(), seed], sort_keys=True).encode())
    for name, tensor in sorted((start or {}).items()):
        whole.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
