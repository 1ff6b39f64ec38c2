"""What a job of Azure ML reports when its node is taken and it starts again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.compute.azureml_messages import JobMessages, Mailbox
from chimp_assets.pipes_session import DONE, MADE, MESSAGE


def message(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}


def made(partition: str) -> dict[str, Any]:
    return message("report_custom_message", payload={MESSAGE: MADE, "asset": "a", "partition": partition})


def test_what_a_lost_start_has_made_counts_and_what_it_reported_as_a_whole_does_not(tmp_path: Path) -> None:
    """A bundle that the first start has scored is not scored again, so nobody else would say so."""
    store = BlobStore.open(tmp_path.as_uri(), create=True)
    whole = message("report_asset_materialization", metadata={"start": 1})
    done = message("report_custom_message", payload={MESSAGE: DONE, "report": {"start": 2}})
    starts = [
        [message("opened"), made("one"), made("two"), whole],
        [message("opened"), made("two"), made("three"), done, message("closed")],
    ]
    for number, start in enumerate(starts, 1):
        store.put(f"job/messages/{number}.json", "\n".join(json.dumps(one) for one in start).encode())
    handed: list[dict[str, Any]] = []
    messages = JobMessages(Mailbox(store, "job"))
    with messages.read_messages(SimpleNamespace(handle_message=handed.append)):
        assert messages.read() == 2
        messages.finish()
    assert messages.done
    payloads = [one["params"]["payload"] for one in handed if one["method"] == "report_custom_message"]
    assert [one["partition"] for one in payloads if one[MESSAGE] == MADE] == ["one", "two", "three"]
    assert [one["report"] for one in payloads if one[MESSAGE] == DONE] == [{"start": 2}]
    assert whole not in handed
