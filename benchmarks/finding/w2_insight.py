"""W2: how long a person waits for each page of insight, with 100,000 tracks and a million answers (SQLite).

The archive of 3 M frames with 300 individuals, half of whose tracks people have named (`answered`). A server
in a process of its own; requests come one after the other, with other words each time, and before each an answer is
stored, so that nothing rests on what was reckoned before. Of each page:

- milliseconds from the request to its last byte (of a CSV: to its first), READS times; told: the p95 of the slowest
  page, each beside it, and the seconds of the server's CPU, since a machine may be shared;
- the first reading of each, of a server that has just started and reads what it keeps.

`CHIMP_BENCH_PAGES=search,change` measures some of them. A second row times the comparison around a birth with 340,000
tracks (10 M frames), of which the model names most.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.finding.answered import answered
from benchmarks.support.archives import folder
from benchmarks.support.harness import Row, cores
from benchmarks.support.web import served_by
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.home import Home, init_home
from chimp_assets.insight.report.kept import keep_report
from chimp_assets_tests.web.label_home import PASSWORD

ANSWERS = 1_000_000
NAMED = 0.5
READS = 20
PAGE_MS, CHANGE_MS = 500.0, 2_000.0
LONGEST_S = 600.0
Address = Callable[[int], str]
"""Of each reading."""


def measure() -> Iterator[Row]:
    """A row for the pages, one for their first readings, two for the comparison in a larger archive."""
    yield from _measured(answered("3M", ANSWERS, NAMED), _pages, PAGE_MS, "page")
    if not _wanted() or "birth" in _wanted():
        yield from _measured(answered("10M", 10_000), _births, CHANGE_MS, "comparison, 340,000 tracks")


def _measured(file: Path, pages: Callable[[Database], dict[str, Address]], most_ms: float, what: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="chimp-w2-", dir=folder()) as made:
        root = Path(made) / "home"
        init_home(root).database.dispose()
        shutil.copyfile(file, root / "chimp.db")
        db = Database(f"sqlite:///{root / 'chimp.db'}")
        if pages is _pages:
            keep_report(Home.open(root))
        asked = {name: path for name, path in pages(db).items() if not _wanted() or name in _wanted()}
        first: dict[str, float] = {}
        times: dict[str, list[float]] = {name: [] for name in asked}
        cpu: dict[str, list[float]] = {name: [] for name in asked}
        with served_by(root) as (url, process):
            client, answers = _Client(url), _Answers(db)
            for name, path in asked.items():
                first[name] = client.ms(path(0))
            for read in range(READS):
                for name, path in asked.items():
                    answers.store()
                    began = _cpu_ms(process)
                    times[name].append(client.ms(path(read + 1)))
                    cpu[name].append(_cpu_ms(process) - began)
        db.dispose()
    if not asked:
        return
    p95 = {name: float(np.quantile(ms, 0.95)) for name, ms in times.items()}
    spent = {f"CPU {name}": float(np.quantile(ms, 0.95)) for name, ms in cpu.items()}
    worst = max(p95, key=lambda name: p95[name])
    spread = (max(times[worst]) - min(times[worst])) / float(np.median(times[worst]))
    yield Row(
        "W2", f"the slowest {what} ({worst}), p95 of {READS} readings", p95[worst], "ms", p95 | spent, {},
        f"< {most_ms:.0f} ms", p95[worst] < most_ms, READS, spread, cores(),
    )  # fmt: skip
    worst = max(first, key=lambda name: first[name])
    yield Row(
        "W2", f"the slowest first {what} of a new server ({worst})", first[worst], "ms", first, {}, "told", True, 1,
        0.0, cores(),
    )  # fmt: skip


def _wanted() -> set[str]:
    return {name for name in os.environ.get("CHIMP_BENCH_PAGES", "").split(",") if name}


def _pages(db: Database) -> dict[str, Address]:
    """Name to the address of each reading."""
    facts = _Facts(db)
    code, video, track, day = facts.code, facts.video, facts.track, facts.day
    return {
        "home": lambda n: "/",
        "search": lambda n: "/search",
        "search who": lambda n: f"/search?who={code(n)}&sort=doubt",
        "search many words": lambda n: f"/search?who=!{code(n)}&by=model&p=0.5-0.9&hour=6-{9 + n % 8}&sort=quality",
        "search beside": lambda n: f"/search?with={code(n)}&status=unnamed&since={day(n)}",
        "search.csv": lambda n: f"/search.csv?who={code(n)}#first",
        "search.csv all": lambda n: "/search.csv#first",
        "similar": lambda n: f"/similar?to={track(n)}",
        "video": lambda n: f"/video/{video(n)}",
        "video boxes": lambda n: f"/api/videos/{video(n)}/boxes?from={n}&to={n + 60}",
        "together": lambda n: f"/together?with={code(n)},{code(n + 1)}&rule=clip&names=model&p=0.5",
        "change": lambda n: f"/together/change?birth={facts.birth(n)}&days={300 + n}",
        "change model": lambda n: f"/together/change?birth={facts.birth(n)}&days={300 + n}&names=model&p=0.5",
        "change all": lambda n: f"/together/change?departure={facts.departure(n)}&days={300 + n}&names=model&p=0.5",
        "over time": lambda n: f"/together/over-time?step=quarter&at={day(n)}&names=model&p=0.5",
        "patterns": lambda n: f"/together/patterns?since={day(n)}&names=model&p=0.5",
        "network": lambda n: f"/together/network?names=model&p={0.5 + n / 100}",
        "network of a year": lambda n: f"/together/network?since={day(n)}&names=model&p=0.5",
        "pairs": lambda n: f"/together/table?names=model&p={0.5 + n / 100}",
        "tables": lambda n: "/tables",
        "reports": lambda n: "/report",
        "report": lambda n: f"/report/{facts.today}.html",
        "questions": lambda n: "/questions",
        "individuals": lambda n: "/individuals",
        "individual": lambda n: f"/individual/{code(n)}",
        "gallery": lambda n: f"/individual/{code(n)}?source=model&before={track(n)}",
        "fairness": lambda n: "/fairness",
        "export": lambda n: "/export",
    }


def _births(db: Database) -> dict[str, Address]:
    facts = _Facts(db)
    return {
        "birth": lambda n: f"/together/change?birth={facts.birth(n)}&days={300 + n}&names=model&p=0.5",
        "birth, by clips": lambda n: (
            f"/together/change?birth={facts.birth(n)}&days={300 + n}&names=model&p=0.5&rule=clip"
        ),
    }


class _Facts:
    """Words of addresses: others each time, the commonest first."""

    def __init__(self, db: Database) -> None:
        from chimp_assets.insight.association.periods.presets import life_events

        p, i, v = t.prediction.c, t.individual.c, t.video.c
        with db.read() as conn:
            often = (
                sa.select(i.anim_id)
                .join_from(t.prediction, t.individual, p.individual_id == i.individual_id)
                .where(p.rank == t.FIRST_RANK)
                .group_by(i.anim_id)
                .order_by(sa.func.count().desc())
            )
            self._codes = list(conn.scalars(often.limit(READS + 2)))
            self._videos = list(conn.scalars(sa.select(v.video_id).order_by(v.n_frames.desc()).limit(READS + 1)))
            self._days = list(
                conn.scalars(sa.select(v.recorded_on).distinct().order_by(v.recorded_on.desc()).limit(700))
            )
            tracks = np.array(list(conn.scalars(sa.select(t.track.c.track_id).order_by(t.track.c.track_id))))
            events = life_events(conn)
        self._tracks = tracks[np.random.default_rng(1).integers(len(tracks), size=READS + 1)].tolist()
        self._births = [one.anim_id for one in events if one.what == "birth"]
        self._departures = [one.anim_id for one in events if one.what == "departure"]
        self.today = time.strftime("%Y-%m-%d", time.gmtime())

    def code(self, n: int) -> str:
        return str(self._codes[n % len(self._codes)])

    def video(self, n: int) -> int:
        return int(self._videos[n % len(self._videos)])

    def track(self, n: int) -> int:
        return int(self._tracks[n % len(self._tracks)])

    def day(self, n: int) -> str:
        return str(self._days[(365 + 7 * n) % len(self._days)])

    def birth(self, n: int) -> str:
        return str(self._births[n % len(self._births)])

    def departure(self, n: int) -> str:
        return str(self._departures[n % len(self._departures)])


class _Answers:
    """One answer at a time, about another track each."""

    def __init__(self, db: Database) -> None:
        self._db, self._rng = db, np.random.default_rng(3)
        p, i = t.prediction.c, t.individual.c
        with db.read() as conn:
            first = sa.select(p.track_id, i.anim_id).join_from(
                t.prediction, t.individual, p.individual_id == i.individual_id
            )
            self._named = conn.execute(first.where(p.rank == t.FIRST_RANK)).all()

    def store(self) -> None:
        track_id, code = self._named[int(self._rng.integers(len(self._named)))]
        event = LabelEvent(str(uuid.uuid4()), "identify", "anna", track_id=track_id, anim_id=code, seconds=3.0)
        assert record_events(self._db, [event])[0].status == "stored"


class _Client:
    """A person who is signed in."""

    def __init__(self, url: str) -> None:
        self._url = url
        body = json.dumps({"name": "ada", "password": PASSWORD}).encode()
        headers = {"Origin": url, "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/api/sign-in", body, headers)) as said:
            self._cookie = "; ".join(one.split(";")[0] for one in said.headers.get_all("Set-Cookie") or [])

    def ms(self, path: str) -> float:
        """Milliseconds to the last byte; to the first where the address ends in #first."""
        address, _, first = path.partition("#")
        request = urllib.request.Request(f"{self._url}{address}", headers={"Cookie": self._cookie})
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=LONGEST_S) as answer:
            answer.read(1) if first else answer.read()
            return 1e3 * (time.perf_counter() - began)


def _cpu_ms(process: subprocess.Popen[Any]) -> float:
    """CPU that the server has spent, all threads."""
    parts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return 1e3 * (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
