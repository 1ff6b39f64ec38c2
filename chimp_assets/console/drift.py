"""What `chimp drift` prints. Does not belong here: finding out (`insight.drift`), sentences (`monitoring.words`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.console.output import say, show_indented, styled
from chimp_assets.console.tables import print_facts
from chimp_assets.console.words import counted
from chimp_assets.monitoring.words import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chimp_assets.insight.drift import AlertEffect, AlertStory
    from chimp_assets.monitoring.messages.telling import AlertMessage

_STYLES = {"open": "yellow", "expected": "dim", "resolved": "green"}
_ORDER = ("open", "expected", "resolved")


def show_alerts(found: Sequence[AlertStory], every: bool) -> None:
    """Each alert in two lines, open ones first; then what one can do."""
    if not found:
        say("Nothing that was noticed is open." if not every else "Nothing was noticed so far.")
        if not every:
            say("Those that were expected or are over: chimp drift list --all")
        return
    for one in sorted(found, key=lambda one: _ORDER.index(one.alert.state)):
        state = one.alert.state
        say(styled(f"{one.alert.alert_id:>4}  ", (f"{state:<8}", _STYLES[state]), f"  {sentence(one.alert)}"))
        show_indented(styled((f"{outcome(one)}{effect_in_words(one.effect)}", "dim")), 16)
    if any(one.alert.state == "open" for one in found):
        number = max(one.alert.alert_id for one in found if one.alert.state == "open")
        say(
            "",
            f"More about one, with pictures on the page: chimp drift show {number}",
            f'You know why, and it may stay so:         chimp drift expect {number} --why "..."',
            f'It is mended:                             chimp drift resolve {number} --why "..."',
        )


def show_alert(one: AlertStory, page: str | None) -> None:
    """Everything about one alert."""
    alert = one.alert
    say(styled((sentence(alert), "bold")))
    facts = [
        ("alert", f"{alert.alert_id}, {alert.state}"),
        ("camera", alert.camera or "all"),
        ("signal", f"{alert.signal} ({alert.kind})"),
        ("since", f"{alert.since}" + (f", until {alert.until}" if alert.until else "")),
        ("noticed", f"{alert.opened_at:%Y-%m-%d %H:%M} UTC, in videos up to {alert.noticed}"),
    ]
    if alert.size is not None:
        unit = "points" if alert.kind in ("model", "annotator") else "times the usual difference between days"
        size = 100 * alert.size if alert.kind in ("model", "annotator") else alert.size
        facts.append(("size", f"{size:+.1f} {unit}"))
    facts += [(name, f"{alert.detail[name]}") for name in ("before", "after") if name in alert.detail]
    if alert.evidence is not None:
        facts.append(("evidence", f"{alert.evidence:,.0f}"))
    if alert.state != "open":
        facts.append(("decided", outcome(one).strip(" .")))
    facts.append(("since then", effect_in_words(one.effect)))
    facts += [("told", told_in_words(message)) for message in one.messages] or [("told", "nobody so far")]
    print_facts(facts)
    if page:
        say(f"Pictures before and after: {page}/drift/{alert.alert_id}")
    else:
        say(f"Pictures before and after: the page /drift/{alert.alert_id} of the labelling page (chimp web).")


def outcome(one: AlertStory) -> str:
    """How it was decided, before what else is said; empty while it is open."""
    alert = one.alert
    if alert.decided_at is None:
        return ""
    return f"{one.by or 'by itself'}, {alert.decided_at:%Y-%m-%d}: {(alert.why or '').rstrip('.')}. "


def effect_in_words(effect: AlertEffect) -> str:
    """What was asked because of an alert, and what was learned since."""
    asked = f"{counted(effect.asked, 'question', 'questions')} asked because of it, {effect.answered:,} answered"
    if not effect.asked:
        asked = "nothing asked because of it so far"
    heads = f"; {counted(effect.heads, 'head', 'heads')} trained since" if effect.heads else ""
    return f"{asked}{heads}" + (f", head {effect.champion} promoted" if effect.champion is not None else "")


def told_in_words(message: AlertMessage) -> str:
    """How one way went."""
    tries = counted(message.attempts, "attempt", "attempts")
    if message.sent_at is not None:
        return f"{message.channel}: {message.sent_at:%Y-%m-%d %H:%M} UTC" + (
            f" ({message.error})" if message.error else ""
        )
    if message.state == "given_up":
        return f"{message.channel}: given up after {tries}: {message.error} Try again: chimp drift tell"
    if message.next_at is not None and message.error:
        return f"{message.channel}: {tries} failed: {message.error} Next: {message.next_at:%Y-%m-%d %H:%M} UTC"
    return f"{message.channel}: being sent"
