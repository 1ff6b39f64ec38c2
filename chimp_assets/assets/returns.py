"""The return of labels, after each verdict.

Does not belong here: the measuring (`loop.returns`), the estimates (`acquisition.returns`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from chimp_assets.assets.models import champion_head
from chimp_assets.assets.parts import EXPERTS, markdown_table, png_markdown
from chimp_assets.resources import HomeResource

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chimp_assets.acquisition.returns.savings import Savings


@dg.asset(
    deps=[champion_head, dg.AssetKey("annotations")],
    group_name="acquisition",
    kinds={"table"},
    owners=EXPERTS,
    code_version="1",
)
def label_returns(home: HomeResource) -> dg.MaterializeResult:
    """Accuracy by labels and minutes, the labels that random asking would have needed, and signs that more answers
    hardly help: `evaluation_metric` rows, read by `v_label_savings`, `v_learning_curve` and `v_stopping_advice`."""
    from chimp_assets.loop.returns import measure_returns

    opened = home.open()
    found = measure_returns(opened.database, opened.store, opened.settings)
    if found is None:
        return dg.MaterializeResult(metadata={"why": "there is no champion head yet"})
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "head": found.model_id,
        "expert_minutes": found.minutes,
        "lanes": markdown_table(
            [
                {"lane": lane.lane, "answers": lane.n_answers, "chance of a useful one": f"{lane.p_useful:.0%}",
                 "advice": "answers hardly change a name any more" if lane.stop else "continue"}
                for lane in found.lanes
            ]
        ),
    }  # fmt: skip
    if found.hour is not None:
        hour = found.hour
        metadata["next_hour"] = f"{hour.gain:+.1%} ({hour.low:+.1%} to {hour.high:+.1%}) for {hour.answers:.0f} answers"
    if found.savings is None:
        metadata["why"] = f"too few audit answers to estimate the savings: {found.n_audit}"
    else:
        metadata["savings"] = found.savings.in_words(found.minutes)
        metadata["plot"] = png_markdown(learning_curves(found.savings), "accuracy by labels")
    return dg.MaterializeResult(metadata=metadata)


def learning_curves(saved: "Savings") -> "Figure":
    """Accuracy by labels, as asked and at random, with 95 % intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, colour, points in (("as asked", "#4a7c59", saved.real), ("at random", "#8c8c8c", saved.random)):
        n = [point.n for point in points]
        axes.plot(n, [point.accuracy for point in points], color=colour, marker="o", markersize=3, label=name)
        axes.fill_between(n, [point.low for point in points], [point.high for point in points], color=colour, alpha=0.2)
    axes.set_xlabel("training labels")
    axes.set_ylabel("audit tracks named correctly")
    axes.set_ylim(0, 1)
    axes.legend(loc="lower right", frameon=False)
    return figure
