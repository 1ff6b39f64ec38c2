"""What is watched: changes of cameras, of the champion and of people, the alerts that they open, associations, and the
report of all of it.

Does not belong here: what is watched and how (`monitoring`), who is told (`automation`).
"""

import dagster as dg

from chimp_assets.assets.parts import OPERATORS, markdown_table
from chimp_assets.resources import HomeResource


@dg.asset(
    deps=[dg.AssetKey("annotations"), dg.AssetKey("champion_head")],
    group_name="monitoring",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
)
def drift(home: HomeResource) -> dg.MaterializeResult:
    """Changes that were noticed: `drift_block` rows of camera and day, `drift_alert` rows that open, act and close.
    An open alert about tracks gives them a share of the next plan (`monitoring.drift_share`)."""
    from chimp_assets.monitoring.nightly import watch_archive

    done = watch_archive(home.open())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(done.sentences),
            "blocks": done.blocks,
            "opened": len(done.opened),
            "closed": len(done.closed),
            "open": markdown_table([{"what changed": one} for one in done.sentences]),
            "seconds": round(done.seconds, 1),
        }
    )


@dg.asset(
    deps=[dg.AssetKey("annotations"), dg.AssetKey("champion_head")],
    group_name="monitoring",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
)
def associations(home: HomeResource) -> dg.MaterializeResult:
    """Association indices of every pair, by year and over all, with errors of names taken out: `association_edge`."""
    from chimp_assets.insight.association.kept_edges import keep_edges

    done = keep_edges(home.open().database)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.rows,
            "sure ties": done.real,
            "answers of the audit": done.answers,
            "seconds": round(done.seconds, 1),
        }
    )


@dg.asset(
    deps=[dg.AssetKey("associations"), dg.AssetKey("drift"), dg.AssetKey("evaluation")],
    group_name="monitoring",
    kinds={"html"},
    owners=OPERATORS,
    code_version="1",
)
def archive_report(home: HomeResource) -> dg.MaterializeResult:
    """The archive on one dated page for people, in the store: effort, who was seen, with whom, how far names can be
    trusted, what changed since the report before. The page `/report` shows it."""
    from chimp_assets.insight.report.kept import FOLDER, keep_report

    made = keep_report(home.open())
    day = made.numbers.day.isoformat()
    figures = [{"figure": name, "value": value} for name, value in made.numbers.figures().items()]
    return dg.MaterializeResult(
        metadata={
            "day": day,
            "page": f"{FOLDER}/{day}.en.html",
            "compared with": made.changes.since if made.changes is not None else "none: the first",
            "figures": markdown_table(figures),
        }
    )
