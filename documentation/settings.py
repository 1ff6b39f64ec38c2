"""docs/reference/settings.md: every setting with its type, its default and what it does.

Belongs here: how a setting looks on the page. Does not belong here: descriptions (`chimp_assets.settings`).
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from chimp_assets.settings import Settings
from documentation.tables import first_paragraph, sentence, table

HEAD = """\
# Settings

Every setting, its default and what it does. This page is written by `make docs` from the descriptions in
`chimp_assets/settings/`.

The environment wins over `chimp.toml` in the home, which wins over the defaults. The setting `fps` of the table
`[decode]` is written in two ways:

```toml
[decode]
fps = 2.0
```

```sh
export CHIMP_DECODE__FPS=2.0      # CHIMP_, the table, two underscores, the setting
```

Lists and tables are written as JSON in the environment: `CHIMP_ARCHIVE__SUFFIXES='[".mp4", ".mkv"]'`. A setting that
does not exist, and a value out of its range, end a command with a sentence that names it.
"""

DERIVED = {
    "home": "`./chimp_home`",
    "store_url": "the folder `store` of the home",
    "database_url": "the SQLite file `chimp.db` of the home",
}
"""Defaults that depend on others."""

VARIABLES = {
    "CHIMP_HOME": "The home: the folder of settings, database and store. It cannot stand in `chimp.toml`.",
    "CHIMP_KEEP_ENVIRONMENT": "Names of more variables that processes on this machine inherit, with commas between.",
    "CHIMP_OIDC_CLIENT_SECRET": "The secret of the application at the identity provider (`web.oidc`).",
    "CHIMP_ALERT_WEBHOOK": "The address that gets alerts, with its key (`monitoring.webhook`): https, or http for this "
    "machine. See [monitoring](../operate/monitoring.md).",
    "CHIMP_ALERT_MAIL_PASSWORD": "The password of `monitoring.mail_user` at the mail server.",
    "CHIMP_METRICS_TOKEN": "Whoever sends this token as `Authorization: Bearer ...` may read `/metrics`.",
    "CHIMP_DAGSTER_POSTGRES_URL": "Dagster's own records in PostgreSQL: see [running](../operate/running.md).",
    "CHIMP_BROKER_URL": "The broker between the daemon and its workers, for the engine celery: "
    "`redis://:PASSWORD@HOST:6379/0`. See [scale-out](../operate/scale-out.md).",
    "CHIMP_UI_TOKEN": "Whoever knows this secret, of 20 characters or more, may open Dagster's web UI where the page "
    "is on another host name or on several servers: see [the page](../operate/page.md).",
    "CHIMP_WEIGHTS": "The folder of weights that `chimp models install` keeps; default: `chimp-assets/weights` in the "
    "data folder of this user.",
    "CHIMP_SENSOR_NAME_S": "Least seconds between two ticks of the sensor NAME (`CHIMP_SENSOR_NEW_LABELS_S=5`). The "
    "demo shortens them; nothing else should need to.",
    "CHIMP_UP_ID": "Set by `chimp up` for the processes that it starts, so that it finds them again. Never set it.",
    "CHIMP_UP_PART": "The same: which part of the product a process is.",
    "CHIMP_PIPES_ACCOUNT_URL": "Set for jobs of Azure ML: the storage account to whose blobs a heavy step reports.",
    "CHIMP_PIPES_KIND": "Set for jobs of Azure ML, to `azureml`: how a heavy step reports.",
}
"""Variables of the environment that are no settings: secrets, and what programs say to each other."""


def page() -> str:
    """The page as Markdown."""
    lines = [HEAD]
    lines += ["## At the top of chimp.toml", ""]
    lines += _rows("", Settings)
    for name, section in sections():
        lines += ["", f"## [{name}]", "", first_paragraph(section.__doc__), ""]
        lines += _rows(name, section)
    lines += ["", "## Only in the environment", "", "Secrets are never written into a file.", ""]
    lines += table(["variable", "what"], ([f"`{name}`", what] for name, what in VARIABLES.items()))
    return "\n".join(lines) + "\n"


def sections(of: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of chimp.toml by its dotted name, outer before inner."""
    for name, field in of.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield prefix + name, field.annotation
            yield from sections(field.annotation, f"{prefix}{name}.")


def settings() -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its dotted name."""
    tables: list[tuple[str, type[BaseModel]]] = [("", Settings), *sections()]
    for prefix, section in tables:
        for name, field in _own(section):
            yield (f"{prefix}.{name}" if prefix else name), field


def _own(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            yield name, field


def _rows(prefix: str, section: type[BaseModel]) -> list[str]:
    rows = []
    for name, field in _own(section):
        full = f"{prefix}.{name}" if prefix else name
        rows.append(
            [f"`{full}`", _type(field), DERIVED.get(full) or _default(field), sentence(field.description or "")]
        )
    return table(["setting", "type", "default", "what"], rows)


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is None or default is PydanticUndefined or default == "":
        return "none"
    if isinstance(default, tuple):
        default = list(default)
    return f"`{json.dumps(default)}`" if isinstance(default, list | dict | bool) else f"`{default}`"


def _type(field: FieldInfo) -> str:
    return " ".join(filter(None, [_name(field.annotation), _range(field)]))


def _name(annotation: Any) -> str:
    """A type in words."""
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "folder"}
    if annotation in plain:
        return plain[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_name(one) for one in inner if one is not type(None))
    if origin is tuple:
        return f"list: {_name(inner[0])}"
    if origin is dict:
        return f"table: {_name(inner[0])} to {_name(inner[1])}"
    raise TypeError(f"no words for the type {annotation}")


def _range(field: FieldInfo) -> str:
    bounds = {}
    for one in field.metadata:
        for kind, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
            value = getattr(one, kind, None)
            if value is not None:
                bounds[sign] = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return ", ".join(f"{sign} {value}" for sign, value in bounds.items())
