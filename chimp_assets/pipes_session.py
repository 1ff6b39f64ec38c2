"""How a heavy step reports: to Dagster Pipes if that started the process, else to the streams of a shell.

Belongs here: what a step's `main` opens, and the loader and writer that the environment asks for. Does not belong here:
the work of a step (`vision`, `loop`), the side of Dagster that reads the messages (`compute`).

The environment: `DAGSTER_PIPES_CONTEXT` and `DAGSTER_PIPES_MESSAGES` say that there is somebody to report to.
`CHIMP_PIPES_KIND=azureml`: context and messages are blobs of the account `CHIMP_PIPES_ACCOUNT_URL`, opened with
`AZURE_STORAGE_ACCOUNT_KEY` if that is set, else with the identity of the machine.

Messages of ours are custom messages with a key "chimp": `made` for what was made of one partition, and `done` at the
very end. A job may be cancelled, or its machine taken, and still look successful: only `done` says that the work is
whole.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster_pipes

from chimp_assets import markdown
from chimp_assets.errors import SettingsError

if TYPE_CHECKING:
    from dagster_pipes import PipesContext

MESSAGE = "chimp"
"""The key of our custom messages; its value is MADE or DONE."""
MADE, DONE = "made", "done"

MOST_METADATA_BYTES = 200_000
"""Of all metadata of one report: it lies in the event log for ever, and passes a pod's log as one line."""

_SECONDS_BETWEEN_LINES = 20.0
_UPLOAD_PATIENCE_S = 1800.0
"""The last messages are tried this long: without them an hour of work counts as failed."""


class PipesSession:
    """Where a step reports while it works.

    pipes: Dagster's context, None in a shell. first: whether this process speaks for the step, which one of several
    ranks does.
    """

    def __init__(self, pipes: PipesContext | None, first: bool) -> None:
        self._pipes, self._first = pipes, first
        self._next_line = 0.0

    def say(self, text: str) -> None:
        """A sentence: into Dagster's log, or on the error stream."""
        if self._pipes is not None:
            self._pipes.log.info(text)
        elif self._first:
            sys.stderr.write(f"{text}\n")

    def progress(self, what: str, done: int, total: int) -> None:
        """A line from time to time, however often it is called; the type is `loop.progress.Progress`."""
        now = time.monotonic()
        if now >= self._next_line or done == total:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            self.say(f"{what}: {done} of {total}")

    def made(self, asset: str, partition: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Something was made of one partition: the op that asked for it records the materialisation."""
        if self._pipes is not None:
            self._pipes.report_custom_message(
                {MESSAGE: MADE, "asset": asset, "partition": partition, "metadata": dict(metadata or {})}
            )

    def done(self, report: Mapping[str, Any], text: str | None = None, plot: bytes | None = None) -> None:
        """The end, once: the work is whole. report: of JSON's types; plot: a PNG for Dagster.

        In an asset's step the report becomes the metadata of its materialisation. In a shell it is one line of JSON on
        the output stream.
        """
        if text is not None:
            self.say(text)
        if self._pipes is None:
            if self._first:
                sys.stdout.write(json.dumps(dict(report), sort_keys=True) + "\n")
                sys.stdout.flush()
            return
        if self._pipes.is_asset_step:
            self._pipes.report_asset_materialization(metadata=_metadata(report, plot))
        self._pipes.report_custom_message({MESSAGE: DONE, "report": dict(report)})


def _metadata(report: Mapping[str, Any], plot: bytes | None) -> dict[str, Any]:
    """What fits into MOST_METADATA_BYTES, in the order of the report, the plot last; what does not is named."""
    shown: dict[str, Any] = {name: _typed(value) for name, value in report.items() if value is not None}
    if plot is not None:
        shown["plot"] = {"type": "md", "raw_value": markdown.picture(plot, "png", "loss and accuracy")}
    room, left_out = MOST_METADATA_BYTES, []
    for name, value in list(shown.items()):
        size = len(json.dumps(value))
        if size <= room:
            room -= size
        else:
            left_out.append(name)
            del shown[name]
    if left_out:
        shown["too_large_to_show"] = ", ".join(left_out)
    return shown


def _typed(value: Any) -> Any:
    return {"type": "json", "raw_value": value} if isinstance(value, dict | list) else value


@contextmanager
def pipes_session(first: bool = True) -> Iterator[PipesSession]:
    """What a heavy step reports to. first: whether this process speaks for the step (rank 0 of several).

    Raises SettingsError if the environment asks for a kind of messages that there is not, or leaves out its address.
    """
    if not first or dagster_pipes.DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield PipesSession(None, first)
        return
    with _open_pipes() as pipes:
        yield PipesSession(pipes, first)


def _open_pipes() -> PipesContext:
    kind = os.environ.get("CHIMP_PIPES_KIND", "")
    if not kind:
        return dagster_pipes.open_dagster_pipes()
    if kind != "azureml":
        raise SettingsError(
            f"CHIMP_PIPES_KIND is {kind}, and there are no such messages.", "Unset it, or set it to azureml."
        )
    client = _blob_service()
    return dagster_pipes.open_dagster_pipes(
        context_loader=dagster_pipes.PipesAzureBlobStorageContextLoader(client), message_writer=_BlobMessages(client)
    )


def _blob_service() -> Any:
    """The account of the messages, a BlobServiceClient: by its key (Azurite, tests), else by an identity."""
    address = os.environ.get("CHIMP_PIPES_ACCOUNT_URL", "")
    if not address:
        raise SettingsError(
            "CHIMP_PIPES_KIND is azureml, but CHIMP_PIPES_ACCOUNT_URL names no storage account.",
            "The client that starts the job sets both: start the step by Dagster.",
        )
    from azure.storage.blob import BlobServiceClient

    key = os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    if key:
        return BlobServiceClient(address, credential=key)
    from azure.identity import DefaultAzureCredential

    # Azure ML names the identity of a job by a variable of its own.
    identity = os.environ.get("AZURE_CLIENT_ID") or os.environ.get("DEFAULT_IDENTITY_CLIENT_ID")
    chosen = {"managed_identity_client_id": identity} if identity else {}
    return BlobServiceClient(address, credential=DefaultAzureCredential(**chosen))


class _BlobMessages(dagster_pipes.PipesAzureBlobStorageMessageWriter):
    """Messages as numbered blobs, of a job that may have begun before and whose network may be away for a while.

    The library's writer gives up at the first blob that is there already, which a restarted job meets at once, and at
    the first error of the network; and the job then ends well without its last messages.
    """

    def make_channel(self, params: dagster_pipes.PipesParams) -> _BlobMessageChannel:
        return _BlobMessageChannel(self._client, params["bucket"], params.get("key_prefix"), interval=self.interval)


class _BlobMessageChannel(dagster_pipes.PipesAzureBlobStorageMessageWriterChannel):
    def upload_messages_chunk(self, payload: Any, index: int) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

        text, give_up, pause = payload.read(), time.monotonic() + _UPLOAD_PATIENCE_S, 1.0
        while True:
            key = f"{self._key_prefix}/{self._counter}.json" if self._key_prefix else f"{self._counter}.json"
            try:
                with self._client.get_blob_client(self._bucket, key) as blob:
                    blob.upload_blob(text)
                return
            except ResourceExistsError:
                # Of the job before its restart; or ours, whose answer was lost, and then it is read twice.
                self._counter += 1
            except AzureError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 30.0)

    @contextmanager
    def buffered_upload_loop(self) -> Iterator[None]:
        from threading import Event, Thread

        closed = Event()
        thread = Thread(target=self._upload_loop, args=(closed,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            closed.set()
            thread.join(timeout=_UPLOAD_PATIENCE_S + 60)
