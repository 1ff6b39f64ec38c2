"""Models, data and users: what the pages show, and what administrators do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.files.whole_file import FileWriteError
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.work.due import MAX_ATTEMPTS
from chimp_assets.home import Home
from chimp_assets.insight import archive, fairness, models
from chimp_assets.insight.labelling import people
from chimp_assets.monitoring.cards.card import key_of
from chimp_assets_tests.database.world import DETECTOR, HEAD, START, add_video, event, track
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser


def audited(home: Home, action: str) -> list[tuple[str | None, str]]:
    """(by, subject) of what the log says of an action."""
    e, u = s.audit_event.c, s.app_user.c
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(u.name, e.subject)
            .outerjoin_from(s.audit_event, s.app_user, u.user_id == e.user_id)
            .where(e.action == action)
            .order_by(e.audit_event_id)
        )
        return [(row.name, row.subject) for row in rows]


def measured(home: Home) -> None:
    """The champion head with a measurement of two watermarks, a refused head, a retired detector."""
    rows: list[dict[str, Any]] = []

    def add(watermark: int, name: str, value: float, kind: str = "all", which: str = "", n: int = 20) -> None:
        rows.append({
            "model_id": HEAD, "dataset": "audit", "watermark_seq": watermark, "slice_kind": kind, "slice_value": which,
            "name": name, "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "n": n, "created_at": START,
        })  # fmt: skip

    add(5, "top1", 0.4)
    add(9, "top1", 0.7)
    add(9, "top1", 0.65, "individual", "FF")
    add(9, "top1", 0.55, "sex", "F")
    for which, said, right in (("0.5 to 0.6", 0.55, 0.5), ("0.9 to 1.0", 0.93, 0.9)):
        add(9, "top1", right, "probability", which, 10)
        add(9, "said", said, "probability", which, 10)
    with home.database.write() as conn:
        conn.execute(
            sa.insert(s.training_set).values(
                training_set_id=1, task="head", watermark_seq=9, split_seed=1, n_tracks=40, n_classes=3,
                member_uri="x", member_hash="0" * 64, created_at=START,
            )
        )  # fmt: skip
        conn.execute(sa.update(s.model).where(s.model.c.model_id == HEAD).values(training_set_id=1))
        for row in rows:
            conn.execute(sa.insert(s.evaluation_metric).values(row))
        common = {"config": "{}", "created_at": START}
        conn.execute(
            sa.insert(s.model).values(
                task="head", version=2, name="later head", state="refused", reason="Worse <by far>.", **common
            )
        )
        conn.execute(
            sa.insert(s.model).values(task="detector", version=2, name="old detector", state="retired", **common)
        )


def test_models_show_the_newest_measurement_and_why_others_were_refused(
    home: Home, browser: Callable[..., Browser]
) -> None:
    """An old number, or one without its interval, decides about the wrong model."""
    measured(home)
    page = browser("lotte").get("/models").text
    assert "Worse &lt;by far&gt;." in page
    assert "70 %" in page
    assert "60 – 80 %" in page
    assert "labels up to decision 9" in page
    assert "/individual/FF" in page
    assert page.count('class="whisker"') == 2
    assert "data-act" not in page, "who may look may not act"
    with home.database.read() as conn:
        found = models.measurement(conn, HEAD)
        assert found is not None
        assert [(k.said, k.right, k.n) for k in found.reliability] == [(0.55, 0.5, 10), (0.93, 0.9, 10)]
        assert models.learning(models.model_summaries(conn)) == [(40.0, 0.7, pytest.approx(0.6), pytest.approx(0.8))]
    assert browser("lotte").get("/models?model=99").status_code == 404


def test_the_card_of_a_model_is_for_all_who_may_see_it(home: Home, browser: Callable[..., Browser]) -> None:
    measured(home)
    lotte = browser("lotte")
    assert f'href="/models/{HEAD}/card"' in lotte.get("/models").text
    page = lotte.get(f"/models/{HEAD}/card").text
    assert "It knows 3 individuals." in page
    assert "0.7" in page
    text = lotte.get(f"/models/{HEAD}/card?form=md")
    assert text.headers["content-type"].startswith("text/markdown")
    assert text.text.startswith("---\nlicense: ")
    assert lotte.get(f"/models/{HEAD}/card?form=json").json()["model_id"] == HEAD
    assert lotte.get("/models/99/card").status_code == 404


def test_fairness_says_who_is_named_worse_and_what_nobody_can_tell_yet(
    home: Home, browser: Callable[..., Browser], tmp_path: Path
) -> None:
    """'Infants 55 %' without 'too few to say' beside it makes equals out of what nobody has looked at."""
    assert "Nothing has been measured yet" in browser("lotte").get("/fairness").text
    same = {"model_id": HEAD, "watermark_seq": 9, "name": "recall", "blocks": 12, "created_at": START}
    told = [
        {"slice_kind": "all", "slice_value": "", "value": 0.8, "low": 0.7, "high": 0.9, "n": 200, "state": "same"},
        {"slice_kind": "age_class", "slice_value": "infant", "value": 0.55, "low": 0.4, "high": 0.69, "n": 90,
         "state": "worse", "adjusted_p": 0.01},
        {"slice_kind": "camera", "slice_value": "<b>=1+1</b>", "value": None, "low": None, "high": None, "n": 3,
         "state": "too_few", "needed": 23},
    ]  # fmt: skip
    with home.database.write() as conn:
        conn.execute(sa.insert(s.fairness_metric).values({**same, **told[0], "watermark_seq": 3, "value": 0.1}))
        for row in told:
            conn.execute(sa.insert(s.fairness_metric).values({**same, **row}))
    page = browser("lotte").get("/fairness").text
    assert "55 %" in page
    assert "40 % – 69 %" in page
    assert "23 more would tell" in page
    assert "10 %" not in page, "an older measurement"
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert browser("lotte").get("/fairness?model=999").status_code == 404
    with home.database.read() as conn:
        found = fairness.fairness(conn)
        view = conn.execute(sa.text("SELECT slice_value, verdict, n_needed, n_days FROM v_fairness ORDER BY n_answers"))
        assert [tuple(row) for row in view] == [
            ("<b>=1+1</b>", "too_few", 23, 12), ("infant", "worse", None, 12), ("", "same", None, 12),
        ]  # fmt: skip
    assert found is not None
    for ending in ("html", "md", "csv"):
        file = tmp_path / f"report.{ending}"
        assert fairness.write_report(found, home.database, file) == 3
        text = file.read_text(encoding="utf-8")
        assert "infant" in text
        assert ending == "csv" or "<b>" not in text.replace("` <b>=1+1</b> `", "")
    with pytest.raises(FileWriteError, match="known ending"):
        fairness.write_report(found, home.database, tmp_path / "report.docx")


def test_a_measurement_says_in_words_what_it_is_about(home: Home, browser: Callable[..., Browser]) -> None:
    """Limits about this archive, read as a promise for next year's cameras, promise too much."""
    measured(home)
    with home.database.write() as conn:
        conn.execute(sa.update(s.evaluation_metric).values(about="days", blocks=12))
    page = browser("lotte").get("/models").text
    assert "12 camera-days" in page
    assert "Of days to come" in page
    assert "Of this archive" not in page


def test_promotion_and_the_way_back_are_those_of_the_command_line(home: Home, browser: Callable[..., Browser]) -> None:
    """Two ways to make a champion would be two rules for it."""
    measured(home)
    ada = browser("ada")
    with home.database.read() as conn:
        other = conn.scalar(sa.select(s.model.c.model_id).where(s.model.c.name == "old detector"))
    refused = ada.post("/api/models/promote", json={"model_id": other, "force": True})
    assert refused.status_code == 422
    assert "needs a reason" in refused.json()["error"]
    done = ada.post("/api/models/promote", json={"model_id": other, "force": True, "why": "finds small ones"})
    assert done.status_code == 200
    assert "; ada)" in done.json()["reason"]
    assert ada.post("/api/models/rollback", json={"task": "detector", "why": "too slow"}).json()["model_id"] == DETECTOR
    assert audited(home, "model.promote") == [("ada", "detector 2")]
    assert audited(home, "model.rollback") == [("ada", "detector 1")]
    assert {key_of(model_id, "json") for model_id in (DETECTOR, other)} <= {one.key for one in home.store.list("cards")}
    page = browser("lotte").get("/models").text
    assert "finds small ones" in page
    assert "too slow" in page
    assert ada.post("/api/models/rollback", json={"task": "embedder"}).status_code == 422


def test_videos_are_found_by_what_became_of_them(home: Home, browser: Callable[..., Browser]) -> None:
    """A video that failed among a hundred thousand is never looked for one by one."""
    with home.database.write() as conn:
        for n in range(3, 70):
            add_video(conn, n, 0, 0)
        add_video(conn, 70, 0, 0, state="failed", error="It is no video. Copy it again.", uri="b/cam_9/odd%name.mp4")
        add_video(conn, 71, 0, 0, error="3 pictures are missing.", site=None, camera=None)
        add_video(conn, 72, 0, 0, state="retired", duplicate_of_video_id=1)

    def found(asked: archive.VideoFilter, before: int | None = None) -> list[int]:
        with home.database.read() as conn:
            return [video.video_id for video in archive.videos(conn, asked, before)]

    assert found(archive.VideoFilter(state="failed")) == [70]
    assert found(archive.VideoFilter(state=archive.LOST)) == [71]
    assert found(archive.VideoFilter(text="CAM_9/odd%")) == [70]
    assert found(archive.VideoFilter(text="%")) == [70]
    assert found(archive.VideoFilter(camera=("", ""))) == [71]
    day = date(2013, 5, 7)
    assert found(archive.VideoFilter(since=day, until=day)) == [2]
    first = found(archive.VideoFilter())
    assert (len(first), first[0], first[-1]) == (50, 72, 23)
    assert found(archive.VideoFilter(), before=23) == list(range(22, 0, -1))
    with home.database.read() as conn:
        of_two = next(video for video in archive.videos(conn, archive.VideoFilter()) if video.video_id == 72)
        assert of_two.copy_of == "a/cam1/1.mp4"
        assert archive.videos(conn, archive.VideoFilter(), before=3)[0].n_tracks == 3
        progress = archive.progress(conn, 1)
        assert (progress.states["failed"], progress.lost, progress.copies) == (1, 1, 1)
        assert progress.frames == 20
        assert progress.tracks == {"live": 6}
    page = browser("lotte").get("/data?state=failed").text
    assert "It is no video. Copy it again." in page
    assert "data-act" not in page
    assert "a/cam1" not in page.partition('id="videos"')[2].partition("</form>")[2]


def test_retrying_takes_failed_videos_up_again(home: Home, browser: Callable[..., Browser]) -> None:
    """A button that does something else than the command would leave videos behind that nobody looks for."""
    with home.database.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 2).values(state="failed", error="no disk"))
        conn.execute(sa.update(s.bundle).values(attempts=MAX_ATTEMPTS))
    ada = browser("ada")
    assert "/api/data/retry" in ada.get("/data").text
    assert ada.post("/api/data/retry", json={}).json() == {"videos": 1, "bundles": 1}
    with home.database.read() as conn:
        row = conn.execute(sa.select(s.video.c.state, s.video.c.error).where(s.video.c.video_id == 2)).one()
        assert tuple(row) == ("registered", None)
    assert audited(home, "video.retry_failed") == [("ada", "archive")]


def test_one_failed_video_is_taken_up_alone(home: Home, browser: Callable[..., Browser]) -> None:
    """Who has mended one file of fifty does not want the other forty-nine to fail again for a night."""
    with home.database.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id.in_((1, 2))).values(state="failed", error="no disk"))
    ada = browser("ada")
    assert 'name="video_id" value="2"' in ada.get("/data").text
    assert 'name="video_id"' not in browser("lotte").get("/data").text
    assert ada.post("/api/data/retry", json={"video_id": 2}).json()["videos"] == 1
    with home.database.read() as conn:
        states = conn.execute(sa.select(s.video.c.state).where(s.video.c.video_id.in_((1, 2))).order_by("video_id"))
        assert list(states.scalars()) == ["failed", "registered"]
    assert audited(home, "video.retry_failed") == [("ada", "video:2")]
    again = ada.post("/api/data/retry", json={"video_id": 2})
    assert (again.status_code, again.json()["code"]) == (409, "not_failed")


def test_a_new_user_signs_in_once_and_chooses_a_password(home: Home, browser: Callable[..., Browser]) -> None:
    """A password that is sent around stays one that others know."""
    ada = browser("ada")
    made = ada.post("/api/users/add", json={"name": " zoe ", "role": "identifier"}).json()
    zoe = browser()
    said = zoe.post("/api/sign-in", json={"name": "zoe", "password": made["password"]}).json()
    assert said["must_change_password"]
    assert zoe.get("/api/individuals").json()["code"] == "password_must_change"
    assert zoe.post("/api/password", json={"old": made["password"], "new": PASSWORD}).status_code == 200
    assert zoe.get("/api/individuals").status_code == 200
    assert audited(home, "user.add")[-1] == ("ada", "zoe")
    assert ada.post("/api/users/add", json={"name": "zoe", "role": "viewer"}).status_code == 422
    assert ada.post("/api/users/add", json={"name": "tom", "role": "king"}).status_code == 422
    page = ada.get("/users").text
    assert made["password"] not in page


def test_a_reset_ends_the_password_and_the_sessions_of_its_owner(home: Home, browser: Callable[..., Browser]) -> None:
    """Whoever found the tablet stays in."""
    vera = browser("vera")
    secret = browser("ada").post("/api/users/password", json={"name": "vera"}).json()["password"]
    assert vera.get("/api/me").status_code == 401
    assert browser().post("/api/sign-in", json={"name": "vera", "password": PASSWORD}).status_code == 401
    assert browser().post("/api/sign-in", json={"name": "vera", "password": secret}).json()["must_change_password"]
    with home.database.write() as conn:
        vito = conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == "vito"))
        conn.execute(sa.insert(s.oidc_identity).values(tid="t", oid="o", user_id=vito, created_at=START))
    refused = browser("ada").post("/api/users/password", json={"name": "vito"})
    assert refused.status_code == 409, "a password would be a second way in, past the provider"


def test_who_is_disabled_is_out_and_may_come_back(home: Home, browser: Callable[..., Browser]) -> None:
    """Somebody who left the project goes on naming animals; a slip of an administrator cannot be mended."""
    vera, ada = browser("vera"), browser("ada")
    assert ada.post("/api/users/disable", json={"name": "vera"}).status_code == 200
    assert vera.get("/api/me").status_code == 401
    assert ada.post("/api/users/enable", json={"name": "vera"}).status_code == 200
    assert vera.get("/api/me").status_code == 401, "a session that was ended stays ended"
    vera.sign_in("vera")
    assert ada.post("/api/users/disable", json={"name": "ada"}).status_code == 409, "nobody could undo it"
    assert ada.post("/api/users/disable", json={"name": "nobody"}).status_code == 422
    assert audited(home, "user.disable") == [("ada", "vera")]
    assert audited(home, "user.enable") == [("ada", "vera")]


def test_ending_sessions_spares_ones_own(home: Home, browser: Callable[..., Browser]) -> None:
    """An administrator who ends all sessions locks the door from outside."""
    ada, other, vera = browser("ada"), browser("ada"), browser("vera")
    assert ada.post("/api/users/sign-out", json={"name": "vera"}).json()["ended"] == 1
    assert vera.get("/api/me").status_code == 401
    assert ada.post("/api/users/sign-out", json={"name": "ada"}).json()["ended"] == 1
    assert (ada.get("/api/me").status_code, other.get("/api/me").status_code) == (200, 401)


def test_pace_and_agreement_are_those_of_the_answers(home: Home) -> None:
    """A volunteer who guesses fast looks like the best one."""
    record_events(
        home.database,
        [
            event("identify", track(1), "FF", annotator="anna", seconds=4.0),
            event("identify", track(1), "FF", annotator="vera", seconds=1.0),
            event("identify", track(1, 1), "FI", annotator="anna", seconds=6.0),
            event("unknown", track(1, 1), annotator="vera", seconds=2.0),
            event("identify", track(1, 2), "GM", annotator="vera", seconds=3.0),
            event("identify", track(2), "GM", annotator="vera", lane="import"),
        ],
    )
    with home.database.read() as conn:
        found = people.answering_summary(conn)
    paces = {pace.name: pace for pace in found.paces}
    assert (paces["vera"].answers, paces["vera"].hours, paces["vera"].per_hour, paces["vera"].seconds) == (3, 1, 3, 2)
    assert paces["anna"].seconds == 5
    assert (found.alike["vera"].hits, found.alike["vera"].n) == (1, 2)
    assert (found.alike["anna"].hits, found.alike["anna"].n) == (1, 2)
    assert found.hours[0].answers == {"anna": 2, "vera": 3}


def test_the_log_is_read_page_by_page(home: Home, browser: Callable[..., Browser]) -> None:
    """What happened a month ago is what one looks for, and it is thousands of lines away."""
    now = datetime.now(UTC)
    with home.database.write() as conn:
        for n in range(120):
            conn.execute(
                sa.insert(s.audit_event).values(
                    action="sign_in.failed" if n % 2 else "other", subject=f"person {n}", at=now - timedelta(minutes=n)
                )
            )
    ada = browser("ada")
    seen: list[str] = []
    address = "/users?part=log&action=sign_in.failed"
    for _ in range(3):
        page = ada.get(address).text
        seen += re.findall(r"<td>(person \d+)</td>", page)
        more = re.search(r'href="(/users\?[^"#]*before=[^"#]*)', page)
        if more is None:
            break
        address = more.group(1).replace("&amp;", "&")
    assert seen == [f"person {n}" for n in range(119, 0, -2)]


def test_a_clock_is_corrected_on_the_page_and_put_back(home: Home, browser: Callable[..., Browser]) -> None:
    """Whoever sees the night in the picture is at the page, not at a command line."""
    v = s.video.c
    with home.database.read() as conn:
        before = {row.video_id: row for row in conn.execute(sa.select(v.video_id, v.camera, v.recorded_at))}
    anna = browser("anna")
    page = anna.get("/data").text
    assert "/api/times/correct" in page
    assert "/api/times/correct" not in browser("lotte").get("/data").text
    wanted = {"camera": "a/cam1", "offset": "-13h", "why": "<b>seen</b>"}
    looked = anna.post("/api/times/correct", json={**wanted, "dry_run": True}).json()
    assert looked["correction_id"] is None
    said = anna.post("/api/times/correct", json=wanted).json()
    n = sum(row.camera == "cam1" for row in before.values())
    assert (said["correction_id"], said["videos"], looked["videos"]) == (1, n, n)
    with home.database.read() as conn:
        for row in conn.execute(sa.select(v.video_id, v.camera, v.recorded_at, v.recorded_at_source)):
            off = timedelta(hours=-13 if row.camera == "cam1" else 0)
            assert row.recorded_at == before[row.video_id].recorded_at + off
    page = anna.get("/data").text
    assert "&lt;b&gt;seen&lt;/b&gt;" in page
    assert "/api/times/undo" in page
    refused = anna.post("/api/times/correct", json={**wanted, "offset": "soon"})
    assert (refused.status_code, "not a time span" in refused.json()["error"]) == (422, True)
    assert browser("vera").post("/api/times/correct", json=wanted).status_code == 403
    assert browser("vera").post("/api/times/undo", json={"correction_id": 1}).status_code == 403
    assert anna.post("/api/times/undo", json={"correction_id": 1, "why": "it was noon"}).json()["videos"] == n
    with home.database.read() as conn:
        after = {row.video_id: row for row in conn.execute(sa.select(v.video_id, v.camera, v.recorded_at))}
    assert after == before
    assert audited(home, "time.correct") == [("anna", "time_correction:1")]
    assert audited(home, "time.revoke") == [("anna", "time_correction:1")]
