"""What the expert is asked next.

Does not belong here: selectors (`acquisition`) or the join with SQL (`loop.plan`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from chimp_assets.assets.embeddings import embeddings
from chimp_assets.assets.models import champion_head
from chimp_assets.assets.parts import EXPERTS, bars, png_markdown
from chimp_assets.resources import HomeResource

if TYPE_CHECKING:
    from chimp_assets.loop.plan import PlanReport

PLAN_KEY = dg.AssetKey("acquisition_queue")
RETRAIN = "retrain"
"""The job that ends with a plan where one is due."""


@dg.asset(
    key=PLAN_KEY,
    deps=[
        dg.AssetDep(embeddings, partition_mapping=dg.AllPartitionMapping()),
        champion_head,
        dg.AssetKey("annotations"),
    ],
    group_name="acquisition",
    kinds={"table"},
    owners=EXPERTS,
    code_version="2",
    output_required=False,
)
def acquisition_queue(context: dg.AssetExecutionContext, home: HomeResource) -> Iterator[dg.MaterializeResult]:
    """The most valuable tracks, ranked, each with its lane, its chance of being asked, a reason in words, and the names
    that the champion head proposes. At the end of a training only if a plan is due; otherwise at every run."""
    from chimp_assets.database.work.due import plan_due_after_training
    from chimp_assets.loop.minutes.promises import look_in_words
    from chimp_assets.loop.plan import replan
    from chimp_assets.loop.rescore import name_asked_tracks

    opened = home.open()
    if context.job_name == RETRAIN:
        with opened.database.read() as conn:
            due = plan_due_after_training(conn, opened.settings)
        if not due.due:
            context.log.info(f"No new plan: {due.reason}.")
            name_asked_tracks(opened)
            return
    report = replan(opened)
    with opened.database.read() as conn:
        promise = look_in_words(conn)
    yield dg.MaterializeResult(metadata={**plan_metadata(report), "promise": promise})


def plan_metadata(report: "PlanReport") -> dict[str, dg.MetadataValue | int | float | str]:
    """A PlanReport as metadata: numbers, the share of each lane, and what volunteers and reviewers are asked."""
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
