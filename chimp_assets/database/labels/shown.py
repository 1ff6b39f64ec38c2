"""What a page showed with a question: the JSON `annotation.shown`, and the columns that hold what is searched in it.

Belongs here: writing, marking and reading it; nobody else parses it, and nobody searches it by LIKE. Does not belong
here: what a page puts in (`web.static`) and what follows from it (`insight.labelling`).

It is an object, kept as the page sent it. These keys have a meaning: `mode`, how it was asked (`single`, `blind`,
`grid`, `search`, `gallery`, `review`, `gold` ...); `input`, how it was answered (`key`, `touch` ...); `candidates`, the
suggestions as [anim_id, probability]; `flag`, true where somebody asks a reviewer to look; `conflict`, the
annotation_id of a newer event that the author of an edit had not seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chimp_assets.database.texts import fault_of

GOLD, REVIEW, GALLERY, GRID, SEARCH = "gold", "review", "gallery", "grid", "search"
"""Modes that something here depends on."""
TOGETHER = (GRID, SEARCH)
"""Modes in which many tracks are named at once: such a name is a share of a page, no answer to one question."""
LENGTH = 4000
MODE_LENGTH = 20
_ID_LENGTH = 36


@dataclass(frozen=True)
class Shown:
    """One `shown`, read. facts: the whole object; empty where nothing, or nothing readable, was sent."""

    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str | None) -> Shown:
        """Reads what is stored; never raises."""
        try:
            facts = json.loads(text or "{}")
        except (ValueError, RecursionError):
            return cls()
        return cls(facts) if isinstance(facts, dict) else cls()

    @property
    def mode(self) -> str | None:
        """How it was asked."""
        return self._text("mode", MODE_LENGTH)

    @property
    def input(self) -> str | None:
        """How it was answered."""
        return self._text("input", LENGTH)

    @property
    def is_flagged(self) -> bool:
        """Whether its author asks a reviewer to look."""
        return self.facts.get("flag") is True

    @property
    def conflict(self) -> str | None:
        """The annotation_id of the newer event that its author had not seen."""
        return self._text("conflict", _ID_LENGTH)

    @property
    def candidates(self) -> list[tuple[str, float]] | None:
        """The suggestions with their probabilities, without what is neither; None where no list was sent."""
        sent = self.facts.get("candidates")
        if not isinstance(sent, list):
            return None
        pairs = [pair for pair in sent if isinstance(pair, list) and len(pair) == 2]
        return [(str(code), float(share)) for code, share in pairs if _is_probability(share)]

    def _text(self, key: str, length: int) -> str | None:
        value = self.facts.get(key)
        return value if isinstance(value, str) and value and fault_of(value, length) is None else None


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1  # false for NaN, which no answer in JSON may hold


def written(facts: Mapping[str, Any] | None) -> str | None:
    """The JSON to store: without blanks, in the order of the facts; None for None."""
    return None if facts is None else json.dumps(facts, separators=(",", ":"), ensure_ascii=False)


def fault_in_shown(text: str) -> str | None:
    """Why a text cannot be stored as `shown`, to follow "'shown'"; None if it can."""
    try:
        json.loads(text)
    except ValueError:
        return "is not JSON"
    except RecursionError:
        return "is nested too deeply"
    return fault_of(text, LENGTH)


def with_conflict(text: str | None, head: str) -> str | None:
    """The text with `conflict` set; unchanged where it holds no object or would become too long.

    A mark must not keep an answer from being stored.
    """
    try:
        facts = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text  # it is refused for that
    if not isinstance(facts, dict):
        return text
    marked = written({**facts, "conflict": head})
    return text if marked is None or fault_of(marked, LENGTH) else marked


def searched(text: str | None) -> dict[str, Any]:
    """What is searched, by the columns that hold it: shown_mode, shown_flag (True or None), shown_conflict."""
    shown = Shown.of(text)
    return {"shown_mode": shown.mode, "shown_flag": shown.is_flagged or None, "shown_conflict": shown.conflict}
