"""The labelling page: pictures of the items, reference photos, hidden checks, sessions that end by themselves, people
of an identity provider, and a role for those who name but do not correct.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLES = "role IN ('viewer', 'volunteer', 'identifier', 'reviewer', 'expert', 'admin')"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _write_users_anew()
    else:
        op.drop_constraint(op.f("ck_app_user_role_known"), "app_user", type_="check")
        op.create_check_constraint(op.f("ck_app_user_role_known"), "app_user", ROLES)
        op.add_column("app_user", _must_change())
    op.add_column("user_session", sa.Column("last_seen_at", MOMENT, nullable=True))
    op.add_column(
        "user_session",
        sa.Column(
            "idle_s",
            sa.Integer(),
            nullable=False,
            server_default="43200",
            comment="unused for so many seconds it has ended",
        ),
    )
    op.add_column("user_session", sa.Column("address", sa.Unicode(60), nullable=True))
    op.add_column("user_session", sa.Column("agent", sa.Unicode(200), nullable=True, comment="browser and system"))
    _add_tables()
    # Which boxes of a frame were drawn, and which tracks have a bad one: among a million names.
    op.create_index("ix_annotation_picture", "annotation", ["video_id", "frame_no"])
    op.create_index(
        "ix_annotation_bad_box",
        "annotation",
        ["track_id"],
        sqlite_where=sa.text("kind = 'bad_box'"),
        postgresql_where=sa.text("kind = 'bad_box'"),
        mssql_where=sa.text("kind = 'bad_box'"),
    )


def _must_change() -> sa.Column[bool]:
    return sa.Column(
        "must_change",
        sa.Boolean(),
        nullable=False,
        server_default=sa.false(),
        comment="the password is for one sign-in, in which another is chosen",
    )


def _write_users_anew() -> None:
    """SQLite changes no CHECK of a table that is there."""
    op.create_table(
        "app_user_anew",
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("name", sa.Unicode(100), nullable=False),
        sa.Column("role", sa.Unicode(12), nullable=False),
        sa.Column("password_hash", sa.Unicode(300), nullable=True),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        _must_change(),
        sa.CheckConstraint(ROLES, name=op.f("ck_app_user_role_known")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_app_user")),
        sa.UniqueConstraint("name", name=op.f("uq_app_user_name")),
    )
    op.execute(
        "INSERT INTO app_user_anew (user_id, name, role, password_hash, disabled, created_at)"
        " SELECT user_id, name, role, password_hash, disabled, created_at FROM app_user"
    )
    op.drop_table("app_user")
    op.rename_table("app_user_anew", "app_user")


def _add_tables() -> None:
    op.create_table(
        "oidc_identity",
        sa.Column("tid", sa.Unicode(100), nullable=False, comment="the tenant"),
        sa.Column("oid", sa.Unicode(100), nullable=False, comment="the person in it; an address may change hands"),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_oidc_identity_user_id")),
        sa.PrimaryKeyConstraint("tid", "oid", name=op.f("pk_oidc_identity")),
        comment="people whom an identity provider vouches for",
    )
    op.create_index(op.f("ix_oidc_identity_user_id"), "oidc_identity", ["user_id"])
    op.create_table(
        "item_media",
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Unicode(5), nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False, comment="0 is the best"),
        sa.Column("content_hash", sa.Unicode(64), nullable=False, comment="SHA-256 of the bytes, hexadecimal"),
        sa.Column("uri", sa.Unicode(500), nullable=False, comment="path inside the store"),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("frame_no", sa.Integer(), nullable=True, comment="of a crop and of the frame; the best of a clip"),
        sa.Column("time_s", sa.Float(53), nullable=True, comment="of that frame, since the beginning of the video"),
        sa.Column("start_s", sa.Float(53), nullable=True, comment="where in the video a clip begins"),
        sa.Column("fps", sa.Float(53), nullable=True, comment="pictures a second of a clip"),
        *(sa.Column(name, sa.Float(24), nullable=True, comment="the box in a frame") for name in "xywh"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('crop', 'frame', 'clip', 'boxes')", name=op.f("ck_item_media_kind_known")),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_item_media_bytes_positive")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_item_media_track_id")),
        sa.PrimaryKeyConstraint("track_id", "kind", "place", name=op.f("pk_item_media")),
        comment="what people see of a track: the row is written after its file",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_item_media_content_hash"), "item_media", ["content_hash"])
    op.create_table(
        "reference_photo",
        sa.Column("individual_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False, comment="0 is shown first"),
        sa.Column("track_id", sa.BigInteger(), nullable=False, comment="its best crop is the photo"),
        sa.Column("user_id", sa.BigInteger(), nullable=True, comment="who chose it; null: chosen by rule"),
        sa.Column("chosen_at", MOMENT, nullable=False),
        sa.CheckConstraint("place between 0 and 4", name=op.f("ck_reference_photo_place_0_to_4")),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_reference_photo_individual_id")
        ),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_reference_photo_track_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_reference_photo_user_id")),
        sa.PrimaryKeyConstraint("individual_id", "place", name=op.f("pk_reference_photo")),
        comment="by which pictures an individual is recognised on the labelling page",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quality_check",
        sa.Column("check_id", KEY, nullable=False),
        sa.Column("kind", sa.Unicode(5), nullable=False, comment="gold: a clear track; plant: a wrong one in a grid"),
        sa.Column("page_id", sa.Unicode(36), nullable=True, comment="of a grid: its plants belong together"),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False, comment="who it is, as experts agree"),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.CheckConstraint("kind IN ('gold', 'plant')", name=op.f("ck_quality_check_kind_known")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_quality_check_user_id")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_quality_check_track_id")),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_quality_check_individual_id")
        ),
        sa.PrimaryKeyConstraint("check_id", name=op.f("pk_quality_check")),
        comment="questions whose answer is known: who answers attentively",
    )
    op.create_index("ix_quality_check_user", "quality_check", ["user_id", "kind", "answered_at"])
