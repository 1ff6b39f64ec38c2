"""`python -m benchmarks.browser_loop --out FOLDER`: the whole loop by browser alone, on the archive of the demo.

Films the demo's archive (or takes `--archive`, that of an earlier run), starts `chimp up` and then does only what a
person can do in a browser: signs in, names tracks by keys as the demo's simulated expert would
see them (digits for a suggestion, letters and Enter for another, 6 and 8), watches a training happen on the first page,
comes back to the new queue and the model's suggestions, finds two individuals that are together, and takes the frames
home as CSV. Screenshots of each step go into FOLDER; a step that does not happen ends it with exit code 1.

Belongs here: the script of that day. Does not belong here: what pages show (`chimp_assets_tests.web`), speed (P11).
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.demo.archive import make_archive
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.lives import record_lives
from chimp_assets.demo.run import CLIPS, DEMO_TOML, SENSOR_SECONDS
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.home import Home, init_home
from chimp_assets.operations import supervisor
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.web.label_home import PASSWORD

TRACKS = 60
WHO = "expert"
PATIENCE_S, LATER_S = 1_200, 240
ANSWER_S = 10.0
"""From a key to the next track: a busy machine takes longer than a person would wait."""


class Day:
    """A browser in front of a home, and the one who knows who is who."""

    def __init__(self, home: Home, truth: ArchiveTruth, page: Any, out: Path) -> None:
        self.home, self.page, self.out = home, page, out
        self.expert = SimulatedExpert(home.database, truth, seed=home.settings.seed)
        self.answered: Counter[str] = Counter()
        self._began = time.monotonic()

    def tell(self, what: str) -> None:
        """What happened, and when."""
        print(f"{time.monotonic() - self._began:5.0f} s  {what}", flush=True)

    def shoot(self, name: str, whole: bool = False) -> None:
        """A screenshot."""
        self.page.screenshot(path=self.out / f"{name}.png", full_page=whole)

    def until(self, what: str, there: Callable[[], Any], every_s: float = 0.1, patience_s: float | None = None) -> Any:
        """What `there` gives once it gives something; after a patience of its own, nothing."""
        end = time.monotonic() + (patience_s or PATIENCE_S)
        while not (found := there()):
            if time.monotonic() > end:
                if patience_s is not None:
                    return found
                self.shoot("waited_in_vain")
                raise SystemExit(f"Waited in vain until {what}.")
            time.sleep(every_s)
        self.tell(what)
        return found

    def sign_in(self) -> None:
        """As everybody does."""
        self.page.goto("/")
        self.page.wait_for_url("**/sign-in**")
        self.page.fill("input[name=name]", WHO)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.locator("[data-sign-out]").wait_for()
        self.tell("signed in")

    def name_tracks(self, n: int) -> None:
        """Answers n tracks of the queue by keys."""
        self.page.goto("/label")
        for _ in range(n):
            item = self.until_painted()
            self._answer(item)
        self.page.wait_for_selector(".status[data-state=saved][data-waiting='0']", state="attached")
        self.tell(f"named {n} tracks: " + ", ".join(f"{kind} {k}" for kind, k in sorted(self.answered.items())))

    def until_painted(self) -> int:
        """The item on the screen."""
        end = time.monotonic() + PATIENCE_S
        while True:
            item, painted = self.page.evaluate("[document.body.dataset.item, document.body.dataset.painted]")
            if item and item == painted:
                return int(item)
            if time.monotonic() > end:
                self.shoot("no_track")
                raise SystemExit("No track came to the screen.")
            time.sleep(0.05)

    def _answer(self, item: int) -> None:
        q, i = t.acquisition_queue.c, t.individual.c
        with self.home.database.read() as conn:
            track_id = conn.scalar(sa.select(q.track_id).where(q.item_id == item))
            names = {row.anim_id: row.name or row.anim_id for row in conn.execute(sa.select(i.anim_id, i.name))}
        what = self.expert.answer(int(track_id or 0))
        time.sleep(0.1)  # the page takes no key from who has not looked
        if what.kind == "identify" and what.anim_id in names:
            shown = self.page.locator(".card .who strong").all_text_contents()
            name = names[what.anim_id]
            if name in shown:
                self.answered["suggestion taken"] += 1
                self._press(str(shown.index(name) + 1), item)
            else:
                self.answered["found by letters"] += 1
                self._press("Enter", item, partial(self._search, name))
        elif what.kind == "not_animal":
            self.answered["not a chimp"] += 1
            self._press("8", item)
        else:
            self.answered["unknown"] += 1
            self._press("6", item)

    def _search(self, name: str) -> None:
        self.page.keyboard.press(name[0].lower())
        self.page.locator(".search input").wait_for()
        self.page.keyboard.type(name[1:].lower())
        self.page.locator(".search li[aria-selected=true] .found-name", has_text=name).wait_for()

    def _press(self, key: str, item: int, before: Callable[[], None] = lambda: None) -> None:
        """Once, and once more where the page asks back: the same individual twice in a frame."""
        for asked_back in (False, True):
            before()
            self.page.keyboard.press(key)
            end = time.monotonic() + ANSWER_S
            while time.monotonic() < end:
                if self.page.evaluate("document.body.dataset.item") != str(item):
                    return
                if not asked_back and self.page.locator(".warning[role=alert]").count():
                    break
                time.sleep(0.02)
        self.shoot("no_answer")
        raise SystemExit(f"The key {key} did not answer item {item}.")

    def watch_training(self, more_than: int = 0) -> int:
        """Looks at the first page until it tells of a model that learned from more labels; how many these are.

        A later candidate may be refused: then the champion stays, and after some minutes the answer is 0.
        """

        def learned() -> int:
            self.page.goto("/")
            said = re.search(r"trained on (\d+) labelled", self.page.locator("main").inner_text())
            return int(said.group(1)) if said and int(said.group(1)) > more_than else 0

        return int(self.until("the first page tells of a training", learned, 3, LATER_S if more_than else None))

    def find_two_together(self) -> list[dict[str, str]]:
        """By way of everybody to two of them; the frames as the browser downloads them."""
        self.page.goto("/together/network?few=1")
        self.shoot("network", whole=True)
        self.page.goto("/together/table?few=1")
        self.page.locator("td.number a").first.click()
        self.page.wait_for_selector(".occasions article img")
        self.page.keyboard.press("j")
        self.page.wait_for_timeout(1_500)
        self.shoot("together")
        with self.page.expect_download() as coming:
            self.page.locator("a[href^='/together.csv']").click()
        file = self.out / "together.csv"
        coming.value.save_as(file)
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        frame = next(row["frame"] for row in rows if row["frame"])
        picture = self.page.request.get(frame)
        if picture.status != 200 or picture.headers["content-type"] != "image/jpeg":
            raise SystemExit(f"{frame} is no picture: {picture.status}.")
        self.tell(f"{rows[0]['individuals']} are together in {len(rows)} frames, which are exported")
        return rows


def prepare(folder: Path, archive: Path | None) -> tuple[Home, ArchiveTruth]:
    """A home as on the first day: an archive, who may be named, a password; nothing ingested, nothing named.

    A home that an earlier run has left is taken as it is.
    """
    if (folder / "chimp.db").exists():
        return Home.open(folder), ArchiveTruth.load(folder / "truth.json")
    folder.mkdir(parents=True, exist_ok=True)
    if archive is not None:
        shutil.copytree(archive / "archive", folder / "archive")
        shutil.copyfile(archive / "truth.json", folder / "truth.json")
        truth = ArchiveTruth.load(folder / "truth.json")
    else:
        truth = make_archive(folder / "archive", folder / "truth.json", clips=CLIPS)
    home = init_home(folder, toml=DEMO_TOML.format(archive=folder / "archive"))
    expert = SimulatedExpert(home.database, truth, seed=home.settings.seed)
    expert.introduce()
    record_lives(home.database, truth)
    set_password(home.database, WHO, PASSWORD)
    return home, truth


def run(folder: Path, archive: Path | None, out: Path, tracks: int) -> None:
    """The day."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    home, truth = prepare(folder, archive)
    port = supervisor.free_port(3000)
    page_port = supervisor.free_port(3001)
    environment = {
        **os.environ, **SENSOR_SECONDS, "CHIMP_HOME": str(folder), "CHIMP_WEB__PORT": str(page_port),
        "CHIMP_WEB__BLIND_SHARE": "0", "CHIMP_SENSOR_MISSING_PICTURES_S": "20",
    }  # fmt: skip
    command = [sys.executable, "-m", "chimp_assets.cli", "up", "--port", str(port)]
    log = (out / "up.log").open("w")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as up:
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                context = browser.new_context(
                    base_url=f"http://127.0.0.1:{page_port}", viewport={"width": 1280, "height": 800}
                )
                day = Day(home, truth, context.new_page(), out)
                day.until("the page answers", lambda: _answers(context), every_s=1)
                day.sign_in()
                day.shoot("home_first")
                day.page.goto("/label")
                day.until_painted()
                day.tell("the first queue is there")
                day.name_tracks(tracks // 2)
                labels = day.watch_training()
                day.shoot("home_trained", whole=True)
                day.name_tracks(tracks - tracks // 2)
                again = day.watch_training(labels)
                later = f"and then from {again}" if again else "and no later one was better"
                day.tell(f"a model learned from {labels} labels, {later}")
                day.shoot("home_again", whole=True)
                day.page.goto("/label")
                day.until("the new queue comes with suggestions", lambda: day.page.locator(".card").count())
                day.until_painted()
                day.page.wait_for_timeout(1_500)
                day.shoot("label")
                day.find_two_together()
                day.page.goto("/individuals")
                day.page.locator("tbody th a").first.click()
                day.page.wait_for_selector("#pictures")
                day.shoot("individual", whole=True)
                browser.close()
        finally:
            up.terminate()
            try:
                up.wait(60)
            except subprocess.TimeoutExpired:
                up.kill()
    with home.database.read() as conn:
        named = int(conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) or 0)
    if named < tracks:
        raise SystemExit(f"Of {tracks} answers {named} are stored.")
    day.tell(f"all {named} answers are stored")


def _answers(context: Any) -> bool:
    try:
        return bool(context.request.get("/healthz").status == 200)
    except Exception:  # not up yet
        return False


def main() -> int:
    """Read the arguments and go."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser_loop", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("browser_loop"), help="where screenshots go")
    parser.add_argument(
        "--home", type=Path, default=None, help="a new folder for the home; else beside the screenshots"
    )
    parser.add_argument("--archive", type=Path, help="a home of the demo whose archive is taken")
    parser.add_argument("--tracks", type=int, default=TRACKS)
    given = parser.parse_args()
    out = given.out.resolve()
    run((given.home or out / "home").resolve(), given.archive, out, given.tracks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
