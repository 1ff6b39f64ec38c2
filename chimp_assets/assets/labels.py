"""The answers of people, and the training set made from them.

Belongs here: the external label tables and the training set. Does not belong here: how events are recorded
(`database.labels`) or members are chosen (`vision.datasets`).
"""

import dagster as dg

from chimp_assets.assets.parts import EXPERTS, OPERATORS
from chimp_assets.resources import HomeResource

annotations = dg.AssetSpec(
    "annotations",
    group_name="labels",
    kinds={"table"},
    owners=EXPERTS,
    description="The table `annotation`: append-only decisions of people, numbered without gaps in commit order. "
    "External: only people write here, through `database.labels.events.record_events`.",
)

individuals = dg.AssetSpec(
    "individuals",
    group_name="labels",
    kinds={"table"},
    owners=EXPERTS,
    description="The table `individual`: the animals that may be named, with the columns of SokweDB. External.",
)


@dg.asset(
    deps=[annotations, individuals],
    group_name="labels",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
)
def training_set(home: HomeResource) -> dg.MaterializeResult:
    """The labels a head may learn from, up to a watermark: people's answers outside the audit and outside test days."""
    from chimp_assets.loop.retrain import make_training_set
    from chimp_assets.vision.datasets.training_set import describe_training_set

    opened = home.open()
    training_set_id = make_training_set(opened)
    with opened.database.read() as conn:
        row = describe_training_set(conn, training_set_id)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": row.n_tracks,
            "training_set_id": training_set_id,
            "watermark_seq": row.watermark_seq,
            "merge_watermark": row.merge_watermark,
            "classes": row.n_classes,
            "members": row.member_uri,
            "members_hash": row.member_hash,
        }
    )
