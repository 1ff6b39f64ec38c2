"""The table `shared_setting`: what all hosts of one database have agreed on, and the address of their archive.

Belongs here: its rows, and comparing them with the settings of a host. Does not belong here: which settings are shared
(`settings.shared`), and which host is refused for them (`home`).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.people.users import user_id_of, write_audit_event
from chimp_assets.database.schema import app_user, shared_setting
from chimp_assets.database.texts import cut_to
from chimp_assets.errors import SettingsError

ARCHIVE = "archive_url"
"""Beside the shared settings: the archive that `chimp ingest` named on one host. The settings of a host win over it."""

_S = shared_setting.c


@dataclass(frozen=True)
class SharedSetting:
    """A row: its value as JSON, the machine and the user (None: the first host to come) that set it, and when."""

    name: str
    value: str
    host: str
    user: str | None
    set_at: datetime


@dataclass(frozen=True)
class SettingDifference:
    """A setting of this host that is not what all share. here: its value as JSON; shared: None where there is none."""

    name: str
    here: str
    shared: SharedSetting | None

    def __str__(self) -> str:
        if self.shared is None:
            return f"{self.name} is {self.here} here and is not shared yet"
        by = f" by {self.shared.user}" if self.shared.user else ""
        return (
            f"{self.name} is {self.here} here and {self.shared.value} for all hosts"
            f" (set{by} on {self.shared.host}, {self.shared.set_at:%Y-%m-%d})"
        )


class DifferentSettingsError(SettingsError):
    """A host whose rows would disagree with those of the others."""


def this_host() -> str:
    """The name of this machine, as rows keep it."""
    return cut_to(platform.node() or "unknown", 200)


def shared_settings(conn: sa.Connection) -> dict[str, SharedSetting]:
    """Every row, by its name."""
    rows = conn.execute(
        sa.select(_S.name, _S.value, _S.host, app_user.c.name.label("user"), _S.set_at).outerjoin_from(
            shared_setting, app_user, app_user.c.user_id == _S.user_id
        )
    )
    return {row.name: SharedSetting(*row) for row in rows}


def different(conn: sa.Connection, wanted: Mapping[str, str]) -> list[SettingDifference]:
    """What of the settings of this host is not what all share, in their order. wanted: JSON by name."""
    there = shared_settings(conn)
    return [
        SettingDifference(name, value, there.get(name))
        for name, value in wanted.items()
        if name not in there or there[name].value != value
    ]


def require_same(db: Database, wanted: Mapping[str, str]) -> None:
    """Writes what no host has set yet. Raises DifferentSettingsError, with every difference, where others set other
    values."""
    with db.read() as conn:
        found = different(conn, wanted)
    if any(one.shared is None for one in found):
        _write_first(db, [one for one in found if one.shared is None])
        with db.read() as conn:  # another host may have been quicker
            found = different(conn, wanted)
    found = [one for one in found if one.shared is not None]
    if found:
        variables = ", ".join(f"CHIMP_{one.name.upper().replace('.', '__')}" for one in found[:3])
        raise DifferentSettingsError(
            f"This host's settings would make rows that disagree with those of the other hosts: "
            f"{'; '.join(map(str, found))}.",
            f"Set them as the others have them (chimp.toml or {variables}), or, if all hosts shall change, change them "
            "on each and run `chimp settings adopt` on one.",
        )


def adopt(
    db: Database, wanted: Mapping[str, str], by: str | None = None, why: str | None = None
) -> list[SettingDifference]:
    """Makes the settings of this host those of all; returns what that changed.

    Each change is in `audit_event`, with both values. by: who decides it. Raises PeopleError for an unknown user.
    """

    def work(conn: sa.Connection) -> list[SettingDifference]:
        found = different(conn, wanted)
        user_id = None if by is None else user_id_of(conn, by)
        for one in found:
            _set(conn, one.name, one.here, user_id, is_new=one.shared is None)
            if one.shared is not None:
                detail = {"before": one.shared.value, "after": one.here, "host": this_host(), "why": why or ""}
                write_audit_event(conn, "settings.adopt", one.name, detail, by)
        return found

    return db.transact(work)


def archive_of(conn: sa.Connection) -> str | None:
    """The address of the archive that some host was told; None: none was."""
    text = conn.scalar(sa.select(_S.value).where(_S.name == ARCHIVE))
    return None if text is None else str(json.loads(text))


def _write_first(db: Database, missing: list[SettingDifference]) -> None:
    try:
        with db.write() as conn:
            for one in missing:
                _set(conn, one.name, one.here, None, is_new=True)
    except (sa.exc.DBAPIError, DatabaseError):
        return  # another host wrote them at this moment, or this user may only read


def _set(conn: sa.Connection, name: str, value: str, user_id: int | None, is_new: bool) -> None:
    values = {"value": value, "host": this_host(), "user_id": user_id, "set_at": datetime.now(UTC)}
    if is_new:
        conn.execute(sa.insert(shared_setting).values(name=name, **values))
    else:
        conn.execute(sa.update(shared_setting).where(_S.name == name).values(**values))
