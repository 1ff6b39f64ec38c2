"""Sentences that were stored in English, in the language of who reads them.

Why a track is asked and why a model was refused is written down once, with its values inside, for everybody. The
catalogue of every language holds these sentences under `sentences`; the English one says how to recognise them.

Belongs here: recognising a sentence and saying it again. Does not belong here: the sentences themselves (`texts/`), who
writes them (`acquisition.plan`, `database.pairs`, `vision.gate`, `vision.registry`).

A value whose name begins with `said` is a sentence of its own and must be known; other values stay as they are, but for
numbers, which are written as the language does, and words that the catalogue holds.
"""

from __future__ import annotations

import re
import string
from functools import cache
from typing import NamedTuple

from chimp_assets.web.wording.texts import DEFAULT, catalogue

PREFIX = "sentences."
NESTED = "said"
DEEPEST = 4
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")


class Translation(NamedTuple):
    """A sentence, and the language that it is in after all."""

    text: str
    lang: str


def translated(lang: str, sentence: str) -> Translation:
    """The sentence in a language, or as it is, in the default one, where nobody has translated it."""
    if lang == DEFAULT:
        return Translation(sentence, DEFAULT)
    again = _again(lang, sentence, DEEPEST)
    return Translation(sentence, DEFAULT) if again is None else Translation(again, lang)


def _again(lang: str, sentence: str, depth: int) -> str | None:
    if depth == 0:
        return None
    for key, literals, fields in _patterns():
        values = _values(sentence, literals)
        if values is None:
            continue
        said: dict[str, str] = {}
        for field, value in zip(fields, values, strict=True):
            known = _again(lang, value, depth - 1)
            if known is None and field.startswith(NESTED):
                break
            said[field] = _number(lang, value) if known is None else known
        else:
            return catalogue(lang)[key].format_map(said) if key in catalogue(lang) else None
    return None


@cache
def _patterns() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Key, the n + 1 pieces of text between n values, names of the values; those that say most come first."""
    found = []
    for key, sentence in catalogue(DEFAULT).items():
        if key.startswith(PREFIX):
            parts = list(string.Formatter().parse(sentence))
            fields = tuple(name for _, name, _, _ in parts if name is not None)
            literals = [literal for literal, _, _, _ in parts]
            found.append((key, tuple(literals if len(literals) > len(fields) else [*literals, ""]), fields))
    return sorted(found, key=lambda one: (-sum(map(len, one[1])), one[0]))


def _values(sentence: str, literals: tuple[str, ...]) -> list[str] | None:
    """What stands between the pieces; each piece is sought once, behind the one before, so that time stays linear."""
    first, *rest = literals
    if not sentence.startswith(first):
        return None
    if not rest:
        return [] if sentence == first else None
    values, at = [], len(first)
    for piece in rest[:-1]:
        end = sentence.find(piece, at + 1)
        if end < 0:
            return None
        values.append(sentence[at:end])
        at = end + len(piece)
    end = len(sentence) - len(rest[-1])
    if end <= at or not sentence.endswith(rest[-1]):
        return None
    return [*values, sentence[at:end]]


def _number(lang: str, value: str) -> str:
    """1,150.5 as the language writes it; what is no number stays."""
    if not _NUMBER.fullmatch(value):
        return value
    words = catalogue(lang)
    whole, _, part = value.partition(".")
    thousands, decimal = words["number.thousands"], words["number.decimal"]
    return whole.replace(",", thousands.replace("_", "\N{NO-BREAK SPACE}")) + (decimal + part if part else "")
