"""What `chimp drift` and `chimp status` say about changes."""

from __future__ import annotations

import json
from datetime import date

import pytest
from typer.testing import CliRunner

from chimp_assets.cli import app, main
from chimp_assets.monitoring.alerts import open_alert, resolve
from chimp_assets_tests.monitoring.receivers import HookServer


def said(*arguments, code=0):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def told(*arguments):
    return json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)


@pytest.fixture
def numbers(home, monkeypatch):
    """An open alert and one that closed by itself."""
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))
    what = {"kind": "data", "signal": "contrast", "camera": "cam1", "noticed": date(2026, 2, 9)}
    with home.database.write() as conn:
        first = open_alert(conn, **what, since=date(2026, 2, 1), size=-4.0, detail={"before": 52.1, "after": 18.0})
        over = open_alert(conn, **{**what, "camera": "cam\x1b2"}, since=date(2026, 2, 2), size=4.0)
    resolve(home.database, over, "The signal is back.")
    return first, over


def test_without_alerts_it_says_so(home, monkeypatch):
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))
    assert "Nothing that was noticed is open." in said("drift", "list")
    assert "Nothing was noticed so far." in said("drift", "list", "--all")
    assert "changes" not in said("status")


def test_open_alerts_are_listed_with_what_to_do_and_closed_ones_on_request(numbers):
    first, over = numbers
    shown = said("drift", "list")
    assert "Camera cam1: since 1 February 2026 its pictures lost contrast (before 52.1, now 18)." in shown
    assert f"chimp drift expect {first} --why" in shown
    assert "cam\\x1b2" not in shown
    everything = said("drift", "list", "--all")
    assert "cam\\x1b2" in everything
    assert "by itself, " in everything
    assert [one["alert_id"] for one in told("drift", "list", "--all")["alerts"]] == [over, first]
    assert "its pictures lost contrast" in said("status")
    assert len(told("status")["open_alerts"]) == 1


def test_one_alert_is_shown_with_its_effect_and_who_was_told(numbers, monkeypatch):
    first, _ = numbers
    monkeypatch.setenv("CHIMP_WEB__PUBLIC_URL", "https://labels.example.org")
    shown = said("drift", "show", str(first))
    for part in ("-4.0 times the usual difference between days", "nothing asked because of it so far", "nobody so far"):
        assert part in shown
    assert f"https://labels.example.org/drift/{first}" in shown
    assert told("drift", "show", str(first))["effect"] == {"asked": 0, "answered": 0, "heads": 0, "champion": None}


def test_a_person_decides_once_and_with_a_reason(numbers, monkeypatch, capsys):
    first, over = numbers
    assert "nothing more is asked" in said("drift", "expect", str(first), "--why", "A new camera.")
    assert "is expected already" in said("drift", "expect", str(first), "--why", "A new camera.")
    assert "expert, " in said("drift", "show", str(first))
    for arguments, sentence in (
        (["resolve", str(first), "--why", "no"], "is expected already"),
        (["show", "99"], "There is no alert 99."),
        (["expect", str(over), "--why", "x", "--by", "nobody"], "There is no user 'nobody'."),
    ):
        monkeypatch.setattr("sys.argv", ["chimp", "drift", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err
    assert "Missing option '--why'" in said("drift", "expect", str(first), code=2).replace("\n", " ")


def test_telling_by_hand_says_how_it_went(numbers, monkeypatch):
    """The remedy that doctor names must work, and a test must be possible before anything is noticed."""
    assert "Nobody is told of alerts" in said("drift", "tell")
    monkeypatch.setenv("CHIMP_MONITORING__WEBHOOK", "true")
    assert "CHIMP_ALERT_WEBHOOK is not set" in said("drift", "tell", code=2)
    assert "CHIMP_ALERT_WEBHOOK is not set" in said("doctor")
    hook = HookServer()
    monkeypatch.setenv("CHIMP_ALERT_WEBHOOK", hook.url)
    hook.status = 500
    assert "The receiver answered 500." in said("drift", "tell", code=2)
    assert "fails and is tried again: The receiver answered 500" in said("doctor")
    assert "1 attempt failed: The receiver answered 500. Next:" in said("drift", "show", str(numbers[0]))
    hook.status = 204
    assert "A test was taken by: webhook." in said("drift", "tell", "--test")
    assert "webhook: told 1 alert." in said("drift", "tell")
    assert "Everybody was told of every alert." in said("drift", "tell")
    assert [payload["test"] for _, payload in hook.came] == [False, True, False]
    hook.stop()
