"""Candidate, evaluation, verdict: how a head becomes the champion or is refused.

Does not belong here: fitting (`vision.train`), which heads are measured and judged (`loop.retrain`), and how.
"""

from typing import TYPE_CHECKING

import dagster as dg

from chimp_assets.assets.labels import training_set
from chimp_assets.assets.parts import OPERATORS, bars, markdown_table, picture_markdown, png_markdown, verdict_table
from chimp_assets.compute.azureml_models import mirrored
from chimp_assets.compute.resource import ComputeResource
from chimp_assets.resources import HomeResource

if TYPE_CHECKING:
    from chimp_assets.home import Home
    from chimp_assets.vision.evaluation.metrics import Metric


@dg.asset(
    deps=[training_set],
    group_name="models",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="gpu",
    code_version="1",
)
def head_checkpoint(
    context: dg.AssetExecutionContext, home: HomeResource, compute: ComputeResource
) -> dg.MaterializeResult:
    """A candidate head, fitted on the newest training set: safetensors and a `model` row. The work is done where
    `compute.kind` says: in a process of its own, as a job of Azure ML or as a pod."""
    from chimp_assets.loop.training import training_step

    opened = home.open()
    newest = _newest_training_set(opened)
    assert newest is not None, "training_set comes first in this job"
    done = compute.run(context, opened, training_step(newest, "head", opened.settings))
    return done.get_materialize_result()


@dg.asset(
    deps=[head_checkpoint, dg.AssetKey("annotations")],
    group_name="models",
    kinds={"pytorch"},
    owners=OPERATORS,
    code_version="1",
)
def evaluation(home: HomeResource) -> dg.MaterializeResult:
    """Accuracy on the audit answers, which never train a model, of the champion, the candidates and the newest head:
    `evaluation_metric` rows."""
    from chimp_assets.loop.retrain import evaluate_heads

    opened = home.open()
    done = evaluate_heads(opened, _newest_training_set(opened), home.audit_judge())
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "dagster/row_count": len(done.metrics),
        "metrics": markdown_table([_metric_row(metric) for metric in done.metrics]),
    }
    top1 = [
        metric
        for metric in done.metrics
        if (metric.name, metric.slice_kind, metric.slice_value, metric.dataset) == ("top1", "all", "", "audit")
    ]
    if top1:
        metadata["audit_top1"] = round(top1[-1].value, 3)
        accuracies = bars(
            [f"head {metric.model_id}" for metric in top1], [metric.value for metric in top1],
            "Audit accuracy", "share named correctly",
        )  # fmt: skip
        metadata["plot"] = png_markdown(accuracies, "audit accuracy by head")
    metadata |= mirrored(opened)  # nightly too: what failed after a promotion is tried again
    for title, picture in done.pictures.items():
        metadata[title] = picture_markdown(picture, "png", f"{title} of head {done.model_ids[-1]}")
    return dg.MaterializeResult(metadata=metadata)


def _metric_row(metric: "Metric") -> dict[str, object]:
    return {
        "model": metric.model_id,
        "dataset": metric.dataset,
        "slice": f"{metric.slice_kind} {metric.slice_value}".strip(),
        "name": metric.name,
        "value": f"{metric.value:.3f}",
        "from": "" if metric.ci_low is None else f"{metric.ci_low:.3f}",
        "to": "" if metric.ci_high is None else f"{metric.ci_high:.3f}",
        "n": metric.n,
        "about": metric.about or "",
        "camera-days": "" if metric.blocks is None else metric.blocks,
    }


@dg.asset(
    deps=[evaluation],
    group_name="models",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
)
def champion_head(home: HomeResource) -> dg.MaterializeResult:
    """The verdict: each candidate is promoted or refused against the champion, on the same audit answers."""
    from chimp_assets.loop.retrain import judge_heads
    from chimp_assets.vision.models.checkpoint import champion

    opened = home.open()
    verdicts = judge_heads(opened, _newest_training_set(opened), home.audit_judge())
    with opened.database.read() as conn:
        now = champion(conn, "head")
    return dg.MaterializeResult(
        metadata={
            "champion_model_id": now.model_id if now else "none yet",
            "verdicts": verdict_table((model_id, one.promoted, one.reason) for model_id, one in verdicts.items()),
            **mirrored(opened),
        }
    )


def _newest_training_set(opened: "Home") -> int | None:
    """That of the step before in this job; of the last job, where a step is run alone."""
    from chimp_assets.vision.datasets.training_set import newest_training_set

    with opened.database.read() as conn:
        return newest_training_set(conn)
