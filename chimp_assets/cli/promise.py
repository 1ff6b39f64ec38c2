"""`chimp promise`: how much of the archive shall be named, and how many of the names may be wrong.

Belongs here: arguments, the table of looks. Does not belong here: testing it (`loop.minutes.promises`).
"""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from chimp_assets.cli.answers import By, Json, answer, opened

if TYPE_CHECKING:
    from chimp_assets.acquisition.minutes.goal import ToGo
    from chimp_assets.database.labels.promises.looks import PromiseLook

app = typer.Typer(help="Promise how many names are right, see whether it is kept, or withdraw it.")


@app.callback(invoke_without_command=True)
def promise(
    context: typer.Context,
    error: Annotated[
        str | None, typer.Option("--error", help="Largest share of the named frames with a wrong name, as 5%.")
    ] = None,
    named: Annotated[
        str | None, typer.Option("--named", help="Least share of all frames that carry a name; default: 90%.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option("--confidence", help="How sure the promise shall be; default: 95%.")
    ] = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Promise something about the names, or show where the promise stands."""
    if context.invoked_subcommand is not None:
        return
    from chimp_assets.database.labels.promises.goals import PromiseError, set_goal

    home = opened()
    if error is not None:
        usual = home.settings.promise
        set_goal(
            home.database,
            share_of("--error", error),
            usual.named if named is None else share_of("--named", named),
            usual.confidence if confidence is None else share_of("--confidence", confidence),
            by,
        )
    elif named is not None or confidence is not None:
        raise PromiseError(
            "A promise says how many names may be wrong, which is not given.", "Add --error, such as --error 5%."
        )
    _show(json)


@app.command()
def withdraw(json: Json = False) -> None:
    """Withdraw the promise: nothing is tested any more, unless chimp.toml says so. Its looks stay in the database."""
    from chimp_assets.database.labels.promises.goals import withdraw_goal

    n = withdraw_goal(opened().database)
    answer(json, {"withdrawn": n}, "The promise is withdrawn." if n else "Nothing was promised.")


def share_of(option: str, text: str) -> float:
    """A share of words like 5%, 2.5 % or 0.05. Raises PromiseError for others; a whole number without % is none."""
    from chimp_assets.database.labels.promises.goals import PromiseError

    number, percent = text.strip().replace(",", "."), False
    if number.endswith("%"):
        number, percent = number[:-1].strip(), True
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise PromiseError(f"{option} is no share: {text!r}.", "Write it as 5% or 0.05.")
    return value


def _show(json: bool) -> None:
    from chimp_assets.database.labels.promises.looks import looks_of
    from chimp_assets.loop.minutes.promises import promise_status

    home = opened()
    with home.database.read() as conn:
        status, looks = promise_status(conn, home.settings), looks_of(conn)

    def fields() -> dict[str, object]:
        return {
            "error": status.goal.error,
            "named": status.goal.named,
            "confidence": status.confidence,
            "promised": status.is_promised,
            "state": status.state,
            "sentence": status.sentence,
            "seconds_alone": _finite(status.alone),
            "seconds_with_volunteers": _finite(status.with_volunteers),
            "looks": [asdict(look) for look in looks],
        }

    answer(json, fields, status.sentence, partial(_show_looks, looks) if looks else None)


def _finite(left: ToGo | None) -> float | None:
    return None if left is None or math.isinf(left.seconds) else round(left.seconds, 1)


def _show_looks(looks: list[PromiseLook]) -> None:
    from chimp_assets.console.tables import print_table

    print_table(
        ("names of", "look", "p", "named", "answered", "wrong", "at most", "state", ""),
        [
            (
                f"{look.frozen_at:%Y-%m-%d}",
                str(look.look_no),
                f"{look.threshold:.3f}",
                f"{100 * look.named_share:.0f} %",
                str(look.n_answered),
                str(look.n_wrong),
                "" if look.error_bound is None else f"{100 * look.error_bound:.1f} %",
                look.state,
                look.end_reason or "",
            )
            for look in looks
        ],
    )
