"""Vectors of the crops of a replay, computed once and kept in a folder: no torch in the replay itself.

Belongs here: the two regimes and their cache. Does not belong here: how crops are described
(`benchmarks.label_efficiency.vectors`, the product's embedders).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from benchmarks.support.crops import CropTable

REGIMES = ("frozen", "matured")


def vectors_of(table: CropTable, cache: Path, regime: str, seeds: int) -> list[np.ndarray]:
    """For each seed f32 [n, D], rows of length 1: with what ImageNet teaches, crops enlarged to 160 px.

    frozen: learned without any name, the same for all seeds. matured: half of the individuals, another half for each
    seed (`teachers`), have taught discriminants; a replay asks about the others.
    """
    key = hashlib.sha256(table.pictures.tobytes() + table.target.tobytes()).hexdigest()[:16]
    files = [cache / f"{key}-{regime}{f'-{seed}' if regime == 'matured' else ''}.npy" for seed in range(seeds)]
    missing = sorted({file for file in files if not file.is_file()})
    if missing:
        # Here, since it loads torch.
        from benchmarks.label_efficiency.vectors import CropVectors

        cache.mkdir(parents=True, exist_ok=True)
        crops = CropVectors(table.pictures, np.arange(len(table.target)), 0, False)
        for file in missing:
            found = crops.without_labels()
            if regime == "matured":
                taught = np.flatnonzero(teachers(table, files.index(file)))
                found = crops.with_names(taught, table.target[taught], table.group[taught], 0)
            partial = file.with_name(f"part-{file.name}")
            np.save(partial, found)
            partial.replace(file)
    return [np.load(file) for file in files]


def teachers(table: CropTable, seed: int) -> np.ndarray:
    """Tracks of the half of the individuals from which a matured embedder has learned. bool [n]."""
    order = np.random.default_rng((seed, 11)).permutation(table.n_individuals)
    return np.isin(table.target, order[: table.n_individuals // 2])
