"""What `chimp models` prints. Does not belong here: reading models (`vision.models.registry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_facts, print_table
from chimp_assets.console.words import accuracy_in_words

if TYPE_CHECKING:
    from chimp_assets.vision.models.registry import ModelLine

_FACTS = ("model_id", "task", "version", "name", "state", "reason", "parent_id", "training_set_id",
          "checkpoint_uri", "checkpoint_hash", "made_again_by")  # fmt: skip
_ABOUT = {"archive": "this archive", "days": "days to come"}
_ORIGIN = ("parent", "training set")


def show_models(models: list[ModelLine]) -> None:
    """Models in order: state, origin, audit accuracy, reason."""
    if not models:
        say("There are no models yet.")
        return
    names = ("model", "task", "version", "state", "parent", "training set", "audit accuracy (95 %)", "reason")
    rows = []
    for line in models:
        accuracy = None if line.top1 is None else accuracy_in_words(line.top1, line.ci_low, line.ci_high, line.n_audit)
        cells = (line.model_id, line.task, line.version, line.state, line.parent_id, line.training_set_id, accuracy)
        rows.append(["" if cell is None else str(cell) for cell in (*cells, line.reason)])
    # Without a trained model these are empty, and the reason needs the room.
    shown = [i for i, name in enumerate(names) if name not in _ORIGIN or any(row[i] for row in rows)]
    print_table([names[i] for i in shown], [[row[i] for i in shown] for row in rows])


def show_model(model: dict[str, Any]) -> None:
    """One model as `show_model` of the registry reads it: facts, decisions, newest metrics."""
    facts = [(name.replace("_", " "), str(model[name])) for name in _FACTS if model[name] is not None]
    facts += [(f"config {name}", str(value)) for name, value in model["config"].items()]
    for decision in model["decisions"]:
        who = decision["by"] or "the command line"
        facts.append((f"{decision['at']:%Y-%m-%d %H:%M}", f"{decision['action']} by {who}: {decision['why']}"))
    print_facts(facts)
    if not model["metrics"]:
        return
    rows = []
    for metric in model["metrics"]:
        part = f"{metric['slice_kind']} {metric['slice_value']}".strip()
        interval = "" if metric["ci_low"] is None else f"{metric['ci_low']:.3f} to {metric['ci_high']:.3f}"
        about = "" if metric["about"] is None else _ABOUT[metric["about"]]
        if metric["blocks"] is not None:
            about += f", by {metric['blocks']} camera-days"
        rows.append((part, metric["name"], f"{metric['value']:.3f}", interval, str(metric["n"]), about))
    print_table(("slice", "metric", "value", "95 %", "n", "about"), rows)
