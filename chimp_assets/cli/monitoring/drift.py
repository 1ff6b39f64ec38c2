"""`chimp drift`: what changed, and what people say about it. Does not belong here: noticing (`monitoring`)."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from chimp_assets.cli.answers import Json, answer, opened

app = typer.Typer(no_args_is_help=True, help="Changes of cameras, pictures and models: list them, decide about them.")

_Number = Annotated[int, typer.Argument(help="The number of the alert, as `chimp drift list` shows it.", min=1)]
_Reason = Annotated[str, typer.Option("--why", help="What happened, in a few words: others read it.")]
_Decider = Annotated[str | None, typer.Option("--by", help="The user who decides this. Default: expert.")]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that were expected or are over.")] = False,
    json: Json = False,
) -> None:
    """List what changed: open alerts, a sentence each, with what was asked because of it."""
    from chimp_assets.console.drift import show_alerts
    from chimp_assets.insight.drift import stories
    from chimp_assets.monitoring.alerts import OPEN, alerts

    with opened().database.read() as conn:
        found = stories(conn, alerts(conn, None if every else (OPEN,)))
    answer(json, {"alerts": [one.as_dict() for one in found]}, partial(show_alerts, found, every))


@app.command()
def show(number: _Number, json: Json = False) -> None:
    """Show one alert: what changed, what was done because of it, who was told."""
    from chimp_assets.console.drift import show_alert
    from chimp_assets.insight.drift import story
    from chimp_assets.monitoring.alerts import alert

    home = opened()
    with home.database.read() as conn:
        found = story(conn, alert(conn, number))
    answer(json, found.as_dict(), partial(show_alert, found, home.settings.web.public_url))


@app.command()
def expect(number: _Number, why: _Reason, by: _Decider = None, json: Json = False) -> None:
    """Say that a change was expected: nothing more is asked because of it, and it is not noticed again."""
    from chimp_assets.database.people.users import DEFAULT_EXPERT
    from chimp_assets.monitoring.alerts import EXPECTED
    from chimp_assets.monitoring.alerts import expect as decide

    changed = decide(opened().database, number, why, by or DEFAULT_EXPERT)
    already = "" if changed else " already"
    answer(
        json,
        {"alert_id": number, "state": EXPECTED, "changed": changed},
        f"Alert {number} is expected{already}: nothing more is asked because of it.",
    )


@app.command()
def resolve(number: _Number, why: _Reason, by: _Decider = None, json: Json = False) -> None:
    """Close an alert whose cause is gone. Without this it closes by itself when the signal is back or is learned."""
    from chimp_assets.database.people.users import DEFAULT_EXPERT
    from chimp_assets.monitoring.alerts import RESOLVED
    from chimp_assets.monitoring.alerts import resolve as decide

    changed = decide(opened().database, number, why, by or DEFAULT_EXPERT)
    already = "" if changed else " already"
    answer(
        json,
        {"alert_id": number, "state": RESOLVED, "changed": changed},
        f"Alert {number} is resolved{already}. A change that begins a month later or more is a new alert.",
    )


@app.command()
def tell(
    test: Annotated[bool, typer.Option("--test", help="Send a test instead, by each way; nothing is written.")] = False,
    json: Json = False,
) -> None:
    """Tell people now what they were not told, also what was given up. The daemon does it by itself every half minute.

    Exit code 2 if a way failed.
    """
    from chimp_assets.monitoring.messages.telling import send_test, try_again
    from chimp_assets.monitoring.messages.telling import tell as tell_now

    home = opened()
    if not test:
        try_again(home.database)
    done = send_test(home) if test else tell_now(home)
    wanted = home.settings.monitoring
    if not (wanted.webhook or wanted.mail_to):
        words = "Nobody is told of alerts: set monitoring.webhook or monitoring.mail_to (docs/operate/monitoring.md)."
    elif test and done.told:
        words = f"A test was taken by: {', '.join(done.told)}. {done.in_words() if done.is_faulty else ''}".strip()
    else:
        words = done.in_words()
    answer(json, done.as_dict(), words)
    if done.is_faulty:
        raise typer.Exit(2)
