"""Sentences of every language: the same keys, the same values to fill in, and the right language for who asks."""

from __future__ import annotations

import string

import pytest
from starlette.requests import Request

from chimp_assets.web import texts


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("lang", texts.languages())
def test_every_language_says_everything_with_the_same_values(lang: str) -> None:
    """A key that is missing shows as a key; a value that is misspelt fails the page."""
    ours, default = texts.catalogue(lang), texts.catalogue(texts.DEFAULT)
    assert ours.keys() == default.keys()
    assert {key for key in ours if fields(ours[key]) != fields(default[key])} == set()
    assert all(sentence.strip() for sentence in ours.values())


def asking(cookie: str = "", accept: str = "") -> Request:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accept.encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("cookie", "accept", "lang"),
    [
        ("", "", "en"), ("", "fr-CH, fr;q=0.9, en;q=0.8", "fr"), ("", "en;q=0.5, fr;q=0.9", "fr"),
        ("", "sw, de;q=0.9", "en"), ("lang=fr", "en", "fr"), ("lang=../../etc", "fr", "fr"), ("", "fr;q=x, en", "en"),
    ],
)  # fmt: skip
def test_people_get_the_language_they_chose_or_their_browser_prefers(cookie: str, accept: str, lang: str) -> None:
    """Half of the field station's people read French."""
    assert texts.language_of(asking(cookie, accept)) == lang


def test_what_a_language_lacks_is_said_in_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new language is usable before it is complete."""
    monkeypatch.setattr(texts, "catalogue", lambda lang: {"a.b": "{n} left"} if lang == "en" else {})
    assert texts.translator("fr")("a.b", n=3) == "3 left"
    assert texts.text("fr", "no.such.key") == "no.such.key"
