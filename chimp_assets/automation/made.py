"""Materialisations of bundles that a heavy step has made: an op records what an asset of one bundle would have.

Belongs here: turning a step's messages into events. Does not belong here: the messages (`compute.messages`), the ops.
"""

from typing import Any

import dagster as dg

from chimp_assets.assets.parts import markdown_table
from chimp_assets.compute.messages import made_partitions


def record_made_partitions(context: dg.OpExecutionContext, invocation: Any) -> int:
    """Logs a materialisation for each partition that a step has made; returns how many."""
    made = made_partitions(invocation)
    for one in made:
        metadata = {name: _shown(value) for name, value in one.metadata.items()}
        context.log_event(
            dg.AssetMaterialization(
                one.asset,
                partition=one.partition,
                description="by a job of many bundles, within its budget",
                metadata=metadata,
            )
        )
    return len(made)


def _shown(value: Any) -> Any:
    # Lists are rows with texts from outside (names of files, errors): shown as they are, never rendered.
    return markdown_table(value) if isinstance(value, list) else value
