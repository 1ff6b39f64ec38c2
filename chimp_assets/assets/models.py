"""Candidate, evaluation, verdict: how a head becomes champion or is refused.

Does not belong here: fitting (`vision.train`), measuring (`vision.evaluate`), deciding (`vision.gate`).
"""

import dagster as dg

from chimp_assets.assets.labels import training_set
from chimp_assets.assets.parts import OPERATORS, bars, markdown_table, picture_markdown, png_markdown
from chimp_assets.resources import HomeResource


@dg.asset(
    deps=[training_set],
    group_name="models",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="gpu",
    code_version="1",
)
def head_checkpoint(
    context: dg.AssetExecutionContext, home: HomeResource, compute: dg.PipesSubprocessClient
) -> dg.MaterializeResult:
    """A candidate head, fitted in a process of its own on the newest training set: safetensors and a `model` row."""
    from chimp_assets.loop.ingest import training_command
    from chimp_assets.vision.datasets.training_set import newest_training_set

    opened = home.open()
    with opened.database.read() as conn:
        newest = newest_training_set(conn)
    assert newest is not None, "training_set comes first in this job"
    done = compute.run(command=training_command(opened, newest), context=context, env=opened.environment())
    return done.get_materialize_result()


@dg.asset(
    deps=[head_checkpoint, dg.AssetKey("annotations")],
    group_name="models",
    kinds={"pytorch"},
    owners=OPERATORS,
    code_version="1",
)
def evaluation(home: HomeResource) -> dg.MaterializeResult:
    """Accuracy on the audit answers, never trained on, of the candidates and the champion: `evaluation_metric` rows."""
    from chimp_assets.vision.evaluation.audit import heads_to_evaluate
    from chimp_assets.vision.evaluation.metrics import evaluate_head
    from chimp_assets.vision.evaluation.plots import draw_evaluation

    opened, audit = home.open(), home.audit_judge()
    with opened.database.read() as conn:
        model_ids = heads_to_evaluate(conn)
    rows = []
    for model_id in model_ids:
        for metric in evaluate_head(opened.database, opened.store, model_id, opened.settings, audit.answers(model_id)):
            rows.append(
                {
                    "model": metric.model_id,
                    "dataset": metric.dataset,
                    "slice": f"{metric.slice_kind} {metric.slice_value}".strip(),
                    "name": metric.name,
                    "value": f"{metric.value:.3f}",
                    "from": "" if metric.ci_low is None else f"{metric.ci_low:.3f}",
                    "to": "" if metric.ci_high is None else f"{metric.ci_high:.3f}",
                    "n": metric.n,
                }
            )
    top1 = [row for row in rows if row["name"] == "top1" and row["slice"] == "all" and row["dataset"] == "audit"]
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "dagster/row_count": len(rows),
        "metrics": markdown_table(rows),
    }
    if top1:
        metadata["audit_top1"] = float(str(top1[-1]["value"]))
        metadata["plot"] = png_markdown(
            bars(
                [f"head {row['model']}" for row in top1], [float(str(row["value"])) for row in top1],
                "Audit accuracy", "share named rightly",
            ),
            "audit accuracy by head",
        )  # fmt: skip
        newest = model_ids[-1]
        for title, picture in draw_evaluation(
            opened.database, opened.store, newest, opened.settings, audit.answers(newest)
        ).items():
            metadata[title] = picture_markdown(picture, "png", f"{title} of head {newest}")
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    deps=[evaluation],
    group_name="models",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
)
def champion_head(home: HomeResource) -> dg.MaterializeResult:
    """The verdict: each candidate is promoted or refused against the champion, on the same audit answers."""
    from chimp_assets.vision.evaluation.promotion import decide
    from chimp_assets.vision.models.checkpoint import candidates, champion

    opened, audit = home.open(), home.audit_judge()
    with opened.database.read() as conn:
        waiting = candidates(conn, "head")
    verdicts = [
        (model_id, decide(opened.database, opened.store, model_id, opened.settings, audit)) for model_id in waiting
    ]
    with opened.database.read() as conn:
        now = champion(conn, "head")
    return dg.MaterializeResult(
        metadata={
            "champion_model_id": now.model_id if now else "none yet",
            "verdicts": markdown_table(
                [
                    {"model": model_id, "promoted": "yes" if v.promoted else "no", "reason": v.reason}
                    for model_id, v in verdicts
                ]
            ),
        }
    )
