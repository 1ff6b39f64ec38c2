"""Where a network runs: the one place that turns the setting `compute.device` into a device of torch.

Belongs here: that decision, and the error if it cannot be followed. Does not belong here: the setting
(`settings.compute`), how many pictures go through at once (each network knows).
"""

from __future__ import annotations

import torch

from chimp_assets.errors import ChimpError
from chimp_assets.vision.learning.ranks import ALONE, Ranks

_REMEDY = 'Repair the driver, run it where there is a GPU, or set device = "auto" under [compute] in chimp.toml.'


class DeviceError(ChimpError):
    """The device that was asked for is not there."""


def device_of(asked: str = "auto", ranks: Ranks = ALONE) -> torch.device:
    """The device of this process. asked: auto (a GPU if there is one), cpu, cuda, or cuda:N.

    Of several processes on a node each takes the GPU of its own number, whichever is asked for. Raises DeviceError if
    a GPU is asked for and not there, or if a node has more processes than GPUs.
    """
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError(f"compute.device is {asked}, but PyTorch {torch.__version__} finds no GPU here.", _REMEDY)
    there = torch.cuda.device_count()
    number = ranks.local if ranks.world > 1 else int(asked.partition(":")[2] or 0)
    if number >= there:
        if ranks.world > 1:
            raise DeviceError(
                f"This is process {number + 1} of its node, which has {there} GPUs.",
                "Start one process for each GPU (torchrun --nproc-per-node), or set compute.device to cpu.",
            )
        raise DeviceError(f"compute.device is {asked}, but this machine has {there} GPUs, counted from 0.", _REMEDY)
    return torch.device("cuda", number)
