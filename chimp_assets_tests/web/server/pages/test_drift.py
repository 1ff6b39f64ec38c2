"""The pages of what changed: who sees what, what is escaped, what a decision does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.drift import course_of, story
from chimp_assets.monitoring.alerts import alert, alerts, open_alert, resolve
from chimp_assets.web.charts import signal_over_days
from chimp_assets_tests.database.t_sql import compiled, faults_of
from chimp_assets_tests.database.world import HEAD, plan, track

CHANGED = date(2013, 5, 10)
"""Of the eight days of the home, 2013-05-06 is the first; cam1 filmed on every other one."""


@pytest.fixture
def number(archive):
    """An open alert of cam1 with its signal, a question asked and one answered; and a closed one."""
    with archive.database.write() as conn:
        what = {"kind": "data", "noticed": CHANGED + timedelta(days=3)}
        before_and_after = {"before": 52.1, "after": 18.0}
        found = open_alert(
            conn, **what, signal="contrast", camera="a/cam1", since=CHANGED, size=-4.2, detail=before_and_after
        )
        over = open_alert(conn, **what, signal="brightness", camera="<b>cam</b>", since=CHANGED, size=4.0)
        for n in range(8):
            row = {"camera": "a/cam1", "day": CHANGED + timedelta(days=n - 4), "signal": "contrast", "model_id": 0}
            value = {"value": 50.0 if n < 4 else 20.0, "spread": 2.0, "n": 3, "light": "day"}
            conn.execute(sa.insert(t.drift_block).values(**row, **value, updated_at=datetime.now(UTC)))
    resolve(archive.database, over, "<i>cleaned</i>", "rita")
    planned = plan(archive.database, [track(5, 0), track(7, 2), track(2, 2)], "drift")
    q, r = t.acquisition_queue, t.acquisition_round
    with archive.database.write() as conn:
        conn.execute(sa.update(q).where(q.c.round_id == planned, q.c.track_id == track(5, 0)).values(state="answered"))
        conn.execute(sa.update(r).where(r.c.round_id == planned).values(created_at=datetime.now(UTC)))
    return found


def test_open_alerts_come_first_and_names_from_outside_are_escaped(client, number):
    """Names of cameras are names of folders, and reasons are typed by people."""
    page = client("lotte").get("/drift").text
    assert page.index("its pictures lost contrast (before 52.1, now 18).") < page.index("its pictures became brighter")
    assert "&lt;b&gt;cam&lt;/b&gt;" in page
    assert "&lt;i&gt;cleaned&lt;/i&gt;" in page
    assert "<b>cam" not in page
    assert "<i>cleaned" not in page


def test_the_page_of_one_shows_pictures_signal_effect_and_its_videos(client, number, archive):
    visitor = client("lotte")
    page = visitor.get(f"/drift/{number}").text
    before, after = page.split("Since then")[:2]
    assert before.count("<img src=") == 8
    assert after.count("<img src=") == 8
    picture = before.split('<img src="')[1].split('"')[0]
    assert visitor.get(picture).headers["content-type"] == "image/jpeg"
    assert "The signal over days" in page
    videos = page.split('<a href="/data?')[1].split('"')[0].replace("&amp;", "&")
    assert "cam1" in visitor.get(f"/data?{videos}").text
    with archive.database.read() as conn:
        effect = story(conn, alert(conn, number)).effect
    filmed = {"asked": effect.asked, "answered": effect.answered}
    assert filmed == {"asked": 2, "answered": 1}, "a track of cam0, or of the days before, counts"
    assert "2 questions asked, 1 answered." in page


def test_only_reviewers_decide_and_the_page_says_so(client, number, archive):
    looker, expert = client("lotte"), client("anna")
    decision = {"alert_id": number, "why": "The rainy season."}
    assert "data-act" not in looker.get(f"/drift/{number}").text
    assert looker.post("/api/drift/expect", json=decision).status_code == 403
    assert 'data-act="/api/drift/expect"' in expert.get(f"/drift/{number}").text
    assert expert.post("/api/drift/expect", json={**decision, "why": ""}).status_code == 422
    assert expert.post("/api/drift/expect", json=decision).json()["changed"] is True
    assert expert.post("/api/drift/expect", json=decision).json()["changed"] is False
    refused = expert.post("/api/drift/resolve", json=decision)
    assert refused.status_code == 422
    assert "is expected already" in refused.json()["error"]
    assert "The rainy season." in looker.get(f"/drift/{number}").text
    with archive.database.read() as conn:
        assert alerts(conn, ("open",)) == []


def test_home_says_that_something_changed_until_it_is_decided(client, number):
    expert = client("anna")
    assert "its pictures lost contrast" in expert.get("/").text
    french = expert.get("/", headers={"Accept-Language": "fr"}).text
    assert "ses images ont perdu du contraste (avant 52,1, maintenant 18)" in french
    expert.post("/api/drift/resolve", json={"alert_id": number, "why": "cleaned"})
    assert "its pictures lost contrast" not in expert.get("/").text


@pytest.mark.parametrize("path", ["/drift/99", "/drift/-1", "/drift/9999999999999999999", "/drift/x"])
def test_an_alert_that_is_not_there_is_said_to_be_missing(client, path):
    assert client("anna").get(path).status_code in (404, 422)


def test_a_chart_has_the_days_of_the_change_and_no_line_without_two_days():
    days = [(CHANGED + timedelta(days=n), float(n), 0.0) for n in range(5)]
    chart = signal_over_days(days, CHANGED + timedelta(days=2), CHANGED + timedelta(days=4))
    assert chart is not None
    assert [inside for _, _, inside in chart.dots] == [False, False, True, True, False]
    assert [x for x, _, _ in chart.dots][2] == chart.change[0]
    assert [x for x, _, _ in chart.dots][4] == chart.change[1]
    assert signal_over_days(days[:1], CHANGED) is None
    level = signal_over_days([(day, 3.0, 0.0) for day, _, _ in days], CHANGED)
    assert level is not None
    assert {y for _, y, _ in level.dots} == {(level.top + level.bottom) / 2}


def test_statements_of_these_pages_are_t_sql(client, number, archive):
    """As for the other pages; an alert of all cameras asks another question."""
    heard = []

    def listen(conn, element, several, parameters, options):
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    visitor = client("anna")
    with archive.database.write() as conn:
        everywhere = open_alert(
            conn,
            kind="prediction",
            signal="entropy",
            camera="",
            since=CHANGED,
            noticed=CHANGED,
            size=1.0,
            model_id=HEAD,
        )
    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        for path in ("/drift", f"/drift/{number}", f"/drift/{everywhere}"):
            assert visitor.get(path).status_code == 200
        with archive.database.read() as conn:
            assert not course_of(conn, alert(conn, everywhere)).days
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    said = [(one, names) for one, names in heard if not isinstance(one, str)]
    assert sum("drift_block" in str(one) for one, _ in said) == 3
    assert [found for one, names in said if (found := faults_of(compiled(one, names)))] == []
