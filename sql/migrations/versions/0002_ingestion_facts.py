"""What ingestion learned to say: duplicates, interlacing, HDR, its own speed; and what makes quiet ticks cheap.

Paths are compared by code points, so that a listing can be compared with SQL range by range. `bundle.changed_at` and
`bundle_score` say per bundle what would otherwise be asked of every track.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    op.add_column(
        "bundle",
        sa.Column(
            "changed_at",
            MOMENT,
            nullable=True,
            comment="when tracks of it last came or went; null while there are none",
        ),
    )
    op.add_column(
        "video",
        sa.Column(
            "interlaced",
            sa.Boolean(),
            nullable=True,
            comment="fields were woven in the file; kept pictures are deinterlaced",
        ),
    )
    op.add_column(
        "video",
        sa.Column(
            "color_transfer",
            sa.Unicode(length=20),
            nullable=True,
            comment="as the file names it; smpte2084 and arib-std-b67 are HDR",
        ),
    )
    op.add_column(
        "video",
        sa.Column(
            "decode_s", sa.Float(53), nullable=True, comment="seconds that decoding it took, all its processes together"
        ),
    )
    op.add_column(
        "video",
        sa.Column(
            "note",
            sa.Unicode(length=1000),
            nullable=True,
            comment="how kept pictures differ from those in the file, in words",
        ),
    )
    if dialect == "sqlite":
        # SQLite adds a foreign key with its column or never.
        op.execute(
            "ALTER TABLE video ADD COLUMN duplicate_of_video_id BIGINT"
            " CONSTRAINT fk_video_duplicate_of_video_id REFERENCES video (video_id)"
        )
    else:
        op.add_column(
            "video",
            sa.Column(
                "duplicate_of_video_id", sa.BigInteger(), nullable=True, comment="the same bytes; this row is retired"
            ),
        )
        op.create_foreign_key(
            "fk_video_duplicate_of_video_id", "video", "video", ["duplicate_of_video_id"], ["video_id"]
        )
    if dialect == "postgresql":
        op.alter_column("video", "uri", type_=sa.Unicode(length=800, collation="C"), existing_nullable=False)
    elif dialect == "mssql":
        op.drop_constraint("uq_video_uri_version", "video", type_="unique")
        op.alter_column(
            "video",
            "uri",
            existing_type=sa.Unicode(length=800),
            type_=sa.Unicode(length=800, collation="Latin1_General_100_BIN2"),
            existing_nullable=False,
            nullable=False,
        )
        op.create_unique_constraint("uq_video_uri_version", "video", ["uri", "version"])
    op.create_index("ix_video_state_bundle", "video", ["state", "bundle_id"])
    op.create_index("ix_video_bytes", "video", ["bytes", "content_hash"])
    op.create_table(
        "bundle_score",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n_tracks", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.bundle_id"], name=op.f("fk_bundle_score_bundle_id")),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_bundle_score_model_id")),
        sa.PrimaryKeyConstraint("model_id", "bundle_id", name=op.f("pk_bundle_score")),
        comment="which bundles a head has scored: the row is written with the last of their track_score rows",
    )
    # Bundles tracked before this column existed have changed when their newest video did.
    op.execute(
        "UPDATE bundle SET changed_at = (SELECT max(video.updated_at) FROM video"
        " WHERE video.bundle_id = bundle.bundle_id AND video.state = 'tracked')"
    )
