"""Every table of the product, in SQLAlchemy Core: the one description that migrations, views and queries agree with.

Belongs here: tables, keys, constraints, indexes, the two column types of our own and the identifiers that are computed.
Does not belong here: connections (`engine`), statements (`events`, `queue`, `bulk`) and views (`sql/views`).

Conventions: singular snake_case; integer keys; times UTC; boxes are fractions of the displayed picture (rotation and
pixel aspect applied; x right, y down; x, y is the top left corner); every closed vocabulary is a CHECK.
Tracks and shards have computed keys (`track_id_of`, `shard_id_of`), so that a step that is killed and run again, or run
in another home, writes the same rows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Unicode,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from chimp_assets.errors import ChimpError

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

TRACKS_PER_VIDEO = 1 << 20
SHARDS_PER_VIDEO = 1 << 12

ASSOCIATION_RULES = ("moment", "video", "day")
"""Together: visible at the same moment; in one video; at one camera on one day."""
PERIOD_KINDS = ("year", "all")
TABLE_COLUMN_KINDS = ("text", "integer", "real", "date", "moment")
TABLE_JOINS = ("individual", "camera", "place", "day", "moment", "video")
"""What a column of an imported table names: an individual, a camera of a site, a site, a day, a moment, a video."""
VIDEO_STATES = ("registered", "decoded", "tracked", "failed", "retired")
PASSED_OVER_REASONS = ("not_video", "system", "own", "link", "unreadable", "name", "not_file")
"""Why something in the archive is not listed as a video: no video by its name; kept by an operating system; the home or
the store; a symbolic link that is not followed; not readable; a name that cannot be stored; a pipe or a device."""
LISTED = "listed"
MAPPING_KINDS = ("folder", "camera")
RECORDED_AT_SOURCES = ("container", "exif", "file_name", "file_time", "user")
RECORDED_AT_CERTAINTIES = ("sure", "likely", "day", "unsure")
TIME_WITNESSES = ("container", "exif", "file_name", "folder", "file_time")
DATE_ORDERS = ("day_first", "month_first", "year_first")
TRACK_STATES = ("live", "split", "merged", "replaced", "undone", "junk")
"""live: asked about and counted; split, merged: a person cut it or joined it with another; replaced: another detector
has found its video's animals anew; undone: a cut or a join that was taken back had made it; junk: too short or too poor
to ask about."""
HEIR_CAUSES = ("split", "merge", "retrack")
SEXES = ("F", "M", "U")
ENTRY_TYPES = ("B", "I", "C", "Q")
DEPART_TYPES = ("D", "E", "P", "O")
BIRTH_GROUP_QUALITIES = ("C", "U")
BIRTH_DATE_DISTRIBUTIONS = ("N", "U")
FIRST_BORN = ("Y", "N", "U")
MERGE_KINDS = ("merge", "undo")
ANNOTATION_KINDS = (
    "identify",
    "unknown",
    "new_individual",
    "not_animal",
    "bad_box",
    "cannot_tell",
    "skip",
    "box",
    "split",
    "merge",
    "same",
    "different",
    "is_individual",
    "not_individual",
    "retract",
)
LANES = (
    "typical", "boundary", "rare", "novel", "frames", "drift", "audit", "groups", "promise", "repeat", "pairs",
    "disputed", "is_it", "grid", "import", "free",
)  # fmt: skip
PAIRS, DISPUTED, IS_IT, GRID, PROMISE, FRAMES = "pairs", "disputed", "is_it", "grid", "promise", "frames"
MEASURING_LANES = ("audit", "groups")
"""Drawn from the reserve to measure models: their answers never teach one."""
# Not names: is it one animal, which of these answers is wrong, is this X? Only who asks for them gets them.
SIDE_LANES = (PAIRS, DISPUTED, IS_IT)
REPEATED_LANES = ("repeat", PROMISE)
"""They ask on purpose about tracks that were answered, or named on a page."""
EVIDENCE_STATES = ("open", "agreed", "denied")
"""What is known of a track and an individual without an expert's name: not enough said; two people agree that it is
that individual; it is somebody else, as two volunteers or one person who names animals have said."""
PROMISE_STATES = ("auditing", "kept", "failed", "ended")
"""auditing: the names are frozen, and a fresh sample of them is being asked; kept: the sample says that the promise
holds; failed: it does not say so; ended: names, merges or heads have changed since."""
GRID_STATES = ("pending", "leased", "answered", "withdrawn")
MODEL_TASKS = ("detector", "embedder", "head")
MODEL_STATES = ("candidate", "champion", "refused", "retired")
SPLITS = ("train", "validation", "test")
ITEM_STATES = ("pending", "leased", "answered", "skipped", "withdrawn")
RELIABILITY = "probability"
"""slice_kind of metrics over tracks of whose first name a head said about the same."""
ROLES = ("viewer", "volunteer", "identifier", "reviewer", "expert", "admin")
MEDIA_KINDS = ("crop", "frame", "clip", "boxes")
CHECK_KINDS = ("gold", "plant")
DRIFT_KINDS = ("fact", "data", "prediction", "model", "annotator")
"""What an alert is about: a fact of files, signals of pictures and vectors, what heads say, whether the champion is
right, whether a person agrees with herself and with what is known."""
ALERT_STATES = ("open", "expected", "resolved")
ALERT_CHANNELS = ("webhook", "mail")
ABOUT = ("archive", "days")
"""What an interval is about: this archive, whose tracks are drawn one by one, or days to come, block by block."""
FAIRNESS_STATES = ("worse", "better", "same", "too_few")
# These may take back what somebody else said.
CORRECTING_ROLES = ("expert", "admin", "reviewer")


class TimeRangeError(ChimpError, sa.exc.DontWrapMixin):
    """A moment that lies outside of the years 1 to 9999 once it is said in UTC."""

    def __init__(self, value: datetime) -> None:
        super().__init__(
            f"The time {value.isoformat()} lies outside of the years 1 to 9999 in UTC.", "Mend the time or its zone."
        )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. Aware in Python, stored without a zone, microseconds kept on every database."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "mssql":
            from sqlalchemy.dialects.mssql import DATETIME2

            return dialect.type_descriptor(DATETIME2(6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; times are UTC and say so")
        try:
            return value.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            raise TimeRangeError(value) from None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# SQLite gives a table an automatic key only when its type is spelt INTEGER.
BigKey = BigInteger().with_variant(Integer, "sqlite")
Real = Float(24)
Double = Float(53)
_BY_CODE_POINTS = "Latin1_General_100_BIN2"
# Compared by code points everywhere, as Python does: a listing is compared with SQL range by range.
Path = (
    Unicode(800)
    .with_variant(Unicode(800, collation="C"), "postgresql")
    .with_variant(Unicode(800, collation=_BY_CODE_POINTS), "mssql")
)

# What is equal when its code points are: a key that was folded must not be folded again by a collation.
FoldedName = (
    Unicode(300)
    .with_variant(Unicode(300, collation="C"), "postgresql")
    .with_variant(Unicode(300, collation="Latin1_General_100_BIN2"), "mssql")
)


def _exact(length: int) -> Unicode:
    """Names and codes: two texts are one only if they have the same letters. To SQL Server's own collations two emoji
    are one, a control character is nothing and `a` is `A`."""
    return Unicode(length).with_variant(Unicode(length, collation=_BY_CODE_POINTS), "mssql")


# Rows lie in the order of their key on SQLite, as they do on SQL Server: one tree instead of two.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


def track_id_of(video_id: int, ordinal: int) -> int:
    """Key of the ordinal-th track of a video (from 0). Below 2**53 for video_id < 2**33, so exact in JavaScript."""
    if not 0 <= ordinal < TRACKS_PER_VIDEO:
        raise ValueError(f"video {video_id}: track ordinal {ordinal} is outside 0..{TRACKS_PER_VIDEO - 1}")
    return video_id * TRACKS_PER_VIDEO + ordinal


def shard_id_of(video_id: int, part: int) -> int:
    """Key of the part-th shard of a video (from 0)."""
    if not 0 <= part < SHARDS_PER_VIDEO:
        raise ValueError(f"video {video_id}: shard part {part} is outside 0..{SHARDS_PER_VIDEO - 1}")
    return video_id * SHARDS_PER_VIDEO + part


def _one_of(column: str, allowed: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(sa.column(column).in_(allowed), name=f"{column}_known")


def _unique_where(name: str, condition: str, *columns: str) -> Index:
    which = sa.text(condition)
    return Index(name, *columns, unique=True, sqlite_where=which, postgresql_where=which, mssql_where=which)


def _index_where(name: str, condition: str, *columns: str) -> Index:
    which = sa.text(condition)
    return Index(name, *columns, sqlite_where=which, postgresql_where=which, mssql_where=which)


def _fk(target: str) -> ForeignKey:
    return ForeignKey(target)


counter = Table(
    "counter",
    metadata,
    Column("name", Unicode(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
    CheckConstraint("value >= 0", name="not_negative"),
    comment="one row per gapless number; updated inside the transaction that uses the number",
)

bulk_chunk = Table(
    "bulk_chunk",
    metadata,
    Column(
        "run_key", Unicode(100), primary_key=True, comment="names one job of many rows, the same when it is run again"
    ),
    Column("chunk_no", Integer, primary_key=True, autoincrement=False),
    Column("table_name", Unicode(60), nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    CheckConstraint("n_rows >= 0", name="n_rows_not_negative"),
    comment="written in the transaction of its rows: what is here is there, and is not written twice",
)

bundle = Table(
    "bundle",
    metadata,
    Column("bundle_id", BigKey, primary_key=True),
    Column("bundle_key", Unicode(100), nullable=False, unique=True, comment="[a-z0-9_-]+; the Dagster partition"),
    Column("folder", Unicode(1000), nullable=False, comment="folder inside the archive"),
    Column(
        "attempts",
        Integer,
        nullable=False,
        server_default="0",
        comment="runs begun since the last that finished, or that left fewer steps than the one before it",
    ),
    Column(
        "errors",
        Integer,
        nullable=False,
        server_default="0",
        comment="runs since the last that finished which an error of the work itself ended",
    ),
    Column("steps_left", Integer, comment="steps of its videos that were left when the last run began"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, comment="when tracks of it last came or went; null while there are none"),
    CheckConstraint("attempts >= 0", name="attempts_not_negative"),
)

video = Table(
    "video",
    metadata,
    Column("video_id", BigKey, primary_key=True),
    Column("bundle_id", BigInteger, _fk("bundle.bundle_id"), nullable=False),
    Column("uri", Path, nullable=False, comment="path inside the archive, with forward slashes"),
    Column("version", Integer, nullable=False, comment="1, and one more for each replacement of the file"),
    Column("content_hash", Unicode(64), comment="blake2b-256 of the bytes, hexadecimal; null until read"),
    Column("picture_hash", Unicode(64), comment="of its pictures as decoded: the same after a remux or other metadata"),
    Column("bytes", BigInteger, nullable=False),
    Column("etag", Unicode(200), nullable=False, comment="what the listing said: changes when the file changes"),
    Column("recorded_at", UtcDateTime),
    Column("recorded_at_source", Unicode(20)),
    Column("recorded_on", Date, comment="calendar day of recorded_at where the cameras are (archive.timezone)"),
    Column("site", Unicode(100)),
    Column("camera", Unicode(100)),
    Column("duration_s", Double),
    Column("width", Integer, comment="displayed: after rotation and pixel aspect"),
    Column("height", Integer, comment="displayed: after rotation and pixel aspect"),
    Column("sar_num", Integer),
    Column("sar_den", Integer),
    Column("rotation", SmallInteger, comment="degrees clockwise that display applies: 0, 90, 180, 270"),
    Column("avg_fps", Double),
    Column("codec", Unicode(40)),
    Column("time_base_num", Integer),
    Column("time_base_den", Integer),
    Column("interlaced", Boolean, comment="fields were woven in the file; kept pictures are deinterlaced"),
    Column("color_transfer", Unicode(20), comment="as the file names it; smpte2084 and arib-std-b67 are HDR"),
    Column("n_frames", Integer, nullable=False, server_default="0", comment="kept frames"),
    Column("frame_s", Double, comment="mean seconds between kept frames: what each of them stands for"),
    Column("decode_s", Double, comment="seconds that decoding it took, all its processes together"),
    Column("state", Unicode(12), nullable=False),
    Column("error", Unicode(2000), comment="what was lost and why, in words; may be set on a usable video"),
    Column("note", Unicode(1000), comment="how kept pictures differ from those in the file, in words"),
    Column("duplicate_of_video_id", BigInteger, _fk("video.video_id"), comment="the same bytes; this row is retired"),
    Column("discovered_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column(
        "burst_video_id",
        BigInteger,
        _fk("video.video_id"),
        comment="of a picture: the row whose frames its burst became; this row is retired",
    ),
    Column(
        "recorded_at_certainty",
        Unicode(8),
        comment="sure; likely: nothing speaks against it; day: only the day is known; unsure",
    ),
    UniqueConstraint("uri", "version", name="uq_video_uri_version"),
    _one_of("state", VIDEO_STATES),
    _one_of("recorded_at_source", RECORDED_AT_SOURCES),
    _one_of("recorded_at_certainty", RECORDED_AT_CERTAINTIES),
    CheckConstraint("version >= 1", name="version_from_one"),
    CheckConstraint("bytes >= 0", name="bytes_not_negative"),
    CheckConstraint("rotation in (0, 90, 180, 270)", name="rotation_quarter_turns"),
    Index("ix_video_bundle_state", "bundle_id", "state"),
    Index("ix_video_state_bundle", "state", "bundle_id"),
    Index("ix_video_bytes", "bytes", "content_hash"),
    Index("ix_video_picture_hash", "picture_hash"),
    Index("ix_video_recorded_at", "recorded_at"),
    Index("ix_video_place_day", "site", "camera", "recorded_on"),
    Index("ix_video_place_time", "site", "camera", "recorded_at"),
)

picture_fact = Table(
    "picture_fact",
    metadata,
    Column("video_id", BigKey, _fk("video.video_id"), primary_key=True, autoincrement=False),
    Column("taken", Unicode(60), comment="when it was taken as its EXIF says: ISO 8601, else as written"),
    Column("make", Unicode(100)),
    Column("model", Unicode(100)),
    Column("serial", Unicode(100), comment="of the camera"),
    Column("latitude", Double, comment="degrees, WGS 84, exact: never to be exported unless asked for"),
    Column("longitude", Double, comment="degrees, WGS 84, exact: never to be exported unless asked for"),
    Column("gone_at", UtcDateTime, comment="of a burst: since when this picture's file is gone while the burst stays"),
    CheckConstraint("latitude between -90 and 90", name="latitude_on_earth"),
    CheckConstraint("longitude between -180 and 180", name="longitude_on_earth"),
    comment="one row for each file that is listed as a picture: what it says of itself",
)

video_time = Table(
    "video_time",
    metadata,
    Column("video_id", BigKey, _fk("video.video_id"), primary_key=True, autoincrement=False),
    Column("witnesses", Unicode(4000), comment="JSON: what container and file said, as written; null: not kept"),
    Column("witness", Unicode(12), comment="who was believed; null: nobody said anything, or not weighed yet"),
    Column("disagree", Unicode(60), nullable=False, server_default="", comment="witnesses that disagree, by commas"),
    Column("note", Unicode(1000), nullable=False, server_default="", comment="why, in words"),
    Column("asks", Unicode(20), comment="what a person should say: date_order"),
    Column(
        "correction_id", BigInteger, _fk("time_correction.correction_id"), comment="the correction that was applied"
    ),
    Column("weighed", Boolean, nullable=False, server_default=sa.false(), comment="false: at the next listing"),
    _one_of("witness", TIME_WITNESSES),
    Index("ix_video_time_weighed", "weighed", "video_id"),
    _index_where("ix_video_time_asks", "asks IS NOT NULL", "asks"),
    comment="what every witness of a video's time said: times are weighed again without reading a file",
)

time_correction = Table(
    "time_correction",
    metadata,
    Column("correction_id", BigKey, primary_key=True),
    Column("site", Unicode(100)),
    Column("camera", Unicode(100)),
    Column("everywhere", Boolean, nullable=False, server_default=sa.false(), comment="every camera of the archive"),
    Column(
        "shown_from", UtcDateTime, comment="the period, as the times were before: local digits of the cameras' zone"
    ),
    Column("shown_to", UtcDateTime, comment="the end of the period, itself outside"),
    Column("offset_s", BigInteger, comment="seconds that are added"),
    Column("zone", Unicode(60), comment="IANA zone or +03:00 in which the clock ran"),
    Column("showed_at", UtcDateTime, comment="digits that a clock that was reset showed at true_at"),
    Column("true_at", UtcDateTime),
    Column("date_order", Unicode(12), comment="how names write day and month"),
    Column("reason", Unicode(1000)),
    Column("user_id", BigInteger, _fk("app_user.user_id")),
    Column("made_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("revoked_by", BigInteger, _fk("app_user.user_id")),
    Column("revoke_reason", Unicode(1000)),
    _one_of("date_order", DATE_ORDERS),
    CheckConstraint("shown_to > shown_from", name="period_in_order"),
    comment="what people said of camera clocks; rows are never changed but to be revoked",
)

time_rules = Table(
    "time_rules",
    metadata,
    Column("time_rules_id", BigKey, primary_key=True),
    Column("rules", Unicode(500), nullable=False, comment="JSON: the settings by which all times were weighed"),
    Column("applied_at", UtcDateTime, nullable=False),
    comment="by which rules times were weighed; the newest row counts",
)

camera_name = Table(
    "camera_name",
    metadata,
    Column("camera_name_id", BigKey, primary_key=True),
    Column("site_key", FoldedName, nullable=False, comment="the site without case and separators; empty: none"),
    Column("camera_key", FoldedName, nullable=False, comment="the camera without case and separators"),
    Column("site", Unicode(100)),
    Column("camera", Unicode(100), nullable=False, comment="as it is written in video and deployment"),
    Column("first_seen_at", UtcDateTime, nullable=False),
    UniqueConstraint("site_key", "camera_key", name="uq_camera_name_keys"),
    comment="one spelling for each camera: the first that was seen",
)

camera_mapping = Table(
    "camera_mapping",
    metadata,
    Column("mapping_id", BigKey, primary_key=True),
    Column("kind", Unicode(10), nullable=False),
    Column("folder", Path, comment="of the archive: all videos below it; null for a mapping of a camera"),
    Column("from_site", Unicode(100)),
    Column("from_camera", Unicode(100), comment="null for a mapping of a folder"),
    Column("site", Unicode(100)),
    Column("camera", Unicode(100), nullable=False, comment="where they belong"),
    Column("user_id", BigInteger, _fk("app_user.user_id")),
    Column("reason", Unicode(1000)),
    Column("at", UtcDateTime, nullable=False),
    Column("undone_at", UtcDateTime, comment="null: it stands"),
    Column("undone_by_id", BigInteger, _fk("app_user.user_id")),
    Column("undone_reason", Unicode(1000)),
    _one_of("kind", MAPPING_KINDS),
    comment="which camera a folder or a name means, by people; never deleted",
)

passed_over = Table(
    "passed_over",
    metadata,
    Column("passed_over_id", BigKey, primary_key=True),
    Column("reason", Unicode(12), nullable=False, index=True),
    Column("path", Unicode(800), nullable=False, comment="inside the archive; what cannot be printed is escaped"),
    Column("detail", Unicode(500), nullable=False, comment="in words"),
    Column("first_seen_at", UtcDateTime, nullable=False),
    _one_of("reason", PASSED_OVER_REASONS),
    comment="what the newest listing found in the archive and does not read; of many, the first of each reason",
)

passed_over_count = Table(
    "passed_over_count",
    metadata,
    Column("reason", Unicode(12), primary_key=True),
    Column("ending", Unicode(20), primary_key=True, comment="of the file's name, where that is the reason"),
    Column("n", BigInteger, nullable=False, comment="in the last whole listing"),
    Column("n_so_far", BigInteger, nullable=False, comment="in the listing under way"),
    Column("upto", Path, comment="of the row listed: how far the listing under way is; null: none is"),
    CheckConstraint("n >= 0 and n_so_far >= 0", name="not_negative"),
    _one_of("reason", (LISTED, *PASSED_OVER_REASONS)),
    comment="exact numbers of what is passed over; the row listed counts the videos beside it",
    **CLUSTERED,
)

frame_shard = Table(
    "frame_shard",
    metadata,
    Column("shard_id", BigKey, primary_key=True, autoincrement=False, comment="shard_id_of(video_id, part)"),
    Column("video_id", BigInteger, _fk("video.video_id"), nullable=False, index=True),
    Column("uri", Unicode(500), nullable=False, unique=True, comment="path inside the store"),
    Column("bytes", BigInteger, nullable=False),
    Column("content_hash", Unicode(64), nullable=False),
    CheckConstraint("bytes > 0", name="bytes_positive"),
)

frame = Table(
    "frame",
    metadata,
    Column("video_id", BigInteger, _fk("video.video_id"), primary_key=True, autoincrement=False),
    Column("frame_no", Integer, primary_key=True, autoincrement=False, comment="counts kept frames from 0"),
    Column("pts", BigInteger, nullable=False, comment="presentation time in the stream's time base: the truth"),
    Column("time_s", Double, nullable=False, comment="seconds since the first picture of the video"),
    Column("shard_id", BigInteger, _fk("frame_shard.shard_id"), nullable=False),
    Column("byte_offset", BigInteger, nullable=False, comment="of the JPEG inside the shard"),
    Column("byte_length", Integer, nullable=False),
    Column(
        "source_video_id",
        BigInteger,
        _fk("video.video_id"),
        comment="of a burst: the row of the picture that this frame is; null: the file of video_id",
    ),
    CheckConstraint("frame_no >= 0", name="frame_no_not_negative"),
    CheckConstraint("byte_offset >= 0", name="byte_offset_not_negative"),
    CheckConstraint("byte_length > 0", name="byte_length_positive"),
    **CLUSTERED,
)

split_assignment = Table(
    "split_assignment",
    metadata,
    Column("video_id", BigKey, _fk("video.video_id"), primary_key=True, autoincrement=False),
    Column("day_key", Unicode(150), nullable=False, index=True, comment="camera and recording day: never split apart"),
    Column("split", Unicode(10), nullable=False),
    Column("assigned_at", UtcDateTime, nullable=False),
    _one_of("split", SPLITS),
)

split_move = Table(
    "split_move",
    metadata,
    Column("split_move_id", BigKey, primary_key=True),
    Column("video_id", BigInteger, _fk("video.video_id"), nullable=False, index=True),
    Column("day_key_before", Unicode(150), nullable=False),
    Column("split_before", Unicode(10), nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
    _one_of("split_before", SPLITS),
    comment="where a video was before its recording day was corrected",
)

individual = Table(
    "individual",
    metadata,
    Column("individual_id", BigKey, primary_key=True),
    Column("anim_id", _exact(40), nullable=False, unique=True, comment="SokweDB AnimID: free unique upper-case text"),
    Column("name", _exact(200)),
    Column("sex", Unicode(1), nullable=False, server_default="U"),
    Column("birth_date", Date),
    Column("bd_min", Date, comment="the birth lies not before; null: birth_date is exact"),
    Column("bd_max", Date, comment="the birth lies not after"),
    Column("bd_dist", Unicode(1), comment="chance between bd_min and bd_max: N normal, U uniform"),
    Column("birth_community_id", BigInteger, _fk("community.community_id")),
    Column("bg_qual", Unicode(1), comment="the community of birth is C certain, U uncertain"),
    Column("first_born", Unicode(1), comment="of its mother: Y, N, U unknown"),
    Column("mom_id", BigInteger, _fk("individual.individual_id"), index=True),
    Column("dad_id", BigInteger, _fk("individual.individual_id")),
    Column("entry_date", Date),
    Column("entry_type", Unicode(1), comment="B birth, I immigration, C confirmed identity, Q close observation"),
    Column("depart_date", Date),
    Column("depart_type", Unicode(1), comment="D death, E emigration, P permanent disappearance, O end of observation"),
    Column("depart_date_error", Real, comment="years"),
    Column("provisional", Boolean, nullable=False, server_default=sa.false()),
    Column(
        "same_as_id", BigInteger, _fk("individual.individual_id"), index=True, comment="whom it was merged into at last"
    ),
    Column("created_at", UtcDateTime, nullable=False),
    _one_of("sex", SEXES),
    _one_of("entry_type", ENTRY_TYPES),
    _one_of("depart_type", DEPART_TYPES),
    _one_of("bd_dist", BIRTH_DATE_DISTRIBUTIONS),
    _one_of("bg_qual", BIRTH_GROUP_QUALITIES),
    _one_of("first_born", FIRST_BORN),
    CheckConstraint("same_as_id <> individual_id", name="not_merged_into_itself"),
    CheckConstraint("depart_date_error >= 0", name="depart_date_error_not_negative"),
    CheckConstraint("anim_id = upper(anim_id)", name="anim_id_upper_case"),
    CheckConstraint("bd_min <= bd_max", name="birth_window_in_order"),
    CheckConstraint("depart_date >= entry_date", name="depart_after_entry"),
    CheckConstraint("mom_id <> individual_id and dad_id <> individual_id", name="not_own_parent"),
)

individual_alias = Table(
    "individual_alias",
    metadata,
    Column("alias_id", BigKey, primary_key=True),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False, index=True),
    Column("alias", _exact(200), nullable=False, unique=True),
    Column("valid_from", Date),
    Column("valid_to", Date),
    CheckConstraint("valid_to >= valid_from", name="validity_in_order"),
)

community = Table(
    "community",
    metadata,
    Column("community_id", BigKey, primary_key=True),
    Column("comm_id", _exact(40), nullable=False, unique=True, comment="SokweDB CommID"),
    Column("name", _exact(200)),
)

community_membership = Table(
    "community_membership",
    metadata,
    Column("membership_id", BigKey, primary_key=True),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False, index=True),
    Column("community_id", BigInteger, _fk("community.community_id"), nullable=False),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, comment="the last day; null: still a member"),
    Column("source", Unicode(100)),
    UniqueConstraint("individual_id", "start_date", name="uq_community_membership_individual_start"),
    CheckConstraint("end_date >= start_date", name="membership_in_order"),
)

age_class = Table(
    "age_class",
    metadata,
    Column("scheme", Unicode(40), primary_key=True),
    Column("sex", Unicode(1), primary_key=True),
    Column("name", Unicode(40), primary_key=True),
    Column("min_age_y", Real, nullable=False),
    Column("max_age_y", Real, comment="the class ends before; null: never"),
    Column("position", SmallInteger, nullable=False, comment="from the youngest"),
    _one_of("sex", SEXES),
    CheckConstraint("max_age_y > min_age_y", name="ages_in_order"),
    comment="what an age is called, by scheme: studies differ",
)

deployment = Table(
    "deployment",
    metadata,
    Column("deployment_id", BigKey, primary_key=True),
    Column("site", Unicode(100)),
    Column("camera", Unicode(100), nullable=False),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, comment="the last day; null: still there"),
    Column("latitude", Double, comment="degrees; never exported unless asked: poachers read too"),
    Column("longitude", Double),
    Column("note", Unicode(1000)),
    CheckConstraint("end_date >= start_date", name="deployment_in_order"),
    CheckConstraint("latitude between -90 and 90", name="latitude_in_degrees"),
    CheckConstraint("longitude between -180 and 180", name="longitude_in_degrees"),
    Index("ix_deployment_camera", "camera", "start_date"),
    comment="when a camera stood where: days without a video are days of effort",
)

sampling_gap = Table(
    "sampling_gap",
    metadata,
    Column("gap_id", BigKey, primary_key=True),
    Column("site", Unicode(100), comment="null: every site"),
    Column("camera", Unicode(100), comment="null: every camera"),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, nullable=False, comment="the last day"),
    Column("reason", Unicode(500), nullable=False),
    CheckConstraint("end_date >= start_date", name="gap_in_order"),
    comment="known gaps in effort (Babase BEHAVE_GAPS): nobody could have been seen",
)

app_user = Table(
    "app_user",
    metadata,
    Column("user_id", BigKey, primary_key=True),
    Column("name", _exact(100), nullable=False, unique=True),
    Column("role", Unicode(12), nullable=False),
    Column("password_hash", Unicode(300)),
    Column("disabled", Boolean, nullable=False, server_default=sa.false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column(
        "must_change",
        Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="the password is for one sign-in, in which another is chosen",
    ),
    Column("password_ends_at", UtcDateTime, comment="of a password for one sign-in"),
    Column("password_used_at", UtcDateTime, comment="when a password for one sign-in was used"),
    _one_of("role", ROLES),
)

oidc_identity = Table(
    "oidc_identity",
    metadata,
    Column("tid", Unicode(100), primary_key=True, comment="the tenant"),
    Column("oid", Unicode(100), primary_key=True, comment="the person in it; an address may change hands"),
    Column("user_id", BigInteger, _fk("app_user.user_id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    comment="people whom an identity provider vouches for",
)

user_session = Table(
    "user_session",
    metadata,
    Column("session_id", Unicode(64), primary_key=True, comment="hash of the token; the token itself is never stored"),
    Column("user_id", BigInteger, _fk("app_user.user_id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("last_seen_at", UtcDateTime),
    Column(
        "idle_s", Integer, nullable=False, server_default="43200", comment="unused for so many seconds it has ended"
    ),
    Column("address", Unicode(60)),
    Column("agent", Unicode(200), comment="browser and system"),
)

page_secret = Table(
    "page_secret",
    metadata,
    Column("name", Unicode(40), primary_key=True),
    Column("secret", Unicode(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    comment="what the labelling page signs with: whoever reads it can pass for a known device, not for a person",
)

shared_setting = Table(
    "shared_setting",
    metadata,
    Column("name", Unicode(60), primary_key=True, comment="as in chimp.toml: decode.fps"),
    Column("value", Unicode(4000), nullable=False, comment="JSON"),
    Column("host", Unicode(200), nullable=False, comment="the machine that set it"),
    Column("user_id", BigInteger, _fk("app_user.user_id"), comment="who decided it; null: the first host to come"),
    Column("set_at", UtcDateTime, nullable=False),
    comment="settings that all hosts share; what they were before is in audit_event",
)

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column(
        "key_hash",
        Unicode(32),
        primary_key=True,
        comment="keyed hash of an address, an account, both, or a device: neither address nor name can be read from it",
    ),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False, index=True, comment="of the last failure; it counts for an hour"),
    comment="wrong passwords of the last hour, which all servers of the labelling page count together",
)

oidc_answer = Table(
    "oidc_answer",
    metadata,
    Column("answer_hash", Unicode(64), primary_key=True, comment="hash of the number of the sign-in that it answers"),
    Column("taken_at", UtcDateTime, nullable=False, index=True),
    comment="answers of the identity provider of the last minutes: each is taken once, by whichever server",
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("audit_event_id", BigKey, primary_key=True),
    Column("user_id", BigInteger, _fk("app_user.user_id")),
    Column("action", Unicode(100), nullable=False),
    Column("subject", Unicode(300), nullable=False),
    Column("detail", Unicode(4000), comment="JSON: old and new value"),
    Column("at", UtcDateTime, nullable=False, index=True),
)

individual_merge = Table(
    "individual_merge",
    metadata,
    Column("merge_id", BigKey, primary_key=True),
    Column("kind", Unicode(5), nullable=False),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False, comment="who disappears"),
    Column("into_individual_id", BigInteger, _fk("individual.individual_id"), nullable=False),
    Column("undoes_merge_id", BigInteger, _fk("individual_merge.merge_id"), comment="of an undo"),
    Column("user_id", BigInteger, _fk("app_user.user_id")),
    Column("reason", Unicode(1000)),
    Column("at", UtcDateTime, nullable=False),
    _one_of("kind", MERGE_KINDS),
    CheckConstraint("individual_id <> into_individual_id", name="two_individuals"),
    CheckConstraint(
        "(kind = 'undo' and undoes_merge_id is not null) or (kind = 'merge' and undoes_merge_id is null)",
        name="undo_names_its_merge",
    ),
    comment="append-only: individual.same_as_id is what follows from it",
)

biography_log = Table(
    "biography_log",
    metadata,
    Column("log_id", BigKey, primary_key=True),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False, index=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("user_id", BigInteger, _fk("app_user.user_id")),
    Column("description", Unicode(2000), nullable=False, comment="what was changed, from what to what"),
    Column("rationale", Unicode(1000)),
    comment="append-only: how what is known of an individual has changed (SokweDB BIOGRAPHY_LOG)",
)

training_set = Table(
    "training_set",
    metadata,
    Column("training_set_id", BigKey, primary_key=True),
    Column("task", Unicode(10), nullable=False),
    Column("watermark_seq", BigInteger, nullable=False, comment="every annotation up to this seq was read"),
    Column(
        "merge_watermark", BigInteger, nullable=False, server_default="0", comment="merges up to this merge_id count"
    ),
    Column("split_seed", BigInteger, nullable=False),
    Column("n_tracks", Integer, nullable=False),
    Column("n_classes", Integer, nullable=False),
    Column("member_uri", Unicode(500), nullable=False),
    Column("member_hash", Unicode(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    _one_of("task", MODEL_TASKS),
)

model = Table(
    "model",
    metadata,
    Column("model_id", BigKey, primary_key=True),
    Column("task", Unicode(10), nullable=False),
    Column("version", Integer, nullable=False, comment="counts the models of a task from 1"),
    Column("parent_id", BigInteger, _fk("model.model_id"), comment="a head's embedder; a fine-tuned model's start"),
    Column("name", Unicode(200), nullable=False),
    Column("checkpoint_uri", Unicode(500), comment="safetensors inside the store; null where there is nothing learned"),
    Column("checkpoint_hash", Unicode(64)),
    Column("training_set_id", BigInteger, _fk("training_set.training_set_id")),
    Column("state", Unicode(10), nullable=False),
    Column("reason", Unicode(2000), comment="why it was promoted or refused"),
    Column("config", Unicode(4000), nullable=False, comment="JSON: everything needed to build it again"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    UniqueConstraint("task", "version", name="uq_model_task_version"),
    _one_of("task", MODEL_TASKS),
    _one_of("state", MODEL_STATES),
    CheckConstraint(
        "(checkpoint_uri is null and checkpoint_hash is null)"
        " or (checkpoint_uri is not null and checkpoint_hash is not null)",
        name="checkpoint_has_hash",
    ),
    Index("ix_model_task_state", "task", "state"),
    # At most one champion of each task, whatever two runs do at once.
    Index(
        "uq_model_champion",
        "task",
        unique=True,
        sqlite_where=sa.text("state = 'champion'"),
        postgresql_where=sa.text("state = 'champion'"),
        mssql_where=sa.text("state = 'champion'"),
    ),
)

track = Table(
    "track",
    metadata,
    Column("track_id", BigKey, primary_key=True, autoincrement=False, comment="track_id_of(video_id, ordinal)"),
    Column("video_id", BigInteger, _fk("video.video_id"), nullable=False),
    Column("first_frame_no", Integer, nullable=False),
    Column("last_frame_no", Integer, nullable=False),
    Column("first_s", Double, nullable=False, comment="time_s of the first frame"),
    Column("last_s", Double, nullable=False, comment="time_s of the last frame"),
    Column("n_detections", Integer, nullable=False),
    Column("quality", Real, nullable=False, comment="0 to 1: length, score, size, smoothness"),
    Column("model_id", BigInteger, _fk("model.model_id"), nullable=False, comment="the detector"),
    Column("state", Unicode(8), nullable=False),
    Column("parent_track_id", BigInteger, _fk("track.track_id")),
    _one_of("state", TRACK_STATES),
    CheckConstraint("last_frame_no >= first_frame_no", name="frames_in_order"),
    CheckConstraint("last_s >= first_s", name="seconds_in_order"),
    CheckConstraint("n_detections > 0", name="has_detections"),
    Index("ix_track_video_state", "video_id", "state"),
)

track_heir = Table(
    "track_heir",
    metadata,
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column("heir_track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False, index=True),
    Column("cause", Unicode(8), nullable=False),
    Column("annotation_id", Unicode(36), _fk("annotation.annotation_id"), index=True, comment="who asked for it"),
    Column("share", Real, nullable=False, comment="of its boxes that the heir has"),
    Column("carries", Boolean, nullable=False, comment="answers about the track are answers about the heir"),
    Column("made_at", UtcDateTime, nullable=False),
    Column("from_seq", BigInteger, nullable=False, comment="first watermark of labels at which it holds"),
    Column("until_seq", BigInteger, comment="first at which it was taken back; null: it holds"),
    _one_of("cause", HEIR_CAUSES),
    CheckConstraint("track_id <> heir_track_id", name="two_tracks"),
    CheckConstraint("share >= 0 and share <= 1", name="share_is_share"),
    comment="which tracks have taken the place of one that was split, merged or replaced",
    **CLUSTERED,
)

video_retracking = Table(
    "video_retracking",
    metadata,
    Column("video_id", BigInteger, _fk("video.video_id"), primary_key=True, autoincrement=False),
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False, comment="detector"),
    Column("kept", Unicode(500), comment="why its tracks stayed as they were; null: it was tracked anew"),
    Column("n_followed", Integer, nullable=False, comment="answered tracks whose answers count for heirs"),
    Column("n_kept", Integer, nullable=False, comment="answered tracks that stayed, because nothing lies there"),
    Column("n_unfollowed", Integer, nullable=False, comment="answered tracks whose answers count for none"),
    Column("made_at", UtcDateTime, nullable=False),
    comment="which videos were tracked anew by which detector",
    **CLUSTERED,
)

answer_heir = Table(
    "answer_heir",
    metadata,
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column(
        "heir_track_id",
        BigInteger,
        _fk("track.track_id"),
        primary_key=True,
        autoincrement=False,
        index=True,
        comment="the track itself: its answers count for no track",
    ),
    Column("from_seq", BigInteger, primary_key=True, autoincrement=False, comment="first watermark at which they do"),
    Column("until_seq", BigInteger, comment="first watermark at which they no longer do; null: they do"),
    comment="for which track answers about one count that is no more: follows from track_heir",
    **CLUSTERED,
)

detection = Table(
    "detection",
    metadata,
    Column("video_id", BigInteger, primary_key=True, autoincrement=False),
    Column("frame_no", Integer, primary_key=True, autoincrement=False),
    Column("detection_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, _fk("track.track_id"), nullable=False),
    Column("x", Real, nullable=False),
    Column("y", Real, nullable=False),
    Column("w", Real, nullable=False),
    Column("h", Real, nullable=False),
    Column("score", Real, nullable=False),
    sa.ForeignKeyConstraint(["video_id", "frame_no"], ["frame.video_id", "frame.frame_no"], name="fk_detection_frame"),
    CheckConstraint("x >= 0 and y >= 0 and x <= 1 and y <= 1", name="corner_in_picture"),
    CheckConstraint("w > 0 and h > 0 and w <= 1 and h <= 1", name="size_in_picture"),
    CheckConstraint("score >= 0 and score <= 1", name="score_is_share"),
    Index("ix_detection_track", "track_id", "frame_no"),
    **CLUSTERED,
)

embedding_file = Table(
    "embedding_file",
    metadata,
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False),
    Column("bundle_id", BigInteger, _fk("bundle.bundle_id"), primary_key=True, autoincrement=False),
    Column("uri", Unicode(500), nullable=False, comment="safetensors inside the store: f16 [n, d], i64 track_id [n]"),
    Column("content_hash", Unicode(64), nullable=False),
    Column("n_tracks", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    comment="which embeddings exist: the row is written after its file",
)

prediction = Table(
    "prediction",
    metadata,
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column("rank", SmallInteger, primary_key=True, autoincrement=False),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False),
    Column("probability", Real, nullable=False, comment="calibrated"),
    CheckConstraint("rank between 1 and 5", name="rank_1_to_5"),
    CheckConstraint("probability >= 0 and probability <= 1", name="probability_is_share"),
    # Of whom is each head most certain? Only the first rank names a track; five times as many rows need no entry.
    Index(
        "ix_prediction_individual",
        "individual_id",
        "model_id",
        "probability",
        sqlite_where=sa.text("rank = 1"),
        postgresql_where=sa.text("rank = 1"),
        mssql_where=sa.text("rank = 1"),
    ),
    **CLUSTERED,
)

track_score = Table(
    "track_score",
    metadata,
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column("margin", Real, nullable=False, comment="probability of rank 1 minus rank 2"),
    Column("max_logit", Real, nullable=False),
    Column("novelty", Real, nullable=False, comment="1 minus the cosine to the nearest labelled track"),
    Column("entropy", Real, nullable=False, comment="nats"),
    Column("is_unknown", Boolean, nullable=False, comment="max_logit lies below the head's unknown threshold"),
    **CLUSTERED,
)

unknown_track = Table(
    "unknown_track",
    metadata,
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column("cluster_no", Integer, nullable=False, comment="from 1, the largest first"),
    Column("likeness", Real, nullable=False, comment="cosine to the middle of its cluster"),
    CheckConstraint("cluster_no >= 1", name="cluster_no_from_one"),
    comment="tracks that a head does not know and that look like one animal: a proposal, never a name",
    **CLUSTERED,
)

denied_prediction = Table(
    "denied_prediction",
    metadata,
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), primary_key=True, autoincrement=False),
    Column("rank", Integer, nullable=False),
    Column("probability", Real, nullable=False),
    CheckConstraint("rank >= 1", name="rank_from_one"),
    CheckConstraint("probability >= 0 and probability <= 1", name="probability_is_share"),
    comment="names that a head would propose, had people not said that it is somebody else",
    **CLUSTERED,
)

bundle_score = Table(
    "bundle_score",
    metadata,
    Column("model_id", BigInteger, _fk("model.model_id"), primary_key=True, autoincrement=False),
    Column("bundle_id", BigInteger, _fk("bundle.bundle_id"), primary_key=True, autoincrement=False),
    Column("n_tracks", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    comment="which bundles a head has scored: the row is written with the last of their track_score rows",
)

acquisition_round = Table(
    "acquisition_round",
    metadata,
    Column("round_id", BigKey, primary_key=True),
    Column("policy", Unicode(4000), nullable=False, comment="JSON: phase, shares, caps"),
    Column("seed", BigInteger, nullable=False),
    Column("embedder_model_id", BigInteger, _fk("model.model_id"), nullable=False),
    Column("head_model_id", BigInteger, _fk("model.model_id"), comment="null where there was none"),
    Column("watermark_seq", BigInteger, nullable=False, comment="labels up to this seq were known to the plan"),
    Column("n_pool", Integer, nullable=False, comment="tracks the plan could choose from"),
    Column("created_at", UtcDateTime, nullable=False),
)

FIRST_RANK = sa.literal(1, literal_execute=True)
"""The rank that names a track, written into the statement: SQL Server has no index of some rows for a parameter."""

acquisition_queue = Table(
    "acquisition_queue",
    metadata,
    Column("item_id", BigKey, primary_key=True),
    Column("round_id", BigInteger, _fk("acquisition_round.round_id"), nullable=False),
    Column("track_id", BigInteger, _fk("track.track_id"), nullable=False),
    Column("other_track_id", BigInteger, _fk("track.track_id"), comment="of a pair: is it one animal?"),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), comment="of the lane is_it: is this X?"),
    Column("lane", Unicode(10), nullable=False),
    Column("position", Integer, nullable=False),
    Column("propensity", Double, nullable=False, comment="chance that this plan asked this track, given its lane"),
    Column("reason", Unicode(500), nullable=False, comment="why this is asked, for a person"),
    Column("state", Unicode(10), nullable=False),
    Column("leased_by", BigInteger, _fk("app_user.user_id")),
    Column("leased_until", UtcDateTime),
    _one_of("lane", LANES),
    _one_of("state", ITEM_STATES),
    CheckConstraint(
        "(other_track_id is null and lane <> 'pairs')"
        " or (other_track_id <> track_id and lane in ('pairs', 'disputed'))",
        name="pairs_are_two",
    ),
    CheckConstraint(
        "(individual_id is null and lane <> 'is_it') or (individual_id is not null and lane = 'is_it')",
        name="is_it_asks_about_one",
    ),
    CheckConstraint("propensity > 0 and propensity <= 1", name="propensity_is_chance"),
    Index("ix_acquisition_queue_track", "track_id", "state"),
    Index("ix_acquisition_queue_other", "other_track_id", "state"),
    # Two, because databases disagree whether two nulls are equal.
    _unique_where("uq_acquisition_queue_round_track", "other_track_id is null", "round_id", "track_id"),
    _unique_where(
        "uq_acquisition_queue_round_pair", "other_track_id is not null", "round_id", "track_id", "other_track_id"
    ),
)

# In the order in which items are asked, with what a claim looks at: the first free ones are the first of the index.
Index(
    "ix_acquisition_queue_state",
    acquisition_queue.c.state,
    acquisition_queue.c.round_id.desc(),
    acquisition_queue.c.position,
    acquisition_queue.c.lane,
)

annotation = Table(
    "annotation",
    metadata,
    Column("annotation_id", Unicode(36), comment="the client's UUID"),
    Column("seq", BigInteger, nullable=False, comment="gapless, in commit order"),
    Column("kind", Unicode(16), nullable=False),
    Column("track_id", BigInteger, _fk("track.track_id"), index=True),
    Column("other_track_id", BigInteger, _fk("track.track_id"), comment="merge, same, different"),
    Column("individual_id", BigInteger, _fk("individual.individual_id")),
    Column("video_id", BigInteger, _fk("video.video_id")),
    Column("frame_no", Integer, comment="box; and where a split begins"),
    Column("x", Real),
    Column("y", Real),
    Column("w", Real),
    Column("h", Real),
    Column("supersedes", Unicode(36), _fk("annotation.annotation_id"), index=True),
    Column("annotator_id", BigInteger, _fk("app_user.user_id"), nullable=False),
    Column("lane", Unicode(10), nullable=False),
    Column("propensity", Double),
    Column("item_id", BigInteger, _fk("acquisition_queue.item_id")),
    Column("shown", Unicode(4000), comment="JSON: what the annotator saw"),
    Column("note", Unicode(2000)),
    Column("seconds", Real, comment="from shown to answered"),
    Column("client_time", UtcDateTime),
    Column("server_time", UtcDateTime, nullable=False),
    Column(
        "fingerprint", LargeBinary(32), nullable=False, comment="blake2b of the content: an id never changes meaning"
    ),
    # What is searched in `shown`, as database.labels.shown reads it.
    Column("shown_mode", Unicode(20), comment="how it was asked, from shown"),
    Column("shown_flag", Boolean, comment="from shown: true where a reviewer is asked to look, else null"),
    Column("shown_conflict", Unicode(36), comment="from shown: the newer event that an edit overlooked"),
    # Rows lie in the order in which they come: by a random key SQL Server would split a page at every insert.
    PrimaryKeyConstraint("annotation_id", mssql_clustered=False),
    UniqueConstraint("seq", mssql_clustered=True),
    _one_of("kind", ANNOTATION_KINDS),
    _one_of("lane", LANES),
    CheckConstraint("seq >= 1", name="seq_from_one"),
    CheckConstraint(
        "kind not in ('identify', 'new_individual') or (individual_id is not null and track_id is not null)",
        name="identity_is_complete",
    ),
    CheckConstraint(
        "kind not in ('unknown', 'not_animal', 'bad_box', 'cannot_tell', 'skip') or track_id is not null",
        name="answer_has_track",
    ),
    CheckConstraint(
        "kind not in ('is_individual', 'not_individual') or (individual_id is not null and track_id is not null)",
        name="evidence_is_complete",
    ),
    CheckConstraint("kind <> 'retract' or supersedes is not null", name="retract_names_its_event"),
    CheckConstraint(
        "kind not in ('merge', 'same', 'different') or (track_id is not null and other_track_id is not null)",
        name="pair_is_complete",
    ),
    CheckConstraint("kind <> 'split' or (track_id is not null and frame_no is not null)", name="split_is_complete"),
    CheckConstraint(
        "kind <> 'box' or (video_id is not null and frame_no is not null and x is not null and y is not null"
        " and w is not null and h is not null)",
        name="box_is_complete",
    ),
    CheckConstraint("seconds >= 0", name="seconds_not_negative"),
    CheckConstraint("propensity > 0 and propensity <= 1", name="propensity_is_chance"),
    Index("ix_annotation_picture", "video_id", "frame_no"),
    Index("ix_annotation_annotator", "annotator_id", "seq"),
    Index("ix_annotation_individual", "individual_id", "seq"),
    # Without the events about one track, which are nearly all: a condition on those would read them all.
    Index(
        "ix_annotation_other",
        "other_track_id",
        sqlite_where=sa.text("other_track_id IS NOT NULL"),
        postgresql_where=sa.text("other_track_id IS NOT NULL"),
        mssql_where=sa.text("other_track_id IS NOT NULL"),
    ),
    Index(
        "ix_annotation_repeat",
        "seq",
        sqlite_where=sa.text("lane = 'repeat'"),
        postgresql_where=sa.text("lane = 'repeat'"),
        mssql_where=sa.text("lane = 'repeat'"),
    ),
    Index(
        "ix_annotation_bad_box",
        "track_id",
        sqlite_where=sa.text("kind = 'bad_box'"),
        postgresql_where=sa.text("kind = 'bad_box'"),
        mssql_where=sa.text("kind = 'bad_box'"),
    ),
    comment="append-only: one decision of one person",
)

standing_answer = Table(
    "standing_answer",
    metadata,
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    # An answer about a track that was found anew in two parts stands for both.
    Column("annotation_id", Unicode(36), _fk("annotation.annotation_id"), nullable=False, index=True),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Unicode(16), nullable=False),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), index=True, comment="whom the person named"),
    Column("lane", Unicode(10), nullable=False),
    Column("annotator_id", BigInteger, _fk("app_user.user_id"), nullable=False),
    Column("propensity", Double),
    comment="which answer counts for a track, as follows from annotation; kept by whoever stores events",
    sqlite_with_rowid=False,
)

track_evidence = Table(
    "track_evidence",
    metadata,
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column(
        "individual_id",
        BigInteger,
        _fk("individual.individual_id"),
        primary_key=True,
        autoincrement=False,
        index=True,
        comment="as merged",
    ),
    Column("n_yes", Integer, nullable=False, comment="people who say that it is this individual"),
    Column("n_no", Integer, nullable=False, comment="people who say that it is not"),
    Column("state", Unicode(6), nullable=False),
    Column("probability", Real, comment="of agreed: that it is this individual"),
    Column("seq", BigInteger, nullable=False, comment="of the newest event that counts"),
    _one_of("state", EVIDENCE_STATES),
    CheckConstraint("probability >= 0 and probability <= 1", name="probability_is_share"),
    # At most one individual of a track is agreed on: whoever keeps this table sees to it.
    _unique_where("uq_track_evidence_agreed", "state = 'agreed'", "track_id"),
    comment='what people said about "is this X?", as follows from annotation; kept by whoever stores events',
    **CLUSTERED,
)

grid_page = Table(
    "grid_page",
    metadata,
    Column("page_id", BigKey, primary_key=True),
    Column(
        "round_id", BigInteger, _fk("acquisition_round.round_id"), index=True, comment="null: a person asked for it"
    ),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False),
    Column("head_model_id", BigInteger, _fk("model.model_id"), nullable=False),
    Column("position", Integer, nullable=False, comment="in the order of the plan"),
    Column("propensity", Double, nullable=False, comment="chance that this plan offered this page"),
    Column("reason", Unicode(500), nullable=False, comment="why this is asked, for a person"),
    Column("state", Unicode(10), nullable=False),
    Column("leased_by", BigInteger, _fk("app_user.user_id")),
    Column("leased_until", UtcDateTime),
    Column("shown_id", Unicode(36), comment="by which the page and its hidden look-alikes are called"),
    Column("answer_id", Unicode(36), comment="of the answer that stands: the ids of its events follow from it"),
    Column("seconds", Real, comment="from shown to answered, of the whole page"),
    Column("n_taken_out", Integer),
    Column("n_missed", Integer, comment="hidden look-alikes that nobody took out"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    _one_of("state", GRID_STATES),
    CheckConstraint("propensity > 0 and propensity <= 1", name="propensity_is_chance"),
    CheckConstraint("seconds >= 0", name="seconds_not_negative"),
    _unique_where("uq_grid_page_shown", "shown_id is not null", "shown_id"),
    Index("ix_grid_page_state", "state", "position"),
    comment="pages on which many tracks of one individual are confirmed at once, as planned items",
)

grid_member = Table(
    "grid_member",
    metadata,
    Column("page_id", BigInteger, _fk("grid_page.page_id"), primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False, index=True),
    Column("position", Integer, nullable=False),
    Column("probability", Real, nullable=False, comment="calibrated chance that it is the page's individual"),
    Column("taken_out", Boolean, comment="null: not answered"),
    CheckConstraint("probability >= 0 and probability <= 1", name="probability_is_share"),
    comment="tracks of a page, without the hidden look-alikes (quality_check)",
    **CLUSTERED,
)

promise = Table(
    "promise",
    metadata,
    Column("promise_id", BigKey, primary_key=True),
    Column("error", Double, nullable=False, comment="largest share of the named frames whose name may be wrong"),
    Column("named", Double, nullable=False, comment="least share of all frames that carry a name"),
    Column("confidence", Double, nullable=False, comment="with which the promise is made, all looks together"),
    Column("user_id", BigInteger, _fk("app_user.user_id"), comment="who set the goal"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("withdrawn_at", UtcDateTime, comment="null: it is the goal"),
    CheckConstraint("error > 0 and error < 1", name="error_is_share"),
    CheckConstraint("named > 0 and named <= 1", name="named_is_share"),
    CheckConstraint("confidence > 0.5 and confidence < 1", name="confidence_is_share"),
    comment="goals: how much of the archive shall be named, and how many of the names may be wrong",
)

promise_look = Table(
    "promise_look",
    metadata,
    Column("look_id", BigKey, primary_key=True),
    Column("promise_id", BigInteger, _fk("promise.promise_id"), nullable=False),
    Column(
        "look_no", Integer, nullable=False, comment="k, from 1: the look may be wrong with alpha = (1 - confidence)/2^k"
    ),
    Column("alpha", Double, nullable=False),
    Column("head_model_id", BigInteger, _fk("model.model_id"), nullable=False),
    Column("threshold", Double, nullable=False, comment="probability from which a name of the head counts"),
    Column("tested_share", Double, nullable=False, comment="q: of the named frames, those whose name is tested"),
    Column("named_share", Double, nullable=False, comment="of all frames, those that carry a name"),
    Column("expected_error", Double, nullable=False, comment="of the named frames, by calibrated probabilities"),
    Column("n_tracks", BigInteger, nullable=False, comment="whose names are tested"),
    Column("n_frames", BigInteger, nullable=False, comment="of these tracks"),
    Column("seed", BigInteger, nullable=False),
    Column("watermark_seq", BigInteger, nullable=False, comment="labels up to this seq had given the names"),
    Column("merge_watermark", BigInteger, nullable=False),
    Column("state", Unicode(8), nullable=False),
    Column("n_answered", Integer, nullable=False, comment="draws that were answered"),
    Column("n_wrong", Integer, nullable=False, comment="of these"),
    Column("wealth", Double, nullable=False, comment="of the bet against the promise being broken; kept from 1/alpha"),
    Column("error_bound", Double, comment="upper limit of the error of all named frames, at the look's confidence"),
    Column("frozen_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("end_reason", Unicode(500)),
    Column("teaches_from_seq", BigInteger, comment="labels from this seq on: its answers teach; null: they do not yet"),
    UniqueConstraint("promise_id", "look_no", name="uq_promise_look_no"),
    _one_of("state", PROMISE_STATES),
    comment="each time the names were frozen and a fresh sample of them was asked",
)

promise_draw = Table(
    "promise_draw",
    metadata,
    Column("look_id", BigInteger, _fk("promise_look.look_id"), primary_key=True, autoincrement=False),
    Column("draw_no", Integer, primary_key=True, autoincrement=False, comment="from 0; draws count in this order"),
    Column("track_id", BigInteger, _fk("track.track_id"), nullable=False, index=True),
    Column("individual_id", BigInteger, _fk("individual.individual_id"), nullable=False, comment="its frozen name"),
    Column("source", Unicode(10), nullable=False, comment="who named it: model, page or volunteers"),
    Column("annotation_id", Unicode(36), _fk("annotation.annotation_id"), comment="the answer; null: none yet"),
    Column("wrong", Boolean, comment="whether the answer names somebody else"),
    comment="drawn with chances in proportion to frames, with replacement",
    **CLUSTERED,
)

archive_forecast = Table(
    "archive_forecast",
    metadata,
    Column("forecast_id", BigKey, primary_key=True),
    Column("watermark_seq", BigInteger, nullable=False, index=True, comment="labels up to this seq were known"),
    Column("head_model_id", BigInteger, _fk("model.model_id"), nullable=False, comment="that names"),
    Column("goal_named", Double, nullable=False),
    Column("goal_error", Double, nullable=False),
    Column("n_tracks", BigInteger, nullable=False, comment="live tracks that may show an animal"),
    Column("n_frames", BigInteger, nullable=False, comment="of these tracks"),
    Column("by_person", Double, nullable=False, comment="share of the frames that a person named one by one"),
    Column("by_page", Double, nullable=False, comment="on pages, or by volunteers who agree"),
    Column("by_machine", Double, nullable=False, comment="carried names of the head"),
    Column("nameless", Double, nullable=False, comment="somebody looked, and could name nobody"),
    Column("expected_error", Double, nullable=False, comment="share of the named frames, by calibrated probabilities"),
    Column("threshold", Double, comment="probability from which names of the head are carried; null: none is"),
    Column("spent_s", Double, nullable=False, comment="seconds that people had answered for names"),
    Column("answers_to_go", Double, comment="null: no number of answers reaches the goal"),
    Column("to_go_s", Double, comment="of the expert alone, if answers taught nothing"),
    Column("with_volunteers_s", Double, comment="of the expert, if volunteers answer is_it first"),
    Column("volunteers_s", Double, comment="of these volunteers together"),
    Column("created_at", UtcDateTime, nullable=False),
    comment="where the archive stood on its way to the goal, and what was expected to be left",
)

import_file = Table(
    "import_file",
    metadata,
    Column("import_id", BigKey, primary_key=True),
    Column("format", Unicode(30), nullable=False),
    Column("name", Unicode(300), nullable=False, comment="of the file, without its folder"),
    Column("content_hash", Unicode(64), nullable=False, comment="of the file and the options it was read with"),
    Column("options", Unicode(4000), nullable=False, comment="JSON: conventions that were stated or found"),
    Column("report", Unicode(4000), nullable=False, comment="JSON: how many rows were matched, stored, left"),
    Column("model_id", BigInteger, _fk("model.model_id"), comment="the detector row of its boxes"),
    Column("user_id", BigInteger, _fk("app_user.user_id")),
    Column("imported_at", UtcDateTime, nullable=False),
    UniqueConstraint("content_hash", name="uq_import_file_content_hash"),
    comment="files of annotations that were taken in",
)

imported_track = Table(
    "imported_track",
    metadata,
    Column("import_id", BigInteger, _fk("import_file.import_id"), primary_key=True, autoincrement=False),
    Column("medium_no", Integer, primary_key=True, autoincrement=False, comment="which medium of the file, from 0"),
    Column("source_id", _exact(200), primary_key=True, comment="how the file calls the track"),
    Column("track_id", BigInteger, _fk("track.track_id"), nullable=False, index=True),
    comment="tracks that other programs drew, with the numbers they have there:"
    " new ones, and ours that they agree with",
    **CLUSTERED,
)

proposal_file = Table(
    "proposal_file",
    metadata,
    Column("bundle_id", BigInteger, _fk("bundle.bundle_id"), primary_key=True, autoincrement=False),
    Column("import_id", BigInteger, _fk("import_file.import_id"), primary_key=True, autoincrement=False),
    Column("uri", Unicode(500), nullable=False, comment="safetensors inside the store: boxes by video and time"),
    Column("content_hash", Unicode(64), nullable=False),
    Column("n_videos", Integer, nullable=False, comment="of whose pictures the file speaks"),
    Column("created_at", UtcDateTime, nullable=False),
    comment="boxes of another program that stand in place of our detector's: the row is written after its file",
    **CLUSTERED,
)

item_media = Table(
    "item_media",
    metadata,
    Column("track_id", BigInteger, _fk("track.track_id"), primary_key=True, autoincrement=False),
    Column("kind", Unicode(5), primary_key=True),
    Column("place", SmallInteger, primary_key=True, autoincrement=False, comment="0 is the best"),
    Column("content_hash", Unicode(64), nullable=False, index=True, comment="SHA-256 of the bytes, hexadecimal"),
    Column("uri", Unicode(500), nullable=False, comment="path inside the store"),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("frame_no", Integer, comment="of a crop and of the frame; the best of a clip"),
    Column("time_s", Double, comment="of that frame, since the beginning of the video"),
    Column("start_s", Double, comment="where in the video a clip begins"),
    Column("fps", Double, comment="pictures a second of a clip"),
    Column("x", Real, comment="the box in a frame"),
    Column("y", Real, comment="the box in a frame"),
    Column("w", Real, comment="the box in a frame"),
    Column("h", Real, comment="the box in a frame"),
    Column("created_at", UtcDateTime, nullable=False),
    _one_of("kind", MEDIA_KINDS),
    CheckConstraint("bytes > 0", name="bytes_positive"),
    comment="what people see of a track: the row is written after its file",
    **CLUSTERED,
)

reference_photo = Table(
    "reference_photo",
    metadata,
    Column("individual_id", BigInteger, _fk("individual.individual_id"), primary_key=True, autoincrement=False),
    Column("place", SmallInteger, primary_key=True, autoincrement=False, comment="0 is shown first"),
    Column("track_id", BigInteger, _fk("track.track_id"), nullable=False, comment="its best crop is the photo"),
    Column("user_id", BigInteger, _fk("app_user.user_id"), comment="who chose it; null: chosen by rule"),
    Column("chosen_at", UtcDateTime, nullable=False),
    CheckConstraint("place between 0 and 4", name="place_0_to_4"),
    comment="by which pictures an individual is recognised on the labelling page",
    **CLUSTERED,
)

quality_check = Table(
    "quality_check",
    metadata,
    Column("check_id", BigKey, primary_key=True),
    Column("kind", Unicode(5), nullable=False, comment="gold: a clear track; plant: a wrong one in a grid"),
    Column("page_id", Unicode(36), comment="of a grid: its plants belong together"),
    Column("user_id", BigInteger, _fk("app_user.user_id"), nullable=False),
    Column("track_id", BigInteger, _fk("track.track_id"), nullable=False),
    Column(
        "individual_id",
        BigInteger,
        _fk("individual.individual_id"),
        nullable=False,
        comment="who it is, as experts agree",
    ),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("passed", Boolean),
    Column(
        "item_id",
        BigInteger,
        comment="item of the queue in whose place a gold question is asked; null: a plant, or one of before 0011",
    ),
    _one_of("kind", CHECK_KINDS),
    Index("ix_quality_check_user", "user_id", "kind", "answered_at"),
    comment="questions whose answer is known: who answers attentively",
)

evaluation_metric = Table(
    "evaluation_metric",
    metadata,
    Column("metric_id", BigKey, primary_key=True),
    Column("model_id", BigInteger, _fk("model.model_id"), nullable=False),
    Column("dataset", Unicode(40), nullable=False, comment="audit, audit_test_days, out_of_fold ..."),
    Column("watermark_seq", BigInteger, nullable=False, comment="labels up to this seq were used"),
    Column("slice_kind", Unicode(40), nullable=False, server_default="all"),
    Column("slice_value", Unicode(200), nullable=False, server_default=""),
    Column("name", Unicode(60), nullable=False),
    Column("value", Double, nullable=False),
    Column("ci_low", Double),
    Column("ci_high", Double),
    Column("n", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("about", Unicode(10), comment="of the interval: archive, or days to come; null before there were two kinds"),
    Column("blocks", Integer, comment="camera-days that the interval counts as independent; null: tracks"),
    UniqueConstraint(
        "model_id", "dataset", "watermark_seq", "slice_kind", "slice_value", "name", name="uq_evaluation_metric_what"
    ),
)

video_signal = Table(
    "video_signal",
    metadata,
    Column("video_id", BigInteger, _fk("video.video_id"), primary_key=True, autoincrement=False),
    Column("pictures", Integer, nullable=False, comment="kept pictures that were looked at, spread in time"),
    Column("brightness", Real, nullable=False, comment="mean luma, 0 to 255"),
    Column("contrast", Real, nullable=False, comment="standard deviation of luma, of 64 x 36 areas"),
    Column("sharpness", Real, nullable=False, comment="variance of the Laplacian of luma at half the size"),
    Column("colourfulness", Real, nullable=False, comment="Hasler and Suesstrunk 2003; 0 is grey"),
    Column("infrared", Real, nullable=False, comment="share of the pictures that have no colour"),
    Column("background", LargeBinary(2304), nullable=False, comment="median of the pictures: luma, u8, 36 lines of 64"),
    comment="what a video's pictures look like, read while they were decoded",
    sqlite_with_rowid=False,
)

drift_block = Table(
    "drift_block",
    metadata,
    Column("block_id", BigKey, primary_key=True),
    Column("camera", Unicode(201), nullable=False, comment="site/camera; empty where no camera is known"),
    Column("day", Date, nullable=False, comment="on the camera's clock"),
    Column("signal", Unicode(30), nullable=False),
    Column("model_id", BigInteger, nullable=False, comment="the embedder or head that it belongs to; 0: none"),
    Column("n", Integer, nullable=False, comment="videos or tracks of the block"),
    Column("value", Double, comment="mean of the signal; null for vectors"),
    Column("spread", Double, comment="standard deviation between videos of the block"),
    Column("sums", LargeBinary, comment="f32: sums of random Fourier features of the block's vectors"),
    Column("light", Unicode(10), nullable=False, comment="context that is matched, not tested: day, night, mixed"),
    Column("p_value", Double, comment="of the block against the reference that the camera had before it"),
    Column("evidence", Double, comment="of the detector after this block; an alert opens at the threshold"),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("camera", "day", "signal", "model_id", "light", name="uq_drift_block_what"),
    Index("ix_drift_block_day", "day"),
    comment="one signal of one camera and day",
)

drift_alert = Table(
    "drift_alert",
    metadata,
    Column("alert_id", BigKey, primary_key=True),
    Column("alert_key", Unicode(64), nullable=False, unique=True, comment="hash of what changed: noticed once"),
    Column("kind", Unicode(10), nullable=False),
    Column("signal", Unicode(30), nullable=False),
    Column("camera", Unicode(201), nullable=False, comment="site/camera; empty: all cameras"),
    Column("model_id", BigInteger, _fk("model.model_id")),
    Column("annotator_id", BigInteger, _fk("app_user.user_id")),
    Column("since", Date, nullable=False, comment="first day of the change"),
    Column("noticed", Date, nullable=False, comment="newest day that was looked at when it opened"),
    Column("until", Date, comment="first day after it; null while it lasts"),
    Column("size", Double, comment="standard deviations between days, or points of accuracy"),
    Column("evidence", Double, comment="of the detector; null for facts"),
    Column("detail", Unicode(4000), nullable=False, comment="JSON: before, after, videos to look at"),
    Column("state", Unicode(10), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime, comment="when it became expected or resolved"),
    Column("decided_by", BigInteger, _fk("app_user.user_id"), comment="null: by itself"),
    Column("why", Unicode(500), comment="why it is expected or resolved"),
    _one_of("kind", DRIFT_KINDS),
    _one_of("state", ALERT_STATES),
    Index("ix_drift_alert_state", "state", "camera", "since"),
    comment="a change that was noticed: which slice, since when, how large, what became of it",
)

alert_message = Table(
    "alert_message",
    metadata,
    Column("alert_id", BigInteger, _fk("drift_alert.alert_id"), primary_key=True, autoincrement=False),
    Column("channel", Unicode(10), primary_key=True),
    Column("message_key", Unicode(64), nullable=False, comment="of the message, which may tell several alerts"),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime, comment="null: not yet"),
    Column("error", Unicode(500), comment="of the last attempt; null while one is being made"),
    _one_of("channel", ALERT_CHANNELS),
    comment="which alert was told by which way",
)

fairness_metric = Table(
    "fairness_metric",
    metadata,
    Column("fairness_id", BigKey, primary_key=True),
    Column("model_id", BigInteger, _fk("model.model_id"), nullable=False),
    Column("watermark_seq", BigInteger, nullable=False, comment="labels up to this seq were used"),
    Column("slice_kind", Unicode(40), nullable=False),
    Column("slice_value", Unicode(200), nullable=False),
    Column("name", Unicode(30), nullable=False),
    Column("value", Double, comment="null where nothing can be said"),
    Column("low", Double, comment="simultaneous 95 % interval of all groups of the slice"),
    Column("high", Double),
    Column("adjusted_p", Double, comment="that the group is like the others: Holm, of individuals Benjamini-Hochberg"),
    Column("n", Integer, nullable=False),
    Column("blocks", Integer, nullable=False, comment="camera-days"),
    Column("state", Unicode(10), nullable=False),
    Column("needed", Integer, comment="answers that would tell, where there are too few"),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("model_id", "watermark_seq", "slice_kind", "slice_value", "name", name="uq_fairness_metric_what"),
    _one_of("state", FAIRNESS_STATES),
    comment="how a head treats groups of animals, cameras and times",
)

association_edge = Table(
    "association_edge",
    metadata,
    Column("group_rule", Unicode(10), primary_key=True),
    Column("period_kind", Unicode(10), primary_key=True),
    Column("period", Unicode(10), primary_key=True, comment="2013, or all"),
    Column("individual_a", BigInteger, _fk("individual.individual_id"), primary_key=True, autoincrement=False),
    Column("individual_b", BigInteger, _fk("individual.individual_id"), primary_key=True, autoincrement=False),
    Column("x", Integer, nullable=False, comment="sampling units together, by the names as they are"),
    Column("n", Integer, nullable=False, comment="sampling units on which at least one of them was seen"),
    Column("sri", Double, nullable=False, comment="x / n"),
    Column("corrected_sri", Double, comment="errors of names taken out; null where the audit says too little"),
    Column("low", Double, comment="95 % interval of corrected_sri, over blocks of days and answers of the audit"),
    Column("high", Double),
    Column("is_real", Boolean, comment="low is above 0; null where there is no interval"),
    Column(
        "head_model_id", BigInteger, _fk("model.model_id"), comment="whose names were counted; null: people's alone"
    ),
    Column("watermark_seq", BigInteger, nullable=False, comment="labels up to this seq were read"),
    Column("counted_at", UtcDateTime, nullable=False),
    _one_of("group_rule", ASSOCIATION_RULES),
    _one_of("period_kind", PERIOD_KINDS),
    CheckConstraint("individual_a < individual_b", name="pair_is_ordered"),
    CheckConstraint("x >= 0 and n >= x", name="counts_agree"),
    comment="association indices with the errors of names taken out; counted anew when names have changed",
    **CLUSTERED,
)

imported_table = Table(
    "imported_table",
    metadata,
    Column("name", Unicode(60), primary_key=True, comment="of the table ext_<name>"),
    Column("file_name", Unicode(255), nullable=False),
    Column("content_hash", Unicode(64), nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("about", Unicode(500), comment="what it is, for people"),
    Column("imported_by", BigInteger, _fk("app_user.user_id"), comment="null: by command"),
    Column("imported_at", UtcDateTime, nullable=False),
    comment="tables of other data that people imported, to be joined",
)

imported_column = Table(
    "imported_column",
    metadata,
    Column("name", Unicode(60), _fk("imported_table.name"), primary_key=True),
    Column("column_name", Unicode(60), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("header", Unicode(255), nullable=False, comment="as the file says it"),
    Column("kind", Unicode(10), nullable=False),
    Column("joins", Unicode(12), comment="what its values name, as the product knows it"),
    _one_of("kind", TABLE_COLUMN_KINDS),
    _one_of("joins", TABLE_JOINS),
    UniqueConstraint("name", "position", name="uq_imported_column_position"),
    comment="columns of imported tables",
)
