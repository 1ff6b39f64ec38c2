"""Blobs of a service that obstore speaks to: whole writes, reads with many requests in flight, sorted listings.

Belongs here: how much is sent and fetched at once, and what is done about names that a service lists oddly.
Does not belong here: accounts, credentials and the meaning of a refusal (`azure`).

Costs on Azure: a shard of 64 MB is eight blocks and a list of them, nine writes for thousands of pictures. A listing
asks for pages of 5,000; one that goes on after a key begins there (`startFrom`) and does not read what comes before.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC
from pathlib import Path
from typing import Any

import obstore

from chimp_assets.archive.storage.azure import code_of, status_of
from chimp_assets.archive.storage.blobs import (
    BlobInfo,
    MissingBlobError,
    OnUnreadable,
    ReplacedBlobError,
    Source,
    StoreError,
    coalesced,
    missing,
)
from chimp_assets.archive.storage.folders import new_file
from chimp_assets.errors import ChimpError

# Blocks of an upload. Small ones (below 256 KiB) do not get Azure's high throughput; each one costs a write.
PUT_BLOCK = 8 * 1024 * 1024
PUT_IN_FLIGHT = 6
# A request costs about what reading a mebibyte does (20 ms at 50 MB/s), so gaps up to there are read along.
GAP = 1024 * 1024
# 16 MiB on their way, of which the service's client holds up to three copies (measured: 51 MiB).
GET_BLOCK = 2 * 1024 * 1024
GET_IN_FLIGHT = 8
_BEAT_S = 1.0

Explain = Callable[[Exception, str, str], ChimpError]


class Objects:
    """A store of obstore. explain(error, key, verb): what an error of it means. Threads may share it."""

    def __init__(self, store: Any, url: str, explain: Explain) -> None:
        self._store = store
        self._url = url
        self._explain = explain

    def put(self, key: str, source: Source) -> None:
        if "\\" in key:  # an address turns it into a slash
            raise StoreError(f"{key} cannot be written to {self._url}: it has a backslash.", "Rename it.")
        try:
            self._put(key, source)
        except Exception as error:
            # Of two writers of one blob the second loses its blocks; so does one whose answer got lost on the way back.
            if code_of(error) != "InvalidBlockList" or not _rewound(source):
                raise self._failed(error, key, "written") from None
            try:
                self._put(key, source)
            except Exception as again:
                raise self._failed(again, key, "written") from None

    def _put(self, key: str, source: Source) -> None:
        obstore.put(self._store, key, source, chunk_size=PUT_BLOCK, max_concurrency=PUT_IN_FLIGHT)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        try:
            return bytes(obstore.get_range(self._store, key, start=start, length=length))
        except Exception as error:
            if _is_past_end(error):  # where a file answers nothing
                return b""
            raise self._failed(error, key, "read") from None

    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        starts, lengths = [int(s) for s in starts], [int(n) for n in lengths]
        asked = list(coalesced(starts, lengths, GAP))
        found: list[bytes] = [b""] * len(starts)
        calls = [_call(self.get_range, key, first, end - first) for first, end, _ in asked]
        pieces = [call() for call in calls] if len(calls) == 1 else _in_order(calls, lambda: None)
        for (first, _, members), piece in zip(asked, pieces, strict=True):
            block = memoryview(piece)
            for i in members:
                begin = starts[i] - first
                found[i] = bytes(block[begin : begin + lengths[i]])
        return found

    def download(self, key: str, path: Path, on_block: Callable[[], None]) -> str:
        meta = next(_in_order([_call(self._meta, key)], on_block))
        if meta is None:
            raise missing(self._url, key)
        size, etag = int(meta["size"]), meta["e_tag"]

        def fetch(start: int) -> Any:
            # The same bytes from first to last: a blob that is replaced meanwhile is refused, not mixed.
            options = {"range": (start, min(start + GET_BLOCK, size)), **({"if_match": etag} if etag else {})}
            try:
                return obstore.get(self._store, key, options=options).bytes()
            except Exception as error:
                if type(error).__name__ == "PreconditionError":
                    raise ReplacedBlobError(
                        f"{key} in {self._url} was replaced while it was read.", "List the archive again."
                    ) from None
                raise self._failed(error, key, "read") from None

        digest = hashlib.blake2b(digest_size=32)
        with new_file(path, key) as target:
            for block in _in_order([_call(fetch, start) for start in range(0, size, GET_BLOCK)], on_block):
                digest.update(block)
                target.write(block)
        return digest.hexdigest()

    def head(self, key: str) -> BlobInfo | None:
        meta = self._meta(key)
        return None if meta is None else self._info(meta)

    def _meta(self, key: str) -> Any:
        try:
            return obstore.head(self._store, key)
        except Exception as error:
            if status_of(error) not in (401, 403, 404) and not isinstance(error, FileNotFoundError):
                raise self._failed(error, key, "read") from None
        # An answer to HEAD has no words: a missing container and a missing blob look alike, and so do all refusals.
        try:
            obstore.get_range(self._store, key, start=0, length=1)
        except Exception as error:
            failure = self._failed(error, key, "read")
            if isinstance(failure, MissingBlobError):
                return None
            if not _is_past_end(error):
                raise failure from None
        try:
            return obstore.head(self._store, key)  # it came between the two questions
        except Exception as error:
            raise self._failed(error, key, "read") from None

    def list(self, prefix: str, after: str | None, on_unreadable: OnUnreadable | None) -> Iterator[BlobInfo]:
        last = ""
        try:
            for page in obstore.list(self._store, prefix or None, offset=after, chunk_size=1000):
                for meta in page:
                    key = meta["path"]
                    if key <= last:
                        if meta["size"] == 0:  # a folder's marker (`folder/`), which obstore shows without its slash
                            continue
                        raise StoreError(
                            f"{self._url} lists {key} after {last}, which is not the order of names.",
                            "Use an account without hierarchical namespace, or copy the archive to a folder.",
                        )
                    last = key
                    # obstore drops a slash at the end of the offset, and with it comes before more keys.
                    if after is None or key > after:
                        yield self._info(meta)
        except ChimpError:
            raise
        except Exception as error:
            raise self._failed(error, prefix, "listed") from None

    def delete(self, key: str) -> None:
        try:
            obstore.delete(self._store, key)
        except Exception as error:
            if isinstance(error, FileNotFoundError) and "container" not in str(error):
                return
            raise self._failed(error, key, "deleted") from None

    def _failed(self, error: Exception, key: str, verb: str) -> ChimpError:
        return error if isinstance(error, ChimpError) else self._explain(error, key, verb)

    @staticmethod
    def _info(meta: Any) -> BlobInfo:
        etag = (meta["e_tag"] or "").strip('"') or f"{meta['last_modified'].timestamp():.6f}-{meta['size']:x}"
        return BlobInfo(meta["path"], meta["size"], etag, meta["last_modified"].astimezone(UTC))


def explain_memory(url: str) -> Explain:
    """Explains errors of a store in memory: there is only one."""

    def explain(error: Exception, key: str, verb: str) -> ChimpError:
        if isinstance(error, FileNotFoundError):
            return missing(url, key)
        return StoreError(f"{key} in {url} could not be {verb}: {error}.", "Report this.")

    return explain


def _rewound(source: Source) -> bool:
    """Whether a source can be read once more, from its beginning."""
    if isinstance(source, bytes | bytearray | memoryview | Path):
        return True
    if not source.seekable():
        return False
    source.seek(0)
    return True


def _is_past_end(error: Exception) -> bool:
    return status_of(error) == 416 or "but object was only" in str(error)


def _call(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _in_order(calls: Sequence[Callable[[], Any]], on_wait: Callable[[], None]) -> Iterator[Any]:
    """Results in the order of the calls, several of which run at once; on_wait at each and while waiting."""
    pool = ThreadPoolExecutor(min(GET_IN_FLIGHT, max(1, len(calls))), thread_name_prefix="fetch")
    running: deque[Future[Any]] = deque()
    waiting = iter(calls)
    try:
        while True:
            while len(running) < GET_IN_FLIGHT and (call := next(waiting, None)) is not None:
                running.append(pool.submit(call))
            if not running:
                return
            while not running[0].done():
                wait([running[0]], timeout=_BEAT_S)
                on_wait()
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
