"""From changes to alerts: one alert for one change, whatever the next look calls it.

Belongs here: recognising a change that was told already, and its end. Does not belong here: finding changes
(`changes`), rows of alerts (`alerts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import OPEN, PAST, SAME_CHANGE, Alert, alerts, note_end, open_alert

if TYPE_CHECKING:
    from chimp_assets.monitoring.changes import Change

KINDS = ("data", "prediction")


def notice(home: Home, changes: Iterable[Change]) -> list[int]:
    """Opens an alert for each change that has none, and writes down where known ones ended; the keys of new alerts.

    A change that was over before anybody noticed it says so in its detail (`closing.PAST`).
    """
    opened: list[int] = []
    for change in changes:

        def work(conn: sa.Connection, change: Change = change) -> int | None:
            known = [one for one in alerts(conn) if _is(one, change)]
            if known:
                for one in known:
                    if one.state == OPEN and one.signal == change.signal and change.until is not None:
                        note_end(conn, one.alert_id, change.until)
                return None
            past = {PAST: True} if change.until is not None else {}
            return open_alert(
                conn,
                kind=change.kind,
                signal=change.signal,
                camera=change.camera,
                since=change.since,
                noticed=change.noticed,
                until=change.until,
                size=change.size,
                evidence=change.evidence,
                detail={**change.detail, **past},
            )

        if (alert_id := home.database.transact(work)) is not None:
            opened.append(alert_id)
    return opened


def _is(alert: Alert, change: Change) -> bool:
    """Whether they are one: of one camera, of near days, with a signal in common. Which of several signals names it may
    change when older videos come in."""
    near = abs(alert.since - change.since) <= SAME_CHANGE
    mine = {alert.signal, *(one["signal"] for one in alert.detail.get("also", ()))}
    its = {change.signal, *(one["signal"] for one in change.detail.get("also", ()))}
    return near and alert.kind in KINDS and alert.camera == change.camera and not mine.isdisjoint(its)
