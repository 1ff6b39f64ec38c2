"""Stored English sentences in the language of the reader.

Reasons (why a track is asked, why a model was refused) are stored once, in English, with their values. The catalogue of
every language has these sentences under `sentences`; the English entry is the pattern that recognises them.

Belongs here: recognising and translating a sentence. Does not belong here: the sentences (`texts/`), and the code that
stores them (`acquisition`, `loop.evidence`, `vision.evaluation`).

A value whose name begins with `said` is a sentence itself and must be known. Other values stay as they are, except
numbers and days, which follow the language, words in the catalogue, and changes (`monitoring.words`).
"""

from __future__ import annotations

import re
import string
from functools import cache
from typing import NamedTuple

from chimp_assets.monitoring.words import translated_words
from chimp_assets.web.wording.texts import DEFAULT, catalogue

PREFIX = "sentences."
NESTED = "said"
DEEPEST = 4
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")


class Translation(NamedTuple):
    """A sentence, and its language."""

    text: str
    lang: str


def translated(lang: str, sentence: str) -> Translation:
    """The sentence in a language; without a translation, the sentence itself, in the default language."""
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
            said[field] = known or translated_words(lang, value) or _number(lang, value)
        else:
            return catalogue(lang)[key].format_map(said) if key in catalogue(lang) else None
    return None


@cache
def _patterns() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Key, the n + 1 pieces of text around n values, names of the values; the longest come first."""
    found = []
    for key, sentence in catalogue(DEFAULT).items():
        if key.startswith(PREFIX):
            parts = list(string.Formatter().parse(sentence))
            fields = tuple(name for _, name, _, _ in parts if name is not None)
            literals = [literal for literal, _, _, _ in parts]
            found.append((key, tuple(literals if len(literals) > len(fields) else [*literals, ""]), fields))
    return sorted(found, key=lambda one: (-sum(map(len, one[1])), one[0]))


def _values(sentence: str, literals: tuple[str, ...]) -> list[str] | None:
    """The values between the pieces. Each piece is searched once, behind the one before, so time stays linear."""
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
    """A number such as 1,150.5 in the style of the language; other texts stay."""
    if not _NUMBER.fullmatch(value):
        return value
    words = catalogue(lang)
    whole, _, part = value.partition(".")
    thousands, decimal = words["number.thousands"], words["number.decimal"]
    return whole.replace(",", thousands.replace("_", "\N{NO-BREAK SPACE}")) + (decimal + part if part else "")
