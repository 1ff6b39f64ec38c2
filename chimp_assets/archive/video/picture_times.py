"""When each picture of an archived file is shown: what an index of somebody else's annotation means.

Belongs here: reading these times from packets, or from pictures where packets do not say; the child process for it.
Does not belong here: which pictures are kept (`decode`), what indices are about (`exchange.imports`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.decode import FrameClock
from chimp_assets.archive.video.probe import UnreadableVideoError, decoded_pictures, opened
from chimp_assets.archive.video.segments import packet_times
from chimp_assets.archive.video.workers import Worker, WorkerDeathError, WorkerFailureError
from chimp_assets.errors import ChimpError

_LONGEST_S = 48 * 3600.0


class PictureTimes:
    """Reads times of pictures in a child process: a file that kills its reader gives none, and nothing else. Use as a
    context manager."""

    def __init__(self, archive: BlobStore) -> None:
        self._archive = archive
        self._stack = ExitStack()
        self._worker: Worker | None = None

    def __enter__(self) -> PictureTimes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def of(self, uri: str) -> NDArray[np.float64] | None:
        """Seconds since the first picture, f64 [n], of every picture in the order of display; None: unreadable."""
        try:
            if not self._archive.is_shareable:
                return times_of_pictures(self._archive, uri, lambda: None)
            if self._worker is None:
                self._worker = self._stack.enter_context(Worker())
            message = {"archive": self._archive.as_message(), "uri": uri}
            found: NDArray[np.float64] = self._worker.call(picture_times_message, message)
            return found
        except (ChimpError, WorkerDeathError, WorkerFailureError):
            return None


def picture_times_message(message: dict[str, Any], beat: Callable[[], None]) -> NDArray[np.float64]:
    """`times_of_pictures` for a parent process."""
    return times_of_pictures(BlobStore.of_message(message["archive"]), message["uri"], beat)


def times_of_pictures(archive: BlobStore, uri: str, beat: Callable[[], None]) -> NDArray[np.float64]:
    """Seconds since the first picture, f64 [n] ascending, of every picture that the file shows.

    From its packets, which is a hundredth of the work of decoding; where they do not say, all pictures are decoded.
    Raises UnreadableVideoError, StoreError.
    """
    path = archive.local_path(uri)
    if path is not None:
        return _times(path, beat)
    import tempfile

    with tempfile.TemporaryDirectory(prefix="chimp-") as folder:
        copy = Path(folder) / "video"
        archive.download(uri, copy, beat)
        return _times(copy, beat)


def _times(path: Path, beat: Callable[[], None]) -> NDArray[np.float64]:
    with opened(path) as (container, stream):
        first = next(decoded_pictures(container, stream, None, beat), None)
        base = float(stream.time_base)
        if first is None:
            raise UnreadableVideoError(f"{path.name} has no picture that can be decoded.", "Look for another copy.")
        start = first.pts
    stamps, _ = packet_times(path, beat)
    if stamps is not None and start is not None:
        shown = np.sort(stamps[stamps >= start])
        steps = np.diff(shown)
        # A clock that leaps is counted on by whoever decodes: only a steady one may be read from packets.
        if len(shown) and (steps > 0).all() and (not len(steps) or steps.max() * base < _LONGEST_S):
            return (shown - start) * base
    with opened(path) as (container, stream):
        clock = FrameClock(stream, None, _LONGEST_S)
        return np.array([clock.read(frame)[1] for frame in decoded_pictures(container, stream, None, beat)])
