"""The views that compare everybody with everybody list each track once: the same rows, many times faster.

Revision 0005, after 0004. No table changes: an upgrade makes the views anew, and this is the reason for one.
"""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
