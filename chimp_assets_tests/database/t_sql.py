"""Judges whether a statement is T-SQL, without a server: it must parse, and hold nothing that SQL Server has not.

The parser is more generous than the server, so words of other databases are looked for as well.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from functools import cache
from typing import Any

import sqlalchemy as sa
import sqlglot
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import mssql
from sqlglot import exp

from chimp_assets.database.upkeep import views
from chimp_assets.settings import shipped_file

# What SQL Server has not at all, and what some servers that speak its protocol refuse: not in the common path.
FOREIGN = re.compile(
    r"\bLIMIT\b|\bRETURNING\b|\bON CONFLICT\b|\bRECURSIVE\b|\bILIKE\b|\bTRUE\b|\bFALSE\b|\bGREATEST\b|\bLEAST\b|\|\||::"
    r"|\bUSING\s*\(|\bNULLS (FIRST|LAST)\b|\bFILTER\s*\(|\bjulianday\b|\bstrftime\b|\bMERGE\b|\bCREATE OR ALTER\b"
    r"|\bCOLUMNSTORE\b|\bCURRENT_DATE\b|\bGROUP_CONCAT\b|\bWITHOUT ROWID\b|\bjson_each\b",
    re.IGNORECASE,
)
_STRINGS = re.compile(r"N?'(?:[^']|'')*'|--[^\n]*")
# Known to SQL Server; the parser takes them as they are. (SET IDENTITY_INSERT: Alembic writes it into scripts only.)
OPAQUE = re.compile(r"\s*(exec(ute)?\s+sp_(addextendedproperty|rename|getapplock)\b|set identity_insert\b)", re.I)


def dialect() -> sa.Dialect:
    """SQL Server 2022, as both drivers are spoken to."""
    found = mssql.dialect(paramstyle="qmark")
    found.server_version_info = (16,)  # type: ignore[attr-defined]  # else it writes for a server of 2005
    found.default_schema_name = "dbo"  # type: ignore[attr-defined]  # else it is asked of the server
    return found


def faults_of(statement: str) -> list[str]:
    """Why a statement is no T-SQL; [] if it is."""
    said = FOREIGN.search(_STRINGS.sub("''", statement))
    if said:
        return [f"{said[0]!r} is not SQL Server's"]
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        trees = sqlglot.parse(statement, read="tsql")
    except sqlglot.errors.SqlglotError as error:
        return [str(error)]
    if any(isinstance(tree, exp.Alias | exp.Column) for tree in trees):
        return ["not a statement"]
    return [
        f"not understood: {node.sql()[:200]}"
        for tree in trees
        if tree is not None
        for node in tree.find_all(exp.Command)
        if not OPAQUE.match(statement)
    ]


def compiled(element: Any, column_keys: list[str] | None = None) -> str:
    """A statement of SQLAlchemy as it would be sent."""
    if element.is_dml or element.is_select or element.is_text:
        more = {"column_keys": column_keys} if element.is_dml else {}
        return str(element.compile(dialect=dialect(), compile_kwargs={"render_postcompile": True}, **more))
    return str(element.compile(dialect=dialect()))


def migrations() -> list[str]:
    """Every statement of every migration, as SQL Server would get it."""
    lines: list[str] = []
    context = MigrationContext.configure(dialect=dialect(), opts={"as_sql": True, "output_buffer": _Lines(lines)})
    with Operations.context(context):
        for path in sorted((shipped_file("sql") / "migrations" / "versions").glob("0*.py")):
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.upgrade()
    return [part.strip() for part in re.split(r"^GO$", "".join(lines), flags=re.MULTILINE) if part.strip()]


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def write(self, text: str) -> None:
        self.lines.append(text)

    def flush(self) -> None:
        pass


@cache
def table_reads(name: str) -> int:
    """How often a view or a query of the cookbook reads tables, with all views and CTEs written out where named."""
    is_view = name in views.VIEW_NAMES
    text = views.load_view(name) if is_view else views.load_query(name)
    return _reads(sqlglot.parse_one(views.in_words_of("mssql", text), read="tsql"), {})


def _reads(tree: exp.Expression, known: dict[str, int]) -> int:
    ctes = tree.args.get("with_") or tree.args.get("with")
    for cte in ctes.expressions if ctes else ():
        # A recursive one is read once more by itself, for each level.
        known = known | {cte.alias: _reads(cte.this, known | {cte.alias: 0})}
    total = 0
    for key, value in tree.args.items():
        if key in ("with", "with_"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, exp.Table):
                total += known.get(part.name, table_reads(part.name) if part.name in views.VIEW_NAMES else 1)
            if isinstance(part, exp.Expression):
                total += _reads(part, known)
    return total
