"""What a heavy step reports, and that its last word arrives."""

import io
import json

import dagster_pipes
import pytest
from azure.core.exceptions import ResourceExistsError, ServiceRequestError

from chimp_assets import pipes_session as module
from chimp_assets.errors import SettingsError
from chimp_assets.pipes_session import MOST_METADATA_BYTES, pipes_session


class Account:
    """Blobs of a storage account. away: uploads that fail from now on."""

    def __init__(self):
        self.blobs, self.away = {}, 0

    def get_blob_client(self, container, key):
        return Blob(self, key)


class Blob:
    def __init__(self, account, key):
        self._account, self._key = account, key

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def upload_blob(self, text):
        if self._account.away:
            self._account.away -= 1
            raise ServiceRequestError("away")
        if self._key in self._account.blobs:
            raise ResourceExistsError("there")
        self._account.blobs[self._key] = text


@pytest.fixture
def channel(monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    account = Account()
    writer = module._BlobMessages(account)
    return account, lambda: writer.make_channel({"bucket": "c", "key_prefix": "job/messages"})


def test_a_job_that_starts_again_writes_on_behind_its_first_messages(channel):
    """The library stopped at the first blob that was there, and the job ended well without a last word."""
    account, opened = channel
    opened().upload_messages_chunk(io.StringIO("one"), 1)
    again = opened()
    again.upload_messages_chunk(io.StringIO("two"), 1)
    again._counter += 1  # as the library does after each chunk
    again.upload_messages_chunk(io.StringIO("three"), again._counter)
    assert list(account.blobs) == [f"job/messages/{n}.json" for n in (1, 2, 3)]
    assert list(account.blobs.values()) == ["one", "two", "three"]


def test_messages_wait_for_a_storage_that_is_away(channel):
    account, opened = channel
    account.away = 5
    opened().upload_messages_chunk(io.StringIO("one"), 1)
    assert list(account.blobs.values()) == ["one"]


def test_what_is_too_large_for_the_event_log_is_left_out_and_named():
    shown = module._metadata({"model_id": 3, "config": {"a": 1}, "long": "x" * MOST_METADATA_BYTES}, b"png")
    assert shown["model_id"] == 3
    assert shown["config"] == {"type": "json", "raw_value": {"a": 1}}
    assert shown["too_large_to_show"] == "long"
    assert shown["plot"]["type"] == "md"


def test_without_pipes_the_report_is_one_line_and_only_the_first_rank_speaks(capsys):
    for first in (True, False):
        with pipes_session(first) as session:
            session.progress("embed", 1, 2)
            session.progress("embed", 2, 2)
            session.made("tracks", "site-0001")
            session.done({"b": 1, "a": None}, "Done.")
    said = capsys.readouterr()
    assert said.err.splitlines() == ["embed: 1 of 2", "embed: 2 of 2", "Done."]
    assert [json.loads(line) for line in said.out.splitlines()] == [{"a": None, "b": 1}]


@pytest.mark.parametrize(("kind", "says"), [("pigeon", "no such messages"), ("azureml", "CHIMP_PIPES_ACCOUNT_URL")])
def test_a_job_that_cannot_report_says_so_before_it_works(monkeypatch, kind, says):
    monkeypatch.setenv(dagster_pipes.DAGSTER_PIPES_CONTEXT_ENV_VAR, "x")
    monkeypatch.setenv("CHIMP_PIPES_KIND", kind)
    monkeypatch.delenv("CHIMP_PIPES_ACCOUNT_URL", raising=False)
    with pytest.raises(SettingsError, match=says), pipes_session():
        pass
