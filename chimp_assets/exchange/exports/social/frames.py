"""Groups and pairs as frames of pandas, for those who work in Python: no file in between.

Belongs here: frames. Does not belong here: what a group or a pair is (`groups`, `pairs`), files (`asnipe`, `bisonr`).

    with Home.open().database.read() as conn:
        days = pair_frame(conn, Selection(), "video")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.exchange.exports.pieces.animals import place_of
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.social.groups import GroupRule, groups
from chimp_assets.exchange.exports.social.pairs import PairRule, pair_units, unit_of

if TYPE_CHECKING:
    import pandas as pd

PAIR_COLUMNS = (
    "anim_id_a", "anim_id_b", "unit", "day", "together", "seconds_together", "p_joint", "seen_a", "seen_b", "p_a",
    "p_b",
)  # fmt: skip
GROUP_COLUMNS = ("group_id", "anim_id", "day", "place", "enters", "leaves", "seconds", "probability", "human_reviewed")


def pair_frame(conn: sa.Connection, selection: Selection, rule: PairRule = "video", unit: str = "day") -> pd.DataFrame:
    """A row for two individuals in each unit in which one of them was seen, as in v_dyad_event where the unit is a day.

    unit: day, video, or minutes of the clock as text. Probabilities are nan where there is none. All rows are held at
    once: narrow the selection on a large archive. Raises ExportError for a unit that there is not.
    """
    import pandas as pd

    rows = (
        (one.a.anim_id, one.b.anim_id, one.unit, one.day, one.together, one.seconds, one.p_joint, one.seen_a,
         one.seen_b, one.p_a, one.p_b)
        for one in pair_units(conn, selection, rule, unit_of(unit, rule))
    )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
    return frame.astype({"p_joint": float, "p_a": float, "p_b": float})


def group_frame(
    conn: sa.Connection, selection: Selection, rule: GroupRule = "video", minutes: int = 10
) -> pd.DataFrame:
    """A row for each individual in a group: `pandas.crosstab(frame.group_id, frame.anim_id)` is the matrix of the
    gambit of the group. minutes: of the clock, where the rule is minutes.
    """
    import pandas as pd

    rows = (
        (group.group_id, one.anim_id, group.day, place_of(group.site, group.camera), one.enters, one.leaves,
         one.seconds, one.probability, one.human_reviewed)
        for group in groups(conn, selection, rule, minutes)
        for one in group.members
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))
