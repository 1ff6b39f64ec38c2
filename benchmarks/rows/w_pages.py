"""W: how long a person waits for a page, with 300 individuals, 100,000 tracks and a million answers (SQLite).

The generated archive of 3 M frames, 102,000 tracks, with answers by the product's own path until there are a million:
five people, one answer in twelve is another name than the track's, one in fifty is taken back. The server runs in a
process of its own; requests come one after the other. Of each page:

- milliseconds from the request to its last byte, READS times, an answer being stored before each, so that nothing can
  rest on what was reckoned before; told: the p95 of the slowest page, and each beside it;
- the first reading of a server that has just started.

Of the network also the first contentful paint in a browser (Debian's Chromium) that begins with nothing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.archives import archive, folder
from benchmarks.support.harness import Row, cores
from benchmarks.support.web import served, sign_in
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.people.users import add_user
from chimp_assets.home import init_home
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.web.label_home import PASSWORD

EVENTS = 1_000_000
AT_ONCE = 2_000
READS = 20
PAINTS = 5
PAGE_MS, PAINT_MS = 1_000.0, 1_500.0
LONGEST_MS = 600_000.0
"""A slow page is measured too."""
PEOPLE = {
    "anna": "expert", "rita": "reviewer", "ida": "identifier", "vera": "volunteer", "vito": "volunteer", "ada": "admin",
}  # fmt: skip
ANSWERING = ("anna", "rita", "ida", "vera", "vito")
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


def measure() -> Iterator[Row]:
    """A row for the pages, one for their first readings, one for the network's paint."""
    from playwright.sync_api import sync_playwright

    file = labelled()
    with tempfile.TemporaryDirectory(prefix="chimp-w-", dir=folder()) as made:
        root = Path(made) / "home"
        init_home(root).database.dispose()
        shutil.copyfile(file, root / "chimp.db")
        db = Database(f"sqlite:///{root / 'chimp.db'}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            context = browser.new_context()
            asked = _pages(db)
            first: dict[str, float] = {}
            for name, path in asked.items():
                with served(root) as url:
                    sign_in(context, url, "ada")
                    first[name] = _ms(context, url, path)
            with served(root) as url:
                sign_in(context, url, "ada")
                answers = _Answers(db)
                times: dict[str, list[float]] = {name: [] for name in asked}
                for _ in range(READS):
                    for name, path in asked.items():
                        answers.store(1)
                        times[name].append(_ms(context, url, path))
                paints = [_paint_ms(browser, url, asked["network"]) for _ in range(PAINTS)]
            browser.close()
        db.dispose()
    p95 = {name: float(np.quantile(ms, 0.95)) for name, ms in times.items()}
    worst = max(p95, key=lambda name: p95[name])
    spread = (max(times[worst]) - min(times[worst])) / float(np.median(times[worst]))
    yield Row(
        "W", f"the slowest page ({worst}), p95 of {READS} readings", p95[worst], "ms", p95, {},
        f"< {PAGE_MS:.0f} ms", p95[worst] < PAGE_MS, READS, spread, cores(),
    )  # fmt: skip
    worst = max(first, key=lambda name: first[name])
    yield Row(
        "W", f"the slowest first reading of a new server ({worst})", first[worst], "ms", first, {},
        f"< {PAGE_MS:.0f} ms", first[worst] < PAGE_MS, 1, 0.0, cores(),
    )  # fmt: skip
    middle = float(np.median(paints))
    yield Row(
        "W", "first paint of the network, browser without anything kept", middle, "ms", {}, {},
        f"< {PAINT_MS:.0f} ms", max(paints) < PAINT_MS, PAINTS, (max(paints) - min(paints)) / middle, cores(),
    )  # fmt: skip


def labelled() -> Path:
    """The archive with its million answers; made if it is not there (some ten minutes)."""
    file = folder() / "3M-answered.db"
    if not file.is_file():
        archive("3M").dispose()
        partial = file.with_name("part-3M-answered.db")
        shutil.copyfile(folder() / "3M.db", partial)
        db = Database(f"sqlite:///{partial}")
        for name, role in PEOPLE.items():
            add_user(db, name, role)
            set_password(db, name, PASSWORD)
        answers = _Answers(db)
        while answers.stored < EVENTS:
            answers.store(min(AT_ONCE, EVENTS - answers.stored))
        with db.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.dispose()
        partial.replace(file)
    return file


class _Answers:
    """Answers of five people on tracks drawn at random; the same ones each time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        with db.read() as conn:
            self.stored = int(conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) or 0)
            p, i = t.prediction.c, t.individual.c
            first = sa.select(p.track_id, p.individual_id).where(p.rank == 1).order_by(p.track_id)
            rows = np.array(conn.execute(first).all())
            coded = conn.execute(sa.select(i.individual_id, i.anim_id))
            self._codes = {row.individual_id: row.anim_id for row in coded}
        self._tracks, self._who = rows[:, 0], rows[:, 1]
        self._all = sorted(self._codes)
        self._rng = np.random.default_rng(self.stored)

    def store(self, n: int) -> None:
        """n more events, a minute after each other."""
        rng, events = self._rng, []
        at = rng.integers(len(self._tracks), size=n)
        for k, row in enumerate(at):
            said = BEGAN + timedelta(minutes=self.stored + k)
            one: dict[str, Any] = {"annotation_id": str(uuid.UUID(bytes=rng.bytes(16), version=4))}
            one |= {"annotator": ANSWERING[int(rng.integers(5))], "client_time": said, "seconds": 3.0}
            one |= {"shown": _shown(rng)}
            draw = rng.random()
            who = self._codes[int(self._who[row]) if draw > 0.083 else self._all[int(rng.integers(len(self._all)))]]
            if draw > 0.95:
                events.append(LabelEvent(kind="unknown", track_id=int(self._tracks[row]), **one))
            elif draw > 0.93 and events and events[-1].kind != "retract":
                one["annotator"] = events[-1].annotator
                events.append(LabelEvent(kind="retract", supersedes=events[-1].annotation_id, **one))
            else:
                events.append(LabelEvent(kind="identify", track_id=int(self._tracks[row]), anim_id=who, **one))
        done = {result.status for result in record_events(self._db, events)}
        assert done == {"stored"}, done
        self.stored += n


def _shown(rng: np.random.Generator) -> str:
    """What the page writes beside an answer."""
    shown = {
        "mode": "single", "model_id": 3, "candidates": [[f"C{n:03d}", 0.2] for n in rng.integers(300, size=5)],
        "references": [rng.bytes(16).hex() for _ in range(6)], "input": "key", "ui": "w", "schema": 1,
    }  # fmt: skip
    return json.dumps(shown)


def _pages(db: Database) -> dict[str, str]:
    """Name to path. The individuals are the three that are named most: their pages have most to read."""
    with db.read() as conn:
        a, i = t.annotation.c, t.individual.c
        most = conn.execute(
            sa.select(i.anim_id)
            .join_from(t.annotation, t.individual, a.individual_id == i.individual_id)
            .group_by(i.anim_id)
            .order_by(sa.func.count().desc())
            .limit(3)
        ).scalars()
        one, two, three = most
    pair = f"{one},{two}"
    return {
        "home": "/",
        "label": "/label",
        "names of the label page": "/api/individuals",
        "grid": f"/api/grid?anim_id={one}",
        "boxes": "/api/boxes/next",
        "individuals": "/individuals",
        "individual": f"/individual/{one}",
        "together in a frame": f"/together?with={pair}",
        "together in a clip": f"/together?with={pair}&rule=clip",
        "together in 10 minutes": f"/together?with={pair}&rule=minutes&minutes=10",
        "three together": f"/together?with={pair},{three}&rule=clip",
        "together by the model": f"/together?with={pair}&rule=clip&names=model",
        "network": "/together/network",
        "network of 10 minutes": "/together/network?rule=minutes&minutes=10",
        "matrix": "/together/matrix",
        "table of pairs": "/together/table",
        "review": "/review",
        "review: how many": "/api/review/counts",
        "review: cases": "/api/review/cases?queue=names",
        "my answers": "/mine",
        "models": "/models",
        "data": "/data",
        "users": "/users",
    }


def _ms(context: Any, url: str, path: str) -> float:
    began = time.perf_counter()
    answer = context.request.get(f"{url}{path}", timeout=LONGEST_MS)
    answer.body()
    spent = time.perf_counter() - began
    assert answer.ok, f"{path}: {answer.status} {answer.text()[:200]}"
    return 1e3 * spent


def _paint_ms(browser: Any, url: str, path: str) -> float:
    context = browser.new_context(service_workers="block")
    sign_in(context, url, "ada")
    page = context.new_page()
    page.goto(f"{url}{path}", wait_until="load")
    page.locator(".graph").wait_for()
    ms = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    return float(ms)
