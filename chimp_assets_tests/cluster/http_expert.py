"""The simulated expert at a distance: it asks the labelling page for items and sends its answers there, over HTTP.

Belongs here: the requests. Does not belong here: what it answers (`demo.expert`).
"""

from __future__ import annotations

import http.cookiejar
import json
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from chimp_assets.database.labels.label_event import EventResult, LabelEvent
from chimp_assets.database.work.queue import QueueItem
from chimp_assets.demo.expert import SimulatedExpert

_BATCH = 100


class HttpExpert(SimulatedExpert):
    """An expert in a browser. Use `sign_in` first."""

    url = ""

    def sign_in(self, url: str, password: str) -> None:
        self.url = url
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self._post("/api/sign-in", {"name": self.name, "password": password})

    def claimed(self, n: int, lanes: Sequence[str] | None) -> list[QueueItem]:
        wanted = {"n": n} | ({} if lanes is None else {"lanes": list(lanes)})
        items = self._post("/api/queue/claim", wanted)["items"]
        return [
            # Lane and propensity are the server's own business: what is sent of them is ignored.
            QueueItem(item["item_id"], 0, item["track_id"], "free", place, 1.0, "", item.get("other_track_id"))
            for place, item in enumerate(items)
        ]

    def stored(self, events: list[LabelEvent]) -> list[EventResult]:
        results = []
        for start in range(0, len(events), _BATCH):
            sent = [_as_sent(event) for event in events[start : start + _BATCH]]
            results += self._post("/api/events", {"user": self.name, "events": sent})["results"]
        return [EventResult(r["annotation_id"], r["status"], r["seq"], r["reason"], r["field"]) for r in results]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json", "Origin": self.url}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with self._browser.open(request, timeout=120) as answer:
            return json.loads(answer.read())


def _as_sent(event: LabelEvent) -> dict[str, Any]:
    left_out = {"annotator", "lane", "propensity"}
    return {name: value for name, value in asdict(event).items() if value is not None and name not in left_out}
