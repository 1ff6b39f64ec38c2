"""What the expert is asked next.

Does not belong here: selectors (`acquisition`) or the join with SQL (`planning`).
"""

import dagster as dg

from chimp_assets.assets.parts import EXPERTS, bars, png_markdown
from chimp_assets.assets.predictions import predictions
from chimp_assets.resources import HomeResource

PLAN_KEY = dg.AssetKey("acquisition_queue")


@dg.asset(
    key=PLAN_KEY,
    deps=[
        dg.AssetDep(predictions, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetKey("annotations"),
    ],
    group_name="acquisition",
    kinds={"table"},
    owners=EXPERTS,
    code_version="1",
)
def acquisition_queue(home: HomeResource) -> dg.MaterializeResult:
    """The most valuable tracks, ranked, each with its lane, its chance of being asked and a reason in words."""
    from chimp_assets.planning import replan

    opened = home.open()
    return dg.MaterializeResult(metadata=plan_metadata(replan(opened.database, opened.store, opened.settings)))


def plan_metadata(report: object) -> dict[str, dg.MetadataValue | int | float | str]:
    """A PlanReport as metadata: numbers, the share of each lane, and what is asked of volunteers and reviewers."""
    from chimp_assets.planning import PlanReport

    assert isinstance(report, PlanReport)
    lanes = report.lanes
    return {
        "dagster/row_count": sum(lanes.values()) + report.pairs + report.disputed,
        "round_id": report.round_id,
        "phase": report.phase,
        "pool": report.n_pool,
        "pairs": report.pairs,
        "disputed": report.disputed,
        "contradictions": report.contradictions,
        "names_that_follow": report.follows,
        "merges_to_decide": report.proposals,
        "seconds": report.seconds,
        "lanes": png_markdown(bars(list(lanes), list(lanes.values()), "Items by lane", "tracks"), "items by lane"),
    }
