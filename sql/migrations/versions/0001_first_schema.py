"""The first schema: every table, key, constraint and index, and the counters that hand out gapless numbers.

Written out in full, so that it stays what it was when `chimp_assets.database.schema` moves on.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite gives a table an automatic key only when its type is spelt INTEGER.
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")


def upgrade() -> None:
    op.create_table(
        "app_user",
        sa.Column("user_id", BIG_KEY, nullable=False),
        sa.Column("name", sa.Unicode(length=100), nullable=False),
        sa.Column("role", sa.Unicode(length=12), nullable=False),
        sa.Column("password_hash", sa.Unicode(length=300), nullable=True),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "role IN ('viewer', 'volunteer', 'reviewer', 'expert', 'admin')", name=op.f("ck_app_user_role_known")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_app_user")),
        sa.UniqueConstraint("name", name=op.f("uq_app_user_name")),
    )
    op.create_table(
        "bundle",
        sa.Column("bundle_id", BIG_KEY, nullable=False),
        sa.Column("bundle_key", sa.Unicode(length=100), nullable=False, comment="[a-z0-9_-]+; the Dagster partition"),
        sa.Column("folder", sa.Unicode(length=1000), nullable=False, comment="folder inside the archive"),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="runs begun since the last that finished",
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_bundle_attempts_not_negative")),
        sa.PrimaryKeyConstraint("bundle_id", name=op.f("pk_bundle")),
        sa.UniqueConstraint("bundle_key", name=op.f("uq_bundle_bundle_key")),
    )
    op.create_table(
        "community",
        sa.Column("community_id", BIG_KEY, nullable=False),
        sa.Column("comm_id", sa.Unicode(length=40), nullable=False, comment="SokweDB CommID"),
        sa.Column("name", sa.Unicode(length=200), nullable=True),
        sa.PrimaryKeyConstraint("community_id", name=op.f("pk_community")),
        sa.UniqueConstraint("comm_id", name=op.f("uq_community_comm_id")),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.Unicode(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("value >= 0", name=op.f("ck_counter_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
        comment="one row per gapless number; updated inside the transaction that uses the number",
    )
    op.create_table(
        "individual",
        sa.Column("individual_id", BIG_KEY, nullable=False),
        sa.Column(
            "anim_id", sa.Unicode(length=40), nullable=False, comment="SokweDB AnimID: free unique upper-case text"
        ),
        sa.Column("name", sa.Unicode(length=200), nullable=True),
        sa.Column("sex", sa.Unicode(length=1), server_default="U", nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("bd_min", sa.Date(), nullable=True),
        sa.Column("bd_max", sa.Date(), nullable=True),
        sa.Column("mom_id", sa.BigInteger(), nullable=True),
        sa.Column("dad_id", sa.BigInteger(), nullable=True),
        sa.Column("entry_date", sa.Date(), nullable=True),
        sa.Column("depart_date", sa.Date(), nullable=True),
        sa.Column(
            "depart_type",
            sa.Unicode(length=1),
            nullable=True,
            comment="D death, E emigration, P permanent disappearance, O end of observation",
        ),
        sa.Column("provisional", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("depart_type IN ('D', 'E', 'P', 'O')", name=op.f("ck_individual_depart_type_known")),
        sa.CheckConstraint("sex IN ('F', 'M', 'U')", name=op.f("ck_individual_sex_known")),
        sa.CheckConstraint("anim_id = upper(anim_id)", name=op.f("ck_individual_anim_id_upper_case")),
        sa.CheckConstraint("bd_min <= bd_max", name=op.f("ck_individual_birth_window_in_order")),
        sa.CheckConstraint("depart_date >= entry_date", name=op.f("ck_individual_depart_after_entry")),
        sa.CheckConstraint(
            "mom_id <> individual_id and dad_id <> individual_id", name=op.f("ck_individual_not_own_parent")
        ),
        sa.ForeignKeyConstraint(["dad_id"], ["individual.individual_id"], name=op.f("fk_individual_dad_id")),
        sa.ForeignKeyConstraint(["mom_id"], ["individual.individual_id"], name=op.f("fk_individual_mom_id")),
        sa.PrimaryKeyConstraint("individual_id", name=op.f("pk_individual")),
        sa.UniqueConstraint("anim_id", name=op.f("uq_individual_anim_id")),
    )
    op.create_table(
        "training_set",
        sa.Column("training_set_id", BIG_KEY, nullable=False),
        sa.Column("task", sa.Unicode(length=10), nullable=False),
        sa.Column("watermark_seq", sa.BigInteger(), nullable=False, comment="every annotation up to this seq was read"),
        sa.Column("split_seed", sa.BigInteger(), nullable=False),
        sa.Column("n_tracks", sa.Integer(), nullable=False),
        sa.Column("n_classes", sa.Integer(), nullable=False),
        sa.Column("member_uri", sa.Unicode(length=500), nullable=False),
        sa.Column("member_hash", sa.Unicode(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("task IN ('detector', 'embedder', 'head')", name=op.f("ck_training_set_task_known")),
        sa.PrimaryKeyConstraint("training_set_id", name=op.f("pk_training_set")),
    )
    op.create_index(op.f("ix_training_set_created_at"), "training_set", ["created_at"], unique=False)
    op.create_table(
        "audit_event",
        sa.Column("audit_event_id", BIG_KEY, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Unicode(length=100), nullable=False),
        sa.Column("subject", sa.Unicode(length=300), nullable=False),
        sa.Column("detail", sa.Unicode(length=4000), nullable=True, comment="JSON: old and new value"),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_audit_event_user_id")),
        sa.PrimaryKeyConstraint("audit_event_id", name=op.f("pk_audit_event")),
    )
    op.create_index(op.f("ix_audit_event_at"), "audit_event", ["at"], unique=False)
    op.create_table(
        "community_membership",
        sa.Column("membership_id", BIG_KEY, nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("community_id", sa.BigInteger(), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_community_membership_membership_in_order")),
        sa.ForeignKeyConstraint(
            ["community_id"], ["community.community_id"], name=op.f("fk_community_membership_community_id")
        ),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_community_membership_individual_id")
        ),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_community_membership")),
        sa.UniqueConstraint("individual_id", "start_date", name="uq_community_membership_individual_start"),
    )
    op.create_index(
        op.f("ix_community_membership_individual_id"), "community_membership", ["individual_id"], unique=False
    )
    op.create_table(
        "individual_alias",
        sa.Column("alias_id", BIG_KEY, nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("alias", sa.Unicode(length=200), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("valid_to >= valid_from", name=op.f("ck_individual_alias_validity_in_order")),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_individual_alias_individual_id")
        ),
        sa.PrimaryKeyConstraint("alias_id", name=op.f("pk_individual_alias")),
        sa.UniqueConstraint("alias", name=op.f("uq_individual_alias_alias")),
    )
    op.create_index(op.f("ix_individual_alias_individual_id"), "individual_alias", ["individual_id"], unique=False)
    op.create_table(
        "model",
        sa.Column("model_id", BIG_KEY, nullable=False),
        sa.Column("task", sa.Unicode(length=10), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="counts the models of a task from 1"),
        sa.Column("parent_id", sa.BigInteger(), nullable=True, comment="a head's embedder; a fine-tuned model's start"),
        sa.Column("name", sa.Unicode(length=200), nullable=False),
        sa.Column(
            "checkpoint_uri",
            sa.Unicode(length=500),
            nullable=True,
            comment="safetensors inside the store; null where there is nothing learned",
        ),
        sa.Column("checkpoint_hash", sa.Unicode(length=64), nullable=True),
        sa.Column("training_set_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Unicode(length=10), nullable=False),
        sa.Column("reason", sa.Unicode(length=2000), nullable=True, comment="why it was promoted or refused"),
        sa.Column(
            "config", sa.Unicode(length=4000), nullable=False, comment="JSON: everything needed to build it again"
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('candidate', 'champion', 'refused', 'retired')", name=op.f("ck_model_state_known")
        ),
        sa.CheckConstraint("task IN ('detector', 'embedder', 'head')", name=op.f("ck_model_task_known")),
        sa.CheckConstraint(
            "(checkpoint_uri is null and checkpoint_hash is null)"
            " or (checkpoint_uri is not null and checkpoint_hash is not null)",
            name=op.f("ck_model_checkpoint_has_hash"),
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["model.model_id"], name=op.f("fk_model_parent_id")),
        sa.ForeignKeyConstraint(
            ["training_set_id"], ["training_set.training_set_id"], name=op.f("fk_model_training_set_id")
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_model")),
        sa.UniqueConstraint("task", "version", name="uq_model_task_version"),
    )
    op.create_index("ix_model_task_state", "model", ["task", "state"], unique=False)
    op.create_index(
        "uq_model_champion",
        "model",
        ["task"],
        unique=True,
        sqlite_where=sa.text("state = 'champion'"),
        postgresql_where=sa.text("state = 'champion'"),
        mssql_where=sa.text("state = 'champion'"),
    )
    op.create_table(
        "user_session",
        sa.Column(
            "session_id",
            sa.Unicode(length=64),
            nullable=False,
            comment="hash of the token; the token itself is never stored",
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_user_session_user_id")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_user_session")),
    )
    op.create_index(op.f("ix_user_session_user_id"), "user_session", ["user_id"], unique=False)
    op.create_table(
        "video",
        sa.Column("video_id", BIG_KEY, nullable=False),
        sa.Column("bundle_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "uri", sa.Unicode(length=800), nullable=False, comment="path inside the archive, with forward slashes"
        ),
        sa.Column("version", sa.Integer(), nullable=False, comment="1, and one more for each replacement of the file"),
        sa.Column(
            "content_hash",
            sa.Unicode(length=64),
            nullable=True,
            comment="blake2b-256 of the bytes, hexadecimal; null until read",
        ),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "etag",
            sa.Unicode(length=200),
            nullable=False,
            comment="what the listing said: changes when the file changes",
        ),
        sa.Column("recorded_at", MOMENT, nullable=True),
        sa.Column("recorded_at_source", sa.Unicode(length=20), nullable=True),
        sa.Column("site", sa.Unicode(length=100), nullable=True),
        sa.Column("camera", sa.Unicode(length=100), nullable=True),
        sa.Column("duration_s", sa.Float(precision=53), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True, comment="displayed: after rotation and pixel aspect"),
        sa.Column("height", sa.Integer(), nullable=True, comment="displayed: after rotation and pixel aspect"),
        sa.Column("sar_num", sa.Integer(), nullable=True),
        sa.Column("sar_den", sa.Integer(), nullable=True),
        sa.Column(
            "rotation",
            sa.SmallInteger(),
            nullable=True,
            comment="degrees clockwise that display applies: 0, 90, 180, 270",
        ),
        sa.Column("avg_fps", sa.Float(precision=53), nullable=True),
        sa.Column("codec", sa.Unicode(length=40), nullable=True),
        sa.Column("time_base_num", sa.Integer(), nullable=True),
        sa.Column("time_base_den", sa.Integer(), nullable=True),
        sa.Column("n_frames", sa.Integer(), server_default="0", nullable=False, comment="kept frames"),
        sa.Column("state", sa.Unicode(length=12), nullable=False),
        sa.Column(
            "error",
            sa.Unicode(length=2000),
            nullable=True,
            comment="what was lost and why, in words; may be set on a usable video",
        ),
        sa.Column("discovered_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "recorded_at_source IN ('container', 'file_name', 'file_time', 'user')",
            name=op.f("ck_video_recorded_at_source_known"),
        ),
        sa.CheckConstraint(
            "state IN ('registered', 'decoded', 'tracked', 'failed', 'retired')", name=op.f("ck_video_state_known")
        ),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_video_bytes_not_negative")),
        sa.CheckConstraint("rotation in (0, 90, 180, 270)", name=op.f("ck_video_rotation_quarter_turns")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_video_version_from_one")),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.bundle_id"], name=op.f("fk_video_bundle_id")),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video")),
        sa.UniqueConstraint("uri", "version", name="uq_video_uri_version"),
    )
    op.create_index("ix_video_bundle_state", "video", ["bundle_id", "state"], unique=False)
    op.create_index("ix_video_recorded_at", "video", ["recorded_at"], unique=False)
    op.create_table(
        "acquisition_round",
        sa.Column("round_id", BIG_KEY, nullable=False),
        sa.Column("policy", sa.Unicode(length=4000), nullable=False, comment="JSON: phase, shares, caps"),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("embedder_model_id", sa.BigInteger(), nullable=False),
        sa.Column("head_model_id", sa.BigInteger(), nullable=True, comment="null where there was none"),
        sa.Column(
            "watermark_seq", sa.BigInteger(), nullable=False, comment="labels up to this seq were known to the plan"
        ),
        sa.Column("n_pool", sa.Integer(), nullable=False, comment="tracks the plan could choose from"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["embedder_model_id"], ["model.model_id"], name=op.f("fk_acquisition_round_embedder_model_id")
        ),
        sa.ForeignKeyConstraint(["head_model_id"], ["model.model_id"], name=op.f("fk_acquisition_round_head_model_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_acquisition_round")),
    )
    op.create_table(
        "embedding_file",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "uri",
            sa.Unicode(length=500),
            nullable=False,
            comment="safetensors inside the store: f16 [n, d], i64 track_id [n]",
        ),
        sa.Column("content_hash", sa.Unicode(length=64), nullable=False),
        sa.Column("n_tracks", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.bundle_id"], name=op.f("fk_embedding_file_bundle_id")),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_embedding_file_model_id")),
        sa.PrimaryKeyConstraint("model_id", "bundle_id", name=op.f("pk_embedding_file")),
        comment="which embeddings exist: the row is written after its file",
    )
    op.create_table(
        "evaluation_metric",
        sa.Column("metric_id", BIG_KEY, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset", sa.Unicode(length=40), nullable=False, comment="audit, audit_test_days, out_of_fold ..."),
        sa.Column("watermark_seq", sa.BigInteger(), nullable=False, comment="labels up to this seq were used"),
        sa.Column("slice_kind", sa.Unicode(length=40), server_default="all", nullable=False),
        sa.Column("slice_value", sa.Unicode(length=200), server_default="", nullable=False),
        sa.Column("name", sa.Unicode(length=60), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.Column("ci_low", sa.Float(precision=53), nullable=True),
        sa.Column("ci_high", sa.Float(precision=53), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_evaluation_metric_model_id")),
        sa.PrimaryKeyConstraint("metric_id", name=op.f("pk_evaluation_metric")),
        sa.UniqueConstraint(
            "model_id",
            "dataset",
            "watermark_seq",
            "slice_kind",
            "slice_value",
            "name",
            name="uq_evaluation_metric_what",
        ),
    )
    op.create_table(
        "frame_shard",
        sa.Column(
            "shard_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="shard_id_of(video_id, part)"
        ),
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Unicode(length=500), nullable=False, comment="path inside the store"),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Unicode(length=64), nullable=False),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_frame_shard_bytes_positive")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_frame_shard_video_id")),
        sa.PrimaryKeyConstraint("shard_id", name=op.f("pk_frame_shard")),
        sa.UniqueConstraint("uri", name=op.f("uq_frame_shard_uri")),
    )
    op.create_index(op.f("ix_frame_shard_video_id"), "frame_shard", ["video_id"], unique=False)
    op.create_table(
        "split_assignment",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "day_key", sa.Unicode(length=150), nullable=False, comment="camera and recording day: never split apart"
        ),
        sa.Column("split", sa.Unicode(length=10), nullable=False),
        sa.Column("assigned_at", MOMENT, nullable=False),
        sa.CheckConstraint("split IN ('train', 'validation', 'test')", name=op.f("ck_split_assignment_split_known")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_split_assignment_video_id")),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_split_assignment")),
    )
    op.create_index(op.f("ix_split_assignment_day_key"), "split_assignment", ["day_key"], unique=False)
    op.create_table(
        "track",
        sa.Column(
            "track_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="track_id_of(video_id, ordinal)"
        ),
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("first_frame_no", sa.Integer(), nullable=False),
        sa.Column("last_frame_no", sa.Integer(), nullable=False),
        sa.Column("n_detections", sa.Integer(), nullable=False),
        sa.Column("quality", sa.Float(precision=24), nullable=False, comment="0 to 1: length, score, size, smoothness"),
        sa.Column("model_id", sa.BigInteger(), nullable=False, comment="the detector"),
        sa.Column("state", sa.Unicode(length=8), nullable=False),
        sa.Column("parent_track_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('live', 'split', 'merged', 'junk')", name=op.f("ck_track_state_known")),
        sa.CheckConstraint("last_frame_no >= first_frame_no", name=op.f("ck_track_frames_in_order")),
        sa.CheckConstraint("n_detections > 0", name=op.f("ck_track_has_detections")),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_track_model_id")),
        sa.ForeignKeyConstraint(["parent_track_id"], ["track.track_id"], name=op.f("fk_track_parent_track_id")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_track_video_id")),
        sa.PrimaryKeyConstraint("track_id", name=op.f("pk_track")),
    )
    op.create_index("ix_track_video_state", "track", ["video_id", "state"], unique=False)
    op.create_table(
        "acquisition_queue",
        sa.Column("item_id", BIG_KEY, nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Unicode(length=10), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "propensity",
            sa.Float(precision=53),
            nullable=False,
            comment="chance that this plan asked this track, given its lane",
        ),
        sa.Column("reason", sa.Unicode(length=500), nullable=False, comment="why this is asked, for a person"),
        sa.Column("state", sa.Unicode(length=10), nullable=False),
        sa.Column("leased_by", sa.BigInteger(), nullable=True),
        sa.Column("leased_until", MOMENT, nullable=True),
        sa.CheckConstraint(
            "lane IN ('typical', 'boundary', 'rare', 'novel', 'audit', 'repeat', 'pairs', 'import', 'free')",
            name=op.f("ck_acquisition_queue_lane_known"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'leased', 'answered', 'skipped', 'withdrawn')",
            name=op.f("ck_acquisition_queue_state_known"),
        ),
        sa.CheckConstraint(
            "propensity > 0 and propensity <= 1", name=op.f("ck_acquisition_queue_propensity_is_chance")
        ),
        sa.ForeignKeyConstraint(["leased_by"], ["app_user.user_id"], name=op.f("fk_acquisition_queue_leased_by")),
        sa.ForeignKeyConstraint(
            ["round_id"], ["acquisition_round.round_id"], name=op.f("fk_acquisition_queue_round_id")
        ),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_acquisition_queue_track_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_acquisition_queue")),
        sa.UniqueConstraint("round_id", "track_id", name="uq_acquisition_queue_round_track"),
    )
    op.create_index("ix_acquisition_queue_state", "acquisition_queue", ["state", "round_id", "position"], unique=False)
    op.create_index("ix_acquisition_queue_track", "acquisition_queue", ["track_id", "state"], unique=False)
    op.create_table(
        "frame",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("frame_no", sa.Integer(), autoincrement=False, nullable=False, comment="counts kept frames from 0"),
        sa.Column(
            "pts", sa.BigInteger(), nullable=False, comment="presentation time in the stream's time base: the truth"
        ),
        sa.Column(
            "time_s", sa.Float(precision=53), nullable=False, comment="seconds since the first picture of the video"
        ),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False, comment="of the JPEG inside the shard"),
        sa.Column("byte_length", sa.Integer(), nullable=False),
        sa.CheckConstraint("byte_length > 0", name=op.f("ck_frame_byte_length_positive")),
        sa.CheckConstraint("byte_offset >= 0", name=op.f("ck_frame_byte_offset_not_negative")),
        sa.CheckConstraint("frame_no >= 0", name=op.f("ck_frame_frame_no_not_negative")),
        sa.ForeignKeyConstraint(["shard_id"], ["frame_shard.shard_id"], name=op.f("fk_frame_shard_id")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], name=op.f("fk_frame_video_id")),
        sa.PrimaryKeyConstraint("video_id", "frame_no", name=op.f("pk_frame")),
    )
    op.create_table(
        "prediction",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rank", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("probability", sa.Float(precision=24), nullable=False, comment="calibrated"),
        sa.CheckConstraint("probability >= 0 and probability <= 1", name=op.f("ck_prediction_probability_is_share")),
        sa.CheckConstraint("rank between 1 and 5", name=op.f("ck_prediction_rank_1_to_5")),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_prediction_individual_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_prediction_model_id")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_prediction_track_id")),
        sa.PrimaryKeyConstraint("model_id", "track_id", "rank", name=op.f("pk_prediction")),
    )
    op.create_index(
        "ix_prediction_individual", "prediction", ["individual_id", "model_id", "rank", "probability"], unique=False
    )
    op.create_table(
        "track_score",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("margin", sa.Float(precision=24), nullable=False, comment="probability of rank 1 minus rank 2"),
        sa.Column("max_logit", sa.Float(precision=24), nullable=False),
        sa.Column(
            "novelty",
            sa.Float(precision=24),
            nullable=False,
            comment="1 minus the cosine to the nearest labelled track",
        ),
        sa.Column("entropy", sa.Float(precision=24), nullable=False, comment="nats"),
        sa.Column(
            "is_unknown", sa.Boolean(), nullable=False, comment="max_logit lies below the head's unknown threshold"
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], name=op.f("fk_track_score_model_id")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_track_score_track_id")),
        sa.PrimaryKeyConstraint("model_id", "track_id", name=op.f("pk_track_score")),
    )
    op.create_table(
        "annotation",
        sa.Column("annotation_id", sa.Unicode(length=36), nullable=False, comment="the client's UUID"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="gapless, in commit order"),
        sa.Column("kind", sa.Unicode(length=16), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=True),
        sa.Column("other_track_id", sa.BigInteger(), nullable=True, comment="merge, same, different"),
        sa.Column("individual_id", sa.BigInteger(), nullable=True),
        sa.Column("video_id", sa.BigInteger(), nullable=True),
        sa.Column("frame_no", sa.Integer(), nullable=True, comment="box; and where a split begins"),
        sa.Column("x", sa.Float(precision=24), nullable=True),
        sa.Column("y", sa.Float(precision=24), nullable=True),
        sa.Column("w", sa.Float(precision=24), nullable=True),
        sa.Column("h", sa.Float(precision=24), nullable=True),
        sa.Column("supersedes", sa.Unicode(length=36), nullable=True),
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Unicode(length=10), nullable=False),
        sa.Column("propensity", sa.Float(precision=53), nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("shown", sa.Unicode(length=4000), nullable=True, comment="JSON: what the annotator saw"),
        sa.Column("note", sa.Unicode(length=2000), nullable=True),
        sa.Column("seconds", sa.Float(precision=24), nullable=True, comment="from shown to answered"),
        sa.Column("client_time", MOMENT, nullable=True),
        sa.Column("server_time", MOMENT, nullable=False),
        sa.Column(
            "fingerprint",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="blake2b of the content: an id never changes meaning",
        ),
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
        sa.CheckConstraint(
            "lane IN ('typical', 'boundary', 'rare', 'novel', 'audit', 'repeat', 'pairs', 'import', 'free')",
            name=op.f("ck_annotation_lane_known"),
        ),
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
        comment="append-only: one decision of one person",
    )
    op.create_index(op.f("ix_annotation_individual_id"), "annotation", ["individual_id"], unique=False)
    op.create_index(op.f("ix_annotation_supersedes"), "annotation", ["supersedes"], unique=False)
    op.create_index(op.f("ix_annotation_track_id"), "annotation", ["track_id"], unique=False)
    op.create_table(
        "detection",
        sa.Column("video_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("frame_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("detection_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("x", sa.Float(precision=24), nullable=False),
        sa.Column("y", sa.Float(precision=24), nullable=False),
        sa.Column("w", sa.Float(precision=24), nullable=False),
        sa.Column("h", sa.Float(precision=24), nullable=False),
        sa.Column("score", sa.Float(precision=24), nullable=False),
        sa.CheckConstraint("score >= 0 and score <= 1", name=op.f("ck_detection_score_is_share")),
        sa.CheckConstraint("w > 0 and h > 0 and w <= 1 and h <= 1", name=op.f("ck_detection_size_in_picture")),
        sa.CheckConstraint("x >= 0 and y >= 0 and x <= 1 and y <= 1", name=op.f("ck_detection_corner_in_picture")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_detection_track_id")),
        sa.ForeignKeyConstraint(
            ["video_id", "frame_no"], ["frame.video_id", "frame.frame_no"], name="fk_detection_frame"
        ),
        sa.PrimaryKeyConstraint("video_id", "frame_no", "detection_no", name=op.f("pk_detection")),
    )
    op.create_index("ix_detection_track", "detection", ["track_id", "frame_no"], unique=False)
    counter = sa.table("counter", sa.column("name", sa.Unicode), sa.column("value", sa.BigInteger))
    op.bulk_insert(
        counter, [{"name": name, "value": 0} for name in ("annotation", "acquisition_round", "split_assignment")]
    )
