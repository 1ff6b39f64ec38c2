"""The step of a run that asks for heavy work: its key, and its slot in a pool.

Belongs here: what Dagster's context says of it. Does not belong here: the work, or where it runs.
"""

from __future__ import annotations

import dagster as dg

StepContext = dg.AssetExecutionContext | dg.OpExecutionContext


def step_key(context: StepContext) -> str:
    """The key of the step in its run, the same in each run of its job."""
    op = context.op_execution_context if isinstance(context, dg.AssetExecutionContext) else context
    return str(op.op_handle)


def leave_pool(context: StepContext) -> None:
    """Gives back the slot that this step holds in its pool, before the step ends. Harmless if it holds none."""
    context.instance.event_log_storage.free_concurrency_slot_for_step(context.run.run_id, step_key(context))
