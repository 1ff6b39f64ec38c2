"""What researchers ask at 30 million frames: days, seconds and summaries beside their rows, life histories, merges.

On SQLite the large tables are written anew, in the order of their keys: one tree instead of two, a third smaller. That
needs room for a second copy of the largest of them while it lasts.

Revision 0003, after 0002.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SEX = "sex IN ('F', 'M', 'U')"

# name, type in SQLite's words, rule, referenced table: added to `individual`.
INDIVIDUAL_COLUMNS: list[tuple[str, sa.types.TypeEngine[Any], str | None, str | None]] = [
    ("bd_dist", sa.Unicode(1), "bd_dist IN ('N', 'U')", None),
    ("birth_community_id", sa.BigInteger(), None, "community.community_id"),
    ("bg_qual", sa.Unicode(1), "bg_qual IN ('C', 'U')", None),
    ("first_born", sa.Unicode(1), "first_born IN ('Y', 'N', 'U')", None),
    ("entry_type", sa.Unicode(1), "entry_type IN ('B', 'I', 'C', 'Q')", None),
    ("depart_date_error", sa.Float(24), "depart_date_error >= 0", None),
    ("same_as_id", sa.BigInteger(), "same_as_id <> individual_id", "individual.individual_id"),
]
CHECK_NAMES = {"depart_date_error": "depart_date_error_not_negative", "same_as_id": "not_merged_into_itself"}

AGE_CLASSES = [
    *(("gombe", sex, name, low, high, place) for sex, grown in (("F", 13.0), ("M", 16.0), ("U", 16.0))
      for place, (name, low, high) in enumerate(
          (("infant", 0.0, 5.0), ("juvenile", 5.0, 9.0), ("adolescent", 9.0, grown), ("adult", grown, None)))),
    *(("chimp_and_see", sex, name, low, high, place) for sex in "FMU"
      for place, (name, low, high) in enumerate(
          (("infant", 0.0, 5.0), ("juvenile", 5.0, 11.0), ("adolescent", 11.0, 15.0), ("adult", 15.0, None)))),
]  # fmt: skip


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    _add_tables()
    op.add_column("video", sa.Column("recorded_on", sa.Date(), nullable=True))
    op.add_column("video", sa.Column("frame_s", sa.Float(53), nullable=True))
    op.add_column("community_membership", sa.Column("source", sa.Unicode(100), nullable=True))
    op.add_column(
        "training_set", sa.Column("merge_watermark", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    _grow_individual(dialect)
    _say_days(dialect)
    op.create_index("ix_video_place_day", "video", ["site", "camera", "recorded_on"])
    # What each kept frame stands for.
    op.execute(
        "UPDATE video SET frame_s = CASE WHEN n_frames > 1 THEN"
        " (SELECT (MAX(frame.time_s) - MIN(frame.time_s)) / (video.n_frames - 1) FROM frame"
        " WHERE frame.video_id = video.video_id) ELSE duration_s END WHERE n_frames > 0"
    )
    if dialect == "sqlite":
        _write_anew()
    else:
        _grow_tracks()
        op.drop_index("ix_prediction_individual", table_name="prediction")
    op.create_index(
        "ix_prediction_individual",
        "prediction",
        ["individual_id", "model_id", "probability"],
        sqlite_where=sa.text("rank = 1"),
        postgresql_where=sa.text("rank = 1"),
        mssql_where=sa.text("rank = 1"),
    )
    if dialect == "postgresql":
        _comment()


# For who reads the database with a tool that shows them (PostgreSQL).
COMMENTS = {
    "bulk_chunk": "written in the transaction of its rows: what is here is there, and is not written twice",
    "bulk_chunk.run_key": "names one job of many rows, the same when it is run again",
    "individual_merge": "append-only: individual.same_as_id is what follows from it",
    "individual_merge.individual_id": "who disappears",
    "individual_merge.undoes_merge_id": "of an undo",
    "biography_log": "append-only: how what is known of an individual has changed (SokweDB BIOGRAPHY_LOG)",
    "biography_log.description": "what was changed, from what to what",
    "deployment": "when a camera stood where: days without a video are days of effort",
    "deployment.end_date": "the last day; null: still there",
    "deployment.latitude": "degrees; never exported unless asked: poachers read too",
    "sampling_gap": "known gaps in effort (Babase BEHAVE_GAPS): nobody could have been seen",
    "sampling_gap.site": "null: every site",
    "sampling_gap.camera": "null: every camera",
    "sampling_gap.end_date": "the last day",
    "age_class": "what an age is called, by scheme: studies differ",
    "age_class.max_age_y": "the class ends before; null: never",
    "age_class.position": "from the youngest",
    "video.recorded_on": "calendar day of recorded_at where the cameras are (archive.timezone)",
    "video.frame_s": "mean seconds between kept frames: what each of them stands for",
    "track.first_s": "time_s of the first frame",
    "track.last_s": "time_s of the last frame",
    "training_set.merge_watermark": "merges up to this merge_id count",
    "individual.bd_min": "the birth lies not before; null: birth_date is exact",
    "individual.bd_max": "the birth lies not after",
    "individual.entry_type": "B birth, I immigration, C confirmed identity, Q close observation",
    "individual.bd_dist": "chance between bd_min and bd_max: N normal, U uniform",
    "individual.bg_qual": "the community of birth is C certain, U uncertain",
    "individual.first_born": "of its mother: Y, N, U unknown",
    "individual.depart_date_error": "years",
    "individual.same_as_id": "whom it was merged into at last",
    "community_membership.end_date": "the last day; null: still a member",
}


def _comment() -> None:
    for what, text in COMMENTS.items():
        if "." in what:
            table, column = what.split(".")
            op.alter_column(table, column, comment=text)
        else:
            op.create_table_comment(what, text)


def _add_tables() -> None:
    op.create_table(
        "bulk_chunk",
        sa.Column("run_key", sa.Unicode(100), nullable=False),
        sa.Column("chunk_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("table_name", sa.Unicode(60), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.CheckConstraint("n_rows >= 0", name=op.f("ck_bulk_chunk_n_rows_not_negative")),
        sa.PrimaryKeyConstraint("run_key", "chunk_no", name="pk_bulk_chunk"),
    )
    op.create_table(
        "individual_merge",
        sa.Column("merge_id", KEY, nullable=False),
        sa.Column("kind", sa.Unicode(5), nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("into_individual_id", sa.BigInteger(), nullable=False),
        sa.Column("undoes_merge_id", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Unicode(1000), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('merge', 'undo')", name=op.f("ck_individual_merge_kind_known")),
        sa.CheckConstraint("individual_id <> into_individual_id", name=op.f("ck_individual_merge_two_individuals")),
        sa.CheckConstraint(
            "(kind = 'undo' and undoes_merge_id is not null) or (kind = 'merge' and undoes_merge_id is null)",
            name=op.f("ck_individual_merge_undo_names_its_merge"),
        ),
        sa.ForeignKeyConstraint(["individual_id"], ["individual.individual_id"], "fk_individual_merge_individual_id"),
        sa.ForeignKeyConstraint(
            ["into_individual_id"], ["individual.individual_id"], "fk_individual_merge_into_individual_id"
        ),
        sa.ForeignKeyConstraint(
            ["undoes_merge_id"], ["individual_merge.merge_id"], "fk_individual_merge_undoes_merge_id"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], "fk_individual_merge_user_id"),
        sa.PrimaryKeyConstraint("merge_id", name="pk_individual_merge"),
    )
    op.create_table(
        "biography_log",
        sa.Column("log_id", KEY, nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.Unicode(2000), nullable=False),
        sa.Column("rationale", sa.Unicode(1000), nullable=True),
        sa.ForeignKeyConstraint(["individual_id"], ["individual.individual_id"], "fk_biography_log_individual_id"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], "fk_biography_log_user_id"),
        sa.PrimaryKeyConstraint("log_id", name="pk_biography_log"),
    )
    op.create_index("ix_biography_log_individual_id", "biography_log", ["individual_id"])
    op.create_table(
        "deployment",
        sa.Column("deployment_id", KEY, nullable=False),
        sa.Column("site", sa.Unicode(100), nullable=True),
        sa.Column("camera", sa.Unicode(100), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("latitude", sa.Float(53), nullable=True),
        sa.Column("longitude", sa.Float(53), nullable=True),
        sa.Column("note", sa.Unicode(1000), nullable=True),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_deployment_deployment_in_order")),
        sa.CheckConstraint("latitude between -90 and 90", name=op.f("ck_deployment_latitude_in_degrees")),
        sa.CheckConstraint("longitude between -180 and 180", name=op.f("ck_deployment_longitude_in_degrees")),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_deployment"),
    )
    op.create_index("ix_deployment_camera", "deployment", ["camera", "start_date"])
    op.create_table(
        "sampling_gap",
        sa.Column("gap_id", KEY, nullable=False),
        sa.Column("site", sa.Unicode(100), nullable=True),
        sa.Column("camera", sa.Unicode(100), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("reason", sa.Unicode(500), nullable=False),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_sampling_gap_gap_in_order")),
        sa.PrimaryKeyConstraint("gap_id", name="pk_sampling_gap"),
    )
    age_class = op.create_table(
        "age_class",
        sa.Column("scheme", sa.Unicode(40), nullable=False),
        sa.Column("sex", sa.Unicode(1), nullable=False),
        sa.Column("name", sa.Unicode(40), nullable=False),
        sa.Column("min_age_y", sa.Float(24), nullable=False),
        sa.Column("max_age_y", sa.Float(24), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(SEX, name=op.f("ck_age_class_sex_known")),
        sa.CheckConstraint("max_age_y > min_age_y", name=op.f("ck_age_class_ages_in_order")),
        sa.PrimaryKeyConstraint("scheme", "sex", "name", name="pk_age_class"),
    )
    # Nishida 2011 after Goodall 1986; Chimp&See's three ages of youth and the grown.
    names = ("scheme", "sex", "name", "min_age_y", "max_age_y", "position")
    op.bulk_insert(age_class, [dict(zip(names, row, strict=True)) for row in AGE_CLASSES])


def _grow_individual(dialect: str) -> None:
    for name, kind, rule, target in INDIVIDUAL_COLUMNS:
        check = f"ck_individual_{CHECK_NAMES.get(name, f'{name}_known')}"
        if dialect == "sqlite":
            # SQLite adds a rule or a foreign key with its column or never.
            words = kind.compile(dialect=op.get_context().dialect)
            words += f" CONSTRAINT {check} CHECK ({rule})" if rule else ""
            if target:
                table, column = target.split(".")
                words += f" CONSTRAINT fk_individual_{name} REFERENCES {table} ({column})"
            op.execute(f"ALTER TABLE individual ADD COLUMN {name} {words}")
            continue
        op.add_column("individual", sa.Column(name, kind, nullable=True))
        if rule:
            op.create_check_constraint(op.f(check), "individual", rule)
        if target:
            table, column = target.split(".")
            op.create_foreign_key(f"fk_individual_{name}", "individual", table, [name], [column])
    op.create_index("ix_individual_mom_id", "individual", ["mom_id"])
    op.create_index("ix_individual_same_as_id", "individual", ["same_as_id"])


def _say_days(dialect: str) -> None:
    # The split of a video was given by its local day, and its key begins with it: 2013-05-06|site|camera.
    local = (
        "(SELECT SUBSTRING(s.day_key, 1, 10) FROM split_assignment AS s"
        " WHERE s.video_id = video.video_id AND s.day_key LIKE '____-__-__|%')"
    )
    day = f"COALESCE({local}, SUBSTRING(CAST(recorded_at AS VARCHAR(30)), 1, 10))"
    if dialect != "sqlite":
        day = f"CAST({day} AS DATE)"
    op.execute(sa.text(f"UPDATE video SET recorded_on = {day} WHERE recorded_at IS NOT NULL"))  # noqa: S608  our own text


SECONDS = {
    name: f"(SELECT f.time_s FROM frame AS f WHERE f.video_id = track.video_id AND f.frame_no = track.{frame_no})"  # noqa: S608
    for name, frame_no in (("first_s", "first_frame_no"), ("last_s", "last_frame_no"))
}


def _grow_tracks() -> None:
    for name in SECONDS:
        op.add_column("track", sa.Column(name, sa.Float(53), nullable=True))
    # A track of a frame that is gone: it began with its video, for want of better.
    op.execute(
        "UPDATE track SET " + ", ".join(f"{name} = COALESCE({value}, 0)" for name, value in SECONDS.items())  # noqa: S608
    )
    for name in SECONDS:
        op.alter_column("track", name, existing_type=sa.Float(53), nullable=False)
    op.create_check_constraint(op.f("ck_track_seconds_in_order"), "track", "last_s >= first_s")


def _write_anew() -> None:
    """SQLite: the same rows in tables of another layout. Foreign keys are off meanwhile, and checked at the end."""
    _anew(
        "frame_shard",
        sa.Column("shard_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Unicode(500), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Unicode(64), nullable=False),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_frame_shard_bytes_positive")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], "fk_frame_shard_video_id"),
        sa.PrimaryKeyConstraint("shard_id", name="pk_frame_shard"),
        sa.UniqueConstraint("uri", name="uq_frame_shard_uri"),
    )
    op.create_index("ix_frame_shard_video_id", "frame_shard", ["video_id"])
    _anew(
        "split_assignment",
        sa.Column("video_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day_key", sa.Unicode(150), nullable=False),
        sa.Column("split", sa.Unicode(10), nullable=False),
        sa.Column("assigned_at", MOMENT, nullable=False),
        sa.CheckConstraint("split IN ('train', 'validation', 'test')", name=op.f("ck_split_assignment_split_known")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], "fk_split_assignment_video_id"),
        sa.PrimaryKeyConstraint("video_id", name="pk_split_assignment"),
    )
    op.create_index("ix_split_assignment_day_key", "split_assignment", ["day_key"])
    _anew(
        "frame",
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("frame_no", sa.Integer(), nullable=False),
        sa.Column("pts", sa.BigInteger(), nullable=False),
        sa.Column("time_s", sa.Float(53), nullable=False),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.Integer(), nullable=False),
        sa.CheckConstraint("frame_no >= 0", name=op.f("ck_frame_frame_no_not_negative")),
        sa.CheckConstraint("byte_offset >= 0", name=op.f("ck_frame_byte_offset_not_negative")),
        sa.CheckConstraint("byte_length > 0", name=op.f("ck_frame_byte_length_positive")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], "fk_frame_video_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["frame_shard.shard_id"], "fk_frame_shard_id"),
        sa.PrimaryKeyConstraint("video_id", "frame_no", name="pk_frame"),
        with_rowid=False,
    )
    _anew(
        "track",
        sa.Column("track_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("first_frame_no", sa.Integer(), nullable=False),
        sa.Column("last_frame_no", sa.Integer(), nullable=False),
        sa.Column("first_s", sa.Float(53), nullable=False),
        sa.Column("last_s", sa.Float(53), nullable=False),
        sa.Column("n_detections", sa.Integer(), nullable=False),
        sa.Column("quality", sa.Float(24), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Unicode(8), nullable=False),
        sa.Column("parent_track_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('live', 'split', 'merged', 'junk')", name=op.f("ck_track_state_known")),
        sa.CheckConstraint("last_frame_no >= first_frame_no", name=op.f("ck_track_frames_in_order")),
        sa.CheckConstraint("last_s >= first_s", name=op.f("ck_track_seconds_in_order")),
        sa.CheckConstraint("n_detections > 0", name=op.f("ck_track_has_detections")),
        sa.ForeignKeyConstraint(["video_id"], ["video.video_id"], "fk_track_video_id"),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], "fk_track_model_id"),
        sa.ForeignKeyConstraint(["parent_track_id"], ["track.track_id"], "fk_track_parent_track_id"),
        sa.PrimaryKeyConstraint("track_id", name="pk_track"),
        values={name: f"COALESCE({value}, 0)" for name, value in SECONDS.items()},
    )
    op.create_index("ix_track_video_state", "track", ["video_id", "state"])
    _anew(
        "detection",
        sa.Column("video_id", sa.BigInteger(), nullable=False),
        sa.Column("frame_no", sa.Integer(), nullable=False),
        sa.Column("detection_no", sa.SmallInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("x", sa.Float(24), nullable=False),
        sa.Column("y", sa.Float(24), nullable=False),
        sa.Column("w", sa.Float(24), nullable=False),
        sa.Column("h", sa.Float(24), nullable=False),
        sa.Column("score", sa.Float(24), nullable=False),
        sa.CheckConstraint("x >= 0 and y >= 0 and x <= 1 and y <= 1", name=op.f("ck_detection_corner_in_picture")),
        sa.CheckConstraint("w > 0 and h > 0 and w <= 1 and h <= 1", name=op.f("ck_detection_size_in_picture")),
        sa.CheckConstraint("score >= 0 and score <= 1", name=op.f("ck_detection_score_is_share")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], "fk_detection_track_id"),
        sa.ForeignKeyConstraint(["video_id", "frame_no"], ["frame.video_id", "frame.frame_no"], "fk_detection_frame"),
        sa.PrimaryKeyConstraint("video_id", "frame_no", "detection_no", name="pk_detection"),
        with_rowid=False,
    )
    op.create_index("ix_detection_track", "detection", ["track_id", "frame_no"])
    _anew(
        "prediction",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("probability", sa.Float(24), nullable=False),
        sa.CheckConstraint("rank between 1 and 5", name=op.f("ck_prediction_rank_1_to_5")),
        sa.CheckConstraint("probability >= 0 and probability <= 1", name=op.f("ck_prediction_probability_is_share")),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], "fk_prediction_model_id"),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], "fk_prediction_track_id"),
        sa.ForeignKeyConstraint(["individual_id"], ["individual.individual_id"], "fk_prediction_individual_id"),
        sa.PrimaryKeyConstraint("model_id", "track_id", "rank", name="pk_prediction"),
        with_rowid=False,
    )
    _anew(
        "track_score",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("margin", sa.Float(24), nullable=False),
        sa.Column("max_logit", sa.Float(24), nullable=False),
        sa.Column("novelty", sa.Float(24), nullable=False),
        sa.Column("entropy", sa.Float(24), nullable=False),
        sa.Column("is_unknown", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.model_id"], "fk_track_score_model_id"),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], "fk_track_score_track_id"),
        sa.PrimaryKeyConstraint("model_id", "track_id", name="pk_track_score"),
        with_rowid=False,
    )


def _anew(name: str, *parts: Any, with_rowid: bool = True, values: dict[str, str] | None = None) -> None:
    columns = [part.name for part in parts if isinstance(part, sa.Column)]
    sources = ", ".join((values or {}).get(column, f"{name}.{column}") for column in columns)
    op.create_table(f"{name}_anew", *parts, sqlite_with_rowid=with_rowid)
    op.execute(f"INSERT INTO {name}_anew ({', '.join(columns)}) SELECT {sources} FROM {name}")  # noqa: S608  our names
    op.drop_table(name)
    op.rename_table(f"{name}_anew", name)
