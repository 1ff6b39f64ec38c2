"""Learning an embedder from names: from crops and their classes to an `Embedder`.

Belongs here: the recipe (views, balanced batches, the loss), and joining the learned network and the description by
patches in one vector. Does not belong here: SQL and files (`fine_tuning`), the loop (`training`), networks
(`backbones`).

A class is a number of any vocabulary. Usable without a database:

    tuned = learn(Crops(pictures, classes, weights), Recipe(), seed=1)
    vectors = tuned.embedder.embed(others)
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from pytorch_metric_learning.losses import SubCenterArcFaceLoss
from pytorch_metric_learning.reducers import DoNothingReducer
from torch import Tensor, nn
from torch.utils.data import Dataset

from chimp_assets.vision.embedding.augmentation import LABELLED, augment
from chimp_assets.vision.embedding.backbones import SMALL, backbone_of, mobile_network, pretrained_network
from chimp_assets.vision.embedding.embedder import CHANNEL_MEAN, CHANNEL_STD, Embedder, VectorPart
from chimp_assets.vision.embedding.lite import Lite0
from chimp_assets.vision.embedding.mobile import MobileNetV2
from chimp_assets.vision.embedding.patches import SCALES, Patches
from chimp_assets.vision.embedding.self_supervision import fit_projection, principal_axes
from chimp_assets.vision.learning.checkpoints import TrainingCheckpoints, TrainingState
from chimp_assets.vision.learning.ranks import ALONE, Ranks
from chimp_assets.vision.learning.training import Learner, TrainingPlan, process_group, train
from chimp_assets.vision.models.checkpoint import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FITTED_CROPS = 20_000
"""Crops that the network's principal axes are fitted on: as good as on a million."""
DESCRIBED_CROPS, AXES_CROPS = 6_000, 1_500
"""Crops that the discriminants of the patches are fitted on, and those that their principal axes are fitted on."""
WEIGHT_FOLDS, WEIGHT_TOLERANCE, MOST_DISCRIMINANTS = 4, 0.6, 64


@dataclass(frozen=True)
class Recipe:
    """How to learn. The defaults were chosen on held-out sessions of `benchmarks.identity` (docs/research/models.md).

    side: pixels that the network sees; epochs: passes over the crops, with at least min_views crops in all; batch:
    crops of a step; rate: learning rate of AdamW; margin (radians), scale, sub_centres: of the sub-centre ArcFace loss
    (Deng et al. 2020), which lets a class consist of several clusters, such as left and right faces; mixing: how often
    two views are blended (mixup, Zhang et al. 2018); patches: weight of the description by patches beside the network,
    0 for none; patch_rows: its dimensions; pretrained: whether that description includes features of a network trained
    on ImageNet (`lite`).
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
    patches: float = 2.0
    patch_rows: int = 64
    pretrained: bool = False

    def steps(self, n_crops: int) -> int:
        """Steps for a number of crops."""
        return math.ceil(max(self.min_views, self.epochs * n_crops) / self.batch)


class Pictures(Protocol):
    """u8 [n, s, s, 3] RGB: an array, or rows of a memory map that are read on access."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Any: ...


@dataclass(frozen=True)
class Crops:
    """Named crops. pictures: u8 [n, s, s, 3] RGB; target: i64 [n], any class ids; weight: f64 [n], how often each is
    shown, or None for the square root of balance among the classes; group: i64 [n], the session or day of each, by
    which the sizes of patches are weighed on held-out groups, or None."""

    pictures: Pictures
    target: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None
    group: NDArray[np.int64] | None = None

    def weights(self) -> NDArray[np.float64]:
        """f64 [n], adding up to 1. Halfway between equal crops and equal classes, so that the only crop of a class is
        not shown a hundred times as often as others."""
        if self.weight is not None:
            return self.weight / self.weight.sum()
        _, which, count = np.unique(self.target, return_inverse=True, return_counts=True)
        weight: NDArray[np.float64] = 1 / np.sqrt(count[which])
        return weight / weight.sum()

    def digest(self) -> str:
        """A hash of the classes and of a sample of 64 pictures."""
        whole = hashlib.blake2b(digest_size=16)
        whole.update(np.ascontiguousarray(self.target, dtype=np.int64).tobytes())
        whole.update(np.ascontiguousarray(self.pictures[:: max(1, len(self.pictures) // 64)]).tobytes())
        return whole.hexdigest()


@dataclass(frozen=True)
class LearningResult:
    """A learned embedder, its network as trained (to continue from), and the state of the training."""

    embedder: Embedder
    network: dict[str, Tensor]
    state: TrainingState


@dataclass(frozen=True)
class PatchDiscriminants:
    """Linear discriminants of the classes, on patches and the features of pretrained networks. centre: f32 [f]; rows:
    f32 [d, f]."""

    patches: Patches
    pretrained: Lite0 | None
    mobile: MobileNetV2 | None
    centre: NDArray[np.float32]
    rows: NDArray[np.float32]


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
    """Batch number `step` of one rank: a function of seed, step and rank, so that any step can be computed at any
    time."""

    def __init__(self, crops: Crops, row: NDArray[np.int64], recipe: Recipe, seed: int, ranks: Ranks) -> None:
        self._crops, self._row, self._recipe, self._seed, self._ranks = crops, row, recipe, seed, ranks
        # Drawn by bisection of the sums: `choice` would sum a million weights at every step.
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
    checkpoints: TrainingCheckpoints | None = None,
    ranks: Ranks = ALONE,
    device: str = "auto",
    workers: int = 0,
    minutes: float | None = None,
    validate: Callable[[Embedder], float] | None = None,
    report: Callable[[TrainingState], None] | None = None,
) -> LearningResult:
    """Learn an embedder from named crops. The same crops, recipe, seed and number of threads give the same bits (CPU).

    start: tensors of a network to begin with (`LearningResult.network`, or a backbone's under `backbone.`); those of
    another shape, such as centres of other classes, are ignored. checkpoints: it resumes from the one that is there.
    device: as `device_of` knows it.
    validate: value of the embedder as it would be, larger is better; ends the training early. Raises ModelError with
    fewer than 2 classes; see `train`.
    """
    if len(crops.pictures) != len(crops.target):
        raise ValueError(f"{len(crops.pictures)} pictures and {len(crops.target)} classes")
    classes, row = np.unique(crops.target, return_inverse=True)
    if len(classes) < 2:
        raise ModelError(
            f"All {len(crops.target)} crops show one individual; an embedder learns from two or more.",
            "Label tracks of another individual too.",
        )
    described = described_by_patches(crops, recipe, dimensions, seed)
    steps = recipe.steps(len(crops.target))
    plan = TrainingPlan(
        steps=steps,
        batch=recipe.batch,
        learning_rate=recipe.rate,
        weight_decay=recipe.weight_decay,
        checkpoint_every=max(25, steps // 20) if checkpoints is not None else max(25, steps // 4),
        validate_every=max(1, steps // 8) if validate is not None else 0,
        minutes=minutes,
        identity=_identity(crops, recipe, seed, start),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner = MetricLearner(recipe, len(classes))
    if start is not None:
        _begin_with(learner, start)
    with process_group(ranks, device) as place:

        def judged() -> float:
            assert validate is not None
            return validate(embedder_of(learner, crops, recipe, dimensions, described))

        state = train(
            learner,
            Batches(crops, row.astype(np.int64), recipe, seed, ranks),
            plan,
            place,
            checkpoints=checkpoints,
            ranks=ranks,
            workers=workers,
            validate=judged if validate is not None else None,
            report=report,
        )
        embedder = embedder_of(learner, crops, recipe, dimensions, described)
    network = {name: tensor.detach().cpu().clone() for name, tensor in learner.state_dict().items()}
    return LearningResult(embedder, network, state)


def described_by_patches(crops: Crops, recipe: Recipe, dimensions: int, seed: int) -> PatchDiscriminants | None:
    """The part of the vector that is fitted in closed form, independently of the network."""
    if not recipe.patches:
        return None
    some = _evenly(len(crops.target), DESCRIBED_CROPS)
    pictures, target = np.stack([crops.pictures[i] for i in some]), crops.target[some]
    patches = Patches()
    patches.learn(pictures, seed)
    blocks = np.split(patches.describe(pictures), len(SCALES), axis=1)
    pretrained = pretrained_network() if recipe.pretrained else None
    if pretrained is not None:
        blocks.append(pretrained.describe(pictures))
    weight = np.ones(len(blocks), dtype=np.float32)
    mobile = None
    if crops.group is not None:
        weight = scale_weights(blocks, target, crops.group[some])
        if pretrained is not None and (mobile := mobile_network()) is not None:
            beside = mobile.describe(pictures)
            share = beside_weight(blocks, weight, beside, target, crops.group[some])
            if share:
                blocks.append(beside)
                weight = np.append(weight, np.float32(share))
            else:
                mobile = None
    found = np.concatenate([block * share for block, share in zip(blocks, weight, strict=True)], axis=1)
    centre, rows = fit_projection(found, target, min(recipe.patch_rows, dimensions // 2), AXES_CROPS)
    patches.weight.copy_(torch.from_numpy(weight[: len(SCALES)]))
    # Weights of networks go into the projection: (w f - w m) R = (f - m) (w R).
    start = patches.n_features
    for block, share in zip(blocks[len(SCALES) :], weight[len(SCALES) :], strict=True):
        here = slice(start, start := start + block.shape[1])
        centre[here] = block.mean(0)
        rows[:, here] *= share
    return PatchDiscriminants(patches, pretrained, mobile, centre, rows)


def beside_weight(
    blocks: list[NDArray[np.float32]],
    weight: NDArray[np.float32],
    beside: NDArray[np.float32],
    target: NDArray[np.int64],
    group: NDArray[np.int64],
) -> float:
    """The weight of one more block f32 [n, f] beside weighed ones; 0 unless with it crops of held-out groups have their
    nearest crop in their own class more often by a standard error: it costs time at every crop."""
    together = np.concatenate([block * share for block, share in zip(blocks, weight, strict=True)], axis=1)
    right = held_out_hits([together, beside], target, group, ((1.0, 0.0), (1.0, 0.5), (1.0, 1.0)))
    best = int(right.argmax())
    gain = right[best] - right[0]
    if best == 0 or gain <= WEIGHT_TOLERANCE * math.sqrt(len(target)):
        return 0.0
    return (0.0, 0.5, 1.0)[best]


def scale_weights(
    blocks: list[NDArray[np.float32]], target: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Weights f32 [k] of blocks f32 [n, f], together of length sqrt(k): those with which crops of held-out groups most
    often have their nearest crop in their own class; equal weights if that cannot be measured."""
    choices = [one for one in itertools.product((0.0, 0.5, 1.0), repeat=len(blocks)) if max(one) == 1.0]
    right = held_out_hits(blocks, target, group, choices)
    # The mean of the choices within about a standard error of the best: the best of many is partly luck.
    best = np.array(choices)[right >= right.max() - WEIGHT_TOLERANCE * math.sqrt(len(target))].mean(0)
    weight: NDArray[np.float32] = np.sqrt(best * len(blocks) / best.sum()).astype(np.float32)
    return weight


def held_out_hits(
    blocks: list[NDArray[np.float32]],
    target: NDArray[np.int64],
    group: NDArray[np.int64],
    choices: Sequence[tuple[float, ...]],
) -> NDArray[np.float64]:
    """f64 [c]: for each choice of weights of blocks f32 [n, f], how many crops of held-out groups have their nearest
    crop, of the other groups, in their own class."""
    folds = min(WEIGHT_FOLDS, len(np.unique(group)))
    names = np.unique(group)
    fold = np.random.default_rng(0).permutation(len(names))[np.searchsorted(names, group)] % max(1, folds)
    right = np.zeros(len(choices))
    # The principal axes do not depend on names, so all folds share them.
    reduced = [block @ principal_axes(block, AXES_CROPS).T for block in blocks]
    for held_out in range(folds):
        asked, known = fold == held_out, fold != held_out
        asked = asked & np.isin(target, target[known])
        if not asked.any() or len(np.unique(target[known])) < 2:
            continue
        alike = []
        for block in reduced:
            mean, rows = fit_projection(block[known], target[known], MOST_DISCRIMINANTS)
            vectors = (block - mean) @ rows.T
            vectors /= np.maximum(1e-9, np.linalg.norm(vectors, axis=1, keepdims=True))
            alike.append(vectors[asked] @ vectors[known].T)
        for number, choice in enumerate(choices):
            summed = sum(share * one for share, one in zip(choice, alike, strict=True))
            right[number] += (target[known][np.argmax(summed, axis=1)] == target[asked]).sum()
    return right


def embedder_of(
    learner: MetricLearner, crops: Crops, recipe: Recipe, dimensions: int, described: PatchDiscriminants | None
) -> Embedder:
    """The embedder of a network: its features by their principal axes, beside the discriminants of the patches.

    The neck is linear, so it is part of the projection. Each part is scaled to its weight before the whole is scaled to
    1.
    """
    if dimensions < 8:
        raise ValueError(f"{dimensions} dimensions")
    n_described = len(described.rows) if described is not None else 0
    n_network = dimensions - n_described
    parts = [VectorPart(n_network, 1.0)] + ([VectorPart(n_described, recipe.patches)] if n_described else [])
    embedder = Embedder(
        dimensions,
        crops.pictures.shape[1],
        recipe.backbone,
        network_side=recipe.side,
        parts=tuple(parts),
        mirrored=False,
        atoms=described.patches.atoms if described is not None else 0,
        pretrained=described is not None and described.pretrained is not None,
        mobile=described is not None and described.mobile is not None,
    )
    assert embedder.backbone is not None
    embedder.backbone.load_state_dict(learner.backbone.state_dict())
    embedder.to(next(learner.parameters()).device).eval()
    pictures = np.stack([crops.pictures[i] for i in _evenly(len(crops.target), FITTED_CROPS)])
    # Mirrored crops too: twice the poses.
    found = embedder.backbone_features(np.concatenate([pictures, pictures[:, :, ::-1]]))
    neck = learner.neck
    assert neck.running_var is not None
    gain = (neck.weight / torch.sqrt(neck.running_var + neck.eps)).detach().cpu().numpy()
    mean = found.mean(0, dtype=np.float64)
    axes = _axes((found - mean) * gain, n_network) * gain
    whole_mean = np.zeros(embedder.n_features, dtype=np.float32)
    whole = np.zeros((dimensions, embedder.n_features), dtype=np.float32)
    whole_mean[-learner.n_features :] = mean
    whole[: len(axes), -learner.n_features :] = axes
    if described is not None:
        whole_mean[: -learner.n_features] = described.centre
        whole[n_network:, : -learner.n_features] = described.rows
        assert embedder.patches is not None
        embedder.patches.load_state_dict(described.patches.state_dict())
        if embedder.pretrained is not None and described.pretrained is not None:
            embedder.pretrained.load_state_dict(described.pretrained.state_dict())
        if embedder.mobile is not None and described.mobile is not None:
            embedder.mobile.load_state_dict(described.mobile.state_dict())
    embedder.mean.copy_(torch.from_numpy(whole_mean))
    embedder.weight.copy_(torch.from_numpy(whole))
    return embedder


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    """At most `most` of n rows, evenly spaced."""
    return np.linspace(0, n - 1, min(most, n)).astype(np.int64)


def _axes(centred: np.ndarray, n: int) -> np.ndarray:
    """Principal axes f32 [min(n, f), f]; the largest number of each is positive, so that they are reproducible."""
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
