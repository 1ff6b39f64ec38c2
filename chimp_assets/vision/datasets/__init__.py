"""What models learn from: training sets as files, and samples read straight from SQL.

The names in `__all__` are the public Python API (docs/research/datasets.md). They are loaded when first used:
a training set needs no torch, and importing torch takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chimp_assets.vision.datasets.frames import FrameQuery, SqlFrameDataset
    from chimp_assets.vision.datasets.order import EpochOrder, Position, Reader
    from chimp_assets.vision.datasets.reading import DatasetError
    from chimp_assets.vision.datasets.stream import SqlStream
    from chimp_assets.vision.datasets.tracks import SqlTrackDataset, TrackQuery
    from chimp_assets.vision.datasets.training_set import Members, build_training_set, read_members

__all__ = [
    "DatasetError",
    "EpochOrder",
    "FrameQuery",
    "Members",
    "Position",
    "Reader",
    "SqlFrameDataset",
    "SqlStream",
    "SqlTrackDataset",
    "TrackQuery",
    "build_training_set",
    "read_members",
]

_MODULES = {
    "frames": ("FrameQuery", "SqlFrameDataset"),
    "order": ("EpochOrder", "Position", "Reader"),
    "reading": ("DatasetError",),
    "stream": ("SqlStream",),
    "tracks": ("SqlTrackDataset", "TrackQuery"),
    "training_set": ("Members", "build_training_set", "read_members"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
