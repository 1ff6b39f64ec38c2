"""What to ask the expert next. Numpy, scipy and faiss: no SQL, no dagster; torch in `pool_pass.on_torch` alone.

`TrackPool` and `LinearHead` go in, `plan.plan` makes a `Plan`; `chimp_assets.loop.plan` fills them from database and
store.

The names below are the public Python API, loaded when they are asked for: commands that only want a sentence of
`returns.words` do not wait for faiss.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chimp_assets.acquisition.plan import Plan
    from chimp_assets.acquisition.policy import LaneError, Policy
    from chimp_assets.acquisition.pool import (
        CANNOT_TELL,
        FOLLOWS,
        IN_FLIGHT,
        JUNK,
        PROVISIONAL,
        UNLABELLED,
        EmbeddingError,
        LinearHead,
        TrackPool,
    )
    from chimp_assets.acquisition.scores import class_probabilities, score
    from chimp_assets.acquisition.selectors import Candidates, Choice, Selector

__all__ = [
    "CANNOT_TELL",
    "FOLLOWS",
    "IN_FLIGHT",
    "JUNK",
    "PROVISIONAL",
    "UNLABELLED",
    "Candidates",
    "Choice",
    "EmbeddingError",
    "LaneError",
    "LinearHead",
    "Plan",
    "Policy",
    "Selector",
    "TrackPool",
    "class_probabilities",
    "score",
]
_MODULES = {
    "plan": ("Plan",),
    "policy": ("LaneError", "Policy"),
    "scores": ("class_probabilities", "score"),
    "selectors": ("Candidates", "Choice", "Selector"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF.get(name, 'pool')}"), name)
