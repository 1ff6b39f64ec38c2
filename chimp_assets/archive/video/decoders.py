"""The processes that decode a bundle: which takes which video, and a long video in parts over all of them.

Belongs here: handing jobs to children, putting parts together, what a death means for a video, scratch folders.
Does not belong here: reading one file (`reading`), cutting (`segments`), rows (`ingest`), pipes (`workers`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import re
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from chimp_assets.archive.storage.shards import refused_by_scratch
from chimp_assets.archive.storage.store import StoreError
from chimp_assets.archive.video.clip import DecodedClip, decode_job, decode_job_message, result_of_message
from chimp_assets.archive.video.reading import (
    DecodedVideo,
    DecodeJob,
    LongVideo,
    Packer,
    VideoCopy,
    decode_part_message,
    decode_video,
    decode_video_message,
)
from chimp_assets.archive.video.workers import Worker, WorkerDeathError, WorkerFailureError
from chimp_assets.errors import ChimpError, FullDiskError

log = logging.getLogger(__name__)

Decoding = DecodedVideo | VideoCopy | DecodedClip
"""What a child made of a job."""
Outcome = Decoding | ChimpError

_SCRATCH = "chimp-decode-"
# chimp-decode-HOST-BOOT-PID-random
_SCRATCH_NAME = re.compile(rf"{_SCRATCH}(?P<place>[A-Za-z0-9.]+-[0-9a-f]{{12}})-(?P<process>\d+)-[^-]+")
ABANDONED_S = 48 * 3600.0
"""Nobody can ask whether a process of another machine lives: its folder goes when nothing in it has changed for so
long. No run lasts longer than a day."""
# A file so large is probably long.
_LARGE_BYTES = 32 * 1024 * 1024


OnPart = Callable[[DecodeJob, int, int], None]


def decoded(
    jobs: Sequence[DecodeJob],
    twins: Callable[[int], dict[str, int]],
    on_part: OnPart = lambda job, done, of: None,
) -> Iterator[tuple[DecodeJob, Outcome]]:
    """Each job with what it gave, in the order in which they end. Raises what is not the video's fault.

    on_part(job, done, of): parts of a long video that are decoded; called from a thread of its own.

    twins(bytes): content hash to video_id of known videos of this length; asked when a job begins, and two files of one
    length never run at once, so that copies in one bundle find each other.
    """
    if not jobs:
        return
    settings = jobs[0].settings
    if settings.workers == 0:
        for job in jobs:
            whole = replace(job, twins=_twins_of(job, twins))
            yield job, _attempt(whole, lambda one: _whole(decode_job(one) if one.stills else decode_video(one)))
        return
    with _scratch_folder() as scratch, _Crew(settings.workers, settings.stall_s, on_part) as crew:
        if max(job.bytes for job in jobs) >= _LARGE_BYTES:
            crew.start()
        waiting = deque(jobs)
        running: dict[Future[Outcome], DecodeJob] = {}
        while waiting or running:
            # Only as many results as there are children may wait for the database.
            while len(running) < 2 * settings.workers:
                lengths = {length for job in running.values() for length in job.lengths}
                following = next((job for job in waiting if not job.lengths & lengths), None)
                if following is None:
                    break
                waiting.remove(following)
                job = replace(following, twins=_twins_of(following, twins), scratch=scratch / str(following.video_id))
                running[crew.threads.submit(_attempt, job, crew.decode)] = job
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(ended, key=lambda f: running[f].video_id):
                job = running[future]
                yield job, future.result()
                del running[future]


def _twins_of(job: DecodeJob, twins: Callable[[int], dict[str, int]]) -> dict[str, int]:
    return {name: video_id for length in sorted(job.lengths) for name, video_id in twins(length).items()}


def _reader_of(job: DecodeJob) -> Callable[..., Any]:
    return decode_job_message if job.stills else decode_video_message


class _Crew:
    """A set of children and the threads that wait for them."""

    def __init__(self, n: int, stall_s: float, on_part: OnPart) -> None:
        self._n = n
        self._on_part = on_part
        self._children = [Worker(stall_s) for _ in range(n)]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self.threads = ThreadPoolExecutor(n, thread_name_prefix="decode")
        self._part_threads = ThreadPoolExecutor(n, thread_name_prefix="decode-part")
        # One at a time: it uses all children anyway, and its parts wait on disk.
        self._one_long_video = threading.Lock()

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.close()
        self.threads.shutdown(wait=True, cancel_futures=True)
        self._part_threads.shutdown(wait=True, cancel_futures=True)

    def start(self) -> None:
        """Start all children, also those that are needed only when a long video is cut."""
        for child in self._children:
            child.start()

    def decode(self, job: DecodeJob) -> Decoding:
        """Decode a video in one child, or a long one in parts in several."""
        assert job.scratch is not None
        try:
            job.scratch.mkdir()
        except OSError as error:
            raise refused_by_scratch(error) from error
        try:
            found = result_of_message(self._call(_reader_of(job), job.as_message()))
            if not isinstance(found, LongVideo):
                return found
            with self._one_long_video:
                whole = self._in_parts(job, found)
            if whole is not None:
                return whole
            return _whole(result_of_message(self._call(_reader_of(job), replace(job, scratch=None).as_message())))
        finally:
            shutil.rmtree(job.scratch, ignore_errors=True)

    def _call(self, function: Callable[..., Any], message: dict[str, Any]) -> Any:
        child = self._idle.get()
        try:
            return child.call(function, message)
        finally:
            self._idle.put(child)

    def _in_parts(self, job: DecodeJob, video: LongVideo) -> DecodedVideo | None:
        """The whole video from its parts; None if they do not fit together."""
        from chimp_assets.archive.video.probe import UnevenPartError
        from chimp_assets.archive.video.segments import DecodedPart, merged, require_seamless

        assert job.scratch is not None
        done: list[DecodedPart] = []
        coming = iter(enumerate(video.parts))
        pending: deque[tuple[Path, Future[Any]]] = deque()
        with Packer(job) as packer:
            try:
                while True:
                    # A part waits on disk until those before it are packed: not more than keep the children busy.
                    while len(pending) < 2 * self._n and (following := next(coming, None)) is not None:
                        number, part = following
                        jpegs = job.scratch / f"{number:06d}.jpegs"
                        message = {
                            "path": str(video.path),
                            "settings": job.settings.model_dump(),
                            "part": asdict(part),
                            "jpegs": str(jpegs),
                        }
                        pending.append((jpegs, self._part_threads.submit(self._call, decode_part_message, message)))
                    if not pending:
                        break
                    jpegs, future = pending.popleft()
                    answer = future.result()
                    if "uneven" in answer:
                        raise UnevenPartError(answer["uneven"])
                    decoded_part = DecodedPart.of_message(answer["part"])
                    require_seamless(done[-1] if done else None, decoded_part)
                    _pack(packer, decoded_part, jpegs)
                    done.append(decoded_part)
                    self._on_part(job, len(done), len(video.parts))
            except (UnevenPartError, WorkerDeathError, WorkerFailureError, OSError) as error:
                log.info("%s is decoded in one pass: %s", job.uri, error)
                return None
            finally:
                for _, future in pending:
                    future.cancel()
                wait([future for _, future in pending])
            seconds = video.seconds + sum(part.seconds for part in done)
            return packer.decoded(video.content_hash, video.facts, merged(done, video.notes), seconds)


def _pack(packer: Packer, part: Any, jpegs: Path) -> None:
    with jpegs.open("rb") as file:
        for pts, time_s, length in zip(part.pts, part.time_s, part.byte_length, strict=True):
            packer.add(int(pts), float(time_s), file.read(int(length)))
    jpegs.unlink()


def _whole(found: Decoding | LongVideo) -> Decoding:
    assert not isinstance(found, LongVideo), "a job without scratch was put off"
    return found


def _attempt(job: DecodeJob, decode: Callable[[DecodeJob], Decoding]) -> Outcome:
    try:
        return decode(job)
    except (StoreError, FullDiskError):
        raise
    except ChimpError as error:
        return error
    except WorkerDeathError as death:
        return ChimpError(
            f"Reading {job.uri} ended its process ({death.how}); nothing was kept.",
            "Convert the file to MP4 (H.264) and put that in its place.",
        )
    except WorkerFailureError as failure:
        log.error("decoding %s failed unexpectedly\n%s", job.uri, failure.text)
        return _unexpected(job, failure.short)
    except Exception as error:
        log.exception("decoding %s failed unexpectedly", job.uri)
        return _unexpected(job, f"{type(error).__name__}: {error}")


def _unexpected(job: DecodeJob, short: str) -> ChimpError:
    return ChimpError(
        f"{job.uri} could not be decoded because of an unexpected error ({short}).",
        "Convert the file to MP4 (H.264), and report this with the file.",
    )


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder for what waits on disk. Those of processes that were killed are removed first."""
    parent, place = Path(tempfile.gettempdir()), _place()
    for left in parent.glob(f"{_SCRATCH}*"):
        found = _SCRATCH_NAME.fullmatch(left.name)
        if found is not None and found["place"] == place:
            is_left = not _is_running(int(found["process"]))
        else:  # of another machine or container, or of a start of this machine before the last
            is_left = time.time() - _last_change(left) > ABANDONED_S
        if is_left:
            shutil.rmtree(left, ignore_errors=True)
    prefix = f"{_SCRATCH}{place}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _place() -> str:
    """Where process numbers mean what they mean here: host name, start of the machine, and namespace of processes.

    A folder for temporary files may be shared by machines, and by containers of one machine.
    """
    parts = []
    for file in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with contextlib.suppress(OSError):
            path = Path(file)
            parts.append(str(path.readlink()) if path.is_symlink() else path.read_text(encoding="ascii"))
    host = re.sub(r"[^A-Za-z0-9.]", "", platform.node())[:40] or "host"
    return f"{host}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def _last_change(folder: Path) -> float:
    """When the newest file or folder in a folder was changed; now if that cannot be seen."""
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:
        return time.time()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
