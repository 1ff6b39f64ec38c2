"""What several servers of the labelling page must know of each other: wrong passwords, and answers that were taken.

Revision 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")


def upgrade() -> None:
    op.create_table(
        "sign_in_failure",
        sa.Column(
            "key_hash",
            sa.Unicode(32),
            nullable=False,
            comment="keyed hash of an address, an account, both, or a device: neither address nor name can be read "
            "from it",
        ),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False, comment="of the last failure; it counts for an hour"),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_sign_in_failure")),
        comment="wrong passwords of the last hour, which all servers of the labelling page count together",
    )
    op.create_index(op.f("ix_sign_in_failure_last_at"), "sign_in_failure", ["last_at"])
    op.create_table(
        "oidc_answer",
        sa.Column(
            "answer_hash",
            sa.Unicode(64),
            nullable=False,
            comment="hash of the number of the sign-in that it answers",
        ),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("answer_hash", name=op.f("pk_oidc_answer")),
        comment="answers of the identity provider of the last minutes: each is taken once, by whichever server",
    )
    op.create_index(op.f("ix_oidc_answer_taken_at"), "oidc_answer", ["taken_at"])
