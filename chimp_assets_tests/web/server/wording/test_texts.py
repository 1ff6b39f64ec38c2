"""Sentences of every language: the same keys, the same values to fill in, and the right language for who asks."""

from __future__ import annotations

import json
import re
import string

import pytest
from starlette.requests import Request

from chimp_assets import settings
from chimp_assets.database.labels.promises.looks import MERGED, NEW_HEAD, NEW_TRACKS, STALE, WITHDRAWN
from chimp_assets.monitoring.cards.card_text import limits_of
from chimp_assets.web import browser
from chimp_assets.web.wording import texts
from chimp_assets.web.wording.sentences import translated


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


SAID = {
    "The model wavers between Fifi (FF) (41%) and Flo (FLO) (38%).": "Fifi (FF) (41 %) et Flo (FLO) (38 %)",
    "1,250 frames for some 3 seconds: the model says Fifi (FF) (63%).": "1\N{NO-BREAK SPACE}250 images pour quelque 3",
    "1 frame for some 4 seconds: the model says Fifi (FF) (97%). That name counts already; you are asked because so"
    " many frames would be wrong with it.": "le modèle dit Fifi (FF) (97 %). Ce nom compte déjà",
    "The most typical of 1,250 tracks that look alike, none of them asked before.": "1\N{NO-BREAK SPACE}250 pistes",
    "Harms a protected slice: sex F loses 12.5% of 40 audit tracks (5% may be lost); 80.0% against 81.5% of champion 3"
    " on the same 200 audit tracks.": "sexe F perd 12,5 % de 40",
    "Two tracks are both named Fifi (FF), and somebody said that they are different animals: one of 2 answers is"
    " wrong; of these two somebody said “same”.": "« même »",
    "Her torn ear is visible (the gate says: Not worse: 90.0% against 89.0% of champion 3 on the same 9 audit tracks.;"
    " ada)": "Her torn ear is visible (le contrôle dit : Pas moins bon : 90,0 %",
    "No reason given (back from version 4; by the command line)": "Sans raison donnée (retour depuis la version 4",
    # What ended a promise or an alert, and the limits on the card of a model, are stored in English as well.
    **{reason: "" for reason in (NEW_HEAD, MERGED, NEW_TRACKS, WITHDRAWN, f"{STALE} 30 days")},
    "Head 5 has learned from 12 answers about it; it names 3 of 5 audit tracks of it rightly, elsewhere 5 of 5.": "12",
    "Head 5 has learned from 12 answers about it; too few audit answers there to compare.": "trop peu",
    "None of its 12 tracks is left to ask; 3 lie on days kept for testing.": "gardés pour les tests",
    "19 of the newest 20 answers are right, as before.": "19 des 20",
}


@pytest.mark.parametrize("sentence", SAID)
def test_a_stored_sentence_is_said_in_the_language_of_who_reads_it(sentence: str) -> None:
    """Reasons are stored once, in English; half of those who read them read French."""
    text, lang = translated("fr", sentence)
    assert lang == "fr"
    assert SAID[sentence] in text
    assert translated("en", sentence) == (sentence, "en")


@pytest.mark.parametrize(
    "sentence", ["", "?", "Looks like a storm (tracks; all)", "Nobody wrote this.", "a (b; c)", "(; )" * 500]
)
def test_what_no_catalogue_knows_stays_and_says_so(sentence: str) -> None:
    """A screen reader must not read English as French."""
    assert translated("fr", sentence) == (sentence, "en")


def test_what_a_language_lacks_is_said_in_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new language is usable before it is complete."""
    monkeypatch.setattr(texts, "catalogue", lambda lang: {"a.b": "{n} left"} if lang == "en" else {})
    assert texts.translator("fr")("a.b", n=3) == "3 left"
    assert texts.text("fr", "no.such.key") == "no.such.key"


@pytest.mark.parametrize(
    ("words", "lang", "said"),
    [
        ({}, "en", "Not an animal"),
        ({}, "fr", "Pas un animal"),
        ({"en": "a chimpanzee", "fr": "un chimpanzé"}, "en", "Not a chimpanzee"),
        ({"en": "a chimpanzee", "fr": "un chimpanzé"}, "fr", "Pas un chimpanzé"),
        ({"en": "an elephant"}, "fr", "Pas un animal"),
    ],
)
def test_what_is_filmed_is_called_as_the_deployment_says(words: dict[str, str], lang: str, said: str) -> None:
    """A page about elephants said "Not a chimp". Where nobody says what is filmed it is an animal."""
    boot = json.loads(browser.boot_json("v", lang, words=words))
    assert boot["texts"]["label.answer.not_animal"] == boot["texts"]["label.action.not_animal"] == said
    assert texts.translator(lang, words)("label.answer.not_animal") == said
    assert texts.text(lang, "label.answer.not_animal", words, n=1) == said


def test_no_sentence_names_a_species() -> None:
    """A species belongs into the settings of a deployment; the name of the product and its command stay."""
    species = re.compile(r"\b(chimps?|chimpanz\w+|apes?|singes?|cows?|vaches?)\b", re.IGNORECASE)
    for lang in texts.languages():
        for key, sentence in texts.catalogue(lang).items():
            ours = re.sub(r"Chimp Assets|`chimp [^`]*`", "", sentence)
            assert not species.search(ours), (lang, key, sentence)


def test_the_settings_know_the_languages_of_the_page() -> None:
    assert sorted(texts.languages()) == sorted(settings.LANGUAGES)


def test_every_limit_on_the_card_of_a_model_is_said_in_every_language() -> None:
    """The card of a model stood in English on a French page."""
    card = {
        "task": "head", "data": {"individuals": 7, "days": 3, "cameras": 2, "unreadable": "There is no such file."},
        "metrics": [{"name": "top1", "slice_kind": "all", "slice_value": "", "about": None, "ci_low": 0.5, "n": 3}],
        "fairness": {"groups": {"too_few": 4}}, "drift": {"open": 2}, "licences": [{"licence": "not stated"}],
    }  # fmt: skip
    said = {*limits_of(card, 20)}
    said |= {*limits_of({**card, "metrics": [], "drift": {"open": 1}}, 20)}
    assert len(said) >= 11
    for lang in texts.languages():
        assert [one for one in said if translated(lang, one).lang != lang] == []
