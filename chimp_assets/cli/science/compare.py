"""`chimp compare`: what changed between two periods, as the page /together/change says it.

Belongs here: options, printing. Does not belong here: which days, what changed (`insight.association.periods`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chimp_assets.cli.answers import Json, answer, opened
from chimp_assets.console.output import say

if TYPE_CHECKING:
    import sqlalchemy as sa

    from chimp_assets.insight.association.estimates import EdgeChange
    from chimp_assets.insight.association.periods.answer import Change
    from chimp_assets.insight.association.periods.presets import Period, Periods
    from chimp_assets.insight.association.periods.whole import StrengthChange

app = typer.Typer()

_DAY = ["%Y-%m-%d"]


@app.command()
def compare(
    since: Annotated[
        list[datetime] | None, typer.Option("--from", formats=_DAY, help="First day of a period; say it twice.")
    ] = None,
    until: Annotated[
        list[datetime] | None, typer.Option("--to", formats=_DAY, help="Its last day, inside; say it twice.")
    ] = None,
    around: Annotated[
        str | None,
        typer.Option("--around", help="Instead: an infant and :birth, or an individual and :departure.", metavar="A:B"),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="With --around: so many days before, and as many after.")] = 365,
    wet: Annotated[
        str | None,
        typer.Option(
            "--wet", help="Instead: dry months against these wet ones, as 10,11,12,1; site: those of chimp.toml."
        ),
    ] = None,
    who: Annotated[
        str | None, typer.Option("--who", help="Whose company; default: the mother's, or everybody's.")
    ] = None,
    rule: Annotated[str, typer.Option("--rule", help="Together in one frame, clip, or within minutes.")] = "frame",
    minutes: Annotated[int, typer.Option("--minutes", min=0, max=1440, help="For the rule minutes.")] = 10,
    model: Annotated[bool, typer.Option("--model", help="Names of the model count too.")] = False,
    p: Annotated[
        float | None, typer.Option("--p", min=0, max=1, help="... from this probability; default: that of the pages.")
    ] = None,
    without_dependants: Annotated[
        bool, typer.Option("--without-dependants", help="Leave out who is under five and depends on its mother.")
    ] = False,
    individuals: Annotated[
        bool, typer.Option("--individuals", help="The strength of each individual instead of pairs.")
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the rows to this CSV file.")] = None,
    json: Json = False,
) -> None:
    """Compare who is together in two periods: around a birth or a departure, in two seasons, or on any days."""
    from chimp_assets.database.files.whole_file import write_rows, write_whole
    from chimp_assets.database.labels.promises.threshold import name_threshold
    from chimp_assets.insight.association.network_cache import NetworkCache
    from chimp_assets.insight.association.periods.answer import INDIVIDUAL_COLUMNS, PAIR_COLUMNS, change_of
    from chimp_assets.insight.association.scope import Scope, rule_of

    home = opened()
    with home.database.replica.read() as conn:
        least = (name_threshold(conn).shown if p is None else p) if model else None
        scope = Scope(rule_of(rule), minutes, probability=least, dependants=not without_dependants)
        periods = _periods(conn, since or [], until or [], around, days, wet, home.settings.project.wet_months)
        found = change_of(conn, NetworkCache(), periods, scope, None if who is None else _key(conn, who))
    columns = INDIVIDUAL_COLUMNS if individuals else PAIR_COLUMNS
    rows = list(found.individuals() if individuals else found.pairs())
    if csv is not None:
        write_whole(csv, lambda stream: write_rows(stream, columns, rows))

    def fields() -> dict[str, Any]:
        told = {} if csv else {"rows": [dict(zip(columns, row, strict=True)) for row in rows]}
        return {**_whole(found), "n_rows": len(rows), **told}

    written = f"{len(rows):,} rows written to {csv}." if csv is not None else None
    answer(json, fields, lambda: _show(found, individuals and not csv, csv is None), written)


def _periods(
    conn: sa.Connection, since: list[datetime], until: list[datetime], around: str | None, days: int, wet: str | None,
    wet_months: Sequence[int],
) -> Periods:  # fmt: skip
    from chimp_assets.insight.association.periods import presets

    ways = [bool(since or until), around is not None, wet is not None]
    if sum(ways) != 1:
        raise presets.PeriodError(
            "Which two periods?", "Say --from and --to twice, or --around FIFI:birth, or --wet 10,11,12,1."
        )
    if around is not None:
        word, _, what = around.rpartition(":")
        if what not in ("birth", "departure"):
            raise presets.PeriodError(f"{around[:60]!r} says no event.", "Say FIFI:birth or FIFI:departure.")
        of = presets.around_birth if what == "birth" else presets.around_departure
        return of(conn, _key(conn, word), days)
    if wet is not None:
        return presets.seasons(conn, wet_months if wet == "site" else _months(wet))
    if len(since) != 2 or len(until) != 2:
        raise presets.PeriodError("Two periods have two first and two last days.", "Say --from and --to twice.")
    one, other = (presets.from_to(first.date(), last.date()) for first, last in zip(since, until, strict=True))
    return presets.of_days(one, other)


def _months(words: str) -> list[int]:
    from chimp_assets.insight.association.periods.presets import PeriodError

    parts = [part.strip() for part in words.split(",") if part.strip()]
    wrong = next((part for part in parts if not (part.isascii() and part.isdigit() and len(part) <= 2)), None)
    if wrong is not None:
        raise PeriodError(f"{wrong[:20]!r} is no month.", "Say months as numbers: --wet 10,11,12,1.")
    return [int(part) for part in parts]


def _key(conn: sa.Connection, word: str) -> int:
    from chimp_assets.insight.association.periods.presets import PeriodError
    from chimp_assets.insight.individuals.directory import find_named

    key = find_named(conn, word)
    if key is None:
        raise PeriodError(f"There is no individual {word[:40]!r}.", "See chimp individuals list.")
    return key


def _whole(found: Change) -> dict[str, Any]:
    whole = found.compared.whole

    def effort(of: Any, period: Period) -> dict[str, Any]:
        return {
            "from": period.first, "until_excluded": period.before, "months": list(period.months), "days": of.days,
            "camera_days": of.camera_days, "hours": round(of.hours, 4), "clips": of.clips,
        }  # fmt: skip

    def strength(of: StrengthChange) -> dict[str, Any]:
        return {
            "before": of.before, "after": of.after, "difference": of.difference, "low": of.low, "high": of.high,
            "changed": of.changed, "too_few": of.too_few,
        }  # fmt: skip

    pattern = whole.pattern and {
        "correlation": whole.pattern.observed, "low": whole.pattern.low, "high": whole.pattern.high,
        "p": whole.pattern.p, "individuals": whole.pattern.n,
    }  # fmt: skip
    return {
        "before": effort(found.compared.effort_before, found.periods.before),
        "after": effort(found.compared.effort_after, found.periods.after),
        "who": found.who_label, "mean_strength": strength(whole.mean), "pattern": pattern,
        "dependants_left_out": found.compared.dependants,
    }  # fmt: skip


def _show(found: Change, individuals: bool, pairs: bool) -> None:
    before, after = _sides(found)
    for name, period, effort in (
        (before, found.periods.before, found.compared.effort_before),
        (after, found.periods.after, found.compared.effort_after),
    ):
        months = f", months {', '.join(map(str, period.months))}" if period.months else ""
        say(
            f"{name.capitalize()}: {period.first} to before {period.before}{months}; {effort.days} days, "
            f"{effort.camera_days} camera-days, {effort.hours:.1f} hours, {effort.clips} clips."
        )
    if found.compared.dependants is not None:
        say(f"{found.compared.dependants} tracks of individuals under five with their mother are left out.")
    whole = found.compared.whole
    mean = whole.mean
    said = "too few days" if mean.too_few else "changed" if mean.changed else "no change found"
    say(
        f"Mean strength {mean.before:.2f} to {mean.after:.2f}: {mean.difference:+.2f} ({mean.low:+.2f} to "
        f"{mean.high:+.2f}), {said}."
    )
    if whole.pattern is not None:
        say(
            f"Pattern: correlation {whole.pattern.observed:+.2f} over {whole.pattern.n} individuals; with names "
            f"exchanged {whole.pattern.low:+.2f} to {whole.pattern.high:+.2f}, p = {whole.pattern.p:.4f}."
        )
    if individuals:
        _show_individuals(found)
    elif pairs:
        _show_pairs(found)


def _show_pairs(found: Change) -> None:
    from chimp_assets.console.tables import print_table

    def label(key: int) -> str:
        return found.nodes[key].label

    rows = []
    for one in found.compared.changes:
        if found.who is not None and found.who not in (one.a, one.b):
            continue
        others = [label(key) for key in (one.a, one.b) if key != found.who]
        if found.infant in (one.a, one.b):
            said = "new"
        else:
            said = _said(one.too_few, one.changed, one.difference, f"none found; half in {one.power:.0%}")
        rows.append([
            " + ".join(others), f"{one.before:.2f}", f"{one.x_before} / {one.n_before}", f"{one.after:.2f}",
            f"{one.x_after} / {one.n_after}", *_limits(one), said,
        ])  # fmt: skip
    title = f"The company of {found.who_label}" if found.who_label else "Everybody"
    before, after = _sides(found)
    print_table(["with", before, "x / n", after, "x / n", "difference", "95 %", "said"], rows, title)
    say("half in N %: a tie that became half as strong would have been found in N % of cases.")


def _show_individuals(found: Change) -> None:
    from chimp_assets.console.tables import print_table

    rows = [
        [
            found.nodes[one.key or 0].label, f"{one.before:.2f}", str(one.days_before), f"{one.after:.2f}",
            str(one.days_after), *_limits(one), _said(one.too_few, one.changed, one.difference, "none found"),
            "" if one.p is None else f"{one.p:.3f}",
        ]
        for one in found.compared.whole.individuals
    ]  # fmt: skip
    before, after = _sides(found)
    columns = ["individual", before, "days", after, "days", "difference", "95 %", "said", "p"]
    print_table(columns, rows, "Strength of individuals seen in both periods")
    say("p: share of all whose change is as far from the mean; of one that was chosen beforehand.")


def _sides(found: Change) -> tuple[str, str]:
    return ("dry", "wet") if found.periods.what == "season" else ("before", "after")


def _limits(one: EdgeChange | StrengthChange) -> tuple[str, str]:
    return f"{one.difference:+.2f}", "" if one.too_few else f"{one.low:+.2f} to {one.high:+.2f}"


def _said(too_few: bool, changed: bool, difference: float, none: str) -> str:
    if too_few:
        return "too few days"
    return ("more" if difference > 0 else "less") if changed else none
