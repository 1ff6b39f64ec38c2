"""People are told of an alert once: by real servers, with senders that are killed, refused, and kept waiting."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.automation.sensors import alerts
from chimp_assets.database import schema as t
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import open_alert, resolve
from chimp_assets.monitoring.messages import channels
from chimp_assets.monitoring.messages import telling as messages
from chimp_assets.monitoring.messages.channels import MAIL_PASSWORD, WEBHOOK_ADDRESS, Mail, Message, Webhook
from chimp_assets.resources import HomeResource
from chimp_assets.settings import MonitoringSettings, load_settings
from chimp_assets_tests.database.t_sql import compiled, faults_of
from chimp_assets_tests.monitoring.receivers import HookServer, MailServer
from chimp_assets_tests.monitoring.sending import STEPS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = timedelta(seconds=messages.CLAIM_S + 1)


def notice(home: Home, *cameras: str) -> int:
    """Opens an alert of each camera and returns the number of the last."""
    number = None
    with home.database.write() as conn:
        for camera in cameras or ("wood/north",):
            since, noticed = date(2026, 2, 1), date(2026, 2, 20)
            what = {"kind": "data", "signal": "contrast", "size": -3.0}
            number = open_alert(conn, **what, camera=camera, since=since, noticed=noticed)
    assert number is not None
    return number


def opened(home: Home) -> Home:
    """The home again, with what the environment says now."""
    return Home(load_settings(home.settings.home))


@pytest.fixture
def hook():
    server = HookServer()
    yield server
    server.stop()


@pytest.fixture
def post():
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def told_by_hook(home, hook, monkeypatch):
    monkeypatch.setenv(WEBHOOK_ADDRESS, hook.url)
    monkeypatch.setenv("CHIMP_MONITORING__WEBHOOK", "true")
    return opened(home)


@pytest.fixture
def told_by_mail(home, post, monkeypatch):
    for name, value in {
        "MAIL_TO": '["a@example.org", "b@example.org"]',
        "MAIL_FROM": "chimp@example.org",
        "MAIL_HOST": "127.0.0.1",
        "MAIL_PORT": str(post.port),
        "MAIL_SECURITY": "none",
    }.items():
        monkeypatch.setenv(f"CHIMP_MONITORING__{name}", value)
    return opened(home)


def rows(home: Home) -> list[messages.AlertMessage]:
    with home.database.read() as conn:
        return messages._messages(conn)


def test_an_alert_is_told_once_and_says_what_where_and_since_when(told_by_hook, hook, monkeypatch):
    """The words of the message are all that its reader sees."""
    monkeypatch.setenv("CHIMP_WEB__PUBLIC_URL", "https://labels.example.org/")
    home = opened(told_by_hook)
    number = notice(home)
    assert messages.tell(home).told == {"webhook": 1}
    assert messages.tell(home).told == {}
    ((key, payload),) = hook.came
    assert len(key) == 32
    assert payload["id"] == key
    (one,) = payload["alerts"]
    assert one["camera"] == "wood/north"
    assert one["since"] == "2026-02-01"
    assert one["sentence"] == "Camera wood/north: since 1 February 2026 its pictures lost contrast."
    assert payload["url"] == one["url"] == f"https://labels.example.org/drift/{number}"
    assert one["sentence"] in payload["text"]
    assert payload["url"] in payload["text"]
    assert [row.state for row in rows(home)] == ["sent"]


@pytest.mark.parametrize("step", [*STEPS, "while it waits for the answer"])
def test_a_sender_that_is_killed_leaves_one_message_at_a_receiver_that_honours_keys(told_by_hook, hook, step):
    """The promise of the module: never none, and never two for whoever drops what it has seen."""
    number = notice(told_by_hook)
    sender: list[subprocess.Popen[bytes]] = []
    if step not in STEPS:
        hook.on_message = lambda: os.kill(sender[0].pid, signal.SIGKILL)
    environment = {**os.environ, "CHIMP_HOME": str(told_by_hook.settings.home)}
    command = [sys.executable, "-m", "chimp_assets_tests.monitoring.sending", step]
    sender.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    assert sender[0].wait(120) == -signal.SIGKILL, sender[0].stderr.read()
    hook.on_message = lambda: None
    before = len(hook.came)
    assert before == (1 if step in ("before the note", "while it waits for the answer") else 0)
    if step != "before the claim":
        assert messages.tell(told_by_hook).told == {}, "a claim that may be alive was taken over"
    told = messages.tell(told_by_hook, datetime.now(UTC) + LATER).told
    assert told == {"webhook": 1}
    assert len(set(hook.keys())) == 1
    assert len(hook.came) == before + 1
    assert {tuple(one["alert_id"] for one in payload["alerts"]) for _, payload in hook.came} == {(number,)}
    assert messages.tell(told_by_hook, datetime.now(UTC) + 2 * LATER).told == {}


def test_a_message_that_is_sent_again_tells_the_same_alerts(told_by_hook, hook):
    """With a third alert in it, a receiver that drops the key would never hear of that one."""
    first, second = notice(told_by_hook), notice(told_by_hook, "wood/south")
    claim = messages.claim_next(told_by_hook.database, told_by_hook.settings, "webhook", NOW)
    assert claim is not None
    assert claim.alert_ids == [first, second]
    third = notice(told_by_hook, "wood/east")
    resolve(told_by_hook.database, first, "cleaned", None)
    messages.tell(told_by_hook, NOW + LATER)
    messages.tell(told_by_hook, NOW + LATER + timedelta(hours=2))
    assert [[one["alert_id"] for one in payload["alerts"]] for _, payload in hook.came] == [[first, second], [third]]
    assert hook.keys()[0] == claim.key != hook.keys()[1]


def test_a_hundred_alerts_are_one_message_and_the_next_ones_are_collected(told_by_hook, hook):
    """A first ingest of decades notices much at once; nobody reads a hundred mails."""
    notice(told_by_hook, *(f"camera {n}" for n in range(100)))
    assert messages.tell(told_by_hook, NOW).told == {"webhook": 100}
    notice(told_by_hook, "late 1")
    assert messages.tell(told_by_hook, NOW + timedelta(minutes=30)).told == {}
    notice(told_by_hook, "late 2")
    assert messages.tell(told_by_hook, NOW + timedelta(minutes=61)).told == {"webhook": 2}
    (_, many), (_, few) = hook.came
    assert many["count"] == 100
    assert len(many["alerts"]) == messages.LISTED
    assert many["more"] == 75
    assert "And 75 more." in many["text"]
    assert few["count"] == 2


def test_a_dead_receiver_is_tried_again_ever_later_and_given_up_at_last(told_by_hook, hook):
    """And what it missed is one message when it is back, without the pauses of a person who asks for it."""
    hook.stop()
    notice(told_by_hook)
    moment, attempts = NOW, 0
    while True:
        report = messages.tell(told_by_hook, moment)
        if not report.failed:
            break
        attempts += 1
        (row,) = rows(told_by_hook)
        assert row.attempts == attempts
        assert row.error == "Nobody listens at the receiver's address."
        assert messages.tell(told_by_hook, moment + timedelta(seconds=messages.pause_after(attempts) - 1)).failed == {}
        moment += timedelta(seconds=messages.pause_after(attempts) + 1)
    assert attempts == messages.MOST_ATTEMPTS
    assert timedelta(hours=20) < moment - NOW < timedelta(hours=60)
    with told_by_hook.database.read() as conn:
        assert [row.state for row in messages.given_up(conn)] == ["given_up"]
    assert messages.try_again(told_by_hook.database) == 1
    assert messages.tell(told_by_hook, moment).failed


def test_alerts_wait_for_an_older_message_that_still_fails(told_by_hook, hook):
    """Else each tick would make a message of its own for a receiver that is away."""
    hook.status = 503
    notice(told_by_hook)
    messages.tell(told_by_hook, NOW)
    notice(told_by_hook, "wood/south")
    assert messages.tell(told_by_hook, NOW + timedelta(seconds=10)).failed == {}
    hook.status = 200
    assert messages.tell(told_by_hook, NOW + timedelta(minutes=2)).told == {"webhook": 1}
    assert len(set(hook.keys())) == 1


def test_a_receiver_that_is_silent_or_slow_is_left_alone_in_bounded_time(told_by_hook, monkeypatch):
    """One byte a second would hold up the daemon for ever: a time limit of each step alone is none."""
    monkeypatch.setattr(channels, "DEADLINE_S", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv(WEBHOOK_ADDRESS, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    notice(told_by_hook)
    began = time.monotonic()
    report = messages.tell(told_by_hook)
    assert report.failed["webhook"].startswith("The receiver took longer than")
    assert time.monotonic() - began < channels.STEP_S
    listener.close()


def test_a_redirect_is_not_followed_and_no_secret_is_written_down(told_by_hook, hook, capfd):
    """The address is the operator's; who answers there must not choose another, nor read the key in our log."""
    hook.status, hook.headers = 302, {"Location": hook.url.replace("hook", "elsewhere")}
    notice(told_by_hook)
    report = messages.tell(told_by_hook, NOW)
    assert report.failed == {"webhook": "The receiver answered 302, and redirects are not followed."}
    assert [said["path"] for said in hook.said] == ["/hook/s3cret-key"]
    written = [report.as_dict(), rows(told_by_hook), repr(Webhook(hook.url)), capfd.readouterr()]
    assert "s3cret" not in str(written)


@pytest.mark.parametrize(
    "address",
    ["", "http://example.org/x", "ftp://example.org", "https://", "https://me:pw@example.org/", "https://a b/",
     "https://example.org:port/", "file:///etc/passwd", "https://example.org/\r\nX: y"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_told_before_anything_is_claimed(told_by_hook, monkeypatch, address):
    """Attempts are for receivers that are away, not for settings that cannot work."""
    monkeypatch.setenv(WEBHOOK_ADDRESS, address)
    notice(told_by_hook)
    report = messages.tell(told_by_hook)
    assert report.unusable["webhook"].startswith(("CHIMP_ALERT_WEBHOOK", "monitoring.webhook"))
    assert rows(told_by_hook) == []


def test_a_mail_says_the_same_and_keeps_its_message_id(told_by_mail, post):
    """Mailboxes know doubles by it."""
    notice(told_by_mail, "Wald/Süd \u202e")
    claim = messages.claim_next(told_by_mail.database, told_by_mail.settings, "mail", NOW)
    messages.tell(told_by_mail, NOW + LATER)
    ((number, mail),) = post.came
    assert number == f"<{claim.key}@example.org>"
    assert mail["To"] == "a@example.org, b@example.org"
    assert mail["From"] == "chimp@example.org"
    assert "Camera Wald/Süd \\u202e: since 1 February 2026 its pictures lost contrast." in mail.get_content()
    assert "Süd" in mail["Subject"]
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_mail_sender_that_is_killed_while_the_server_takes_it_leaves_one_message_id(told_by_mail, post):
    """As for the webhook."""
    notice(told_by_mail)
    sender: list[subprocess.Popen[bytes]] = []
    post.on_message = lambda: os.kill(sender[0].pid, signal.SIGKILL)
    environment = {**os.environ, "CHIMP_HOME": str(told_by_mail.settings.home)}
    command = [sys.executable, "-m", "chimp_assets_tests.monitoring.sending", "by the receiver"]
    sender.append(subprocess.Popen(command, env=environment))
    assert sender[0].wait(120) == -signal.SIGKILL
    post.on_message = lambda: None
    assert messages.tell(told_by_mail, datetime.now(UTC) + LATER).told == {"mail": 1}
    assert len(post.came) == 2
    assert len(set(post.keys())) == 1


def test_a_receiver_that_the_mail_server_refuses_is_named_and_the_others_get_it(told_by_mail, post):
    """Nothing is lost silently; and nobody gets it twice because of somebody else's wrong address."""
    post.refused = {"b@example.org"}
    notice(told_by_mail)
    assert messages.tell(told_by_mail).told == {"mail": 1}
    (row,) = rows(told_by_mail)
    assert row.state == "sent"
    assert row.error == "The mail server refuses 1 of 2 receivers."
    post.refused = {"a@example.org", "b@example.org"}
    notice(told_by_mail, "wood/south")
    moment = datetime.now(UTC) + timedelta(hours=2)
    assert messages.tell(told_by_mail, moment).failed == {"mail": "The mail server refuses all receivers."}


def test_no_password_goes_over_a_line_that_is_not_encrypted(post):
    """A server that has lost its STARTTLS, or somebody in between who takes it away."""
    ours = MonitoringSettings(
        mail_to=("a@example.org",),
        mail_from="chimp@example.org",
        mail_host="127.0.0.1",
        mail_port=post.port,
        mail_user="chimp",
    )
    assert Mail(ours, "").problem() == "monitoring.mail_user is set, and CHIMP_ALERT_MAIL_PASSWORD is not."
    with pytest.raises(channels.MessageError, match="cannot do what the settings want"):
        Mail(ours, "hush").send(Message("0" * 32, "subject", "text", {}))
    assert post.signed_in == []
    assert post.came == []
    assert "hush" not in repr(Mail(ours, "hush"))


def test_settings_of_mail_that_cannot_work_are_refused(home, monkeypatch):
    """Before an alert is there, not when it is."""
    for name, value, word in (
        ("MAIL_TO", '["a@example.org"]', "mail_from"),
        ("MAIL_TO", '["a@example.org\\r\\nBcc: b@example.org"]', "no mail address"),
        ("MAIL_FROM", "Chimp <a@example.org>", "no mail address"),
    ):
        monkeypatch.setenv(f"CHIMP_MONITORING__{name}", value)
        with pytest.raises(SettingsError, match=word):
            opened(home)
        monkeypatch.delenv(f"CHIMP_MONITORING__{name}")
    monkeypatch.setenv("CHIMP_MONITORING__MAIL_HOST", "mail.example.org")
    monkeypatch.setenv("CHIMP_MONITORING__MAIL_SECURITY", "none")
    with pytest.raises(SettingsError, match="mail_security"):
        opened(home)


def test_jobs_on_other_machines_get_no_secret_of_messages(told_by_hook, monkeypatch):
    """Everybody who may look at a job reads its variables."""
    monkeypatch.setenv(MAIL_PASSWORD, "hush")
    given = told_by_hook.job_environment()
    assert WEBHOOK_ADDRESS not in given
    assert MAIL_PASSWORD not in given
    assert "hush" not in given.values()
    assert told_by_hook.environment()[WEBHOOK_ADDRESS]


def test_a_test_message_is_one_and_leaves_nothing_behind(told_by_hook, hook):
    """Operators try it before there is an alert."""
    assert messages.send_test(told_by_hook).told == {"webhook": 0}
    ((_, payload),) = hook.came
    assert payload["test"] is True
    assert payload["alerts"] == []
    assert rows(told_by_hook) == []


def test_statements_of_messages_are_t_sql(told_by_hook, hook):
    """As `rules.test_t_sql` does it for the others."""
    heard = []

    def listen(conn, element, several, parameters, options):
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        notice(told_by_hook)
        messages.tell(told_by_hook)
        messages.try_again(told_by_hook.database)
        rows(told_by_hook)
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    about = [(one, names) for one, names in heard if not isinstance(one, str) and t.alert_message.name in str(one)]
    assert len(about) >= 6
    assert [found for one, names in about if (found := faults_of(compiled(one, names)))] == []


def test_the_sensor_tells_once_and_says_what_it_did(told_by_hook, hook, monkeypatch):
    """The daemon is who tells; a receiver that is away must neither fail its tick nor be named in it."""

    def tick() -> str:
        with dg.build_sensor_context(
            instance=dg.DagsterInstance.ephemeral(),
            resources={"home": HomeResource(path=str(told_by_hook.settings.home))},
        ) as context:
            answer = alerts.build()(context)
        assert isinstance(answer, dg.SkipReason)
        return str(answer.skip_message)

    assert tick() == "Everybody was told of every alert."
    notice(told_by_hook)
    hook.status = 500
    assert tick() == "webhook: The receiver answered 500."
    hook.status = 200
    messages.try_again(told_by_hook.database)
    assert tick() == "webhook: told 1 alert."
    assert tick() == "Everybody was told of every alert."
    assert len(set(hook.keys())) == 1
    monkeypatch.delenv("CHIMP_MONITORING__WEBHOOK")
    assert tick().startswith("Nobody is told of alerts")
