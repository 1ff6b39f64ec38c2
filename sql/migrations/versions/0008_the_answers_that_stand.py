"""Which answer stands for a track is kept beside the events: pages need not look through a million of them.

Revision 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# The rules of the code at this revision: what was taken back and what is about a pair does not count; then the best
# role, then the newest.
FILL = """
INSERT INTO standing_answer
    (track_id, annotation_id, seq, kind, individual_id, lane, annotator_id, propensity)
SELECT track_id, annotation_id, seq, kind, individual_id, lane, annotator_id, propensity
FROM (
    SELECT
        a.track_id, a.annotation_id, a.seq, a.kind, a.individual_id, a.lane, a.annotator_id, a.propensity,
        ROW_NUMBER() OVER (
            PARTITION BY a.track_id
            ORDER BY
                CASE WHEN u.role = 'expert' THEN 0 WHEN u.role IN ('admin', 'reviewer') THEN 1 ELSE 2 END,
                a.seq DESC
        ) AS place
    FROM annotation AS a
    INNER JOIN app_user AS u ON u.user_id = a.annotator_id
    WHERE
        a.kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box', 'cannot_tell')
        AND (a.kind <> 'cannot_tell' OR a.other_track_id IS NULL)
        AND NOT EXISTS (
            SELECT 1 FROM annotation AS r WHERE r.supersedes = a.annotation_id AND r.kind = 'retract'
        )
) AS ranked
WHERE place = 1
"""


def upgrade() -> None:
    op.create_table(
        "standing_answer",
        sa.Column("track_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("annotation_id", sa.Unicode(36), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Unicode(16), nullable=False),
        sa.Column("individual_id", sa.BigInteger(), nullable=True, comment="whom the person named"),
        sa.Column("lane", sa.Unicode(10), nullable=False),
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("propensity", sa.Float(53), nullable=True),
        sa.ForeignKeyConstraint(["track_id"], ["track.track_id"], name=op.f("fk_standing_answer_track_id")),
        sa.ForeignKeyConstraint(
            ["annotation_id"], ["annotation.annotation_id"], name=op.f("fk_standing_answer_annotation_id")
        ),
        sa.ForeignKeyConstraint(
            ["individual_id"], ["individual.individual_id"], name=op.f("fk_standing_answer_individual_id")
        ),
        sa.ForeignKeyConstraint(["annotator_id"], ["app_user.user_id"], name=op.f("fk_standing_answer_annotator_id")),
        sa.PrimaryKeyConstraint("track_id", name=op.f("pk_standing_answer")),
        sa.UniqueConstraint("annotation_id", name=op.f("uq_standing_answer_annotation_id")),
        comment="which answer counts for a track, as follows from annotation; kept by whoever stores events",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_standing_answer_individual_id"), "standing_answer", ["individual_id"])
    op.execute(FILL)
    op.drop_index(op.f("ix_annotation_other_track_id"), "annotation")
    op.drop_index(op.f("ix_annotation_individual_id"), "annotation")
    # Among a million: what is about two tracks, the newest of a person and of an individual, what was asked twice.
    op.create_index(
        "ix_annotation_other",
        "annotation",
        ["other_track_id"],
        sqlite_where=sa.text("other_track_id IS NOT NULL"),
        postgresql_where=sa.text("other_track_id IS NOT NULL"),
        mssql_where=sa.text("other_track_id IS NOT NULL"),
    )
    op.create_index("ix_annotation_individual", "annotation", ["individual_id", "seq"])
    op.create_index("ix_annotation_annotator", "annotation", ["annotator_id", "seq"])
    op.create_index(
        "ix_annotation_repeat",
        "annotation",
        ["seq"],
        sqlite_where=sa.text("lane = 'repeat'"),
        postgresql_where=sa.text("lane = 'repeat'"),
        mssql_where=sa.text("lane = 'repeat'"),
    )
