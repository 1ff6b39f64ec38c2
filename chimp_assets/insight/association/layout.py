"""Places of individuals in the drawing of a network, and the files of the store that keep them.

Belongs here: the layout, and that individuals stay where they were, on whichever machine the page runs. Does not belong
here: counting the network (`network`), lines and colours (`web.charts`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chimp_assets.archive.storage.blobs import MissingBlobError, StoreError
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.insight.association.network import Network

log = logging.getLogger(__name__)

Places = dict[int, tuple[float, float]]

FOLDER = "layouts"
ROUNDS = 150
"""Steps of a layout from scratch; new nodes among placed ones settle in a third of them."""


class StoredLayouts:
    """Places by the name of a drawing, in the store, so that individuals stay in place between visits and replicas.

    Kept in memory for some seconds: another replica's newcomers are seen then, or when they are asked for. store:
    called when the first drawing is shown. former: the folder of a version before this one, read where the store has
    none.
    """

    def __init__(self, store: Callable[[], BlobStore], former: Path | None = None, seconds: float = 300.0) -> None:
        self._store, self._former, self._seconds = store, former, seconds
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Places]] = {}

    def places(self, found: Network, whole: Callable[[], Network], name: str, index: str = "sri") -> Places:
        """Place (x, y) of each individual, in [0, 1]. Placed individuals stay; new ones go near those they are seen
        with.

        whole: the network of all days, called only if somebody is new, so that places do not depend on the chosen days.
        name: of the drawing. A store that cannot be read or written is logged, and the drawing is shown all the same.
        """
        with self._lock:
            read_at, known = self._known.get(name, (-self._seconds, {}))
        fresh = time.monotonic() - read_at < self._seconds
        if not fresh or any(node.key not in known for node in found.nodes):
            stored = self._read(name)
            known = dict(known if stored is None else stored)
            if any(node.key not in known for node in found.nodes):
                known |= _newcomers(whole(), known, index)
                if stored is not None:  # what could not be read must not be replaced
                    self._write(name, known)
            with self._lock:
                self._known[name] = (time.monotonic(), known)
        return {node.key: known.get(node.key, (0.5, 0.5)) for node in found.nodes}

    def _read(self, name: str) -> Places | None:
        """The stored places, none if there are none or they are damaged; None if the store cannot be read."""
        try:
            content: bytes | None = self._store().get(f"{FOLDER}/{name}.json")
        except MissingBlobError:
            content = None
        except StoreError as error:
            log.warning("The places of the network cannot be read: %s", error)
            return None
        try:
            if content is not None:
                return _places_of(content)
            if self._former is None:
                return {}
            taken_over = _places_of((self._former / f"{name}.json").read_bytes())
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        self._write(name, taken_over)
        return taken_over

    def _write(self, name: str, known: Places) -> None:
        content = json.dumps({str(key): place for key, place in sorted(known.items())}).encode()
        try:
            self._store().put(f"{FOLDER}/{name}.json", content)
        except StoreError as error:
            log.warning("The places of the network cannot be kept: %s", error)


def _places_of(content: bytes) -> Places:
    return {int(key): (float(x), float(y)) for key, (x, y) in json.loads(content).items()}


def _newcomers(everybody: Network, known: Places, index: str) -> Places:
    """Places of all of a network, of which the known ones stay."""
    keys = [node.key for node in everybody.nodes]
    at = {key: n for n, key in enumerate(keys)}
    pairs = np.array([(at[e.a], at[e.b]) for e in everybody.edges], np.int64).reshape(-1, 2)
    weight = np.array([getattr(e, index) for e in everybody.edges], np.float64)
    start = np.array([known.get(key, (np.nan, np.nan)) for key in keys], np.float64)
    lying = laid_out(start, pairs, weight)
    return {key: (round(float(x), 4), round(float(y), 4)) for key, (x, y) in zip(keys, lying, strict=True)}


def laid_out(start: np.ndarray, pairs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Places f64 [n, 2] in [0, 1] (Fruchterman and Reingold 1991, with a pull to the middle); deterministic.

    start: f64 [n, 2], nan for nodes without a place; only these move, unless no node has one. pairs: i64 [m, 2];
    weight: f64 [m], > 0.
    """
    n = len(start)
    if not n:
        return start
    fixed = ~np.isnan(start[:, 0])
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    out = np.sqrt((np.arange(n) + 0.5) / n) * 0.5
    place = np.where(fixed[:, None], start, 0.5 + np.stack([out * np.cos(turn), out * np.sin(turn)], axis=1))
    pull = np.zeros((n, n))
    if len(pairs):
        strength = np.sqrt(weight / weight.max())
        pull[pairs[:, 0], pairs[:, 1]] = pull[pairs[:, 1], pairs[:, 0]] = strength
        # Each of many companions pulls less; otherwise all nodes lie in one heap.
        many = np.maximum(pull.sum(axis=1), 1e-9)
        pull *= 2 / np.sqrt(many[:, None] * many[None, :])
    if fixed.any() and len(pairs):
        # A new node starts in the middle of those it is seen with.
        towards = pull * fixed[None, :]
        some = ~fixed & (towards.sum(axis=1) > 0)
        middle = towards[some] @ np.nan_to_num(place) / towards[some].sum(axis=1, keepdims=True)
        place[some] = middle + 0.02 * (place[some] - 0.5)
    spread = 0.9 / np.sqrt(n)
    rounds = ROUNDS // 3 if fixed.any() else ROUNDS
    drawn = (pull / spread).astype(np.float32)
    for step in range(rounds):
        x, y = place.astype(np.float32).T
        dx, dy = x[:, None] - x[None, :], y[:, None] - y[None, :]
        squared = np.maximum(dx * dx + dy * dy, np.float32(1e-8))
        # A node does not push itself: its own dx and dy are 0.
        force = np.float32(spread**2) / squared - drawn * np.sqrt(squared)
        move = np.stack([(dx * force).sum(axis=1), (dy * force).sum(axis=1)], axis=1) - 0.8 * (place - 0.5)
        length = np.maximum(np.sqrt((move**2).sum(axis=1, keepdims=True)), 1e-9)
        heat = 0.08 * (1 - step / rounds) + 0.001
        place = np.where(fixed[:, None], place, place + move / length * np.minimum(length, heat))
    if not fixed.any():
        # Nodes without companions drift far out: scale to the others.
        some = place[pull.any(axis=1)] if pull.any() else place
        low, high = some.min(axis=0), some.max(axis=0)
        place = (place - low) / np.maximum(high - low, 1e-9)
    return np.clip(_apart(place, fixed), 0.0, 1.0)


def _apart(place: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Moves dots apart that overlap."""
    least = min(0.04, 0.5 / np.sqrt(len(place)))
    for _ in range(40):
        between = place[:, None, :] - place[None, :, :]
        distance = np.sqrt((between**2).sum(axis=2))
        np.fill_diagonal(distance, 1.0)
        push = np.maximum(least - distance, 0.0) / np.maximum(distance, 1e-6) / 2
        if not push.any():
            break
        place = np.where(fixed[:, None], place, place + (between * push[:, :, None]).sum(axis=1))
    return place
