"""Passwords for one sign-in end, gold questions borrow an item of the queue, and the page has a secret of its own.

Revision 0011, after 0010.
"""

import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
# Passwords for one sign-in that were given out before had no end; their owners have as long as those of new ones.
ONE_TIME = timedelta(days=1)


def upgrade() -> None:
    op.add_column(
        "app_user", sa.Column("password_ends_at", MOMENT, nullable=True, comment="of a password for one sign-in")
    )
    op.add_column(
        "app_user",
        sa.Column("password_used_at", MOMENT, nullable=True, comment="when a password for one sign-in was used"),
    )
    op.add_column(
        "quality_check",
        sa.Column(
            "item_id",
            sa.BigInteger(),
            nullable=True,
            comment="item of the queue in whose place a gold question is asked; null: a plant, or one of before 0011",
        ),
    )
    op.create_table(
        "page_secret",
        sa.Column("name", sa.Unicode(40), nullable=False),
        sa.Column("secret", sa.Unicode(200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_page_secret")),
        comment="what the labelling page signs with: whoever reads it can pass for a known device, not for a person",
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    user = sa.table("app_user", sa.column("must_change", sa.Boolean()), sa.column("password_ends_at", MOMENT))
    op.execute(sa.update(user).where(user.c.must_change == sa.true()).values(password_ends_at=now + ONE_TIME))
    secret = sa.table(
        "page_secret",
        sa.column("name", sa.Unicode()),
        sa.column("secret", sa.Unicode()),
        sa.column("created_at", MOMENT),
    )
    op.execute(sa.insert(secret).values(name="page", secret=secrets.token_hex(32), created_at=now))
