"""Learning without labels: crops of one track show one animal.

Two crops of one track show the same animal at different moments: pose, light and background differ, the identity does
not. That is a stronger positive than two augmentations of one picture (re-identification from tracklets, Wang et al.
2018). It is used twice:
- `fit_projection`, always, in closed form: keeps the directions in which crops of one track agree and tracks differ;
- `train_backbone`, if there are enough crops: trains a network from zero with NT-Xent (Sohn 2016; Chen et al. 2020,
  SimCLR) from pytorch-metric-learning.
`retrieval` measures both of them without labels.

Belongs here: which pairs attract and repel, the training loop, the projection, its measure.
Does not belong here: the network itself (`embedder`), reading crops (`crops`), anything that uses labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from chimp_assets.vision.embedding.augmentation import UNLABELLED, augment

TRACKS_PER_BATCH = 32
# Training sees crops at 2/3 of the side that embedding sees: 2.25 times faster, and objects in random resized crops
# look larger than at test time, so a smaller training side evens that out (Touvron et al. 2019, FixRes).
TRAINING_SHARE = 2 / 3
TEMPERATURE = 0.2
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
COMPONENTS = 400  # principal components that the projection may use
SHRINKAGE = 0.1  # of the mean variance, added to the scatter within tracks: few tracks know few directions
FOLDS = 2
JUDGED_CROPS = 2_000  # on which one more network is judged


@dataclass(frozen=True)
class CropSet:
    """Crops to learn from, and the tracks and times that tell which of them show the same animal.

    crops: u8 [m, s, s, 3] RGB; track: i64 [m], row of the track 0..t-1, sorted; video: i64 [t]; first, last: i64 [t],
    frame numbers between which the track lives in its video.
    """

    crops: np.ndarray
    track: np.ndarray
    video: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self.video)


def train_backbone(
    backbone: nn.Module,
    n_features: int,
    crops: CropSet,
    normalise: Callable[[Tensor], Tensor],
    *,
    epochs: int,
    seed: int,
    device: torch.device,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[float]:
    """Train a backbone (pictures f32 [n, 3, s, s] to f32 [n, n_features]) in place. Returns the mean loss per epoch.

    normalise maps pictures in 0..1 to what the backbone expects. An epoch shows every track about crops/2 times, two
    views each. Bit-identical on one machine with one number of threads. Raises ValueError with fewer than
    2 tracks.
    """
    if crops.n_tracks < 2:
        raise ValueError("self-supervision needs two tracks or more")
    from pytorch_metric_learning.losses import NTXentLoss  # all of scipy.stats, and most who embed never train

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projector = nn.Sequential(
            nn.Linear(n_features, n_features, bias=False),
            nn.BatchNorm1d(n_features),
            nn.ReLU(inplace=True),
            nn.Linear(n_features, 128),
        ).to(device)
    loss_of = NTXentLoss(temperature=TEMPERATURE)
    side = max(32, round(crops.crops.shape[1] * TRAINING_SHARE / 16) * 16)
    plan = [list(_epoch(crops, generator)) for _ in range(epochs)]
    steps = sum(len(epoch) for epoch in plan)
    optimiser = torch.optim.AdamW(
        [*backbone.parameters(), *projector.parameters()], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _warm_cosine(steps))
    backbone.train()
    losses = []
    done = 0
    for epoch in plan:
        total = 0.0
        for rows, tracks in epoch:
            pictures = torch.from_numpy(crops.crops[rows]).to(device).permute(0, 3, 1, 2).float() / 255
            views = normalise(augment(pictures, side, generator, UNLABELLED))
            projected = projector(backbone(views.contiguous(memory_format=torch.channels_last)))
            loss = loss_of(projected, torch.from_numpy(tracks).to(device), pairs_of(crops, tracks, device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
            done += 1
            if progress is not None:
                progress("learning to tell tracks apart", done, steps)
        losses.append(total / max(1, len(epoch)))
    backbone.eval()
    return losses


def fit_projection(
    features: np.ndarray, track: np.ndarray, dimensions: int, axes_rows: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Linear discriminants of the tracks. features: f32 [m, f]; track: i64 [m]; returns (f32 [f], f32 [d, f]).

    The scatter within tracks (pose, light, background) is whitened and the d directions that differ most between tracks
    are kept (Fisher 1936; for sets of equal but unknown class: relevant component analysis, Bar-Hillel et al. 2005).
    Rows beyond the rank of the features and the number of tracks are zero. axes_rows: the principal axes, which are
    computed first, use at most this many crops, evenly spaced. Raises ValueError with fewer than 2 tracks.
    """
    if len(np.unique(track)) < 2:
        raise ValueError("a projection needs two tracks or more")
    mean = features.mean(0, dtype=np.float64)
    centred = features - mean
    basis = _principal_axes(_evenly(centred, axes_rows))
    reduced = centred @ basis.T
    means = _track_means(reduced, track)
    within = reduced - means
    between_scatter = means.T @ means / len(reduced)
    within_scatter = within.T @ within / len(reduced)
    rank = len(basis)
    within_scatter += SHRINKAGE * (np.trace(between_scatter) + np.trace(within_scatter)) / rank * np.eye(rank)
    _, directions = scipy.linalg.eigh(between_scatter, within_scatter)
    n_kept = min(dimensions, rank, len(np.unique(track)) - 1)  # t means span t - 1 directions; the rest is rounding
    kept = directions[:, ::-1][:, :n_kept].T @ basis
    weight = np.zeros((dimensions, features.shape[1]), dtype=np.float32)
    weight[: len(kept)] = kept
    return mean.astype(np.float32), weight


def retrieval(features: np.ndarray, track: np.ndarray, group: np.ndarray, dimensions: int | None, seed: int) -> float:
    """How often the nearest other crop belongs to the same track, on tracks that the projection has not seen.

    features: f32 [m, f]; track, group: i64 [m]; groups (videos) are halved, the projection is fitted on one half and
    measured on the other, and the other way round. dimensions None: no projection, cosine of the plain features.
    Returns a share in [0, 1]; nan if no half can be measured.
    """
    names = np.unique(group)
    fold_of = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    fold = fold_of[np.searchsorted(names, group)]
    hits = tries = 0
    for held_out in range(FOLDS):
        inside, outside = fold == held_out, fold != held_out
        if not inside.any() or len(np.unique(track[outside])) < 2:
            continue
        if dimensions is None:
            vectors = features[inside] - features[outside].mean(0)
        else:
            mean, weight = fit_projection(features[outside], track[outside], dimensions)
            vectors = (features[inside] - mean) @ weight.T
        more_hits, more_tries = nearest_of_same_track(vectors, track[inside])
        hits, tries = hits + more_hits, tries + more_tries
    return hits / tries if tries else float("nan")


class CropNetwork(Protocol):
    """A network that describes crops u8 [n, s, s, 3] as f32 [n, f]."""

    def describe(self, crops: np.ndarray) -> np.ndarray: ...


def gain_beside(
    crops: CropSet, features: np.ndarray, network: CropNetwork, dimensions: int, seed: int
) -> tuple[float, float, bool]:
    """`retrieval` without and with the features of one more network, and whether it helps by more than a standard
    error: each crop pays for it. features: f32 [m, f], of all crops. Judged on whole tracks, JUDGED_CROPS crops or a
    few more."""
    rows = crops.track <= crops.track[min(JUDGED_CROPS, len(crops.track)) - 1]
    track, group = crops.track[rows], crops.video[crops.track[rows]]
    without = retrieval(features[rows], track, group, dimensions, seed)
    both = np.concatenate([features[rows], network.describe(crops.crops[rows])], 1)
    with_it = retrieval(both, track, group, dimensions, seed)
    if math.isnan(without) or math.isnan(with_it):
        return without, with_it, False
    error = math.sqrt(max(without * (1 - without), 1e-4) / len(np.unique(track)))
    return without, with_it, with_it - without > error


def nearest_of_same_track(vectors: np.ndarray, track: np.ndarray) -> tuple[int, int]:
    """How many rows have a row of their own track nearest by cosine, and how many could: their track has another row.

    vectors: f32 [m, d]; track: i64 [m]; returns (hits, tries). Memory: similarities of 2,048 rows to all.
    """
    unit = vectors / np.maximum(1e-12, np.linalg.norm(vectors, axis=1, keepdims=True))
    hits = tries = 0
    for start in range(0, len(unit), 2048):
        near = unit[start : start + 2048] @ unit.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
        asked = track[start : start + 2048]
        can = (asked[:, None] == track[None, :]).sum(1) > 1
        hits += int((track[near.argmax(1)] == asked)[can].sum())
        tries += int(can.sum())
    return hits, tries


def pairs_of(crops: CropSet, tracks: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Which views of a batch attract and repel: (anchor, positive, anchor, negative) rows, as the losses library takes.

    Views of one track attract. Views of tracks from different videos repel, and so do tracks of one video that are
    alive at the same time, which are certainly different animals. Two tracks of one video that do not overlap are often
    one animal that the tracker lost and found again, so they neither attract nor repel.
    """
    same = tracks[:, None] == tracks[None, :]
    one_video = crops.video[tracks][:, None] == crops.video[tracks][None, :]
    first, last = crops.first[tracks], crops.last[tracks]
    overlap = (first[:, None] <= last[None, :]) & (first[None, :] <= last[:, None])
    attract = same & ~np.eye(len(tracks), dtype=bool)
    repel = ~same & (~one_video | overlap)
    a1, p = np.nonzero(attract)
    a2, n = np.nonzero(repel)
    whole = [torch.from_numpy(index).to(device) for index in (a1, p, a2, n)]
    return whole[0], whole[1], whole[2], whole[3]


def principal_axes(features: np.ndarray, rows: int) -> np.ndarray:
    """Orthonormal axes f64 [r, f] of the most variance of features f32 [n, f], r at most COMPONENTS, computed from at
    most `rows` rows."""
    return _principal_axes(_evenly(features - features.mean(0, dtype=np.float64), rows))


def _evenly(rows: np.ndarray, most: int | None) -> np.ndarray:
    return rows if most is None else rows[:: math.ceil(len(rows) / most)]


def _principal_axes(centred: np.ndarray) -> np.ndarray:
    """Orthonormal axes f64 [r, f] of the most variance, r at most COMPONENTS; from the smaller Gram matrix."""
    n, f = centred.shape
    if n <= f:
        values, vectors = scipy.linalg.eigh(centred @ centred.T)
        kept = _largest(values)
        axes = vectors[:, kept].T @ centred
        return axes / np.linalg.norm(axes, axis=1, keepdims=True)
    values, vectors = scipy.linalg.eigh(centred.T @ centred)
    return vectors[:, _largest(values)].T


def _largest(values: np.ndarray) -> np.ndarray:
    order = np.argsort(-values)[:COMPONENTS]
    return order[values[order] > 1e-10 * values[order[0]]]


def _track_means(features: np.ndarray, track: np.ndarray) -> np.ndarray:
    _, row, count = np.unique(track, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), features.shape[1]))
    np.add.at(sums, row, features)
    return (sums / count[:, None])[row]


def _epoch(crops: CropSet, generator: torch.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of an epoch: rows of crops i64 [2b] and their tracks i64 [2b]; the views of a track stand side by side.

    A track with c crops comes c/2 times (rounded up). Its two views are different crops where it has two.
    """
    start = np.searchsorted(crops.track, np.arange(crops.n_tracks))
    count = np.diff(np.append(start, len(crops.track)))
    visits = np.repeat(np.arange(crops.n_tracks), np.maximum(1, (count + 1) // 2))
    order = visits[torch.randperm(len(visits), generator=generator).numpy()]
    batches = max(1, math.ceil(len(order) / TRACKS_PER_BATCH))
    for part in np.array_split(order, batches):
        tracks = np.unique(part)  # a track that appears twice in one batch would only repeat its pairs
        if len(tracks) < 2:
            continue
        drawn = torch.rand((len(tracks), 2), generator=generator).numpy()
        one = (drawn[:, 0] * count[tracks]).astype(np.int64)
        step = 1 + (drawn[:, 1] * np.maximum(1, count[tracks] - 1)).astype(np.int64)
        other = (one + np.where(count[tracks] > 1, step, 0)) % count[tracks]
        rows = np.stack([start[tracks] + one, start[tracks] + other], 1).reshape(-1)
        yield rows, np.repeat(tracks, 2)


def _warm_cosine(steps: int) -> Callable[[int], float]:
    warm = max(1, steps // 20)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return factor
