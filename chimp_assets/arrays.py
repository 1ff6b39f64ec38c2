"""Types of numpy arrays that several rooms exchange, and the one lookup that all of them need.

Belongs here: names of array types, finding keys in a sorted column. Does not belong here: what the arrays mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I8Array = npt.NDArray[np.int8]
I32Array = npt.NDArray[np.int32]
I64Array = npt.NDArray[np.int64]
F16Array = npt.NDArray[np.float16]
F32Array = npt.NDArray[np.float32]
F64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def located(keys: I64Array, wanted: I64Array) -> tuple[BoolArray, I64Array]:
    """Whether each wanted key is among `keys`, and its row if it is. keys: i64 [n], increasing; wanted: any shape."""
    if len(keys) == 0:
        return np.zeros(wanted.shape, bool), np.zeros(wanted.shape, np.int64)
    row = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return keys[row] == wanted, row


def rows_of(keys: I64Array, wanted: I64Array) -> I64Array:
    """Rows of those wanted keys that are among `keys`. keys: i64 [n], increasing; wanted: i64 [m]."""
    is_there, row = located(keys, wanted)
    return row[is_there]
