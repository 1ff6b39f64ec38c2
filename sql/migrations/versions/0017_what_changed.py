"""What the archive looks like, what changed in it, and how groups are treated: signals, alerts, fairness.

Revision 0017, after 0016. Two lanes more: `drift` asks about what changed, `groups` examines groups of which the audit
has too few. SQLite cannot change a CHECK, so there the two tables with a lane are written anew from their own
statements.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
BEFORE = "lane IN ('typical', 'boundary', 'rare', 'novel', 'audit', 'repeat', 'pairs', 'disputed', 'import', 'free')"
LANES = (
    "lane IN ('typical', 'boundary', 'rare', 'novel', 'drift', 'audit', 'groups', 'repeat', 'pairs', 'disputed',"
    " 'import', 'free')"
)


def upgrade() -> None:
    for table in ("acquisition_queue", "annotation"):
        if op.get_context().dialect.name == "sqlite":
            _anew(table)
        else:
            op.drop_constraint(op.f(f"ck_{table}_lane_known"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_lane_known"), table, LANES)
    op.add_column(
        "evaluation_metric",
        sa.Column(
            "about",
            sa.Unicode(10),
            nullable=True,
            comment="of the interval: archive, or days to come; null before there were two kinds",
        ),
    )
    op.add_column(
        "evaluation_metric",
        sa.Column(
            "blocks",
            sa.Integer(),
            nullable=True,
            comment="camera-days that the interval counts as independent; null: tracks",
        ),
    )
    op.create_table(
        "video_signal",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "pictures", sa.Integer(), nullable=False, comment="kept pictures that were looked at, spread in time"
        ),
        sa.Column("brightness", sa.Float(precision=24), nullable=False, comment="mean luma, 0 to 255"),
        sa.Column(
            "contrast", sa.Float(precision=24), nullable=False, comment="standard deviation of luma, of 64 x 36 areas"
        ),
        sa.Column(
            "sharpness",
            sa.Float(precision=24),
            nullable=False,
            comment="variance of the Laplacian of luma at half the size",
        ),
        sa.Column(
            "colourfulness", sa.Float(precision=24), nullable=False, comment="Hasler and Suesstrunk 2003; 0 is grey"
        ),
        sa.Column(
            "infrared", sa.Float(precision=24), nullable=False, comment="share of the pictures that have no colour"
        ),
        sa.Column(
            "background",
            sa.LargeBinary(length=2304),
            nullable=False,
            comment="median of the pictures: luma, u8, 36 lines of 64",
        ),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_video_signal_video_id")),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video_signal")),
        comment="what a video's pictures look like, read while they were decoded",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "drift_block",
        sa.Column("block_id", BIG_KEY, nullable=False),
        sa.Column(
            "camera", sa.Unicode(length=201), nullable=False, comment="site/camera; empty where no camera is known"
        ),
        sa.Column("day", sa.Date(), nullable=False, comment="on the camera's clock"),
        sa.Column("signal", sa.Unicode(length=30), nullable=False),
        sa.Column(
            "model_id", sa.BigInteger(), nullable=False, comment="the embedder or head that it belongs to; 0: none"
        ),
        sa.Column("n", sa.Integer(), nullable=False, comment="videos or tracks of the block"),
        sa.Column("value", sa.Float(precision=53), nullable=True, comment="mean of the signal; null for vectors"),
        sa.Column(
            "spread", sa.Float(precision=53), nullable=True, comment="standard deviation between videos of the block"
        ),
        sa.Column(
            "sums",
            sa.LargeBinary(),
            nullable=True,
            comment="f32: sums of random Fourier features of the block's vectors",
        ),
        sa.Column(
            "light",
            sa.Unicode(length=10),
            nullable=False,
            comment="context that is matched, not tested: day, night, mixed",
        ),
        sa.Column(
            "p_value",
            sa.Float(precision=53),
            nullable=True,
            comment="of the block against the reference that the camera had before it",
        ),
        sa.Column(
            "evidence",
            sa.Float(precision=53),
            nullable=True,
            comment="of the detector after this block; an alert opens at the threshold",
        ),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("block_id", name=op.f("pk_drift_block")),
        sa.UniqueConstraint("camera", "day", "signal", "model_id", "light", name="uq_drift_block_what"),
        comment="one signal of one camera and day",
    )
    op.create_index("ix_drift_block_day", "drift_block", ["day"], unique=False)
    op.create_table(
        "drift_alert",
        sa.Column("alert_id", BIG_KEY, nullable=False),
        sa.Column("alert_key", sa.Unicode(length=64), nullable=False, comment="hash of what changed: noticed once"),
        sa.Column("kind", sa.Unicode(length=10), nullable=False),
        sa.Column("signal", sa.Unicode(length=30), nullable=False),
        sa.Column("camera", sa.Unicode(length=201), nullable=False, comment="site/camera; empty: all cameras"),
        sa.Column("model_id", sa.BigInteger(), nullable=True),
        sa.Column("annotator_id", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.Date(), nullable=False, comment="first day of the change"),
        sa.Column("noticed", sa.Date(), nullable=False, comment="newest day that was looked at when it opened"),
        sa.Column("until", sa.Date(), nullable=True, comment="first day after it; null while it lasts"),
        sa.Column(
            "size",
            sa.Float(precision=53),
            nullable=True,
            comment="standard deviations between days, or points of accuracy",
        ),
        sa.Column("evidence", sa.Float(precision=53), nullable=True, comment="of the detector; null for facts"),
        sa.Column("detail", sa.Unicode(length=4000), nullable=False, comment="JSON: before, after, videos to look at"),
        sa.Column("state", sa.Unicode(length=10), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True, comment="when it became expected or resolved"),
        sa.Column("decided_by", sa.BigInteger(), nullable=True, comment="null: by itself"),
        sa.Column("why", sa.Unicode(length=500), nullable=True, comment="why it is expected or resolved"),
        sa.CheckConstraint(
            "kind IN ('fact', 'data', 'prediction', 'model', 'annotator')", name=op.f("ck_drift_alert_kind_known")
        ),
        sa.CheckConstraint("state IN ('open', 'expected', 'resolved')", name=op.f("ck_drift_alert_state_known")),
        sa.ForeignKeyConstraint(["annotator_id"], ["app_user.user_id"], name=op.f("fk_drift_alert_annotator_id")),
        sa.ForeignKeyConstraint(["decided_by"], ["app_user.user_id"], name=op.f("fk_drift_alert_decided_by")),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_drift_alert_model_id")),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_drift_alert")),
        sa.UniqueConstraint("alert_key", name=op.f("uq_drift_alert_alert_key")),
        comment="a change that was noticed: which slice, since when, how large, what became of it",
    )
    op.create_index("ix_drift_alert_state", "drift_alert", ["state", "camera", "since"], unique=False)
    op.create_table(
        "alert_message",
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Unicode(length=10), nullable=False),
        sa.Column(
            "message_key",
            sa.Unicode(length=64),
            nullable=False,
            comment="of the message, which may tell several alerts",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True, comment="null: not yet"),
        sa.Column(
            "error",
            sa.Unicode(length=500),
            nullable=True,
            comment="of the last attempt; null while one is being made",
        ),
        sa.CheckConstraint("channel IN ('webhook', 'mail')", name=op.f("ck_alert_message_channel_known")),
        sa.ForeignKeyConstraint(["alert_id"], ["drift_alert.alert_id"], name=op.f("fk_alert_message_alert_id")),
        sa.PrimaryKeyConstraint("alert_id", "channel", name=op.f("pk_alert_message")),
        comment="which alert was told by which way",
    )
    op.create_table(
        "fairness_metric",
        sa.Column("fairness_id", BIG_KEY, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("watermark_seq", sa.BigInteger(), nullable=False, comment="labels up to this seq were used"),
        sa.Column("slice_kind", sa.Unicode(length=40), nullable=False),
        sa.Column("slice_value", sa.Unicode(length=200), nullable=False),
        sa.Column("name", sa.Unicode(length=30), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=True, comment="null where nothing can be said"),
        sa.Column(
            "low",
            sa.Float(precision=53),
            nullable=True,
            comment="simultaneous 95 % interval of all groups of the slice",
        ),
        sa.Column("high", sa.Float(precision=53), nullable=True),
        sa.Column(
            "adjusted_p",
            sa.Float(precision=53),
            nullable=True,
            comment="that the group is like the others: Holm, of individuals Benjamini-Hochberg",
        ),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("blocks", sa.Integer(), nullable=False, comment="camera-days"),
        sa.Column("state", sa.Unicode(length=10), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=True, comment="answers that would tell, where there are too few"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "state IN ('worse', 'better', 'same', 'too_few')", name=op.f("ck_fairness_metric_state_known")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_fairness_metric_model_id")),
        sa.PrimaryKeyConstraint("fairness_id", name=op.f("pk_fairness_metric")),
        sa.UniqueConstraint(
            "model_id", "watermark_seq", "slice_kind", "slice_value", "name", name="uq_fairness_metric_what"
        ),
        comment="how a head treats groups of animals, cameras and times",
    )


def _anew(table: str) -> None:
    """SQLite: the same rows and indexes with the new list of lanes. Foreign keys are off meanwhile, and checked at the
    end."""
    conn = op.get_bind()
    master = sa.table("sqlite_master", *(sa.column(name) for name in ("type", "name", "tbl_name", "sql"))).c
    of_table = (master.tbl_name == table, master.sql.is_not(None))
    written = conn.scalar(sa.select(master.sql).where(master.type == "table", *of_table)) or ""
    indexes = list(conn.scalars(sa.select(master.sql).where(master.type == "index", *of_table)))
    if written.count(BEFORE) != 1:
        raise ValueError(f"the lanes of {table} are not those of revision 0016")
    columns = ", ".join(column["name"] for column in sa.inspect(conn).get_columns(table))
    start = written.index("(")
    conn.exec_driver_sql(f"CREATE TABLE {table}_anew {written[start:].replace(BEFORE, LANES)}")
    op.execute(f"INSERT INTO {table}_anew ({columns}) SELECT {columns} FROM {table}")  # noqa: S608  our names
    op.drop_table(table)
    op.rename_table(f"{table}_anew", table)
    for index in indexes:
        conn.exec_driver_sql(index)
