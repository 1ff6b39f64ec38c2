"""Checkpoints of a training in the store, so that a training killed on one machine goes on at another.

Belongs here: the state of a training, its files and their order, and whether a file can be trusted.
Does not belong here: when one is written and what it holds (`training`), which trainings are unfinished
(`unfinished`), models that are done (`models.checkpoint`).

The tensors come first, as safetensors under a name that was never used before; then `state.json`, replaced as a whole,
which names them and their hash; then the file before is deleted. A kill in between leaves a file that nobody names,
never a state without its tensors. Two machines that train the same by mistake never delete what the other's
state names, because each deletes only what it has itself written or resumed from.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from chimp_assets.archive.storage.blobs import MissingBlobError
from chimp_assets.vision.learning.unfinished import STATE_FILE
from chimp_assets.vision.models.checkpoint import ModelFileError, content_hash

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore

FORMAT = 1
"""Of checkpoints. A newer one is refused."""
LEFT_BEHIND = timedelta(hours=1)
"""A file that the state does not name may be one that is named in a moment; not after so long."""


@dataclass
class TrainingState:
    """Where a training is, beside its tensors. part: crops that go through the network at once; rate: factor on the
    learning rate; history: (step, mean loss, accuracy on the batches) at intervals, for the plot."""

    step: int = 0
    part: int = 0
    rate: float = 1.0
    divergences: int = 0
    best: float | None = None
    best_step: int = 0
    since_best: int = 0
    stopped: str = ""
    history: list[tuple[int, float, float]] = field(default_factory=list)
    validated: list[tuple[int, float]] = field(default_factory=list)

    def copy(self) -> TrainingState:
        """The same, as a checkpoint holds it; later steps do not change it."""
        return _state_of(json.loads(json.dumps(asdict(self))))


class TrainingCheckpoints:
    """The newest checkpoint of one training. key: its folder in the store (`unfinished.training_key`)."""

    def __init__(self, store: BlobStore, key: str) -> None:
        self._store, self._key = store, key
        self._before: str | None = None

    def save(self, identity: str, state: TrainingState, tensors: dict[str, Tensor]) -> None:
        """Replace the checkpoint, so that a kill at any moment leaves the old or the new one. Raises StoreError."""
        content = save(dict(sorted(tensors.items())))
        name = f"step-{state.step:09d}-{uuid.uuid4().hex[:12]}.safetensors"
        line = {
            "format": FORMAT,
            "identity": identity,
            "file": name,
            "hash": content_hash(content),
            "state": asdict(state),
        }
        self._store.put(f"{self._key}/{name}", content)
        self._store.put(f"{self._key}/{STATE_FILE}", json.dumps(line, sort_keys=True).encode())
        if self._before is not None:
            self._store.delete(f"{self._key}/{self._before}")
        self._before = name

    def load(self, identity: str) -> tuple[TrainingState, dict[str, Tensor]] | None:
        """The checkpoint; None if there is none. Raises ModelFileError if it cannot be used, StoreError."""
        found = self._named(identity)
        while found is not None:
            line, name, digest = found
            try:
                content = self._store.get(f"{self._key}/{name}")
            except MissingBlobError as error:
                found = self._named(identity)
                if found is None or found[1] != name:  # replaced while it was read
                    continue
                raise ModelFileError(f"The checkpoint {self._key}/{name} is missing.", self._remedy) from error
            if content_hash(content) != digest:
                raise ModelFileError(
                    f"The checkpoint {self._key}/{name} has changed since it was written (hash"
                    f" {content_hash(content)[:12]}, expected {digest[:12]}).",
                    self._remedy,
                )
            try:
                state, tensors = _state_of(line["state"]), load(content)
            except (SafetensorError, KeyError, TypeError, ValueError) as error:
                raise ModelFileError(
                    f"The checkpoint {self._key}/{name} cannot be read: {error}.", self._remedy
                ) from error
            self._before = name
            self._clear(name)
            return state, tensors
        return None

    def remove(self) -> None:
        """Delete all files of this training: its result is kept elsewhere. Raises StoreError."""
        # The state first: a kill in between leaves files that nobody goes on from.
        self._store.delete(f"{self._key}/{STATE_FILE}")
        for info in list(self._store.list(self._key)):
            self._store.delete(info.key)

    @property
    def _remedy(self) -> str:
        return f"Delete the folder {self._key} of the store to start over."

    def _named(self, identity: str) -> tuple[dict[str, Any], str, str] | None:
        """What the state says, the name of the file with the tensors, and its hash."""
        place = f"{self._key}/{STATE_FILE}"
        try:
            line = json.loads(self._store.get(place))
            version, file, digest = int(line["format"]), str(line["file"]), str(line["hash"])
            if "/" in file or "\\" in file:
                raise ValueError(f"{file} is not the name of a file")
        except MissingBlobError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFileError(f"{place} does not describe a checkpoint: {error}.", self._remedy) from error
        if version > FORMAT:
            raise ModelFileError(
                f"The checkpoint in {self._key} was written by a newer version (format {version}; this one reads"
                f" {FORMAT}).",
                "Update Chimp Assets, or delete that folder of the store to start over.",
            )
        if line.get("identity") != identity:
            raise ModelFileError(
                f"The checkpoint in {self._key} belongs to a training with other labels or settings.", self._remedy
            )
        return line, file, digest

    def _clear(self, named: str) -> None:
        """Delete what killed writers left behind."""
        oldest = datetime.now(UTC) - LEFT_BEHIND
        for info in list(self._store.list(self._key)):
            if info.modified < oldest and info.key not in (f"{self._key}/{named}", f"{self._key}/{STATE_FILE}"):
                self._store.delete(info.key)


def _state_of(saved: dict[str, Any]) -> TrainingState:
    known = {name.name for name in fields(TrainingState)}
    state = TrainingState(**{name: value for name, value in saved.items() if name in known})
    state.history = [(int(step), float(loss), float(right)) for step, loss, right in state.history]
    state.validated = [(int(step), float(value)) for step, value in state.validated]
    return state
