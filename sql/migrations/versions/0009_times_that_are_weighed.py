"""Witnesses of a video's time are kept, compared and corrected; how sure a time is stands beside it.

Revision 0009, after 0008. Times of older rows are weighed from what the rows say, at the next listing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CERTAINTY = "recorded_at_certainty IN ('sure', 'likely', 'day', 'unsure')"
KNOWN = "ck_video_recorded_at_certainty_known"
MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _say_certainty()
    op.create_table(
        "time_correction",
        sa.Column("correction_id", KEY, nullable=False),
        sa.Column("site", sa.Unicode(100), nullable=True),
        sa.Column("camera", sa.Unicode(100), nullable=True),
        sa.Column(
            "everywhere", sa.Boolean(), server_default=sa.false(), nullable=False, comment="every camera of the archive"
        ),
        sa.Column(
            "shown_from",
            MOMENT,
            nullable=True,
            comment="the period, as the times were before: local digits of the cameras' zone",
        ),
        sa.Column("shown_to", MOMENT, nullable=True, comment="the end of the period, itself outside"),
        sa.Column("offset_s", sa.BigInteger(), nullable=True, comment="seconds that are added"),
        sa.Column("zone", sa.Unicode(60), nullable=True, comment="IANA zone or +03:00 in which the clock ran"),
        sa.Column("showed_at", MOMENT, nullable=True, comment="digits that a clock that was reset showed at true_at"),
        sa.Column("true_at", MOMENT, nullable=True),
        sa.Column("date_order", sa.Unicode(12), nullable=True, comment="how names write day and month"),
        sa.Column("reason", sa.Unicode(1000), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("revoked_by", sa.BigInteger(), nullable=True),
        sa.Column("revoke_reason", sa.Unicode(1000), nullable=True),
        sa.CheckConstraint(
            "date_order IN ('day_first', 'month_first', 'year_first')",
            name=op.f("ck_time_correction_date_order_known"),
        ),
        sa.CheckConstraint("shown_to > shown_from", name=op.f("ck_time_correction_period_in_order")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_time_correction_user_id")),
        sa.ForeignKeyConstraint(["revoked_by"], ["app_user.user_id"], name=op.f("fk_time_correction_revoked_by")),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_time_correction")),
        comment="what people said of camera clocks; rows are never changed but to be revoked",
    )
    op.create_table(
        "video_time",
        sa.Column("video_id", KEY, autoincrement=False, nullable=False),
        sa.Column(
            "witnesses",
            sa.Unicode(4000),
            nullable=True,
            comment="JSON: what container and file said, as written; null: not kept",
        ),
        sa.Column(
            "witness",
            sa.Unicode(12),
            nullable=True,
            comment="who was believed; null: nobody said anything, or not weighed yet",
        ),
        sa.Column(
            "disagree", sa.Unicode(60), server_default="", nullable=False, comment="witnesses that disagree, by commas"
        ),
        sa.Column("note", sa.Unicode(1000), server_default="", nullable=False, comment="why, in words"),
        sa.Column("asks", sa.Unicode(20), nullable=True, comment="what a person should say: date_order"),
        sa.Column("correction_id", sa.BigInteger(), nullable=True, comment="the correction that was applied"),
        sa.Column(
            "weighed", sa.Boolean(), server_default=sa.false(), nullable=False, comment="false: at the next listing"
        ),
        sa.CheckConstraint(
            "witness IN ('container', 'file_name', 'folder', 'file_time')", name=op.f("ck_video_time_witness_known")
        ),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_video_time_video_id")),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["time_correction.correction_id"], name=op.f("fk_video_time_correction_id")
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video_time")),
        comment="what every witness of a video's time said: times are weighed again without reading a file",
    )
    op.create_index("ix_video_time_weighed", "video_time", ["weighed", "video_id"])
    asks = sa.text("asks IS NOT NULL")
    op.create_index(
        "ix_video_time_asks", "video_time", ["asks"], sqlite_where=asks, postgresql_where=asks, mssql_where=asks
    )
    op.create_table(
        "time_rules",
        sa.Column("time_rules_id", KEY, nullable=False),
        sa.Column(
            "rules", sa.Unicode(500), nullable=False, comment="JSON: the settings by which all times were weighed"
        ),
        sa.Column("applied_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("time_rules_id", name=op.f("pk_time_rules")),
        comment="by which rules times were weighed; the newest row counts",
    )
    # By no rules: whatever is there is weighed at the next listing.
    op.execute(
        "INSERT INTO time_rules (rules, applied_at) SELECT '{}', CURRENT_TIMESTAMP"
        " WHERE EXISTS (SELECT 1 FROM video WHERE recorded_at IS NOT NULL)"
    )
    op.create_table(
        "split_move",
        sa.Column("split_move_id", KEY, nullable=False),
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("day_key_before", sa.Unicode(150), nullable=False),
        sa.Column("split_before", sa.Unicode(10), nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "split_before IN ('train', 'validation', 'test')", name=op.f("ck_split_move_split_before_known")
        ),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_split_move_video_id")),
        sa.PrimaryKeyConstraint("split_move_id", name=op.f("pk_split_move")),
        comment="where a video was before its recording day was corrected",
    )
    op.create_index(op.f("ix_split_move_video_id"), "split_move", ["video_id"])


def _say_certainty() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # A table of a million videos is not written anew for one column.
        op.execute(
            f"ALTER TABLE video ADD COLUMN recorded_at_certainty VARCHAR(8) CONSTRAINT {KNOWN} CHECK ({CERTAINTY})"
        )
    else:
        op.add_column(
            "video",
            sa.Column(
                "recorded_at_certainty",
                sa.Unicode(8),
                nullable=True,
                comment="sure; likely: nothing speaks against it; day: only the day is known; unsure",
            ),
        )
        op.create_check_constraint(op.f(KNOWN), "video", CERTAINTY)
