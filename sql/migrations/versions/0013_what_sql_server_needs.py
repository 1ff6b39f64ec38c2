"""The queue's index has the order in which it is asked; on SQL Server codes are compared letter by letter, annotations
lie in the order in which they came, and no lock grows into one of a whole table.

Revision 0013, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None

CODES = """
ALTER TABLE individual DROP CONSTRAINT ck_individual_anim_id_upper_case
GO
ALTER TABLE individual DROP CONSTRAINT uq_individual_anim_id
GO
ALTER TABLE individual ALTER COLUMN anim_id NVARCHAR(40) COLLATE Latin1_General_100_BIN2 NOT NULL
GO
ALTER TABLE individual ALTER COLUMN name NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NULL
GO
UPDATE individual SET anim_id = UPPER(anim_id) WHERE anim_id <> UPPER(anim_id)
GO
ALTER TABLE individual ADD CONSTRAINT uq_individual_anim_id UNIQUE (anim_id)
GO
ALTER TABLE individual ADD CONSTRAINT ck_individual_anim_id_upper_case CHECK (anim_id = upper(anim_id))
GO
ALTER TABLE individual_alias DROP CONSTRAINT uq_individual_alias_alias
GO
ALTER TABLE individual_alias ALTER COLUMN alias NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL
GO
ALTER TABLE individual_alias ADD CONSTRAINT uq_individual_alias_alias UNIQUE (alias)
GO
ALTER TABLE community DROP CONSTRAINT uq_community_comm_id
GO
ALTER TABLE community ALTER COLUMN comm_id NVARCHAR(40) COLLATE Latin1_General_100_BIN2 NOT NULL
GO
ALTER TABLE community ALTER COLUMN name NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NULL
GO
ALTER TABLE community ADD CONSTRAINT uq_community_comm_id UNIQUE (comm_id)
GO
ALTER TABLE app_user DROP CONSTRAINT uq_app_user_name
GO
ALTER TABLE app_user ALTER COLUMN name NVARCHAR(100) COLLATE Latin1_General_100_BIN2 NOT NULL
GO
ALTER TABLE app_user ADD CONSTRAINT uq_app_user_name UNIQUE (name)
"""

# A key of random UUIDs decides where each new row lies: every insert splits a page somewhere.
ORDER_OF_ANNOTATIONS = """
ALTER TABLE standing_answer DROP CONSTRAINT fk_standing_answer_annotation_id
GO
ALTER TABLE annotation DROP CONSTRAINT fk_annotation_supersedes
GO
ALTER TABLE annotation DROP CONSTRAINT pk_annotation
GO
ALTER TABLE annotation DROP CONSTRAINT uq_annotation_seq
GO
ALTER TABLE annotation ADD CONSTRAINT uq_annotation_seq UNIQUE CLUSTERED (seq)
GO
ALTER TABLE annotation ADD CONSTRAINT pk_annotation PRIMARY KEY NONCLUSTERED (annotation_id)
GO
ALTER TABLE annotation ADD CONSTRAINT fk_annotation_supersedes
    FOREIGN KEY (supersedes) REFERENCES annotation (annotation_id)
GO
ALTER TABLE standing_answer ADD CONSTRAINT fk_standing_answer_annotation_id
    FOREIGN KEY (annotation_id) REFERENCES annotation (annotation_id)
"""

# A statement that changes some 5,000 rows locks the whole table instead: a new plan, a bundle's predictions, a chunk.
# These are written by several at once.
SHARED = ("acquisition_queue", "frame", "track", "detection", "prediction", "track_score", "unknown_track")


def upgrade() -> None:
    op.drop_index("ix_acquisition_queue_state", "acquisition_queue")
    op.create_index(
        "ix_acquisition_queue_state", "acquisition_queue", ["state", sa.text("round_id DESC"), "position", "lane"]
    )
    if op.get_context().dialect.name != "mssql":
        return
    for script in (CODES, ORDER_OF_ANNOTATIONS):
        for statement in script.split("\nGO\n"):
            op.execute(statement.strip())
    for table in SHARED:
        op.execute(f"ALTER TABLE {table} SET (LOCK_ESCALATION = DISABLE)")
