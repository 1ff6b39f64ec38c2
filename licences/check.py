"""What each package of a lock says of its licence, and whether we allow it.

Belongs here: rules. Does not belong here: the licences and exceptions themselves (`allowed.toml`), printing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

TABLE = Path(__file__).with_name("allowed.toml")
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


@dataclass(frozen=True)
class Stated:
    """What a package says of itself. expression: SPDX; classifiers: their last parts; text: first line of License."""

    version: str
    expression: str = ""
    classifiers: tuple[str, ...] = ()
    text: str = ""

    @property
    def words(self) -> str:
        """The first of these that says anything."""
        return self.expression or "; ".join(self.classifiers) or self.text or "nothing"


@dataclass(frozen=True)
class Finding:
    """One package: its licence as we understand it, why that is allowed where it is an exception, or why it is not."""

    name: str
    version: str
    licence: str
    reason: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Allowed:
    """The table. licences: SPDX identifiers; names: what packages write instead; packages: exceptions by name."""

    licences: frozenset[str]
    names: Mapping[str, str]
    packages: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, file: Path = TABLE) -> Allowed:
        """The table of a file."""
        said = tomllib.loads(file.read_text(encoding="utf-8"))
        return cls(frozenset(said["licences"]), said["names"], said["packages"])


def names_of(lock: str, environment: dict[str, str] | None = None) -> list[str]:
    """Packages that a lock installs here (environment: of markers, in the place of this machine's), in its order."""
    found = []
    for line in lock.splitlines():
        if not line or line[0] in " #":
            continue
        try:
            wanted = Requirement(line.rstrip("\\ "))
        except InvalidRequirement:
            continue  # an option of the installer
        if wanted.marker is None or wanted.marker.evaluate(environment):
            found.append(canonicalize_name(wanted.name))
    return list(dict.fromkeys(found))


def stated(name: str) -> Stated | None:
    """What an installed package says; None where it is not installed."""
    try:
        said: Any = metadata(name)
    except PackageNotFoundError:
        return None
    classifiers = [line.split("::")[-1].strip() for line in said.get_all("Classifier") or [] if "License ::" in line]
    text = (said.get("License") or "").strip().splitlines()
    return Stated(version(name), (said.get("License-Expression") or "").strip(), tuple(classifiers), *text[:1])


def check(
    names: Iterable[str], allowed: Allowed, of: Callable[[str], Stated | None] = stated
) -> tuple[list[Finding], list[str]]:
    """A finding for each package, and faults of the table itself: exceptions that no package needs."""
    wanted = sorted(names)
    found = [_finding(name, of(name), allowed) for name in wanted]
    # Exceptions of packages of other platforms are not judged here.
    stale = [
        f"{finding.name} is an exception in {TABLE.name}, and what it states now is allowed anyway: take it out."
        for finding in found
        if finding.name in allowed.packages and not finding.fault and _plain(of(finding.name), allowed)
    ]
    return found, stale


def _finding(name: str, said: Stated | None, allowed: Allowed) -> Finding:
    if said is None:
        return Finding(name, "", "", fault="is in the lock and not installed: say `make licences`, which installs it.")
    exception = allowed.packages.get(name)
    if exception is not None:
        if exception["stated"] != said.words:
            fault = f"states {said.words!r}, and the exception is for {exception['stated']!r}: look at it anew."
            return Finding(name, said.version, said.words, fault=fault)
        return Finding(name, said.version, exception["licence"], exception["reason"])
    licence = _plain(said, allowed)
    if licence is not None:
        return Finding(name, said.version, licence)
    fault = f"states {said.words!r}, which is not allowed: do without it, or add it to {TABLE.name} with a reason."
    return Finding(name, said.version, said.words, fault=fault)


def _plain(said: Stated | None, allowed: Allowed) -> str | None:
    """The licence that a package states, if it is allowed without an exception."""
    if said is None:
        return None
    if said.expression:
        return said.expression if is_allowed(said.expression, allowed) else None
    for words in (said.classifiers, (said.text,) if said.text else ()):
        known = [allowed.names.get(word) for word in words]
        if known:
            # Of several classifiers nobody says whether one may be chosen: all have to be allowed.
            fine = all(one is not None and is_allowed(one, allowed) for one in known)
            return " AND ".join(dict.fromkeys(str(one) for one in known)) if fine else None
    return None


def is_allowed(expression: str, allowed: Allowed) -> bool:
    """Whether an SPDX expression can be met: all parts of AND, one of OR; AND binds more tightly. Nonsense is not."""
    tokens = _TOKEN.findall(expression)
    try:
        met, rest = _either(tokens, allowed)
    except IndexError:
        return False
    return met and not rest


def _either(tokens: list[str], allowed: Allowed) -> tuple[bool, list[str]]:
    met, rest = _both(tokens, allowed)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:], allowed)
        met = met or other
    return met, rest


def _both(tokens: list[str], allowed: Allowed) -> tuple[bool, list[str]]:
    met, rest = _one(tokens, allowed)
    while rest and rest[0].upper() == "AND":
        other, rest = _one(rest[1:], allowed)
        met = met and other
    return met, rest


def _one(tokens: list[str], allowed: Allowed) -> tuple[bool, list[str]]:
    if tokens[0] == "(":
        met, rest = _either(tokens[1:], allowed)
        return met and rest[0] == ")", rest[1:]
    name, rest = tokens[0], tokens[1:]
    if rest and rest[0].upper() == "WITH":
        name, rest = f"{name} WITH {rest[1]}", rest[2:]
    return name in allowed.licences, rest
