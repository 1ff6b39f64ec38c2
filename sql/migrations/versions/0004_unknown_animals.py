"""Animals that the head does not know, put together: proposals for new individuals.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unknown_track",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cluster_no", sa.Integer(), nullable=False, comment="from 1, the largest first"),
        sa.Column("likeness", sa.Float(24), nullable=False, comment="cosine to the middle of its cluster"),
        sa.CheckConstraint("cluster_no >= 1", name=op.f("ck_unknown_track_cluster_no_from_one")),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], "fk_unknown_track_model_id"),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], "fk_unknown_track_track_id"),
        sa.PrimaryKeyConstraint("model_id", "track_id", name="pk_unknown_track"),
        comment="tracks that a head does not know and that look like one animal: a proposal, never a name",
        sqlite_with_rowid=False,
    )
