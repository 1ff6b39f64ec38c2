"""Which camera a folder means, what a listing passes over, and videos whose pictures are the same.

Revision 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REASONS = "'not_video', 'system', 'own', 'link', 'unreadable', 'name', 'not_file'"


def _exact(length: int) -> sa.Unicode:
    """Compared by code points on every database."""
    return (
        sa.Unicode(length)
        .with_variant(sa.Unicode(length, collation="C"), "postgresql")
        .with_variant(sa.Unicode(length, collation="Latin1_General_100_BIN2"), "mssql")
    )


def upgrade() -> None:
    op.add_column(
        "video",
        sa.Column(
            "picture_hash",
            sa.Unicode(64),
            nullable=True,
            comment="of its pictures as decoded: the same after a remux or other metadata",
        ),
    )
    op.create_index("ix_video_picture_hash", "video", ["picture_hash"])
    op.create_table(
        "camera_name",
        sa.Column("camera_name_id", KEY, nullable=False),
        sa.Column("site_key", _exact(300), nullable=False, comment="the site without case and separators; empty: none"),
        sa.Column("camera_key", _exact(300), nullable=False, comment="the camera without case and separators"),
        sa.Column("site", sa.Unicode(100), nullable=True),
        sa.Column("camera", sa.Unicode(100), nullable=False, comment="as it is written in video and deployment"),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("camera_name_id", name=op.f("pk_camera_name")),
        sa.UniqueConstraint("site_key", "camera_key", name="uq_camera_name_keys"),
        comment="one spelling for each camera: the first that was seen",
    )
    op.create_table(
        "camera_mapping",
        sa.Column("mapping_id", KEY, nullable=False),
        sa.Column("kind", sa.Unicode(10), nullable=False),
        sa.Column(
            "folder",
            _exact(800),
            nullable=True,
            comment="of the archive: all videos below it; null for a mapping of a camera",
        ),
        sa.Column("from_site", sa.Unicode(100), nullable=True),
        sa.Column("from_camera", sa.Unicode(100), nullable=True, comment="null for a mapping of a folder"),
        sa.Column("site", sa.Unicode(100), nullable=True),
        sa.Column("camera", sa.Unicode(100), nullable=False, comment="where they belong"),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Unicode(1000), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("undone_at", MOMENT, nullable=True, comment="null: it stands"),
        sa.Column("undone_by_id", sa.BigInteger(), nullable=True),
        sa.Column("undone_reason", sa.Unicode(1000), nullable=True),
        sa.CheckConstraint("kind IN ('folder', 'camera')", name=op.f("ck_camera_mapping_kind_known")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_camera_mapping_user_id")),
        sa.ForeignKeyConstraint(["undone_by_id"], ["app_user.user_id"], name=op.f("fk_camera_mapping_undone_by_id")),
        sa.PrimaryKeyConstraint("mapping_id", name=op.f("pk_camera_mapping")),
        comment="which camera a folder or a name means, by people; never deleted",
    )
    op.create_table(
        "passed_over",
        sa.Column("passed_over_id", KEY, nullable=False),
        sa.Column("reason", sa.Unicode(12), nullable=False),
        sa.Column(
            "path", sa.Unicode(800), nullable=False, comment="inside the archive; what cannot be printed is escaped"
        ),
        sa.Column("detail", sa.Unicode(500), nullable=False, comment="in words"),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"reason IN ({REASONS})", name=op.f("ck_passed_over_reason_known")),
        sa.PrimaryKeyConstraint("passed_over_id", name=op.f("pk_passed_over")),
        comment="what the newest listing found in the archive and does not read; of many, the first of each reason",
    )
    op.create_index(op.f("ix_passed_over_reason"), "passed_over", ["reason"])
    op.create_table(
        "passed_over_count",
        sa.Column("reason", sa.Unicode(12), nullable=False),
        sa.Column("ending", sa.Unicode(20), nullable=False, comment="of the file's name, where that is the reason"),
        sa.Column("n", sa.BigInteger(), nullable=False, comment="in the last whole listing"),
        sa.Column("n_so_far", sa.BigInteger(), nullable=False, comment="in the listing under way"),
        sa.Column(
            "upto",
            _exact(800),
            nullable=True,
            comment="of the row listed: how far the listing under way is; null: none is",
        ),
        sa.CheckConstraint("n >= 0 and n_so_far >= 0", name=op.f("ck_passed_over_count_not_negative")),
        sa.CheckConstraint(f"reason IN ('listed', {REASONS})", name=op.f("ck_passed_over_count_reason_known")),
        sa.PrimaryKeyConstraint("reason", "ending", name=op.f("pk_passed_over_count")),
        comment="exact numbers of what is passed over; the row listed counts the videos beside it",
        sqlite_with_rowid=False,
    )
