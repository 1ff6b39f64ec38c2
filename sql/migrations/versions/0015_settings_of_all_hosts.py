"""Settings that all hosts share; what ended the runs of a bundle, and how much was left when the last one began.

Revision 0015, after 0014. A bundle that had used up its attempts is asked for again: nobody knows what had ended them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")


def upgrade() -> None:
    op.create_table(
        "shared_setting",
        sa.Column("name", sa.Unicode(60), nullable=False, comment="as in chimp.toml: decode.fps"),
        sa.Column("value", sa.Unicode(4000), nullable=False, comment="JSON"),
        sa.Column("host", sa.Unicode(200), nullable=False, comment="the machine that set it"),
        sa.Column("user_id", sa.BigInteger(), nullable=True, comment="who decided it; null: the first host to come"),
        sa.Column("set_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_shared_setting_user_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shared_setting")),
        comment="settings that all hosts share; what they were before is in audit_event",
    )
    # SQLite keeps no comments; SQL Server has this one from the schema, or none.
    if (
        op.get_context().dialect.name == "postgresql"
    ):  # SQLite keeps no comments; on SQL Server one would fail if missing
        op.alter_column(
            "bundle",
            "attempts",
            existing_type=sa.Integer(),
            existing_nullable=False,
            comment="runs begun since the last that finished, or that left fewer steps than the one before it",
        )
    op.add_column(
        "bundle",
        sa.Column(
            "errors",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="runs since the last that finished which an error of the work itself ended",
        ),
    )
    op.add_column(
        "bundle",
        sa.Column(
            "steps_left",
            sa.Integer(),
            nullable=True,
            comment="steps of its videos that were left when the last run began",
        ),
    )
