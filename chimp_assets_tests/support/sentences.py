"""Sentences that the product stores for people: every language must be able to say them again."""

from __future__ import annotations

from collections.abc import Iterable

from chimp_assets.web.wording.sentences import translated
from chimp_assets.web.wording.texts import languages


def untranslated(sentences: Iterable[str]) -> set[tuple[str, str]]:
    """(language, sentence) of those that a language cannot say."""
    every = set(sentences)
    return {(lang, sentence) for lang in languages() for sentence in every if translated(lang, sentence).lang != lang}
