"""The head: a linear classifier on frozen track vectors, refitted in seconds after every batch of labels.

Belongs here: applying it, its file. Does not belong here: fitting it (`fitting`), which tracks it learns from
(`training_set`), how good it is (`evaluation.metrics`). Uses no torch and no SQL: a class is a number of the
vocabulary that the training set's query defines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chimp_assets.vision.models.checkpoint import ModelFileError, ModelRow, load_arrays

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore

# Means "nothing is unknown"; finite, because a checkpoint holds only finite numbers.
NO_THRESHOLD = float(np.finfo(np.float32).min)
CHUNK = 16_384
NOVELTY_CHUNK = 256  # rows compared with all members at once: their cosines stay in the cache, twice as fast


@dataclass(frozen=True)
class IdentityHead:
    """W: f32 [C, d]; b: f32 [C]; classes: i64 [C], ascending; temperature > 0; unknown_threshold: of familiarity.

    member: f16 [m, d], vectors it was fitted on (for novelty), all of them or the most different of each class;
    member_class: i64 [m], their classes; class_count: i64 [C], how many tracks of each class it was fitted on; centre:
    f32 [C, d] of unit length, mean direction of each class (None for heads saved before this field existed);
    logit_share: share of the largest logit in the familiarity.
    """

    W: np.ndarray
    b: np.ndarray
    classes: np.ndarray
    temperature: float
    unknown_threshold: float
    member: np.ndarray
    member_class: np.ndarray
    class_count: np.ndarray
    centre: np.ndarray | None = None
    logit_share: float = 0.0

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Uncalibrated logits. embedding: f16 or f32 [n, d]; returns f32 [n, C]."""
        return embedding.astype(np.float32) @ self.W.T + self.b

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of logits f32 [n, C]; f32 [n, C], rows add up to 1 (Guo et al. 2017)."""
        shifted = logits / np.float32(self.temperature)
        shifted -= shifted.max(axis=1, keepdims=True)
        np.exp(shifted, out=shifted)
        shifted /= shifted.sum(axis=1, keepdims=True)
        return shifted

    def familiarity(self, embedding: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """How much vectors [n, d] look like their likeliest class, f32 [n]; the largest logit for heads without
        centres."""
        if self.centre is None:
            return logits.max(1)
        return familiarity(embedding.astype(np.float32), logits, self.centre, self.logit_share)

    def is_unknown(self, embedding: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """bool [n]: the familiarity lies below the threshold."""
        return self.familiarity(embedding, logits) < self.unknown_threshold

    def novelty(self, embedding: np.ndarray) -> np.ndarray:
        """1 minus the cosine to the nearest of its members. embedding: [n, d]; returns f32 [n] in [0, 2]."""
        members = self.member.astype(np.float32)
        nearest = np.empty(len(embedding), dtype=np.float32)
        for start in range(0, len(embedding), NOVELTY_CHUNK):
            rows = slice(start, start + NOVELTY_CHUNK)
            (members @ embedding[rows].astype(np.float32).T).max(0, out=nearest[rows])
        return np.clip(1 - nearest, 0, 2)


def familiarity(embedding: np.ndarray, logits: np.ndarray, centre: np.ndarray, logit_share: float) -> np.ndarray:
    """Cosine to the mean of the likeliest class plus a share of its logit: f32 [n].

    The largest logit alone (Vaze et al. 2022) tells on which side of the boundaries a vector lies and how far from
    them, but a stranger may also lie far from them; the distance to the class itself (Mensink et al. 2013) detects
    that, but not how near other classes are. embedding: [n, d] of unit length; logits: [n, C]; centre: [C, d].
    """
    first = logits.argmax(1)
    cosine = np.einsum("ij,ij->i", embedding, centre[first])
    return (cosine + logit_share * logits[np.arange(len(logits)), first]).astype(np.float32)


def head_tensors(head: IdentityHead) -> dict[str, np.ndarray]:
    """The tensors of a head's checkpoint."""
    return {
        "W": head.W,
        "b": head.b,
        "classes": head.classes,
        "temperature": np.array([head.temperature], dtype=np.float64),
        "unknown_threshold": np.array([head.unknown_threshold], dtype=np.float64),
        "member": head.member,
        "member_class": head.member_class,
        "class_count": head.class_count,
        **(
            {}
            if head.centre is None
            else {"centre": head.centre, "logit_share": np.array([head.logit_share], dtype=np.float64)}
        ),
    }


def load_head(store: BlobStore, model: ModelRow) -> IdentityHead:
    """The head of a model row. Raises ModelFileError if its file is missing, changed or unfit."""
    if model.checkpoint_uri is None or model.checkpoint_hash is None:
        raise ModelFileError(f"Model {model.model_id} has no checkpoint.", "Run `chimp retrain`.")
    tensors, _ = load_arrays(store, model.checkpoint_uri, model.checkpoint_hash)
    try:
        whole = {name: tensors[name] for name in head_tensors_names()}
    except KeyError as error:
        raise ModelFileError(
            f"The model file {model.checkpoint_uri} lacks the tensor {error}.", "Run `chimp retrain`."
        ) from error
    return IdentityHead(
        W=whole["W"],
        b=whole["b"],
        classes=whole["classes"],
        temperature=float(whole["temperature"][0]),
        unknown_threshold=float(whole["unknown_threshold"][0]),
        member=whole["member"],
        member_class=whole["member_class"],
        # Heads saved before this field existed have every row as a member.
        class_count=tensors["class_count"]
        if "class_count" in tensors
        else (whole["member_class"][None, :] == whole["classes"][:, None]).sum(1),
        centre=tensors.get("centre"),
        logit_share=float(tensors["logit_share"][0]) if "logit_share" in tensors else 0.0,
    )


def head_tensors_names() -> tuple[str, ...]:
    """Names of the tensors that every head's checkpoint has."""
    return ("W", "b", "classes", "temperature", "unknown_threshold", "member", "member_class")
