"""The queue asks about two tracks: is it one animal? And about answers that contradict each other.

Revision 0006, after 0005. `acquisition_queue.other_track_id` makes an item a pair; the lane `disputed` is for answers
that cannot all be true. A round asks once about a track and once about a pair: two filtered unique indexes, because
databases disagree whether two nulls are equal.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
LANES = "lane IN ('typical', 'boundary', 'rare', 'novel', 'audit', 'repeat', 'pairs', 'disputed', 'import', 'free')"
PAIR = "(other_track_id is null and lane <> 'pairs') or (other_track_id <> track_id and lane in ('pairs', 'disputed'))"
ONE, TWO = sa.text("other_track_id is null"), sa.text("other_track_id is not null")


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _queue_anew()
        _annotation_anew()
    else:
        op.add_column(
            "acquisition_queue",
            sa.Column("other_track_id", sa.BigInteger(), nullable=True, comment="of a pair: is it one animal?"),
        )
        op.create_foreign_key(
            op.f("fk_acquisition_queue_other_track_id"), "acquisition_queue", "track", ["other_track_id"], ["track_id"]
        )
        op.drop_constraint("uq_acquisition_queue_round_track", "acquisition_queue", type_="unique")
        for table in ("acquisition_queue", "annotation"):
            op.drop_constraint(op.f(f"ck_{table}_lane_known"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_lane_known"), table, LANES)
        op.create_check_constraint(op.f("ck_acquisition_queue_pairs_are_two"), "acquisition_queue", PAIR)
    for name, columns, which in (
        ("uq_acquisition_queue_round_track", ["round_id", "track_id"], ONE),
        ("uq_acquisition_queue_round_pair", ["round_id", "track_id", "other_track_id"], TWO),
    ):
        op.create_index(
            name,
            "acquisition_queue",
            columns,
            unique=True,
            sqlite_where=which,
            postgresql_where=which,
            mssql_where=which,
        )
    op.create_index("ix_acquisition_queue_other", "acquisition_queue", ["other_track_id", "state"])
    op.create_index("ix_annotation_other_track_id", "annotation", ["other_track_id"])


def _queue_anew() -> None:
    """SQLite: the same rows in a table of another layout. Foreign keys are off meanwhile, and checked at the end."""
    columns = "item_id, round_id, track_id, lane, position, propensity, reason, state, leased_by, leased_until"
    op.create_table(
        "acquisition_queue_anew",
        sa.Column("item_id", BIG_KEY, nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("other_track_id", sa.BigInteger(), nullable=True),
        sa.Column("lane", sa.Unicode(10), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("propensity", sa.Float(53), nullable=False),
        sa.Column("reason", sa.Unicode(500), nullable=False),
        sa.Column("state", sa.Unicode(10), nullable=False),
        sa.Column("leased_by", sa.BigInteger(), nullable=True),
        sa.Column("leased_until", MOMENT, nullable=True),
        sa.CheckConstraint(LANES, name=op.f("ck_acquisition_queue_lane_known")),
        sa.CheckConstraint(
            "state IN ('pending', 'leased', 'answered', 'skipped', 'withdrawn')",
            name=op.f("ck_acquisition_queue_state_known"),
        ),
        sa.CheckConstraint(PAIR, name=op.f("ck_acquisition_queue_pairs_are_two")),
        sa.CheckConstraint(
            "propensity > 0 and propensity <= 1", name=op.f("ck_acquisition_queue_propensity_is_chance")
        ),
        sa.ForeignKeyConstraint(["leased_by"], ["app_user.user_id"], name=op.f("fk_acquisition_queue_leased_by")),
        sa.ForeignKeyConstraint(
            ["round_id"], ["acquisition_round.round_id"], name=op.f("fk_acquisition_queue_round_id")
        ),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_acquisition_queue_track_id")),
        sa.ForeignKeyConstraint(
            ["other_track_id"], ["track.track_id"], name=op.f("fk_acquisition_queue_other_track_id")
        ),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_acquisition_queue")),
    )
    _move("acquisition_queue", columns)
    op.create_index("ix_acquisition_queue_state", "acquisition_queue", ["state", "round_id", "position"])
    op.create_index("ix_acquisition_queue_track", "acquisition_queue", ["track_id", "state"])


def _annotation_anew() -> None:
    columns = (
        "annotation_id, seq, kind, track_id, other_track_id, individual_id, video_id, frame_no, x, y, w, h, supersedes,"
        " annotator_id, lane, propensity, item_id, shown, note, seconds, client_time, server_time, fingerprint"
    )
    op.create_table(
        "annotation_anew",
        sa.Column("annotation_id", sa.Unicode(36), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Unicode(16), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=True),
        sa.Column("other_track_id", sa.BigInteger(), nullable=True),
        sa.Column("individual_id", sa.BigInteger(), nullable=True),
        sa.Column("video_id", sa.BigInteger(), nullable=True),
        sa.Column("frame_no", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.Float(24), nullable=True) for name in "xywh"),
        sa.Column("supersedes", sa.Unicode(36), nullable=True),
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Unicode(10), nullable=False),
        sa.Column("propensity", sa.Float(53), nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("shown", sa.Unicode(4000), nullable=True),
        sa.Column("note", sa.Unicode(2000), nullable=True),
        sa.Column("seconds", sa.Float(24), nullable=True),
        sa.Column("client_time", MOMENT, nullable=True),
        sa.Column("server_time", MOMENT, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.CheckConstraint(
            "kind <> 'box' or (video_id is not null and frame_no is not null and x is not null and y is not null"
            " and w is not null and h is not null)",
            name=op.f("ck_annotation_box_is_complete"),
        ),
        sa.CheckConstraint(
            "kind <> 'retract' or supersedes is not null", name=op.f("ck_annotation_retract_names_its_event")
        ),
        sa.CheckConstraint(
            "kind <> 'split' or (track_id is not null and frame_no is not null)",
            name=op.f("ck_annotation_split_is_complete"),
        ),
        sa.CheckConstraint(
            "kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box',"
            " 'cannot_tell', 'skip', 'box', 'split', 'merge', 'same', 'different', 'retract')",
            name=op.f("ck_annotation_kind_known"),
        ),
        sa.CheckConstraint(
            "kind not in ('identify', 'new_individual') or (individual_id is not null and track_id is not null)",
            name=op.f("ck_annotation_identity_is_complete"),
        ),
        sa.CheckConstraint(
            "kind not in ('merge', 'same', 'different') or (track_id is not null and other_track_id is not null)",
            name=op.f("ck_annotation_pair_is_complete"),
        ),
        sa.CheckConstraint(
            "kind not in ('unknown', 'not_animal', 'bad_box', 'cannot_tell', 'skip') or track_id is not null",
            name=op.f("ck_annotation_answer_has_track"),
        ),
        sa.CheckConstraint(LANES, name=op.f("ck_annotation_lane_known")),
        sa.CheckConstraint("propensity > 0 and propensity <= 1", name=op.f("ck_annotation_propensity_is_chance")),
        sa.CheckConstraint("seconds >= 0", name=op.f("ck_annotation_seconds_not_negative")),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_annotation_seq_from_one")),
        sa.ForeignKeyConstraint(["annotator_id"], ["app_user.user_id"], name=op.f("fk_annotation_annotator_id")),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_annotation_individual_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["acquisition_queue.item_id"], name=op.f("fk_annotation_item_id")),
        sa.ForeignKeyConstraint(["other_track_id"], ["track.track_id"], name=op.f("fk_annotation_other_track_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["annotation.annotation_id"], name=op.f("fk_annotation_supersedes")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_annotation_track_id")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_annotation_video_id")),
        sa.PrimaryKeyConstraint("annotation_id", name=op.f("pk_annotation")),
        sa.UniqueConstraint("seq", name=op.f("uq_annotation_seq")),
    )
    _move("annotation", columns)
    for column in ("individual_id", "supersedes", "track_id"):
        op.create_index(op.f(f"ix_annotation_{column}"), "annotation", [column])


def _move(name: str, columns: str) -> None:
    op.execute(f"INSERT INTO {name}_anew ({columns}) SELECT {columns} FROM {name}")  # noqa: S608  our names
    op.drop_table(name)
    op.rename_table(f"{name}_anew", name)
