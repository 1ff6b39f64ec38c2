"""What a plan may choose from (`TrackPool`), the head it asks (`LinearHead`), and drawing rows without listing them.

Belongs here: the two records, what they check, and which rows each kind of lane may ask.
Does not belong here: where the arrays come from (`chimp_assets.loop.plan`), scores, selectors, SQL, torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chimp_assets.arrays import (  # the modules of this room take them from here
    BoolArray,
    F16Array,
    F32Array,
    F64Array,  # noqa: F401
    I8Array,  # noqa: F401
    I32Array,
    I64Array,
    rows_of,
)

CHUNK_ROWS = 16_384
"""Most embedding rows that are turned into f32 at once: what keeps memory at the embeddings plus a few megabytes."""

UNLABELLED = -1
PROVISIONAL = -2  # an animal, but not one of the known individuals
CANNOT_TELL = -3
JUNK = -4  # not an animal, or a bad box
IN_FLIGHT = -5  # somebody is looking at it now
FOLLOWS = -6  # nobody was asked, but the name follows from answers to other tracks, or volunteers agree on it

BLOCK_ROWS = 65_536

_COLUMNS: dict[str, type[Any]] = {
    "track": np.int64,
    "state": np.int32,
    "value": np.float32,
    "reserve": np.bool_,
    "test_day": np.bool_,
    "video": np.int32,
    "place": np.int32,
    "cost": np.float32,
    "repeat": np.bool_,
    "drifted": np.int32,
    "examined": np.bool_,
    "lacking": np.uint8,
    "opened": np.bool_,
}
_KNOWN_PERHAPS = ("video", "place", "cost", "repeat", "drifted", "examined", "lacking", "opened")


class EmbeddingError(ValueError):
    """Embeddings that are not numbers: whoever made them must mend them, a plan cannot."""


@dataclass(frozen=True)
class TrackPool:
    """Every live track that has an embedding, as row-aligned arrays; N tracks, D dimensions.

    emb      f16 [N, D], rows of length 1 (a memory map will do)
    track    i64 [N], strictly increasing SQL keys: the same tracks make the same pool whatever order they came in
    state    i32 [N], >= 0 an individual, else UNLABELLED, PROVISIONAL, CANNOT_TELL, JUNK, IN_FLIGHT or
             FOLLOWS
    value    f32 [N], boxes that one answer names
    reserve  bool [N], the audit reserve: only the audit lane may ask these, but for what was opened
    test_day bool [N], tracks of test videos: no training lane may ask these

    What makes plans better where it is known:

    video    i32 [N], a number for each video: a track and its fragments are of one
    place    i32 [N], a number for each camera and local day; -1 where unknown
    cost     f32 [N] > 0, seconds that a person is expected to need
    repeat   bool [N], answered long enough ago to be asked again, to see whether people agree with themselves
    drifted  i32 [N], the number of the slice that changed and that it belongs to, an index of drift_reasons; -1: none
    examined bool [N], the part of the reserve that only the groups lane may ask, once it asks at all
    lacking  u8 [N], bit g: by its proposed name the track is of the g-th group with too few audit answers

    opened   bool [N], the part of the reserve that the audit does not need: only the frames lane may ask it

    denied   i64 [k, 2], rows and classes of the head that people said they do not show

    drift_reasons: of each slice that changed, what is said of its tracks, before how many were drawn.
    Raises ValueError where shapes, dtypes or the order of the keys disagree.
    """

    emb: F16Array
    track: I64Array
    state: I32Array
    value: F32Array
    reserve: BoolArray
    test_day: BoolArray
    video: I32Array | None = None
    place: I32Array | None = None
    cost: F32Array | None = None
    repeat: BoolArray | None = None
    drifted: I32Array | None = None
    drift_reasons: tuple[str, ...] = ()
    examined: BoolArray | None = None
    lacking: npt.NDArray[np.uint8] | None = None
    opened: BoolArray | None = None
    denied: I64Array | None = None

    def __post_init__(self) -> None:
        if self.emb.ndim != 2 or self.emb.dtype != np.float16:
            raise ValueError(f"emb must be f16 [N, D], not {self.emb.dtype} {self.emb.shape}")
        for name, dtype in _COLUMNS.items():
            column = getattr(self, name)
            if column is None and name in _KNOWN_PERHAPS:
                continue
            if column.shape != (len(self.emb),) or column.dtype != dtype:
                raise ValueError(
                    f"{name} must be {np.dtype(dtype)} [{len(self.emb)}], not {column.dtype} {column.shape}"
                )
        if not bool(np.all(self.track[1:] > self.track[:-1])):
            raise ValueError("track must be strictly increasing: a track may be in the pool once")

    def __len__(self) -> int:
        return len(self.track)

    def without(self, track_ids: Iterable[int]) -> TrackPool:
        """The pool for whatever else is asked: these tracks, as far as they are in it, count as in flight."""
        asked = np.fromiter(track_ids, np.int64)
        if not len(asked):
            return self
        state = self.state.copy()
        state[rows_of(self.track, asked)] = IN_FLIGHT
        return replace(self, state=state)

    def may_train(self) -> BoolArray:
        """Rows that training lanes may ask: no answer yet, not in flight, not reserved, not of a test day. bool [N]."""
        return _without(self.state == UNLABELLED, self.reserve, self.test_day)

    def may_name(self) -> BoolArray:
        """Rows that the frames lane may ask: those of `may_train` and, of the reserve, what was opened. bool [N]."""
        rows = self.may_train()
        if self.opened is not None:
            rows |= (self.state == UNLABELLED) & self.opened & ~self.test_day
        return rows

    def may_drift(self) -> BoolArray:
        """Rows of what changed that training lanes may ask. bool [N]."""
        if self.drifted is None:
            return np.zeros(len(self), bool)
        rows = self.may_train()
        rows &= self.drifted >= 0
        return rows

    def may_audit(self) -> BoolArray:
        """Rows that the audit lane may ask: the reserve's tracks without an answer and not in flight, but for the part
        that the groups lane examines. bool [N]."""
        rows = self.state == UNLABELLED
        rows &= self.reserve
        return _without(rows, *(part for part in (self.examined, self.opened) if part is not None))

    def may_examine(self) -> BoolArray:
        """Rows that the groups lane may ask, where a group lacks answers: its part of the reserve. bool [N]."""
        if self.examined is None or self.lacking is None:
            return np.zeros(len(self), bool)
        rows = (self.state == UNLABELLED) & self.reserve & self.examined
        return rows if self.opened is None else _without(rows, self.opened)

    def named_tracks(self) -> I64Array:
        """How many tracks of each individual models may learn from: i64 [largest individual with a track + 1].

        Neither the audit reserve's answers nor those of test days count.
        """
        counts = np.zeros(0, np.int64)
        for _, state in self._learnt():
            here = np.bincount(state, minlength=len(counts))
            here[: len(counts)] += counts
            counts = here
        return counts

    def learnt_of(self, individuals: I64Array) -> I64Array:
        """Rows of the tracks of some individuals that `named_tracks` counts: i64, ascending."""
        found = [rows[np.isin(state, individuals)] for rows, state in self._learnt()]
        return np.concatenate([np.empty(0, np.int64), *found])

    def _learnt(self) -> Iterator[tuple[I64Array, I32Array]]:
        """Rows whose name models may learn from, and the individual of each, a block at a time."""
        for low in range(0, len(self), BLOCK_ROWS):
            block = slice(low, low + BLOCK_ROWS)
            state = self.state[block]
            here = np.flatnonzero(_without(state >= 0, self.reserve[block], self.test_day[block]))
            yield here + low, state[here]

    def may_repeat(self) -> BoolArray:
        """Rows that the repeat lane may ask: named or given up before, not in flight, not of the reserve. bool [N]."""
        if self.repeat is None:
            return np.zeros(len(self), bool)
        return self.repeat & ~self.reserve & ((self.state >= 0) | (self.state == CANNOT_TELL))


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier on embeddings: probabilities are softmax((emb @ weight.T + bias) / temperature).

    weight f32 [C, D], bias f32 [C], temperature > 0; version says which model it was; names [C] are for people and may
    be empty; classes [C] are the individuals as in `TrackPool.state`, 0..C-1 where empty. Raises ValueError where they
    disagree.
    """

    weight: F32Array
    bias: F32Array
    temperature: float = 1.0
    version: int = 0
    names: tuple[str, ...] = field(default=())
    classes: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != (len(self.weight),):
            raise ValueError(f"weight [C, D] and bias [C] disagree: {self.weight.shape} and {self.bias.shape}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        if self.names and len(self.names) != len(self.weight):
            raise ValueError(f"{len(self.names)} names for {len(self.weight)} classes")
        if self.classes and len(self.classes) != len(self.weight):
            raise ValueError(f"{len(self.classes)} individuals for {len(self.weight)} classes")

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.weight)

    def name_of(self, class_no: int) -> str:
        """What a person calls a class; its number where nobody named it."""
        return self.names[class_no] if self.names else f"class {class_no}"

    def name_of_individual(self, individual: int) -> str:
        """What a person calls an individual of `TrackPool.state`, whether the head knows it or not."""
        classes = self.classes or tuple(range(self.n_classes))
        return self.name_of(classes.index(individual)) if individual in classes else f"individual {individual}"


def _without(rows: BoolArray, *others: BoolArray) -> BoolArray:
    """rows, in place, without what is True in any of the others: no second mask of a large pool beside it."""
    for other in others:
        np.greater(rows, other, out=rows)
    return rows


def rows_where(mask: BoolArray, ordinals: I64Array) -> I64Array:
    """Rows of the ordinals[i]-th True of mask (from 0, in any order), without listing all of them. i64 [k].

    Raises IndexError if there are fewer.
    """
    n_blocks = -(-len(mask) // BLOCK_ROWS)
    counts = np.fromiter(
        (np.count_nonzero(mask[i * BLOCK_ROWS : (i + 1) * BLOCK_ROWS]) for i in range(n_blocks)), np.int64, n_blocks
    )
    ends = np.cumsum(counts)
    if len(ordinals) and (int(ordinals.min()) < 0 or not len(ends) or int(ordinals.max()) >= ends[-1]):
        raise IndexError("an ordinal lies beyond the last True")
    block = np.searchsorted(ends, ordinals, side="right")
    rows = np.empty(len(ordinals), np.int64)
    for b in np.unique(block):
        inside = np.flatnonzero(mask[b * BLOCK_ROWS : (b + 1) * BLOCK_ROWS])
        here = block == b
        rows[here] = b * BLOCK_ROWS + inside[ordinals[here] - (ends[b] - counts[b])]
    return rows


def draw_rows(mask: BoolArray, k: int, rng: np.random.Generator) -> I64Array:
    """A simple random sample without replacement of the True rows, in random order; all of them if k is more. i64."""
    n = int(np.count_nonzero(mask))
    return rows_where(mask, rng.choice(n, size=min(k, n), replace=False) if n else np.empty(0, np.int64))
