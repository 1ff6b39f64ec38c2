"""Pictures and bursts, tracks that take the place of others, files of annotations that were taken in.

Revision 0018, after 0017. SQLite cannot change a CHECK, so there the tables with a longer vocabulary are written anew
from their own statements.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
EXACT = sa.Unicode(200).with_variant(sa.Unicode(200, collation="Latin1_General_100_BIN2"), "mssql")
VOCABULARIES = {
    "video": (
        "recorded_at_source",
        "recorded_at_source IN ('container', 'file_name', 'file_time', 'user')",
        "recorded_at_source IN ('container', 'exif', 'file_name', 'file_time', 'user')",
    ),
    "video_time": (
        "witness",
        "witness IN ('container', 'file_name', 'folder', 'file_time')",
        "witness IN ('container', 'exif', 'file_name', 'folder', 'file_time')",
    ),
    "track": (
        "state",
        "state IN ('live', 'split', 'merged', 'junk')",
        "state IN ('live', 'split', 'merged', 'replaced', 'junk')",
    ),
}


def upgrade() -> None:
    for table, (column, before, after) in VOCABULARIES.items():
        if op.get_context().dialect.name == "sqlite":
            _anew(table, before, after)
        else:
            op.drop_constraint(op.f(f"ck_{table}_{column}_known"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_{column}_known"), table, after)
    _add_video_key(
        "video", "burst_video_id", "of a picture: the row whose frames its burst became; this row is retired"
    )
    _add_video_key(
        "frame",
        "source_video_id",
        "of a burst: the row of the picture that this frame is; null: the file of video_id",
    )
    op.create_table(
        "track_heir",
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("heir_track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.Unicode(8), nullable=False),
        sa.Column("annotation_id", sa.Unicode(36), nullable=True, comment="who asked for it"),
        sa.Column("share", sa.Float(precision=24), nullable=False, comment="of its boxes that the heir has"),
        sa.Column(
            "carries", sa.Boolean(), nullable=False, comment="answers about the track are answers about the heir"
        ),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.CheckConstraint("cause IN ('split', 'merge', 'retrack')", name=op.f("ck_track_heir_cause_known")),
        sa.CheckConstraint("track_id <> heir_track_id", name=op.f("ck_track_heir_two_tracks")),
        sa.CheckConstraint("share >= 0 and share <= 1", name=op.f("ck_track_heir_share_is_share")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_track_heir_track_id")),
        sa.ForeignKeyConstraint(["heir_track_id"], ["track.track_id"], name=op.f("fk_track_heir_heir_track_id")),
        sa.ForeignKeyConstraint(
            ["annotation_id"], ["annotation.annotation_id"], name=op.f("fk_track_heir_annotation_id")
        ),
        sa.PrimaryKeyConstraint("track_id", "heir_track_id", name=op.f("pk_track_heir")),
        comment="which tracks have taken the place of one that was split, merged or replaced",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_track_heir_heir_track_id"), "track_heir", ["heir_track_id"])
    op.create_index(op.f("ix_track_heir_annotation_id"), "track_heir", ["annotation_id"])
    op.create_table(
        "import_file",
        sa.Column("import_id", KEY, nullable=False),
        sa.Column("format", sa.Unicode(30), nullable=False),
        sa.Column("name", sa.Unicode(300), nullable=False, comment="of the file, without its folder"),
        sa.Column(
            "content_hash", sa.Unicode(64), nullable=False, comment="of the file and the options it was read with"
        ),
        sa.Column("options", sa.Unicode(4000), nullable=False, comment="JSON: conventions that were stated or found"),
        sa.Column("report", sa.Unicode(4000), nullable=False, comment="JSON: how many rows were matched, stored, left"),
        sa.Column("model_id", sa.BigInteger(), nullable=True, comment="the detector row of its boxes"),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_import_file_model_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_import_file_user_id")),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_import_file")),
        sa.UniqueConstraint("content_hash", name="uq_import_file_content_hash"),
        comment="files of annotations that were taken in",
    )
    op.create_table(
        "imported_track",
        sa.Column("import_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "medium_no", sa.Integer(), autoincrement=False, nullable=False, comment="which medium of the file, from 0"
        ),
        sa.Column("source_id", EXACT, nullable=False, comment="how the file calls the track"),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import_file.import_id"], name=op.f("fk_imported_track_import_id")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_imported_track_track_id")),
        sa.PrimaryKeyConstraint("import_id", "medium_no", "source_id", name=op.f("pk_imported_track")),
        comment="tracks that other programs drew, with the numbers they have there:"
        " new ones, and ours that they agree with",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_imported_track_track_id"), "imported_track", ["track_id"])
    op.create_table(
        "proposal_file",
        sa.Column("bundle_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "uri", sa.Unicode(500), nullable=False, comment="safetensors inside the store: boxes by video and time"
        ),
        sa.Column("content_hash", sa.Unicode(64), nullable=False),
        sa.Column("n_videos", sa.Integer(), nullable=False, comment="of whose pictures the file speaks"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.bundle_id"], name=op.f("fk_proposal_file_bundle_id")),
        sa.ForeignKeyConstraint(["import_id"], ["import_file.import_id"], name=op.f("fk_proposal_file_import_id")),
        sa.PrimaryKeyConstraint("bundle_id", "import_id", name=op.f("pk_proposal_file")),
        comment="boxes of another program that stand in place of our detector's: the row is written after its file",
        sqlite_with_rowid=False,
    )


def _add_video_key(table: str, column: str, comment: str) -> None:
    """A nullable column that names a video. SQLite adds it with its key in the statement, as it was made first."""
    name = op.f(f"fk_{table}_{column}")
    if op.get_context().dialect.name == "sqlite":
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} BIGINT CONSTRAINT {name} REFERENCES video (video_id)")
        return
    op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True, comment=comment))
    op.create_foreign_key(name, table, "video", [column], ["video_id"])


def _anew(table: str, before: str, after: str) -> None:
    """Writes a table of SQLite anew with another CHECK. Foreign keys of other tables name it, and find it again at the
    end."""
    conn = op.get_bind()
    master = sa.table("sqlite_master", *(sa.column(name) for name in ("type", "name", "tbl_name", "sql"))).c
    of_table = (master.tbl_name == table, master.sql.is_not(None))
    written = conn.scalar(sa.select(master.sql).where(master.type == "table", *of_table)) or ""
    indexes = list(conn.scalars(sa.select(master.sql).where(master.type == "index", *of_table)))
    if written.count(before) != 1:
        raise ValueError(f"the vocabulary of {table} is not that of revision 0017")
    columns = ", ".join(column["name"] for column in sa.inspect(conn).get_columns(table))
    start = written.index("(")
    conn.exec_driver_sql(f"CREATE TABLE {table}_anew {written[start:].replace(before, after)}")
    op.execute(f"INSERT INTO {table}_anew ({columns}) SELECT {columns} FROM {table}")  # noqa: S608  our names
    op.drop_table(table)
    op.rename_table(f"{table}_anew", table)
    for index in indexes:
        conn.exec_driver_sql(index)
