"""What a heavy step has reported, read from its messages.

Belongs here: the product's own messages (`chimp_assets.pipes_session`), for whoever asked for the step. Does not belong
here: how messages travel (one module for each place), what Dagster is told of them (`assets`, `automation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chimp_assets.errors import ChimpError
from chimp_assets.pipes_session import DONE, MADE, MESSAGE


class UnfinishedStepError(ChimpError):
    """A heavy step ended, and has not said that its work is whole."""


@dataclass(frozen=True)
class MadePartition:
    """Something that a step has made: the asset's name, the partition, and what was said of it, of JSON's types."""

    asset: str
    partition: str
    metadata: dict[str, Any]


def made_partitions(invocation: Any) -> list[MadePartition]:
    """What a step has made of partitions, in its order, each once. invocation: what `ComputeResource.run` returns."""
    made: dict[tuple[str, str], MadePartition] = {}
    for one in invocation.get_custom_messages():
        if isinstance(one, dict) and one.get(MESSAGE) == MADE:
            # A step that was started again may say something twice: the first time it did the work.
            made.setdefault(
                (one["asset"], one["partition"]), MadePartition(one["asset"], one["partition"], one["metadata"])
            )
    return list(made.values())


def report_of(invocation: Any) -> dict[str, Any]:
    """The report with which a step has said that its work is whole. Raises UnfinishedStepError if it has not."""
    for one in reversed(invocation.get_custom_messages()):
        if isinstance(one, dict) and one.get(MESSAGE) == DONE:
            return dict(one["report"])
    raise UnfinishedStepError(
        "The step ended without saying that its work is whole.", "Run it again: what it had committed is kept."
    )
