"""What `chimp individuals` prints. Does not belong here: reading them (`database.individuals`)."""

from __future__ import annotations

from typing import Any

from chimp_assets.console.output import say
from chimp_assets.console.tables import print_table
from chimp_assets.console.words import counted


def show_individuals(individuals: list[dict[str, Any]]) -> None:
    """All individuals, a line each."""
    rows = []
    for row in individuals:
        remark = f"is {row['same_as']}" if row["same_as"] else "provisional" if row["provisional"] else ""
        cells = (row["anim_id"], row["name"], row["sex"], row["birth_date"], remark)
        rows.append([str(cell or "") for cell in cells])
    if rows:
        print_table(("AnimID", "name", "sex", "born", ""), rows)
    say(f"{counted(len(individuals), 'individual', 'individuals')}.")


def show_individual(individual: dict[str, Any]) -> None:
    """One individual, a line for each fact: biography, aliases, memberships, changes."""
    for name, value in individual.items():
        if value is not None and not isinstance(value, list):
            say(f"{name}: {value}")
    if individual["merged_into_it"]:
        say(f"also seen as: {', '.join(individual['merged_into_it'])}")
    for row in individual["aliases"]:
        say(f"alias: {row['alias']}{_period(row['valid_from'], row['valid_to'])}")
    for row in individual["memberships"]:
        say(f"member of {row['community']}:{_period(row['start_date'], row['end_date'])}")
    for row in individual["log"]:
        why = f" ({row['rationale']})" if row["rationale"] else ""
        by = f" {row['made_by']}:" if row["made_by"] else ""
        say(f"{row['made_at'][:16]}{by} {row['description']}{why}")


def _period(start: object, end: object) -> str:
    return f" {start or '...'} to {end or '...'}" if start or end else ""
