"""The words of a model card: Markdown in the layout of Hugging Face's cards, and its limits in plain sentences.

Belongs here: sentences and layout, from the facts of `card`. Does not belong here: facts, files.

The header has the keys that the Hub reads (https://huggingface.co/docs/hub/model-cards); values are written as JSON,
which is YAML too. Texts of people and files are shown as code, so that none of them is Markdown.
"""

from __future__ import annotations

import json
from typing import Any

from chimp_assets.markdown import code, table

_TASKS = {
    "head": ("image-classification", "names individual animals in tracks of video"),
    "embedder": (
        "image-feature-extraction",
        "turns pictures of an animal into a vector, so that likeness can be measured",
    ),
    "detector": ("object-detection", "finds animals in pictures"),
}
_ABOUT = {
    "archive": "this archive",
    "days": "days to come",
    None: "",
}
_KINDS = {"top1": "accuracy"}
_SHOWN = 200


def limits_of(card: dict[str, Any], least_group: int) -> list[str]:
    """What it cannot do, in sentences, as far as the facts of a card tell."""
    said = []
    data = card["data"] or {}
    if card["task"] == "head":
        known = data.get("individuals")
        if known is not None:
            said.append(f"It knows {known} individuals. Of anybody else it can only say that it does not know them.")
        said.append("Its names are suggestions. What follows from them should rest on tracks that a person has seen, or"
                    " allow for its errors.")  # fmt: skip
    if data.get("days") is not None:
        said.append(
            f"It learned from {data['days']} days and {data['cameras']} cameras. Elsewhere, in another season or light,"
            " it has not been tried."
        )
    if "unreadable" in data:
        said.append(f"From how many days and cameras it learned is not known: {data['unreadable']}")
    accuracy = [one for one in card["metrics"] if (one["name"], one["slice_kind"]) == ("top1", "all")]
    if card["task"] == "head" and not accuracy:
        said.append("It has not been measured on audit answers.")
    if any(one["about"] is None and one["ci_low"] is not None for one in accuracy):
        said.append(
            "Its intervals are about this archive, whose tracks were drawn one by one; other days may differ more."
        )
    small = {(one["slice_kind"], one["slice_value"]) for one in card["metrics"] if one["n"] < least_group}
    if small:
        said.append(f"For {len(small)} groups there are fewer than {least_group} answers: nothing can be said of them.")
    fairness = card["fairness"]
    if fairness is not None and fairness["groups"]["too_few"]:
        said.append(
            f"Of {fairness['groups']['too_few']} measures of groups there were too few answers to say anything."
        )
    if still := card["drift"]["open"]:
        changes = "1 change is open" if still == 1 else f"{still} changes are open"
        said.append(f"{changes}: where something changed, measurements of before say little.")
    if any(one["licence"] == "not stated" for one in card["licences"]):
        said.append("The licence of weights that it stands on is not stated: find it out before you pass it on.")
    said.append("It was not made to recognise people and must not be used for that.")
    return said


def as_markdown(card: dict[str, Any]) -> str:
    """The whole card, with the header of Hugging Face's."""
    pipeline, does = _TASKS[card["task"]]
    title = f"{card['task'].capitalize()} {card['version']}"
    parts = [
        _header(card, title, pipeline),
        f"# {title}",
        f"A model of Chimp Assets that {does}. Its number is {card['model_id']}, its name {code(card['name'])}.",
        _details(card),
        _uses(card),
        "## Bias, Risks, and Limitations\n\n" + "\n".join(f"- {one}" for one in card["limits"]),
        _fairness(card),
        _drift(card),
        _training(card),
        _evaluation(card),
        "## How to reproduce\n\n" + code(card["reproduce"]["sentence"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(card: dict[str, Any], title: str, pipeline: str) -> str:
    stated = sorted({one["licence"] for one in card["licences"]})
    lines: dict[str, Any] = {
        "license": "other",
        "license_name": "; ".join(stated) or "of the archive's owner",
        "library_name": "chimp-assets",
        "pipeline_tag": pipeline,
        "tags": ["wildlife", "re-identification", "camera-trap", "chimp-assets", card["task"]],
        "language": "en",
    }
    if card["parents"]:
        lines["base_model"] = [one["name"] for one in card["parents"]]
    results = [_result(card, one) for one in card["metrics"] if one["slice_kind"] == "all"]
    if results:
        lines["metrics"] = sorted({_KINDS.get(one["name"], one["name"]) for one in card["metrics"]})
        lines["model-index"] = [{"name": title, "results": results}]
    return "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in lines.items()) + "\n---"


def _result(card: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    return {
        "task": {"type": _TASKS[card["task"]][0]},
        "dataset": {"type": "private", "name": one["dataset"]},
        "metrics": [{"type": _KINDS.get(one["name"], one["name"]), "name": one["name"], "value": one["value"]}],
    }


def _details(card: dict[str, Any]) -> str:
    parents = ", ".join(f"{one['task']} {one['version']} ({code(one['name'])})" for one in card["parents"])
    facts = [
        ("Task", card["task"]),
        ("Version", card["version"]),
        ("State", card["state"]),
        ("Made", card["created_at"]),
        ("Decided", card["decided_at"] or "not yet"),
        ("Why", code(card["reason"] or "")),
        ("Stands on", parents or "nothing learned"),
        ("File", code(card["checkpoint"]["uri"] or "none")),
        ("BLAKE2b-256", card["checkpoint"]["hash"] or "none"),
    ]
    lines = [f"- **{name}:** {value}" for name, value in facts if value != ""]
    for one in card["licences"]:
        lines.append(
            f"- **Weights:** {code(str(one['weights']))}, licence {code(one['licence'])}, SHA-256 {one['sha256']}"
        )
    if not card["licences"]:
        lines.append("- **Weights:** learned in this archive only")
    return "## Model Details\n\n" + "\n".join(lines)


def _uses(card: dict[str, Any]) -> str:
    _, does = _TASKS[card["task"]]
    return (
        f"## Uses\n\nIt {does}, in the archive that it learned from, together with people who check what it says. Other"
        " archives, other species and people are out of scope."
    )


def _fairness(card: dict[str, Any]) -> str:
    found = card["fairness"]
    if found is None:
        return "### Groups\n\nHow it treats groups has not been examined." if card["task"] == "head" else ""
    counted = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in found["groups"].items())
    text = f"### Groups\n\nExamined with labels up to {found['watermark_seq']}: {counted}."
    rows = [
        {
            "group": f"{one['slice_kind']} {one['slice_value']}", "measure": one["name"], "state": one["state"],
            "value": _number(one["value"]), "from": _number(one["low"]), "to": _number(one["high"]),
            "n": one["n"], "camera-days": one["blocks"],
        }
        for one in found["findings"]
    ]  # fmt: skip
    return f"{text}\n\n{table(rows)}" if rows else text


def _drift(card: dict[str, Any]) -> str:
    found = card["drift"]
    text = "### What has changed since\n\n"
    if not found["open"]:
        return text + "No change is open."
    return text + "\n".join(f"- {code(one['says'])}" for one in found["alerts"])


def _training(card: dict[str, Any]) -> str:
    data = card["data"]
    lines = []
    if data is None:
        lines.append("It learned nothing from this archive.")
    elif not data["labelled"]:
        lines.append(f"It learned without labels, from {data.get('n_tracks', '?')} tracks.")
    else:
        where = (
            ""
            if data["days"] is None
            else f" of {data['days']} days, {data['cameras']} cameras and {data['videos']} videos"
        )
        lines += [
            f"- **Data:** {data['tracks']} labelled tracks{where}; {data['individuals']} classes",
            f"- **Training set:** {data['training_set_id']}, labels up to {data['watermark_seq']}, merges up to"
            f" {data['merge_watermark']}, split seed {data['split_seed']}",
            f"- **File:** {code(data['member_uri'])}, BLAKE2b-256 {data['member_hash']}",
        ]
    rows = [{"split": s["split"], "videos": s["videos"], "camera-days": s["camera_days"]} for s in card["splits"]]
    split = (
        f"\n\nVideos of the archive by split; those of one camera and day lie in one.\n\n{table(rows)}" if rows else ""
    )
    return "## Training Details\n\n" + "\n".join(lines) + split


def _evaluation(card: dict[str, Any]) -> str:
    if not card["metrics"]:
        return "## Evaluation\n\nIt has not been measured."
    lines = [
        "| answers | slice | measure | value | 95 % | about | n | camera-days |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in card["metrics"][:_SHOWN]:
        interval = "" if one["ci_low"] is None else f"{_number(one['ci_low'])} to {_number(one['ci_high'])}"
        cells = (
            f"{one['dataset']} to {one['watermark_seq']}", f"{one['slice_kind']} {one['slice_value']}".strip(),
            one["name"], _number(one["value"]), interval, _ABOUT.get(one["about"], one["about"]), str(one["n"]),
            "" if one["blocks"] is None else str(one["blocks"]),
        )  # fmt: skip
        lines.append("| " + " | ".join(code(str(cell)) for cell in cells) + " |")
    if len(card["metrics"]) > _SHOWN:
        lines.append(f"\n... and {len(card['metrics']) - _SHOWN} more, which the JSON holds.")
    return "## Evaluation\n\n" + "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
