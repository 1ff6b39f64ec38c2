"""kill -9 of everything that `chimp up` starts, and of itself, while people label and videos arrive.

A generated archive whose clips arrive one by one, a person who answers all the time, and a killer that picks page,
ranker, daemon, code server, run workers, decoders, Dagster's web UI, watchdog and supervisor in turn. After a killed
supervisor `chimp up` is started again at once. At the end: every answer that was acknowledged is there, the numbers of
the answers have no gap, no pool slot is claimed for a dead run, and no process is left of an earlier start.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from benchmarks.support.harness import Row, cores
from chimp_assets.dagster_home import POOLS, folder_for_dagster
from chimp_assets.database import schema as t
from chimp_assets.database.upkeep.invariants import gap_in_annotation_numbers
from chimp_assets.demo.archive import make_archive
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.run import DEMO_TOML, SENSOR_SECONDS
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.home import Home, init_home
from chimp_assets.operations import processes, supervisor
from chimp_assets.web.auth.accounts import set_password

WHO, PASSWORD = "expert", "a chimpanzee in the fig tree"
AFTER_S = 90.0
"""So long after the last kill nothing of it may be left."""
BACK_S = 15.0
LOOK_S = 0.1

# What each victim is called, and by which words of its command line it is known.
VICTIMS = {
    "page": "chimp_assets.web.serve",
    "ranker": "chimp_assets.loop.rerank",
    "daemon": "dagster-daemon",
    "code server": "api grpc",
    "run worker": "multiprocessing.spawn",
    "decoder": "chimp_assets.archive.video.workers",
    "web UI": "chimp_assets.web.dagster.serve",
    "watchdog": "chimp_assets.operations.watchdog",
    "supervisor": "cli up",
}


class Up:
    """`chimp up` of a home, started again whenever it is gone."""

    def __init__(self, home: Home, log: Path) -> None:
        self.home = home
        self.page_port = supervisor.free_port(0)
        self._ui_port = supervisor.free_port(0)
        self._log = log
        self.process = self.start()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.page_port}"

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it, as a person would who finds it gone."""
        command = ["-m", "chimp_assets.cli", "up", "--port", str(self._ui_port), "--page-port", str(self.page_port)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **SENSOR_SECONDS, "CHIMP_HOME": str(self.home.settings.home)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def victims(self, kind: str) -> list[psutil.Process]:
        """Living processes of a kind that belong to this home."""
        if kind == "supervisor":
            return [psutil.Process(self.process.pid)] if self.process.poll() is None else []
        if kind == "watchdog":
            there = psutil.Process(self.process.pid).children() if self.process.poll() is None else []
        else:
            there = processes.marked(home=self.home.settings.home)
        return [one for one in there if VICTIMS[kind] in _words(one)]

    def answers(self) -> bool:
        """Whether the page does."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
        return False


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class Labeller(threading.Thread):
    """A person who answers all the time and remembers what was acknowledged."""

    def __init__(self, up: Up) -> None:
        super().__init__(daemon=True)
        self._up = up
        self._done = threading.Event()
        self.acknowledged: set[str] = set()
        self._browser: urllib.request.OpenerDirector | None = None

    def end(self) -> None:
        """After the answer at hand."""
        self._done.set()
        self.join(60)

    def run(self) -> None:
        """Answers until the end; what was not acknowledged is sent again, as the page does."""
        event: dict[str, Any] | None = None
        while not self._done.wait(0.2):
            try:
                event = event or self._event()
                if event is not None and self._sent(event):
                    self.acknowledged.add(event["annotation_id"])
                    event = None
            except (OSError, ValueError, sa.exc.SQLAlchemyError):
                continue

    def _event(self) -> dict[str, Any] | None:
        with self._up.home.database.read() as conn:
            tracks = conn.scalars(sa.select(t.track.c.track_id).where(t.track.c.state == "live").limit(200)).all()
        if not tracks:
            return None
        track_id = random.choice(tracks)
        return {"annotation_id": str(uuid.uuid4()), "kind": "unknown", "track_id": track_id, "seconds": 2.0}

    def _sent(self, event: dict[str, Any]) -> bool:
        if self._browser is None:
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
            self._post(browser, "/api/sign-in", {"name": WHO, "password": PASSWORD})
            self._browser = browser
        try:
            answer = self._post(self._browser, "/api/events", {"events": [event]})
        except urllib.error.HTTPError as error:
            if error.code == 401:
                self._browser = None
            raise
        return bool(answer["results"][0]["status"] in ("stored", "duplicate"))

    def _post(self, browser: urllib.request.OpenerDirector, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json", "Origin": self._up.url}
        request = urllib.request.Request(self._up.url + path, json.dumps(body).encode(), headers)
        with browser.open(request, timeout=20) as answer:
            return json.loads(answer.read())


class Page(threading.Thread):
    """Looks at the page all the time, and says how long it was away each time."""

    def __init__(self, up: Up) -> None:
        super().__init__(daemon=True)
        self._up = up
        self._done = threading.Event()
        self.away_s: list[float] = []
        self.gone_at: float | None = None

    def end(self) -> None:
        """Stops looking."""
        self._done.set()
        self.join(10)

    def run(self) -> None:
        """Looks ten times a second."""
        while not self._done.wait(LOOK_S):
            if self._up.answers():
                if self.gone_at is not None:
                    self.away_s.append(time.monotonic() - self.gone_at)
                self.gone_at = None
            elif self.gone_at is None:
                self.gone_at = time.monotonic()


def measure_up(kills: int, seed: int = 1) -> Iterator[Row]:
    """One row: kills that lost nothing and left nothing."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        home = _home(root)
        ingest = [sys.executable, "-m", "chimp_assets.cli", "ingest", "--json"]
        environment = {**os.environ, "CHIMP_HOME": str(home.settings.home)}
        subprocess.run(
            ingest, env=environment, check=True, stdout=subprocess.DEVNULL
        )  # so that there is what to answer
        up = Up(home, root / "up.log")
        try:
            _wait(up.answers, 180, "the page answers")
        except SystemExit:
            print((root / "up.log").read_text(errors="replace")[-2000:], file=sys.stderr)
            up.process.send_signal(signal.SIGTERM)
            raise
        labeller, page = Labeller(up), Page(up)
        labeller.start()
        page.start()
        waiting = sorted(path for path in (root / "films").rglob("*") if path.is_file())
        killed: Counter[str] = Counter()
        order = list(VICTIMS)
        try:
            while killed.total() < kills:
                time.sleep(rng.uniform(0.5, 4.0))
                if waiting and rng.random() < 0.5:
                    _arrive(waiting.pop(0), root)
                kind = order[killed.total() % len(order)] if rng.random() < 0.5 else rng.choice(order)
                if kind in ("page", "supervisor") and page.gone_at is not None:
                    continue  # how long each kill keeps it away, not how long several do
                if found := up.victims(kind):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        rng.choice(found).send_signal(signal.SIGKILL)
                        killed[kind] += 1
                if up.process.poll() is not None:
                    up.process.wait()
                    up.start()
            left_s = _until_nothing_is_left(up)
            _wait(lambda: up.answers(), 60, "the page answers")
            labeller.end()
            page.end()
            up.process.send_signal(signal.SIGTERM)
            up.process.wait(60)
            alive = len(processes.marked(home=home.settings.home))
            lost, gap = _lost(home, labeller.acknowledged)
        finally:
            up.process.kill()
            processes.end(lambda: processes.marked(home=home.settings.home), 2)
        longest = max(page.away_s, default=0.0)
        yield Row(
            "K2", "kill -9 under chimp up: " + ", ".join(f"{n} {kind}" for kind, n in sorted(killed.items())),
            killed.total(), "kills",
            {
                "answers acknowledged": len(labeller.acknowledged), "of these lost": lost, "gaps": gap,
                "page away at most, s": longest, "page away, median s": statistics.median(page.away_s or [0.0]),
                "page away, times": len(page.away_s), "load of the machine": os.getloadavg()[1],
                "slots and orphans gone after, s": left_s, "alive after the end": alive,
            },
            {}, f"0 lost, nothing left after {AFTER_S:.0f} s, page back in {BACK_S:.0f} s",
            not lost and not gap and not alive and left_s <= AFTER_S and longest <= BACK_S, 1, 0.0, cores(),
        )  # fmt: skip


def _home(root: Path) -> Home:
    make_archive(root / "films", root / "truth.json", individuals=4, cameras=2, days=2, clips=14, seconds=4)
    (root / "archive").mkdir()
    for path in sorted(path for path in (root / "films").rglob("*") if path.is_file())[::3]:
        _arrive(path, root)
    toml = DEMO_TOML.format(archive=root / "archive").replace("bundle_videos = 20", "bundle_videos = 2")
    home = init_home(root / "home", toml=toml)
    SimulatedExpert(home.database, ArchiveTruth.load(root / "truth.json"), seed=1).introduce()
    set_password(home.database, WHO, PASSWORD)
    return home


def _arrive(path: Path, root: Path) -> None:
    target = root / "archive" / path.relative_to(root / "films")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)


def _until_nothing_is_left(up: Up) -> float:
    """Seconds after the last kill until no slot and no process of the killed is left; AFTER_S and more: never."""
    began = time.monotonic()
    while (after := time.monotonic() - began) <= AFTER_S:
        if not _dead_slots(up.home) and not _orphans(up):
            return after
        time.sleep(1)
    return after


def _dead_slots(home: Home) -> int:
    """Slots of the pools that are claimed for runs that have ended."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(folder_for_dagster(home.settings))) as instance:
        claimed = {
            slot.run_id
            for pool in POOLS
            for slot in instance.event_log_storage.get_concurrency_info(pool).claimed_slots
        }
        runs = [instance.get_run_by_id(run_id) for run_id in claimed if run_id]
    return sum(run is not None and run.is_finished for run in runs)


def _orphans(up: Up) -> int:
    """Processes with the mark of a start of this home that nobody watches any more."""
    now: dict[str, set[str]] = {}
    watched = psutil.Process(up.process.pid).children()
    for child in watched:
        with contextlib.suppress(psutil.Error):
            said = child.environ()
            now.setdefault(said.get(processes.UP_ID, ""), set()).add(said.get(processes.PART, ""))
    left = 0
    for process in processes.marked(home=up.home.settings.home):
        with contextlib.suppress(psutil.Error):
            said = process.environ()
            left += said.get(processes.PART, "") not in now.get(said.get(processes.UP_ID, ""), set())
    return left


def _lost(home: Home, acknowledged: set[str]) -> tuple[int, int]:
    """Acknowledged answers that are not stored, and numbers that are missing."""
    with home.database.read() as conn:
        stored = {str(one) for one in conn.scalars(sa.select(t.annotation.c.annotation_id))}
        largest, rows = gap_in_annotation_numbers(conn)
    return len(acknowledged - stored), largest - rows


def _wait(there: Any, within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not there():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited in vain until {what}.")
        time.sleep(0.2)
