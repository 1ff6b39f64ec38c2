"""From the index to science: corrected associations, tables of other data, the day of a camera in order.

Revision 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")


def upgrade() -> None:
    op.create_index("ix_video_place_time", "video", ["site", "camera", "recorded_at"])
    op.create_table(
        "association_edge",
        sa.Column("group_rule", sa.Unicode(10), nullable=False),
        sa.Column("period_kind", sa.Unicode(10), nullable=False),
        sa.Column("period", sa.Unicode(10), nullable=False, comment="2013, or all"),
        sa.Column("individual_a", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("individual_b", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("x", sa.Integer(), nullable=False, comment="sampling units together, by the names as they are"),
        sa.Column("n", sa.Integer(), nullable=False, comment="sampling units on which at least one of them was seen"),
        sa.Column("sri", sa.Float(precision=53), nullable=False, comment="x / n"),
        sa.Column(
            "corrected_sri",
            sa.Float(precision=53),
            nullable=True,
            comment="errors of names taken out; null where the audit says too little",
        ),
        sa.Column(
            "low",
            sa.Float(precision=53),
            nullable=True,
            comment="95 % interval of corrected_sri, over blocks of days and answers of the audit",
        ),
        sa.Column("high", sa.Float(precision=53), nullable=True),
        sa.Column("is_real", sa.Boolean(), nullable=True, comment="low is above 0; null where there is no interval"),
        sa.Column(
            "head_model_id",
            sa.BigInteger(),
            nullable=True,
            comment="whose names were counted; null: people's alone",
        ),
        sa.Column("watermark_seq", sa.BigInteger(), nullable=False, comment="labels up to this seq were read"),
        sa.Column("counted_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "group_rule IN ('moment', 'video', 'day')", name=op.f("ck_association_edge_group_rule_known")
        ),
        sa.CheckConstraint("period_kind IN ('year', 'all')", name=op.f("ck_association_edge_period_kind_known")),
        sa.CheckConstraint("individual_a < individual_b", name=op.f("ck_association_edge_pair_is_ordered")),
        sa.CheckConstraint("x >= 0 and n >= x", name=op.f("ck_association_edge_counts_agree")),
        sa.ForeignKeyConstraint(
            ["individual_a"], ["individual.individual_id"], name=op.f("fk_association_edge_individual_a")
        ),
        sa.ForeignKeyConstraint(
            ["individual_b"], ["individual.individual_id"], name=op.f("fk_association_edge_individual_b")
        ),
        sa.ForeignKeyConstraint(["head_model_id"], ["model.model_id"], name=op.f("fk_association_edge_head_model_id")),
        sa.PrimaryKeyConstraint(
            "group_rule", "period_kind", "period", "individual_a", "individual_b", name=op.f("pk_association_edge")
        ),
        comment="association indices with the errors of names taken out; counted anew when names have changed",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "imported_table",
        sa.Column("name", sa.Unicode(60), nullable=False, comment="of the table ext_<name>"),
        sa.Column("file_name", sa.Unicode(255), nullable=False),
        sa.Column("content_hash", sa.Unicode(64), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("about", sa.Unicode(500), nullable=True, comment="what it is, for people"),
        sa.Column("imported_by", sa.BigInteger(), nullable=True, comment="null: by command"),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["imported_by"], ["app_user.user_id"], name=op.f("fk_imported_table_imported_by")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_imported_table")),
        comment="tables of other data that people imported, to be joined",
    )
    op.create_table(
        "imported_column",
        sa.Column("name", sa.Unicode(60), nullable=False),
        sa.Column("column_name", sa.Unicode(60), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("header", sa.Unicode(255), nullable=False, comment="as the file says it"),
        sa.Column("kind", sa.Unicode(10), nullable=False),
        sa.Column("joins", sa.Unicode(12), nullable=True, comment="what its values name, as the product knows it"),
        sa.CheckConstraint(
            "kind IN ('text', 'integer', 'real', 'date', 'moment')", name=op.f("ck_imported_column_kind_known")
        ),
        sa.CheckConstraint(
            "joins IN ('individual', 'camera', 'place', 'day', 'moment', 'video')",
            name=op.f("ck_imported_column_joins_known"),
        ),
        sa.ForeignKeyConstraint(["name"], ["imported_table.name"], name=op.f("fk_imported_column_name")),
        sa.PrimaryKeyConstraint("name", "column_name", name=op.f("pk_imported_column")),
        sa.UniqueConstraint("name", "position", name="uq_imported_column_position"),
        comment="columns of imported tables",
    )
