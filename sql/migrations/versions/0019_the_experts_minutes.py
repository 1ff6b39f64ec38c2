"""What the expert's minutes buy: pages as planned items, "is this X?", promises about names.

Revision 0019, after 0018. Five lanes and two kinds of events more. SQLite cannot change a CHECK, so there the tables
with a lane are written anew from their own statements.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mssql.DATETIME2(6), "mssql")
LANES = (
    "lane IN ('typical', 'boundary', 'rare', 'novel', 'drift', 'audit', 'groups', 'repeat', 'pairs', 'disputed',"
    " 'import', 'free')",
    "lane IN ('typical', 'boundary', 'rare', 'novel', 'frames', 'drift', 'audit', 'groups', 'promise', 'repeat',"
    " 'pairs', 'disputed', 'is_it', 'grid', 'import', 'free')",
)
KINDS = (
    "kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box', 'cannot_tell', 'skip', 'box', 'split',"
    " 'merge', 'same', 'different', 'retract')",
    "kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box', 'cannot_tell', 'skip', 'box', 'split',"
    " 'merge', 'same', 'different', 'is_individual', 'not_individual', 'retract')",
)
VOCABULARIES = {"acquisition_queue": {"lane": LANES}, "annotation": {"lane": LANES, "kind": KINDS}}
NEW_CHECKS = {
    "acquisition_queue": (
        "is_it_asks_about_one",
        "(individual_id is null and lane <> 'is_it') or (individual_id is not null and lane = 'is_it')",
    ),
    "annotation": (
        "evidence_is_complete",
        "kind not in ('is_individual', 'not_individual') or (individual_id is not null and track_id is not null)",
    ),
}
QUEUE_KEY = "fk_acquisition_queue_individual_id"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            f"ALTER TABLE acquisition_queue ADD COLUMN individual_id BIGINT CONSTRAINT {QUEUE_KEY}"
            " REFERENCES individual (individual_id)"
        )
        for table in VOCABULARIES:
            _anew(table)
    else:
        op.add_column(
            "acquisition_queue",
            sa.Column("individual_id", sa.BigInteger(), nullable=True, comment="of the lane is_it: is this X?"),
        )
        op.create_foreign_key(op.f(QUEUE_KEY), "acquisition_queue", "individual", ["individual_id"], ["individual_id"])
        for table, columns in VOCABULARIES.items():
            for column, (_, after) in columns.items():
                op.drop_constraint(op.f(f"ck_{table}_{column}_known"), table, type_="check")
                op.create_check_constraint(op.f(f"ck_{table}_{column}_known"), table, after)
            name, check = NEW_CHECKS[table]
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
    op.create_table(
        "track_evidence",
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("individual_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n_yes", sa.Integer(), nullable=False, comment="people who say that it is this individual"),
        sa.Column("n_no", sa.Integer(), nullable=False, comment="people who say that it is not"),
        sa.Column("state", sa.Unicode(6), nullable=False),
        sa.Column(
            "probability", sa.Float(precision=24), nullable=True, comment="of agreed: that it is this individual"
        ),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="of the newest event that counts"),
        sa.CheckConstraint("state IN ('open', 'agreed', 'denied')", name=op.f("ck_track_evidence_state_known")),
        sa.CheckConstraint(
            "probability >= 0 and probability <= 1", name=op.f("ck_track_evidence_probability_is_share")
        ),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_track_evidence_individual_id")
        ),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_track_evidence_track_id")),
        sa.PrimaryKeyConstraint("track_id", "individual_id", name=op.f("pk_track_evidence")),
        comment='what people said about "is this X?", as follows from annotation; kept by whoever stores events',
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_track_evidence_agreed",
        "track_evidence",
        ["track_id"],
        unique=True,
        sqlite_where=sa.text("state = 'agreed'"),
        postgresql_where=sa.text("state = 'agreed'"),
        mssql_where=sa.text("state = 'agreed'"),
    )
    op.create_table(
        "grid_page",
        sa.Column("page_id", KEY, nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=True, comment="null: a person asked for it"),
        sa.Column("individual_id", sa.BigInteger(), nullable=False),
        sa.Column("head_model_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="in the order of the plan"),
        sa.Column(
            "propensity", sa.Float(precision=53), nullable=False, comment="chance that this plan offered this page"
        ),
        sa.Column("reason", sa.Unicode(500), nullable=False, comment="why this is asked, for a person"),
        sa.Column("state", sa.Unicode(10), nullable=False),
        sa.Column("leased_by", sa.BigInteger(), nullable=True),
        sa.Column("leased_until", MOMENT, nullable=True),
        sa.Column(
            "shown_id", sa.Unicode(36), nullable=True, comment="by which the page and its hidden look-alikes are called"
        ),
        sa.Column(
            "answer_id",
            sa.Unicode(36),
            nullable=True,
            comment="of the answer that stands: the ids of its events follow from it",
        ),
        sa.Column(
            "seconds", sa.Float(precision=24), nullable=True, comment="from shown to answered, of the whole page"
        ),
        sa.Column("n_taken_out", sa.Integer(), nullable=True),
        sa.Column("n_missed", sa.Integer(), nullable=True, comment="hidden look-alikes that nobody took out"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'leased', 'answered', 'withdrawn')", name=op.f("ck_grid_page_state_known")
        ),
        sa.CheckConstraint("propensity > 0 and propensity <= 1", name=op.f("ck_grid_page_propensity_is_chance")),
        sa.CheckConstraint("seconds >= 0", name=op.f("ck_grid_page_seconds_not_negative")),
        sa.ForeignKeyConstraint(["head_model_id"], ["model.model_id"], name=op.f("fk_grid_page_head_model_id")),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_grid_page_individual_id")
        ),
        sa.ForeignKeyConstraint(["leased_by"], ["app_user.user_id"], name=op.f("fk_grid_page_leased_by")),
        sa.ForeignKeyConstraint(["round_id"], ["acquisition_round.round_id"], name=op.f("fk_grid_page_round_id")),
        sa.PrimaryKeyConstraint("page_id", name=op.f("pk_grid_page")),
        comment="pages on which many tracks of one individual are confirmed at once, as planned items",
    )
    op.create_index(op.f("ix_grid_page_round_id"), "grid_page", ["round_id"])
    op.create_index("ix_grid_page_state", "grid_page", ["state", "position"])
    op.create_index(
        "uq_grid_page_shown",
        "grid_page",
        ["shown_id"],
        unique=True,
        sqlite_where=sa.text("shown_id is not null"),
        postgresql_where=sa.text("shown_id is not null"),
        mssql_where=sa.text("shown_id is not null"),
    )
    op.create_table(
        "grid_member",
        sa.Column("page_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "probability",
            sa.Float(precision=24),
            nullable=False,
            comment="calibrated chance that it is the page's individual",
        ),
        sa.Column("taken_out", sa.Boolean(), nullable=True, comment="null: not answered"),
        sa.CheckConstraint("probability >= 0 and probability <= 1", name=op.f("ck_grid_member_probability_is_share")),
        sa.ForeignKeyConstraint(["page_id"], ["grid_page.page_id"], name=op.f("fk_grid_member_page_id")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_grid_member_track_id")),
        sa.PrimaryKeyConstraint("page_id", "track_id", name=op.f("pk_grid_member")),
        comment="tracks of a page, without the hidden look-alikes (quality_check)",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_grid_member_track_id"), "grid_member", ["track_id"])
    op.create_table(
        "promise",
        sa.Column("promise_id", KEY, nullable=False),
        sa.Column(
            "error",
            sa.Float(precision=53),
            nullable=False,
            comment="largest share of the named frames whose name may be wrong",
        ),
        sa.Column(
            "named", sa.Float(precision=53), nullable=False, comment="least share of all frames that carry a name"
        ),
        sa.Column(
            "confidence",
            sa.Float(precision=53),
            nullable=False,
            comment="with which the promise is made, all looks together",
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=True, comment="who set the goal"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("withdrawn_at", MOMENT, nullable=True, comment="null: it is the goal"),
        sa.CheckConstraint("confidence > 0.5 and confidence < 1", name=op.f("ck_promise_confidence_is_share")),
        sa.CheckConstraint("error > 0 and error < 1", name=op.f("ck_promise_error_is_share")),
        sa.CheckConstraint("named > 0 and named <= 1", name=op.f("ck_promise_named_is_share")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.user_id"], name=op.f("fk_promise_user_id")),
        sa.PrimaryKeyConstraint("promise_id", name=op.f("pk_promise")),
        comment="goals: how much of the archive shall be named, and how many of the names may be wrong",
    )
    op.create_table(
        "promise_look",
        sa.Column("look_id", KEY, nullable=False),
        sa.Column("promise_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "look_no",
            sa.Integer(),
            nullable=False,
            comment="k, from 1: the look may be wrong with alpha = (1 - confidence)/2^k",
        ),
        sa.Column("alpha", sa.Float(precision=53), nullable=False),
        sa.Column("head_model_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "threshold",
            sa.Float(precision=53),
            nullable=False,
            comment="probability from which a name of the head counts",
        ),
        sa.Column(
            "tested_share",
            sa.Float(precision=53),
            nullable=False,
            comment="q: of the named frames, those whose name is tested",
        ),
        sa.Column(
            "named_share", sa.Float(precision=53), nullable=False, comment="of all frames, those that carry a name"
        ),
        sa.Column(
            "expected_error",
            sa.Float(precision=53),
            nullable=False,
            comment="of the named frames, by calibrated probabilities",
        ),
        sa.Column("n_tracks", sa.BigInteger(), nullable=False, comment="whose names are tested"),
        sa.Column("n_frames", sa.BigInteger(), nullable=False, comment="of these tracks"),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column(
            "watermark_seq", sa.BigInteger(), nullable=False, comment="labels up to this seq had given the names"
        ),
        sa.Column("merge_watermark", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Unicode(8), nullable=False),
        sa.Column("n_answered", sa.Integer(), nullable=False, comment="draws that were answered"),
        sa.Column("n_wrong", sa.Integer(), nullable=False, comment="of these"),
        sa.Column(
            "wealth",
            sa.Float(precision=53),
            nullable=False,
            comment="of the bet against the promise being broken; kept from 1/alpha",
        ),
        sa.Column(
            "error_bound",
            sa.Float(precision=53),
            nullable=True,
            comment="upper limit of the error of all named frames, at the look's confidence",
        ),
        sa.Column("frozen_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("end_reason", sa.Unicode(500), nullable=True),
        sa.Column(
            "teaches_from_seq",
            sa.BigInteger(),
            nullable=True,
            comment="labels from this seq on: its answers teach; null: they do not yet",
        ),
        sa.CheckConstraint(
            "state IN ('auditing', 'kept', 'failed', 'ended')", name=op.f("ck_promise_look_state_known")
        ),
        sa.ForeignKeyConstraint(["head_model_id"], ["model.model_id"], name=op.f("fk_promise_look_head_model_id")),
        sa.ForeignKeyConstraint(["promise_id"], ["promise.promise_id"], name=op.f("fk_promise_look_promise_id")),
        sa.PrimaryKeyConstraint("look_id", name=op.f("pk_promise_look")),
        sa.UniqueConstraint("promise_id", "look_no", name="uq_promise_look_no"),
        comment="each time the names were frozen and a fresh sample of them was asked",
    )
    op.create_table(
        "promise_draw",
        sa.Column("look_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "draw_no", sa.Integer(), autoincrement=False, nullable=False, comment="from 0; draws count in this order"
        ),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=False, comment="its frozen name"),
        sa.Column("source", sa.Unicode(10), nullable=False, comment="who named it: model, page or volunteers"),
        sa.Column("annotation_id", sa.Unicode(36), nullable=True, comment="the answer; null: none yet"),
        sa.Column("wrong", sa.Boolean(), nullable=True, comment="whether the answer names somebody else"),
        sa.ForeignKeyConstraint(
            ["annotation_id"], ["annotation.annotation_id"], name=op.f("fk_promise_draw_annotation_id")
        ),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_promise_draw_individual_id")
        ),
        sa.ForeignKeyConstraint(["look_id"], ["promise_look.look_id"], name=op.f("fk_promise_draw_look_id")),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_promise_draw_track_id")),
        sa.PrimaryKeyConstraint("look_id", "draw_no", name=op.f("pk_promise_draw")),
        comment="drawn with chances in proportion to frames, with replacement",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_promise_draw_track_id"), "promise_draw", ["track_id"])


def _anew(table: str) -> None:
    """Writes a table of SQLite anew with longer vocabularies and one more check. Foreign keys of other tables name it,
    and find it again at the end."""
    conn = op.get_bind()
    master = sa.table("sqlite_master", *(sa.column(name) for name in ("type", "name", "tbl_name", "sql"))).c
    of_table = (master.tbl_name == table, master.sql.is_not(None))
    written = conn.scalar(sa.select(master.sql).where(master.type == "table", *of_table)) or ""
    indexes = list(conn.scalars(sa.select(master.sql).where(master.type == "index", *of_table)))
    columns = ", ".join(column["name"] for column in sa.inspect(conn).get_columns(table))
    name, check = NEW_CHECKS[table]
    for before, after in VOCABULARIES[table].values():
        if written.count(f"({before})") != 1:
            raise ValueError(f"the constraints of {table} are not those of revision 0018")
        written = written.replace(f"({before})", f"({after})")
    lane = f"CHECK ({LANES[1]})"
    written = written.replace(lane, f"{lane}, CONSTRAINT ck_{table}_{name} CHECK ({check})")
    conn.exec_driver_sql(f"CREATE TABLE {table}_anew {written[written.index('(') :]}")
    op.execute(f"INSERT INTO {table}_anew ({columns}) SELECT {columns} FROM {table}")  # noqa: S608  our names
    op.drop_table(table)
    op.rename_table(f"{table}_anew", table)
    for index in indexes:
        conn.exec_driver_sql(index)
