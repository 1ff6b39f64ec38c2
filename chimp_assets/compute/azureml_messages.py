"""What a job of Azure ML is told and what it reports, as blobs below one folder for each job.

Belongs here: writing the context, reading the messages in order, removing both. Does not belong here: the job's side
(`chimp_assets.pipes_session`), when to read (`azureml`).

The readers of `dagster_azure.pipes` choose random folders, which a run that comes later cannot find; leave the context
behind after an error; and read the end of a job for ten seconds, in a thread that takes every error for "no message
yet". So this reads Dagster's own protocol over the store that the product has anyway, when it is told to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dagster as dg

from chimp_assets.archive.storage.store import BlobStore, MissingBlobError
from chimp_assets.errors import SettingsError
from chimp_assets.pipes_session import DONE, MADE, MESSAGE

if TYPE_CHECKING:
    from dagster_pipes import PipesContextData, PipesParams

    from chimp_assets.home import Home

_LEFT_AFTER = timedelta(days=1)
_MOST_LEFT_FOLDERS = 50
# They say what the work gave. A start that was cut off is followed by another that says it again.
_RESULTS = ("report_asset_materialization", "report_asset_check", "report_custom_message", "closed")


class Mailbox:
    """The folder of one job's blobs: `context.json`, `messages/1.json`, `messages/2.json`, ..."""

    def __init__(self, store: BlobStore, job: str) -> None:
        self.store, self.job = store, job
        parts = urlsplit(store.url)
        self._container = parts.netloc
        self._folder = "/".join(part for part in (parts.path.strip("/"), job) if part)

    @property
    def context_address(self) -> dict[str, str]:
        """For the job: container and key of the context."""
        return {"bucket": self._container, "key": f"{self._folder}/context.json"}

    @property
    def messages_address(self) -> dict[str, Any]:
        """For the job: container and folder of the messages."""
        return {"bucket": self._container, "key_prefix": f"{self._folder}/messages", "include_stdio_in_messages": False}

    def put_context(self, context: PipesContextData) -> None:
        """The context, in the place of one that a dead run has left."""
        self.store.put(f"{self.job}/context.json", json.dumps(context).encode())

    def message_blob(self, number: int) -> str | None:
        """Lines of JSON; None: not written yet. number: from 1."""
        try:
            return self.store.get(f"{self.job}/messages/{number}.json").decode()
        except MissingBlobError:
            return None

    def clear(self) -> None:
        """Removes all of it; nothing happens where there is nothing."""
        for blob in list(self.store.list(self.job)):
            self.store.delete(blob.key)


class JobContext(dg.PipesContextInjector):
    """Puts the context of a step into the mailbox of its job. It stays until the mailbox is cleared."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    @contextmanager
    def inject_context(self, context_data: PipesContextData) -> Iterator[PipesParams]:
        self._mailbox.put_context(context_data)
        yield dict(self._mailbox.context_address)

    def no_messages_debug_text(self) -> str:
        return "The context lies in the mailbox of the job in Blob storage."


class JobMessages(dg.PipesMessageReader):
    """Hands on the messages of a job, from its first, in order, each once: also to a run that comes later.

    Sentences for the log are handed on as they come. Results are kept until `finish`: a job whose node was taken starts
    again, and what its last start reports is what counts. done: that start has said that its work is whole. failure:
    the error with which it closed.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._next = 1
        self._results: list[dict[str, Any]] = []
        self._handle: Callable[[Any], None] | None = None
        self.done = False
        self.failure = ""

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[PipesParams]:
        self._handle = handler.handle_message
        yield dict(self._mailbox.messages_address)

    def read(self) -> int:
        """Reads what has come since the last time; returns how many blobs. Raises StoreError; then nothing is lost."""
        seen = 0
        while (blob := self._mailbox.message_blob(self._next)) is not None:
            self._next += 1
            seen += 1
            for line in blob.splitlines():
                if line.strip():
                    self._take(json.loads(line))
        return seen

    def finish(self) -> None:
        """Hands on the results of the last start."""
        results, self._results = self._results, []
        for message in results:
            self._hand_on(message)

    def _take(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        if method == "opened":
            # What an earlier start has made of a partition stays true: the next start finds it made.
            self._results, self.done, self.failure = [one for one in self._results if _has_made(one)], False, ""
        elif method == "closed":
            problem = params.get("exception") or {}
            self.failure = str(problem.get("message", "")).strip()
        elif method == "report_custom_message":
            payload = params.get("payload")
            self.done = self.done or (isinstance(payload, dict) and payload.get(MESSAGE) == DONE)
        if method not in _RESULTS:
            self._hand_on(message)
        elif message not in self._results:  # a blob whose acknowledgement was lost is written twice
            self._results.append(message)

    def _hand_on(self, message: dict[str, Any]) -> None:
        assert self._handle is not None, "a session is open while messages are read"
        self._handle(message)

    def on_opened(self, opened_payload: Any) -> None:
        pass

    def on_launched(self, launched_payload: Any) -> None:
        pass

    def no_messages_debug_text(self) -> str:
        return "The job writes its messages into its mailbox in Blob storage."


def mailbox_store(home: Home) -> BlobStore:
    """The store of all mailboxes. Raises SettingsError if it is not in Azure, StoreError if it is not there."""
    settings = home.settings
    url = settings.compute.azureml.messages_url or f"{settings.store_url.rstrip('/')}/jobs"
    if not url.startswith("az://"):
        raise SettingsError(
            f"Jobs of Azure ML report through Blob storage, and {url} is none.",
            "Set store_url, or compute.azureml.messages_url, to az://container/prefix.",
        )
    return BlobStore.open(url)


def account_url() -> str:
    """The address of the storage account, without secrets. Raises StoreError if the environment names none."""
    from chimp_assets.archive.storage.azure import account_of

    account = account_of()
    return str(account.options.get("endpoint") or f"https://{account.host}")


def clear_left_mailboxes(store: BlobStore, has_ended: Callable[[str], bool]) -> int:
    """Removes what dead runs have left: mailboxes without a new blob for a day whose job has ended or is unknown.

    Returns how many. Looks at fifty at most; the next run looks at the next.
    """
    newest: dict[str, datetime] = {}
    for blob in store.list():
        job = blob.key.partition("/")[0]
        newest[job] = max(blob.modified, newest.get(job, blob.modified))
    before = datetime.now(UTC) - _LEFT_AFTER
    cleared = 0
    for job in [job for job, modified in newest.items() if modified < before][:_MOST_LEFT_FOLDERS]:
        if has_ended(job):
            Mailbox(store, job).clear()
            cleared += 1
    return cleared


def _has_made(message: dict[str, Any]) -> bool:
    """Whether a message says that a partition is made."""
    payload = (message.get("params") or {}).get("payload")
    return isinstance(payload, dict) and payload.get(MESSAGE) == MADE
