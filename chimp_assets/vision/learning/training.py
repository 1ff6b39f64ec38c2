"""A training loop that can be killed at any moment: steps, checkpoints, recovery from failures, several GPUs.

Belongs here: the loop, half precision, lower learning rates after a loss that is not a number, smaller batches when a
GPU runs out of memory, early stopping, several processes. Does not belong here: files (`checkpoints`), networks,
losses, pictures (`metric_learning`), models and their rows (`checkpoint`, `train`).

A batch is a function of its step (and of the rank) alone. So the whole state is the step, the weights, their average
and the optimiser's moments: no order, no random state and no worker has to be saved, and an interrupted run ends with
the weights of an uninterrupted one (bit for bit on a CPU with the same number of threads), on whichever machine.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from chimp_assets.vision.learning.checkpoints import TrainingCheckpoints, TrainingState
from chimp_assets.vision.learning.device import device_of
from chimp_assets.vision.learning.ranks import ALONE, Ranks
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError

__all__ = ["Learner", "TrainingPlan", "TrainingState", "process_group", "train"]

log = logging.getLogger(__name__)

WAIT_MINUTES = 120.0
"""For other processes of the training: a node may read its crops so much slower than another."""
MAX_DIVERGENCES = 4
GRADIENT_LIMIT = 5.0
SMALLEST_PART = 2  # crops: batch normalisation needs two


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast.

    batch: crops of a step, of all ranks together. average: decay of the averaged weights, which are the ones that are
    used. checkpoint_every, validate_every: steps, 0 for never. checkpoint_minutes: most between two checkpoints.
    patience: validations without a gain before it stops. minutes: it stops at the next step after them. identity: a
    training resumes only from a checkpoint with the same identity, such as a hash of the recipe and the labels.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    average: float = 0.99
    checkpoint_every: int = 200
    validate_every: int = 0
    patience: int = 3
    minutes: float | None = None
    identity: str = ""
    checkpoint_minutes: float = 5.0


class Learner(nn.Module):
    """A network whose forward(*batch) gives the loss of each crop f32 [b] and whether it was classified correctly bool
    [b]."""


@contextmanager
def process_group(ranks: Ranks, asked: str = "auto") -> Iterator[torch.device]:
    """The device of this process, in a process group if torchrun started several. asked: as `device_of` knows it.

    Raises ModelError if the other processes do not come within WAIT_MINUTES.
    """
    device = device_of(asked, ranks)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if ranks.world == 1:
        yield device
        return
    try:
        torch.distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", timeout=timedelta(minutes=WAIT_MINUTES)
        )
    except (RuntimeError, ValueError) as error:
        where = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
        raise ModelError(
            f"The {ranks.world} processes of this training have not found each other at {where} (this is number"
            f" {ranks.rank}): {str(error).splitlines()[0]}.",
            "Start torchrun on every node with the same --rdzv-endpoint, and open that port between them.",
        ) from error
    try:
        yield device
    finally:
        torch.distributed.destroy_process_group()


def train(
    learner: Learner,
    batches: Dataset[tuple[Tensor, ...]],
    plan: TrainingPlan,
    device: torch.device,
    *,
    checkpoints: TrainingCheckpoints | None = None,
    ranks: Ranks = ALONE,
    workers: int = 0,
    validate: Callable[[], float] | None = None,
    report: Callable[[TrainingState], None] | None = None,
) -> TrainingState:
    """Train a learner in place; it ends with its averaged weights (the best validated ones, if it is validated).

    batches[step]: this rank's tensors of a step, a function of the step alone. checkpoints: the training resumes from
    the one that is there; rank 0 alone reads and writes them. validate: called on rank 0 with the averaged weights
    in place, larger is better. Raises ModelFileError for a checkpoint that is damaged, of another training or of a
    newer version; ModelError if the loss is not a number at ever lower rates, if not even two crops fit into the
    memory of the GPU, or if the ranks do not learn from the same.
    """
    return _TrainingLoop(learner, batches, plan, device, checkpoints, ranks, workers, validate, report).run()


class _TrainingLoop:
    def __init__(
        self,
        learner: Learner,
        batches: Dataset[tuple[Tensor, ...]],
        plan: TrainingPlan,
        device: torch.device,
        checkpoints: TrainingCheckpoints | None,
        ranks: Ranks,
        workers: int,
        validate: Callable[[], float] | None,
        report: Callable[[TrainingState], None] | None,
    ) -> None:
        self.plan, self.device, self.checkpoints, self.ranks, self.workers = plan, device, checkpoints, ranks, workers
        self.batches, self.validate, self.report = batches, validate, report
        if ranks.world > 1 and device.type == "cuda":
            learner = nn.SyncBatchNorm.convert_sync_batchnorm(learner)
        self.learner = learner.to(device)
        self.parameters = [p for p in self.learner.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=device.type == "cuda"
        )
        self.state = TrainingState(part=max(1, plan.batch // ranks.world))
        self.average = {name: tensor.detach().clone() for name, tensor in self.learner.state_dict().items()}
        self.best: dict[str, Tensor] = {}
        half = device.type == "cuda"
        self.half = (torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16) if half else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half == torch.float16)
        self.began = self.written = time.monotonic()

    def run(self) -> TrainingState:
        self._restore(self._read())
        self.module = self._wrapped()
        while not self._finished():
            try:
                self._go_on()
            except _LossNotANumber as error:
                self._go_back(error.step)
        final = self.best or self.average
        self.learner.load_state_dict(final)
        self.learner.eval()
        self._write()
        return self.state

    def _finished(self) -> bool:
        return self.state.step >= self.plan.steps or bool(self.state.stopped)

    def _wrapped(self) -> nn.Module:
        """The learner as it is called: compiled on a GPU, and synchronised with other ranks if there are any."""
        module: nn.Module = self.learner
        if self.device.type == "cuda" and os.environ.get("TORCH_COMPILE_DISABLE", "0") != "1":
            import torch._dynamo

            torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
            module = torch.compile(module, dynamic=False)  # type: ignore[assignment]
        if self.ranks.world > 1:
            ids = [self.device] if self.device.type == "cuda" else None
            module = nn.parallel.DistributedDataParallel(module, device_ids=ids)
        return module

    def _go_on(self) -> None:
        """Run steps from the current state until the training ends."""
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=range(self.state.step, self.plan.steps),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if self.workers else None,
        )
        plan, state = self.plan, self.state
        tell_every = max(1, plan.steps // 50)
        losses: list[float] = []
        rights: list[float] = []
        for batch in loader:
            loss, right = self._step(tuple(part.to(self.device, non_blocking=True) for part in batch))
            losses.append(loss)
            rights.append(right)
            state.step += 1
            if plan.validate_every and (state.step % plan.validate_every == 0 or state.step == plan.steps):
                self._judge()
            spent, overdue = self._agreed(
                plan.minutes is not None and time.monotonic() - self.began > plan.minutes * 60,
                self.checkpoints is not None and time.monotonic() - self.written > plan.checkpoint_minutes * 60,
            )
            if spent:
                state.stopped = f"the budget of {plan.minutes:g} minutes was spent"
            if state.step % tell_every == 0 or state.step == plan.steps or state.stopped:
                state.history.append((state.step, _mean(losses), _mean(rights)))
                losses, rights = [], []
                if self.report and self.ranks.first:
                    self.report(state)
            if state.stopped:
                return
            if overdue or (plan.checkpoint_every and state.step % plan.checkpoint_every == 0):
                self._write()

    def _step(self, batch: tuple[Tensor, ...]) -> tuple[float, float]:
        """One step of the optimiser; in smaller parts, whose gradients add up, if the GPU runs out of memory."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate * self.state.rate * self._schedule(self.state.step)
        self.learner.train()
        while (found := self._tried(batch)) is None:
            self._halve()
        loss, right = found
        if not self._all(math.isfinite(loss)):
            raise _LossNotANumber(self.state.step)
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.parameters, GRADIENT_LIMIT)
        if not self.scaler.is_enabled() and not self._all(bool(torch.isfinite(norm))):
            raise _LossNotANumber(self.state.step)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._follow()
        return loss, right

    def _tried(self, batch: tuple[Tensor, ...]) -> tuple[float, float] | None:
        """`_gradients`, or None if the GPU runs out of memory. What the error holds is released when this returns."""
        try:
            return self._gradients(batch)
        except torch.OutOfMemoryError:
            return None

    def _halve(self) -> None:
        """Halve the crops that go through the network at once. Raises ModelError where that does not help."""
        if self.ranks.world > 1:  # the others wait in the middle of an exchange that cannot be cancelled
            raise ModelError(
                f"A GPU has too little memory for {self.state.part} crops at once.",
                "Lower embed.fine_tune_batch, or start fewer processes on each GPU.",
            )
        if self.state.part <= SMALLEST_PART:
            raise ModelError(
                f"Not even {self.state.part} crops fit into the memory of the GPU.",
                "Close other programs that use the GPU, or lower embed.crop_side, or choose a smaller"
                " embed.fine_tune_backbone.",
            )
        self.state.part = max(SMALLEST_PART, self.state.part // 2)
        log.warning("The GPU is out of memory: continuing with %d crops at once.", self.state.part)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _gradients(self, batch: tuple[Tensor, ...]) -> tuple[float, float]:
        """Compute the gradients of a batch's mean loss. Returns that loss and the share classified correctly."""
        self.optimiser.zero_grad(set_to_none=True)
        n = len(batch[0])
        part = min(self.state.part, n)
        starts = [start for start in range(0, n, part) if n - start >= min(SMALLEST_PART, n)]
        ends = [*starts[1:], n]  # a last crop alone joins the part before
        total = right = 0.0
        for start, end in zip(starts, ends, strict=True):
            quiet: AbstractContextManager[Any] = nullcontext()
            if isinstance(self.module, nn.parallel.DistributedDataParallel) and end < n:
                quiet = self.module.no_sync()
            autocast = torch.autocast(self.device.type, dtype=self.half, enabled=self.half is not None)
            with quiet:
                with autocast:
                    losses, rights = self.module(*(tensor[start:end] for tensor in batch))
                loss = losses.float().sum() / n
                self.scaler.scale(loss).backward()
            total += float(loss.detach())
            right += float(rights.float().sum()) / n
        return total, right

    def _follow(self) -> None:
        """Update the average of the weights: slowly, but faster at first, when the weights still change much."""
        decay = min(self.plan.average, (1 + self.state.step) / (10 + self.state.step))
        with torch.no_grad():
            for name, tensor in self.learner.state_dict().items():
                if tensor.dtype.is_floating_point:
                    self.average[name].lerp_(tensor, 1 - decay)
                else:
                    self.average[name].copy_(tensor)

    def _schedule(self, step: int) -> float:
        warm = max(1, self.plan.steps // 20)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.plan.steps - warm)))

    def _judge(self) -> None:
        """Validate the averaged weights; stop the training if they have not improved for `patience` validations."""
        if self.validate is None:
            return
        now = {name: tensor.detach().clone() for name, tensor in self.learner.state_dict().items()}
        self.learner.load_state_dict(self.average)
        self.learner.eval()
        (value,) = self._from_first(self.validate() if self.ranks.first else 0.0)
        self.learner.load_state_dict(now)
        state = self.state
        state.validated.append((state.step, value))
        if state.best is None or value > state.best:
            state.best, state.best_step, state.since_best = value, state.step, 0
            self.best = {name: tensor.clone() for name, tensor in self.average.items()}
        else:
            state.since_best += 1
            if state.since_best >= self.plan.patience:
                state.stopped = f"no gain on held-out days since step {state.best_step}"

    def _go_back(self, step: int) -> None:
        """Return to the last checkpoint, or to the beginning, with half the learning rate."""
        rate, divergences = self.state.rate / 2, self.state.divergences + 1
        if divergences > MAX_DIVERGENCES:
            raise ModelError(
                f"The loss is not a number at step {step}, at any of {divergences} learning rates down to"
                f" {self.plan.learning_rate * self.state.rate:.2g}.",
                "Check the crops of the training set, or lower embed.fine_tune_rate.",
            )
        log.warning(
            "The loss is not a number at step %d: returning to the last checkpoint with half the learning rate.", step
        )
        kept = self._kept
        self._restore(kept)
        self.state.rate, self.state.divergences = min(rate, self.state.rate / 2), divergences
        self._write()

    def _write(self) -> None:
        """Write a checkpoint: always in memory (for `_go_back`), and into the store if it is kept there."""
        tensors = {f"learner.{name}": tensor for name, tensor in self.learner.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        if self.scaler.is_enabled():
            tensors |= {
                f"scaler.{name}": torch.tensor(float(value)) for name, value in self.scaler.state_dict().items()
            }
        copied = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        self._kept = (self.state.copy(), copied)
        if self.checkpoints is not None and self.ranks.first:
            self.checkpoints.save(self.plan.identity, *self._kept)
        self.written = time.monotonic()

    def _read(self) -> tuple[TrainingState, dict[str, Tensor]] | None:
        found = None
        if self.ranks.world > 1:
            mine: list[Any] = [None] * self.ranks.world
            torch.distributed.all_gather_object(mine, self.plan.identity)
            if len(set(mine)) > 1:
                raise ModelError(
                    "The processes of this training do not learn from the same pictures with the same settings.",
                    "Give all nodes the same settings and version, and look for pictures that one of them cannot read.",
                )
        if self.checkpoints is not None and self.ranks.first:
            found = self.checkpoints.load(self.plan.identity)
        if self.ranks.world > 1:
            box: list[Any] = [found]
            torch.distributed.broadcast_object_list(box, src=0)
            found = box[0]
        return found

    def _restore(self, kept: tuple[TrainingState, dict[str, Tensor]] | None) -> None:
        if kept is None:
            self._write()  # for `_go_back`, and to show that it has begun
            return
        state, tensors = kept
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        try:
            self.learner.load_state_dict(groups["learner"])
            self.average = {name: tensor.to(self.device, copy=True) for name, tensor in groups["average"].items()}
        except (RuntimeError, KeyError) as error:
            raise ModelFileError(
                f"The checkpoint of step {state.step} does not fit the network that is trained:"
                f" {str(error).splitlines()[-1].strip()}.",
                "Delete its folder of the store (training/...) to start over.",
            ) from error
        self.best = {name: tensor.to(self.device, copy=True) for name, tensor in groups.get("best", {}).items()}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups.get("optimiser", {}).items():
            number, _, which = name.partition(".")
            moments.setdefault(int(number), {})[which] = tensor.clone()
        whole = self.optimiser.state_dict()
        self.optimiser.load_state_dict({"state": moments, "param_groups": whole["param_groups"]})
        if self.scaler.is_enabled() and "scaler" in groups:
            self.scaler.load_state_dict({name: float(value) for name, value in groups["scaler"].items()})
        self.state = state.copy()
        self._kept = kept

    def _all(self, mine: bool) -> bool:
        """Whether it is true on every rank."""
        if self.ranks.world == 1:
            return mine
        flag = torch.tensor(float(mine), device=self.device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MIN)
        return bool(flag > 0)

    def _agreed(self, *mine: bool) -> list[bool]:
        """The decisions of rank 0: clocks differ."""
        return [bool(one) for one in self._from_first(*(float(one) for one in mine))]

    def _from_first(self, *mine: float) -> list[float]:
        if self.ranks.world == 1:
            return list(mine)
        values = torch.tensor(mine, device=self.device, dtype=torch.float64)
        torch.distributed.broadcast(values, src=0)
        return [float(one) for one in values]


class _LossNotANumber(Exception):
    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def _mean(values: list[float]) -> float:
    return round(sum(values) / max(1, len(values)), 6)
