"""Texts of the pages: a folder for each language in `texts/`, a TOML file for each room of pages.

Belongs here: loading, choosing a language, filling in values. Does not belong here: sentences. A new language is one
folder (`texts/sw/`); a test lists the keys that it lacks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request

FOLDER = Path(__file__).with_name("texts")
DEFAULT = "en"
COOKIE = "lang"
_ONE_ANIMAL = "{one_animal}"


@cache
def languages() -> tuple[str, ...]:
    """Codes of the available languages, the default first."""
    found = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@cache
def catalogue(lang: str) -> dict[str, str]:
    """All texts of a language by key; keys of nested tables are joined by dots."""
    pairs: list[tuple[str, str]] = []
    for file in sorted((FOLDER / lang).rglob("*.toml")):
        pairs += _flat(tomllib.loads(file.read_text(encoding="utf-8")), "")
    return dict(pairs)


def spoken(lang: str, words: Mapping[str, str]) -> dict[str, str]:
    """All texts of a language, missing ones in the default language, with the deployment's word for the animals.

    words: language to a noun with its article, from the setting `words`; otherwise a neutral word.
    """
    said = catalogue(DEFAULT) | catalogue(lang)
    # A text in the default language gets the word of that language.
    return {key: _named(sentence, lang if key in catalogue(lang) else DEFAULT, words) for key, sentence in said.items()}


def _named(sentence: str, lang: str, words: Mapping[str, str]) -> str:
    if _ONE_ANIMAL not in sentence:
        return sentence
    return sentence.replace(_ONE_ANIMAL, words.get(lang) or catalogue(lang).get("words.one_animal") or "–")


def _flat(table: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, str(value)))
    return pairs


def text(lang: str, key: str, words: Mapping[str, str] | None = None, **values: Any) -> str:
    """A text with its {values} filled in; a missing one in the default language; an unknown key stays a key.

    words: as in `spoken`.
    """
    there = key in catalogue(lang)
    sentence = catalogue(lang if there else DEFAULT).get(key) or key
    sentence = _named(sentence, lang if there else DEFAULT, words or {})
    return sentence.format_map({name: str(value) for name, value in values.items()}) if values else sentence


def translator(lang: str, words: Mapping[str, str] | None = None) -> Callable[..., str]:
    """The function t("key", n=3) for one language. words: as in `spoken`."""
    return lambda key, **values: text(lang, key, words, **values)


def language_of(request: Request) -> str:
    """The language that the person chose, else the available one that the browser prefers most."""
    chosen = request.cookies.get(COOKIE)
    if chosen in languages():
        return str(chosen)
    wanted = []
    for place, part in enumerate(request.headers.get("accept-language", "").split(",")[:20]):
        code, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), place, code.split("-")[0].lower()))
        except ValueError:
            continue
    return next((code for _, _, code in sorted(wanted) if code in languages()), DEFAULT)
