"""A camera is turned, in the running system: noticed, told, asked about, learned, closed; kill -9 at each step.

`python -m benchmarks.running.drift_loop [--calm]`. The real daemon on the demo's archive, a web server of this machine
that keeps what it is told, and the simulated expert. When a step is first seen, everything that the daemon has started
is killed, the daemon too, and starts again. No timing: met means that one alert opened, one message came (by its key),
the next plan gave the slice at least a fifth of the questions for names, and the alert closed by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psutil
import sqlalchemy as sa

from benchmarks.support.harness import Row, cores, show
from chimp_assets.addresses import toml_string
from chimp_assets.dagster_home import folder_for_dagster, make_records, prepare
from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.demo.archive import make_archive
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.lives import record_lives
from chimp_assets.demo.run import CLIPS, DEMO_TOML, SENSOR_SECONDS, TURNED
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.home import Home, init_home
from chimp_assets.operations import processes, supervisor
from chimp_assets.operations.home_lock import only_one
from chimp_assets_tests.monitoring.receivers import HookServer

PATIENCE_S = 2400.0
LEAST_SHARE = 0.2
A = t.drift_alert.c


def steps(home: Home) -> dict[str, Callable[[sa.Connection], bool]]:
    """What is killed for, in its order: each says whether it has been reached."""
    opened = sa.select(sa.func.min(A.opened_at)).scalar_subquery()

    def there(query: sa.Select[tuple[int]]) -> Callable[[sa.Connection], bool]:
        return lambda conn: conn.execute(query.limit(1)).first() is not None

    def running(job: str) -> Callable[[sa.Connection], bool]:
        def is_running(conn: sa.Connection) -> bool:
            with dg.DagsterInstance.from_config(str(folder_for_dagster(home.settings))) as instance:
                started = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.STARTED])
                return instance.get_runs_count(started) > 0

        return is_running

    item, event, model = t.acquisition_queue.c, t.annotation.c, t.model.c
    head = sa.and_(model.task == "head", model.created_at > opened)
    return {
        "a look at the archive": running("watch"),
        "an alert": there(sa.select(A.alert_id)),
        "a message": there(sa.select(t.alert_message.c.alert_id)),
        "a plan that asks": there(sa.select(item.item_id).where(item.lane == "drift")),
        "answers": there(sa.select(event.seq).where(event.lane == "drift")),
        "a training": lambda conn: running("retrain")(conn) and there(sa.select(A.alert_id))(conn),
        "a head": there(sa.select(model.model_id).where(head)),
        "a promotion": there(sa.select(model.model_id).where(head, model.state == "champion")),
    }


def kill_all(up_id: str) -> int:
    """kill -9 of everything that carries the mark of this start; how many."""
    dead = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(processes.UP_ID) == up_id:
                process.kill()
                dead += 1
    return dead


def measure(calm: bool = False) -> Row:
    """One archive from the turned camera to the closed alert."""
    hook = HookServer()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_archive(root / "archive", root / "truth.json", clips=CLIPS, turned=TURNED)
        toml = DEMO_TOML.format(archive=toml_string(str(root / "archive"))[1:-1])
        toml = toml.replace("[monitoring]\n", "[monitoring]\nwebhook = true\nmessage_gap_min = 0\n")
        home = init_home(root / "home", toml=toml)
        truth = ArchiveTruth.load(root / "truth.json")
        expert = SimulatedExpert(home.database, truth, seed=home.settings.seed)
        expert.introduce()
        record_lives(home.database, truth)
        told = {**SENSOR_SECONDS, "CHIMP_SENSOR_ALERTS_S": "2", "CHIMP_ALERT_WEBHOOK": hook.url}
        waiting_for = {} if calm else steps(home)
        kills = 0
        with only_one(home, "drift_loop"):
            prepare(home.settings)
            make_records(home.settings)
            commands = {"daemon": supervisor.daemon_arguments()}
            with supervisor.running(home, commands, environment=told) as children:
                deadline = time.monotonic() + PATIENCE_S
                while time.monotonic() < deadline and not _is_over(home):
                    supervisor.tend(children)
                    with home.database.read() as conn:
                        seen = [name for name, is_there in waiting_for.items() if is_there(conn)]
                    for name in seen:
                        del waiting_for[name]
                        print(
                            f"{name}: {kill_all(children[0].environment[processes.UP_ID])} processes killed", flush=True
                        )
                        kills += 1
                    _answer(home, expert)
                    time.sleep(0.5)
        row = _row(home, hook, kills, list(waiting_for))
    hook.stop()
    return row


def _answer(home: Home, expert: SimulatedExpert) -> None:
    """As the demo's expert does: what waits, unless a training is due; here not before something was noticed."""
    with home.database.read() as conn:
        waiting = conn.scalar(sa.select(sa.func.count()).where(t.acquisition_queue.c.state == "pending")) or 0
        trainable = due.labels_due(conn, home.settings, datetime.now(UTC)).due
        alerted = conn.scalar(sa.select(sa.func.count()).select_from(t.drift_alert))
    if waiting and not trainable and alerted:
        expert.answer_queue(waiting)


def _is_over(home: Home) -> bool:
    with home.database.read() as conn:
        states = list(conn.scalars(sa.select(A.state)))
    return bool(states) and all(state == "resolved" for state in states)


def _row(home: Home, hook: HookServer, kills: int, missed: list[str]) -> Row:
    item, planned = t.acquisition_queue.c, t.acquisition_round.c
    with home.database.read() as conn:
        found = conn.execute(sa.select(A.camera, A.signal, A.state, A.opened_at, A.why).order_by(A.alert_id)).all()
        after = None
        if found:
            after = conn.scalar(sa.select(sa.func.min(planned.round_id)).where(planned.created_at > found[0].opened_at))
        lanes = list(conn.scalars(sa.select(item.lane).where(item.round_id == after, item.lane.not_in(t.SIDE_LANES))))
    share = lanes.count("drift") / max(1, len(lanes))
    keys = set(hook.keys())
    for row in found:
        print(f"{row.camera} {row.signal}: {row.state}. {row.why or ''}")
    print(json.dumps([body for _, body in hook.came], ensure_ascii=False)[:2000])
    if missed:
        print(f"never seen: {', '.join(missed)}")
    met = len(found) == 1 and found[0].state == "resolved" and len(keys) == 1 and share >= LEAST_SHARE
    return Row(
        "D2", f"a camera turned, noticed, asked about and closed; {kills} kills", share, "of the next plan's names",
        {"alerts": float(len(found)), "messages": float(len(hook.came)), "keys": float(len(keys))}, {},
        "one alert, one message, >= 0.2 of the plan, closed by itself", met, 1, 0.0, cores(),
    )  # fmt: skip


def main() -> None:
    """Prints what was killed, what was told, and the row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.running.drift_loop", description=__doc__)
    parser.add_argument("--calm", action="store_true", help="kill nothing")
    show([measure(parser.parse_args().calm)])


if __name__ == "__main__":
    main()
