"""Questions whose answer is known: nobody can tell them from others, and there are never more than their share."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from chimp_assets.acquisition.lanes.frames import frames_reason
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.home import Home
from chimp_assets.web.labelling.known_tracks import GOLD_FROM
from chimp_assets_tests.database.world import HEAD, add_video, event, plan, predict, track
from chimp_assets_tests.web.server.api.test_claims import claim
from chimp_assets_tests.web.server.api.test_events import decision, send, stored
from chimp_assets_tests.web.server.conftest import Browser

Browsers = Callable[..., Browser]
KNOWN = [track(video_id, ordinal) for video_id in range(13, 33) for ordinal in range(3)]
WAVERS = "The model wavers between Fifi (40%) and Goblin (38%)."


@pytest.fixture(scope="session")
def study_home(tmp_path_factory: pytest.TempPathFactory, template_home: Path) -> Path:
    """Sixty tracks that the expert named, and sixty that wait in two lanes. Copied for each test."""
    root = tmp_path_factory.mktemp("study") / "home"
    shutil.copytree(template_home, root)
    home = Home.open(root)
    db = home.database
    with db.write() as conn:
        for video_id in range(13, 53):
            add_video(conn, video_id, 3, 2)
    record_events(db, [event("identify", track_id, "FF") for track_id in KNOWN])
    waiting = [track(video_id, ordinal) for video_id in range(33, 53) for ordinal in range(3)]
    lanes = ["boundary", "boundary", "audit"] * 20
    plan(db, waiting, head_model_id=HEAD, lanes=lanes, reasons=[WAVERS, WAVERS, "Drawn at random."] * 20)
    for place, track_id in enumerate([*KNOWN, *waiting]):
        sure = 0.5 + place % 40 / 100
        predict(db, track_id, {"FF": sure, "GM": 1 - sure})
    db.dispose()
    return root


@pytest.fixture
def home(tmp_path: Path, study_home: Path) -> Iterator[Home]:
    root = tmp_path / "home"
    shutil.copytree(study_home, root)
    opened = Home.open(root)
    yield opened
    opened.database.dispose()


@pytest.fixture
def study(home: Home) -> Home:
    return home


def gold_of(home: Home, name: str = "ida") -> dict[int, int]:
    """item_id by the known track that is asked in its place."""
    with home.database.read() as conn:
        c = t.quality_check.c
        rows = conn.execute(sa.select(c.track_id, c.item_id).join(t.app_user, t.app_user.c.user_id == c.user_id)
                            .where(t.app_user.c.name == name, c.kind == "gold"))  # fmt: skip
        return {row.track_id: row.item_id for row in rows}


def test_a_gold_question_looks_like_any_other(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """Who sees which questions are watched answers these with care and the others without."""
    ida = Browser(make_app(gold_first_share=0.5)).sign_in("ida")
    items = claim(ida, 40)
    gold = gold_of(study)
    known = [item for item in items if item["track_id"] in gold]
    others = [item for item in items if item["track_id"] not in gold]
    assert len(known) >= 5
    assert {item["item_id"] for item in known} == set(gold.values())
    with study.database.read() as conn:
        q = t.acquisition_queue.c
        queue = {row.item_id: row for row in conn.execute(sa.select(t.acquisition_queue).where(q.state == "leased"))}
    assert len({item["item_id"] for item in items}) == len(items) == 40
    for item in items:
        row = queue[item["item_id"]]
        assert (item["round_id"], item["lane"], item["position"]) == (row.round_id, row.lane, row.position)
        assert item["reason"].startswith("Drawn" if row.lane == "audit" else "The model wavers between Fifi (")
    for key in items[0]:
        if key not in ("item_id", "position", "reason", "track_id", "video", "crops", "face", "clip", "frame",
                       "candidates"):  # fmt: skip
            assert {str(item[key]) for item in known} <= {str(item[key]) for item in others}, key
    assert len({tuple(sorted(item)) for item in items}) == 1
    named = [item for item in known if item["lane"] == "boundary"]
    assert all(f"({item['candidates'][0]['probability']:.0%})" in item["reason"] for item in named)


def test_gold_names_frames_seconds_and_whom_the_model_says_like_any_other(
    study: Home, make_app: Callable[..., FastAPI]
) -> None:
    """A track of 40 frames beside "412 frames", or another price for the same chance, gives gold away."""
    with study.database.write() as conn:
        q = t.acquisition_queue.c
        long_ago = frames_reason(412, 3.0, "Gremlin (GM)", 0.63, False)
        conn.execute(sa.update(t.acquisition_queue).where(q.lane == "boundary").values(lane="frames", reason=long_ago))
        worth = FrameWorth(0.8, prices=Prices(right=3.0, other=9.0))
        policy = json.dumps({"worth": dataclasses.asdict(worth)})
        conn.execute(sa.update(t.acquisition_round).values(policy=policy))
    items = claim(Browser(make_app(gold_first_share=0.5)).sign_in("ida"), 40)
    known = [item for item in items if item["track_id"] in gold_of(study) and item["lane"] == "frames"]
    assert len(known) >= 5
    said = set()
    for item in known:
        first = item["candidates"][0]
        p = np.array([first["probability"]], np.float32)
        counts = bool(p[0] >= 0.8)
        assert item["reason"] == frames_reason(2, float(worth.seconds(p)[0]), "Fifi (FF)", float(p[0]), counts)
        said.add((item["reason"].split(":")[0], counts))
    assert len(said) >= 2, "prices and the threshold play no part here"


@pytest.mark.parametrize(("n", "share"), [(500, 0.3), (12, 0.3), (500, 0.05), (40, 0.9), (1, 0.3)])
def test_there_is_no_more_gold_than_its_share_of_what_is_given(
    study: Home, make_app: Callable[..., FastAPI], n: int, share: float
) -> None:
    """Of 108 tracks that somebody took to the field 98 were known already."""
    app = make_app(gold_first_share=share, gold_first=10_000)
    ida = Browser(app).sign_in("ida")
    seen: list[int] = []
    for _ in range(4):
        items = claim(ida, n, offline=True, exclude=seen)
        seen += [item["item_id"] for item in items]
    assert len(seen) == min(60, 4 * n)
    assert len(gold_of(study)) <= share * len(seen)
    if n > 1:
        assert len(gold_of(study)) >= share * len(seen) / 4 - 2


def test_gold_is_the_same_however_often_items_are_given_back(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """An item whose track changes between two claims would show which of the two was known."""
    ida = Browser(make_app(gold_first_share=0.4)).sign_in("ida")
    shown: dict[int, set[tuple[int, str]]] = {}
    for n in (20, 20, 60, 60):
        for item in claim(ida, n):
            shown.setdefault(item["item_id"], set()).add((item["track_id"], item["reason"]))
        ida.post("/api/queue/release", json={})
    assert len(shown) == 60
    assert len(gold_of(study)) >= 5
    changed = [item_id for item_id, tracks in shown.items() if len(tracks) > 1]
    # Where more items were drawn than the share allows, one may become gold later.
    assert len(changed) <= 60 // 10


def test_gold_stays_hidden_behind_other_lanes_too(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """Asking for one lane by name must not show what an item is about really."""
    ida = Browser(make_app(gold_first_share=0.5)).sign_in("ida")
    first = {item["item_id"]: item["track_id"] for item in claim(ida, 40)}
    second = {item["item_id"]: item["track_id"] for item in claim(ida, 40, lanes=["boundary", "audit"])}
    assert first == second


def test_an_answer_to_gold_is_judged_and_the_item_waits_again(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """What was learned is whether somebody looks; the question of the item was never asked."""
    ida = Browser(make_app(gold_first_share=0.5)).sign_in("ida")
    items = {item["track_id"]: item for item in claim(ida, 40)}
    right, wrong, passed_over, *_ = gold_of(study).items()
    forged = {"lane": "audit", "propensity": 0.1}
    answers = [
        decision("identify", track_id=right[0], item_id=right[1], anim_id="FF", **forged),
        decision("identify", track_id=wrong[0], item_id=wrong[1], anim_id="GM", **forged),
        decision("skip", track_id=passed_over[0], item_id=passed_over[1], **forged),
    ]
    for expected in ("stored", "duplicate"):
        assert {r["status"] for r in send(ida, *answers)} == {expected}
    with study.database.read() as conn:
        c, q = t.quality_check.c, t.acquisition_queue.c
        judged = {
            r.track_id: r.passed
            for r in conn.execute(sa.select(c.track_id, c.passed).where(c.answered_at.is_not(None)))
        }
        lent = conn.execute(
            sa.select(q.state, q.leased_by).where(q.item_id.in_([right[1], wrong[1], passed_over[1]]))
        ).all()
    assert judged == {right[0]: True, wrong[0]: False, passed_over[0]: None}
    assert {tuple(row) for row in lent} == {("pending", None)}
    mine = stored(study)[-3:]
    assert {(row.lane, row.propensity, row.item_id, row.shown) for row in mine} == {
        ("free", None, None, '{"mode":"gold"}')
    }
    labels = ida.get("/api/labels/mine").json()["labels"]
    assert {(label["item_id"], label["state"]) for label in labels} == {
        (items[track_id]["item_id"], "stands") for track_id in (right[0], wrong[0], passed_over[0])
    }, "nor do one's own labels show which these were"


def test_what_is_gold_is_not_for_a_client_to_say(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """Answers that call themselves gold would be hidden from reviewers."""
    ida = Browser(make_app()).sign_in("ida")
    send(ida, decision(track_id=track(40), shown={"mode": "gold", "ui": "1"}))
    assert stored(study)[-1].shown == '{"ui":"1"}'


def test_answers_to_gold_of_before_are_still_taken(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """A tablet comes back from three days in the field with the numbers of the old version in its outbox."""
    with study.database.write() as conn:
        u, i = t.app_user.c, t.individual.c
        user_id = conn.scalar(sa.select(u.user_id).where(u.name == "ida"))
        who = conn.scalar(sa.select(i.individual_id).where(i.anim_id == "FF"))
        conn.execute(
            sa.insert(t.quality_check).values(
                check_id=7,
                kind="gold",
                user_id=user_id,
                track_id=KNOWN[0],
                individual_id=who,
                asked_at=stored(study)[0].server_time,
            )
        )
    ida = Browser(make_app()).sign_in("ida")
    answer = decision(track_id=KNOWN[0], item_id=GOLD_FROM + 7)
    assert [r["status"] for r in send(ida, answer)] == ["stored"]
    with study.database.read() as conn:
        assert conn.scalar(sa.select(t.quality_check.c.passed).where(t.quality_check.c.check_id == 7)) is True
    assert (stored(study)[-1].item_id, stored(study)[-1].shown) == (None, '{"mode":"gold"}')


def test_lanes_are_lent_alike(study: Home, make_app: Callable[..., FastAPI]) -> None:
    """If gold came in one lane only, the lane would show it."""
    app = make_app(gold_first_share=0.5, gold_first=1000)
    lanes: Counter[Any] = Counter()
    for name in ("ida",):
        items = claim(Browser(app).sign_in(name), 60)
        gold = gold_of(study, name)
        lanes.update(item["lane"] for item in items if item["track_id"] in gold)
    assert set(lanes) == {"boundary", "audit"}
