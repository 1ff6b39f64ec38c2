"""What is searched in `annotation.shown` has columns: how a question was asked, flags, edits in conflict.

Revision 0014, after 0013. Rows that are there are filled by reading their JSON.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROWS = 10_000
"""Events read at a time: at most 80 MB of text."""

annotation = sa.table(
    "annotation",
    sa.column("seq", sa.BigInteger()),
    sa.column("shown", sa.Unicode()),
    sa.column("shown_mode", sa.Unicode()),
    sa.column("shown_flag", sa.Boolean()),
    sa.column("shown_conflict", sa.Unicode()),
)


def upgrade() -> None:
    op.add_column(
        "annotation", sa.Column("shown_mode", sa.Unicode(20), nullable=True, comment="how it was asked, from shown")
    )
    op.add_column(
        "annotation",
        sa.Column(
            "shown_flag",
            sa.Boolean(),
            nullable=True,
            comment="from shown: true where a reviewer is asked to look, else null",
        ),
    )
    op.add_column(
        "annotation",
        sa.Column(
            "shown_conflict",
            sa.Unicode(36),
            nullable=True,
            comment="from shown: the newer event that an edit overlooked",
        ),
    )
    if not op.get_context().as_sql:
        _fill(op.get_bind())


def _fill(conn: sa.Connection) -> None:
    a = annotation.c
    store = (
        sa.update(annotation)
        .where(a.seq == sa.bindparam("number"))
        .values(
            shown_mode=sa.bindparam("mode"), shown_flag=sa.bindparam("flag"), shown_conflict=sa.bindparam("conflict")
        )
    )
    last = conn.scalar(sa.select(sa.func.max(a.seq))) or 0
    for low in range(0, last, ROWS):
        part = sa.select(a.seq, a.shown).where(a.seq > low, a.seq <= low + ROWS, a.shown.is_not(None))
        found = [(seq, _searched(shown)) for seq, shown in conn.execute(part).all()]
        filled = [{"number": seq, **values} for seq, values in found if any(values.values())]
        if filled:
            conn.execute(store, filled)


def _searched(text: str) -> dict[str, Any]:
    """The rules of the code at this revision."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        facts = {}
    return {
        "mode": _text(facts.get("mode"), 20),
        "flag": True if facts.get("flag") is True else None,
        "conflict": _text(facts.get("conflict"), 36),
    }


def _text(value: Any, length: int) -> str | None:
    if not isinstance(value, str) or not value or "\x00" in value:
        return None
    if any("\ud800" <= character <= "\udfff" for character in value):
        return None
    # As NVARCHAR counts: an emoji is two.
    return value if len(value) + sum(character > "\uffff" for character in value) <= length else None
