"""The values of one row about an individual, checked and in the form in which they are stored.

Belongs here: codes, texts, dates, words of closed vocabularies, and names that look like others. Does not belong here:
what rows say together (`rules`), and storing them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from chimp_assets.database.csv_cells import date_of, truth_of
from chimp_assets.database.csv_sheets import InvalidValue
from chimp_assets.database.individuals.batch import SourceRow, Terms
from chimp_assets.database.individuals.fields import DATES, FIELDS, IDENTIFIERS, LENGTHS, PARENTS, VOCABULARIES
from chimp_assets.database.individuals.register import Register
from chimp_assets.database.individuals.rules import UNKNOWN_ANIM_ID
from chimp_assets.database.people.names import clean, code_of, doubt_about, fault_in, key_of, look_of
from chimp_assets.database.texts import fault_of


def biography_values(told: SourceRow) -> dict[str, Any]:
    unknown = sorted(set(told.values) - set(FIELDS))
    if unknown:
        raise InvalidValue(unknown[0], f"there is no such field; there are {', '.join(FIELDS)}")
    values = dict(told.values) | texts_of(
        told.values, "anim_id", *(name for name in ("name", "birth_community") if name in told.values)
    )
    values["anim_id"] = checked_code(values["anim_id"], "anim_id")
    for name in PARENTS:
        if name in values:
            values[name] = checked_code(values[name], name) if values[name] else None
            if values[name] == UNKNOWN_ANIM_ID:
                values[name] = None
    for name in DATES:
        if name in values:
            values[name] = _date(name, values[name])
    for name, words in VOCABULARIES.items():
        if name in values:
            values[name] = str(values[name]).strip().upper() if values[name] not in (None, "") else None
            if name == "first_born" and values[name] not in words:
                truth = truth_of(values[name] or "")
                values[name] = values[name] if truth is None else "Y" if truth else "N"
            if values[name] is not None and values[name] not in words:
                raise InvalidValue(name, f"{values[name]!r} is none of {', '.join(words)}")
    if "sex" in values:
        values["sex"] = values["sex"] or "U"
    if "depart_date_error" in values:
        values["depart_date_error"] = _years("depart_date_error", values["depart_date_error"])
    values.setdefault("provisional", False)
    return values


def membership_values(told: SourceRow, known: Register) -> dict[str, Any]:
    values = texts_of(told.values, "anim_id", "community", "source") | {
        name: _date(name, told.values.get(name)) for name in ("start_date", "end_date")
    }
    values["anim_id"] = _known_code(values["anim_id"], known)
    if values["start_date"] is None:
        raise InvalidValue("start_date", "there is none")
    return values


def alias_values(told: SourceRow, known: Register) -> dict[str, Any]:
    values = texts_of(told.values, "anim_id", "alias") | {
        name: _date(name, told.values.get(name)) for name in ("valid_from", "valid_to")
    }
    code, alias = _known_code(values["anim_id"], known), values["alias"]
    if (taken_code := known.codes.get(key_of(alias))) is not None:
        raise InvalidValue("alias", f"{taken_code} is the anim_id of an individual, so it cannot be an alias")
    if key_of(alias) == key_of(UNKNOWN_ANIM_ID):
        raise InvalidValue("alias", f"{UNKNOWN_ANIM_ID} stands for nobody, so it cannot be an alias")
    taken = known.aliases.get(key_of(alias))
    if taken and taken["anim_id"] != code:
        raise InvalidValue("alias", f"{alias} is already an alias of {taken['anim_id']}")
    if values["valid_from"] and values["valid_to"] and values["valid_to"] < values["valid_from"]:
        raise InvalidValue("valid_to", f"it lies before valid_from {values['valid_from']}")
    return values | {"anim_id": code}


def looks_like_no_other(column: str, text: str, known: Register, terms: Terms) -> dict[str, Any]:
    """Raises InvalidValue for a new name that may be taken for another, unless somebody insists."""
    group = column.endswith("community")
    if known.community_of(text) is not None if group else key_of(text) in known.aliases:
        return {column: text}
    others, look = (known.community_looks, text) if group else (known.looks, text.upper())
    doubt = None if terms.force else doubt_about(look, others)
    if doubt:
        raise InvalidValue(column, f"{text} {doubt}; if it is meant so, say --force")
    others[look_of(look)] = look
    return {column: text}


def _known_code(text: str, known: Register) -> str:
    code = known.code_of(text)
    if code is None:
        why = "stands for nobody" if code_of(text) == UNKNOWN_ANIM_ID else "is no individual"
        raise InvalidValue("anim_id", f"{text!r} {why}")
    return code


def texts_of(values: Mapping[str, Any], first: str, *others: str) -> dict[str, Any]:
    """The named texts without blanks around them, None where empty; the first must be there (two, of aliases)."""
    found: dict[str, Any] = {}
    for name in (first, *others):
        text = str(values.get(name) or "").strip()
        if name in IDENTIFIERS:
            text = clean(text)
        if fault := fault_of(text, LENGTHS[name]) or (None if name == "source" else fault_in(text)):
            raise InvalidValue(name, f"it {fault}")
        found[name] = text or None
        if not text and (name == first or name in ("alias", "community")):
            raise InvalidValue(name, f"it must have 1 to {LENGTHS[name]} characters")
    return found


def checked_code(text: Any, name: str) -> str:
    code = code_of(str(text))  # capitals may be longer
    if fault := fault_of(code, LENGTHS["anim_id"]) or fault_in(code):
        raise InvalidValue(name, f"it {fault}")
    return code


def _date(name: str, value: Any) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date_of(str(value).strip())
    except ValueError as error:
        raise InvalidValue(name, str(error)) from None


def _years(name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        years = float(value)
    except ValueError:
        years = -1.0
    if not 0 <= years < 200:
        raise InvalidValue(name, f"{value!r} is not a number of years")
    return years
