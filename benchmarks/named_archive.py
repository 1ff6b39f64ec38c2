"""`python -m benchmarks.named_archive --seeds 20 [--browser]`: an archive is named until the promise about it is kept.

One generated archive is filmed, decoded, tracked and embedded. For each seed a copy of it is named to (90 % of the
frames, at most 5 % wrong) by an expert and two volunteers who know the truth, answer at the measured prices and never
err on purpose but for the volunteers' stated share; plans, trainings, re-scoring and the test of the promise are the
product's own. Then the truth says how many of the promised names are wrong. With `--browser` the people of the first
seed answer in browsers: the expert by keys on the naming page, the volunteers by taps on a phone.

Belongs here: who answers when, and the table. Does not belong here: replays on crops (`benchmarks.minutes`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.archives import decoded
from benchmarks.support.harness import cores
from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.goals import set_goal
from chimp_assets.database.work import due
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.lives import record_lives
from chimp_assets.demo.minutes import named_archive
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.demo.volunteers import SimulatedVolunteers
from chimp_assets.home import Home
from chimp_assets.insight.goal import archive_goal

SETTINGS = """\
archive_url = "{archive}"
seed = {seed}
[acquisition]
batch = 40
low_water = 8
[head]
min_labels = 12
min_new_labels = 30
cool_down_s = 0
[gate]
min_audit_labels = 8
[web]
blind_share = 0
"""
MOST_ROUNDS = 200
AT_ONCE = 10
"""Answers between two looks at what is due, as sensors would take them."""


@dataclass(frozen=True)
class Outcome:
    """What became of one seed. expert, volunteers: minutes; named, wrong: shares of frames, by the truth; promised:
    the largest share of wrong names that was promised, None where no promise was kept."""

    seed: int
    kept: bool
    promised: float | None
    named: float
    wrong: float
    expert: float
    volunteers: float
    random: float | None
    answers: int
    audits: int
    looks: int
    trainings: int

    @property
    def true(self) -> bool:
        """Whether the promise holds; what is not promised is not broken."""
        return not self.kept or self.wrong <= 0.05


class People:
    """An expert and two volunteers without a screen."""

    def __init__(self, home: Home, truth: ArchiveTruth, seed: int) -> None:
        self.home = home
        self.expert = SimulatedExpert(home.database, truth, seed=seed, wrong=0.0, unknown=0.0)
        self.expert.introduce()
        self.volunteers = SimulatedVolunteers(self.expert)
        self.volunteers.introduce()

    def name(self, n: int, lanes: tuple[str, ...] | None = None) -> int:
        """The expert answers up to n items."""
        return sum(self.expert.answer_queue(n, lanes).values())

    def say_yes_or_no(self) -> int:
        """The volunteers answer what waits for them."""
        return self.volunteers.answer_queue()


def film(folder: Path, clips: int, individuals: int, days: int, seed: int) -> tuple[Path, ArchiveTruth]:
    """A home whose tracks wait for their first names, and the truth; made once for a folder."""
    from chimp_assets.demo.archive import make_archive
    from chimp_assets.loop.embedders import fit_first_embedder
    from chimp_assets.loop.rescore import rescore
    from chimp_assets.vision.tracking.bundle import track_bundle

    root = folder / "home"
    if not (folder / "ready").exists():
        shutil.rmtree(root, ignore_errors=True)
        if not (folder / "truth.json").exists():  # written last
            shutil.rmtree(folder / "archive", ignore_errors=True)
            make_archive(
                folder / "archive", folder / "truth.json", seed=seed, individuals=individuals, cameras=4, days=days,
                clips=clips, workers=cores(),
            )  # fmt: skip
        home, truth = decoded(folder)
        with home.database.read() as conn:
            bundles = list(conn.scalars(sa.select(t.bundle.c.bundle_key).order_by(t.bundle.c.bundle_id)))
        for key in bundles:
            track_bundle(home.database, home.store, key, home.settings)
        fit_first_embedder(home)
        while rescore(home).left:
            pass
        SimulatedExpert(home.database, truth, seed=seed).introduce()
        record_lives(home.database, truth)
        home.database.dispose()
        (folder / "ready").touch()
    return root, ArchiveTruth.load(folder / "truth.json")


def name_archive(home: Home, people: People) -> bool:
    """Ask, train and test until the promise is kept; whether it is."""
    from chimp_assets.loop.plan import replan
    from chimp_assets.loop.rescore import rescore
    from chimp_assets.loop.retrain import retrain
    from chimp_assets.loop.returns import measure_returns

    set_goal(home.database, error=0.05, named=0.9, confidence=0.95)
    replan(home)
    idle = 0
    for _ in range(MOST_ROUNDS):
        with home.database.read() as conn:
            goal = archive_goal(conn)
            trainable = due.labels_due(conn, home.settings, datetime.now(UTC)).due
            tests = _waiting(conn, (t.PROMISE,))
        promise = goal.promise if goal is not None else None
        if promise is not None and promise.state == "kept":
            return True
        if promise is not None and promise.state == "auditing" and tests:
            answered = people.name(tests, (t.PROMISE,))
        elif trainable:
            retrain(home)
            while rescore(home).left:
                pass
            measure_returns(home.database, home.store, home.settings)
            replan(home)
            continue
        else:
            answered = people.say_yes_or_no() or people.name(AT_ONCE)
        with home.database.read() as conn:
            low = due.queue_due(conn, home.settings).due
        if low or not answered:
            replan(home)
        idle = 0 if answered else idle + 1
        if idle > 2:  # everything was asked, and the last plans asked nothing
            return False
    return False


def _waiting(conn: sa.Connection, lanes: tuple[str, ...]) -> int:
    q = t.acquisition_queue.c
    return int(conn.scalar(sa.select(sa.func.count()).where(q.state == "pending", q.lane.in_(lanes))) or 0)


def outcome(home: Home, people: People, seed: int, kept: bool) -> Outcome:
    """What it cost, and what the truth says."""
    m, k = t.model.c, t.promise_look.c
    with home.database.read() as conn:
        embedder = conn.scalar(sa.select(m.model_id).where(m.task == "embedder", m.state == "champion"))
        answers = conn.scalar(sa.select(sa.func.count()).where(t.annotation.c.lane.not_in(t.SIDE_LANES))) or 0
        trainings = conn.scalar(sa.select(sa.func.count()).where(m.task == "head")) or 0
        looks, audits = conn.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(k.n_answered), 0)).select_from(t.promise_look)
        ).one()
    found = named_archive(home.database, home.store, people.expert, int(embedder or 0), range(5))
    if found is None:
        raise SystemExit(f"Nothing was forecast for seed {seed}.")
    promised = found.goal.promise.error_bound if kept and found.goal.promise is not None else None
    return Outcome(
        seed, kept, promised, found.named, found.wrong, found.spent, found.volunteers, found.random, int(answers),
        int(audits), int(looks), int(trainings),
    )  # fmt: skip


@contextmanager
def browsers(home: Home, truth: ArchiveTruth, seed: int, out: Path) -> Iterator[People]:
    """The same people, each in front of a browser."""
    from playwright.sync_api import sync_playwright

    from benchmarks.browser_loop import PASSWORD, WHO, Day
    from chimp_assets.web.auth.accounts import set_password
    from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
    from chimp_assets_tests.web.conftest import Served

    people = People(home, truth, seed)
    for name in (WHO, *people.volunteers.names):
        set_password(home.database, name, PASSWORD)
    served = Served(home, make_media=True)
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            address = f"http://127.0.0.1:{served.port}"
            day = Day(home, truth, chromium.new_context(base_url=address, service_workers="block").new_page(), out)
            day.expert = people.expert
            day.sign_in()
            phones = {}
            for name in people.volunteers.names:
                context = chromium.new_context(
                    base_url=address,
                    service_workers="block",
                    viewport={"width": 360, "height": 640},
                    has_touch=True,
                    is_mobile=True,
                )
                context.request.post(
                    "/api/sign-in", data={"name": name, "password": PASSWORD}, headers={"Origin": address}
                )
                phones[name] = context.new_page()

            def by_keys(n: int, lanes: tuple[str, ...] | None = None) -> int:
                with home.database.read() as conn:
                    q = t.acquisition_queue.c
                    waiting = conn.scalar(
                        sa.select(sa.func.count()).where(q.state == "pending", q.lane.not_in(t.SIDE_LANES))
                    )
                some = min(n, int(waiting or 0))
                if some:
                    day.name_tracks(some)
                return some

            people.name = by_keys  # type: ignore[method-assign]
            people.say_yes_or_no = lambda: sum(  # type: ignore[method-assign]
                _tap(page, people, name) for name, page in phones.items()
            )
            yield people
            chromium.close()
    finally:
        served.stop()


def _tap(page: Any, people: People, name: str) -> int:
    """A volunteer answers until the screen has nothing more to ask."""
    q, i = t.acquisition_queue.c, t.individual.c
    page.goto("/is-it")
    answered, last = 0, ""
    while True:
        end = time.monotonic() + 10
        while not (item := page.evaluate("document.body.dataset.item || ''")) or item == last:
            if time.monotonic() > end:
                page.wait_for_selector(".status[data-waiting='0']", state="attached")
                return answered
            time.sleep(0.05)
        with people.home.database.read() as conn:
            asked = conn.execute(
                sa.select(q.track_id, i.anim_id)
                .join(t.individual, i.individual_id == q.individual_id)
                .where(q.item_id == int(item))
            ).one()
        rng = np.random.default_rng([people.expert.seed, 702, int(item), people.volunteers.names.index(name)])
        is_it = people.expert.really([asked.track_id])[asked.track_id].anim_id == asked.anim_id
        said = is_it if rng.random() >= people.volunteers.wrong else not is_it
        time.sleep(0.12)  # the page takes no answer from who has not looked
        page.get_by_role("button", name="Yes" if said else "No", exact=True).tap()
        answered, last = answered + 1, item


def run(given: argparse.Namespace, tell: Callable[[str], None]) -> list[Outcome]:
    """Every seed, one after the other."""
    folder = given.folder.resolve()
    root, truth = film(folder / "base", given.clips, given.individuals, given.days, seed=7)
    found = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        place = folder / f"seed-{seed}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(root, place)
        (place / "chimp.toml").write_text(
            SETTINGS.format(archive=(folder / "base" / "archive").as_uri(), seed=seed), encoding="utf-8"
        )
        home = Home.open(place)
        began = time.monotonic()
        by_browser = given.browser and seed == given.first_seed
        if by_browser:
            with browsers(home, truth, seed, folder) as people:
                kept = name_archive(home, people)
        else:
            people = People(home, truth, seed)
            kept = name_archive(home, people)
        found.append(outcome(home, people, seed, kept))
        one = found[-1]
        how = " by browser" if by_browser else ""
        tell(
            f"seed {seed}{how}: {'kept' if kept else 'not kept'}, {one.named:.1%} named, "
            f"{one.wrong:.2%} wrong, {one.expert:.1f} minutes, {one.answers} answers, {one.audits} audits in "
            f"{one.looks} looks, {one.trainings} trainings ({time.monotonic() - began:.0f} s)"
        )
        home.database.dispose()
        if not given.keep:
            shutil.rmtree(place, ignore_errors=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where more than one promise in twenty was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.named_archive", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--browser", action="store_true", help="the first seed by browser")
    parser.add_argument("--clips", type=int, default=160)
    parser.add_argument("--individuals", type=int, default=12)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "chimp-benchmark-named")
    parser.add_argument("--keep", action="store_true", help="leave the homes")
    parser.add_argument("--json", action="store_true", help="print the line of JSON alone")
    given = parser.parse_args(arguments)
    say = (lambda line: None) if given.json else (lambda line: print(line, flush=True))
    found = run(given, say)
    kept = [one for one in found if one.kept]
    broken = sum(not one.true for one in found)
    middle = float(np.median([one.expert for one in found]))
    say(
        f"{len(kept)} of {len(found)} promises kept, {broken} of them broken by the truth; "
        f"minutes of the expert: median {middle:.1f}; audits: median {np.median([one.audits for one in found]):.0f}"
    )
    print(json.dumps({"benchmark": "named_archive", "seeds": [asdict(one) for one in found], "broken": broken}))
    return int(broken > max(1, len(found) // 20))


if __name__ == "__main__":
    sys.exit(main())
