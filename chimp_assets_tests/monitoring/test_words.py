"""One sentence of each alert, which a person understands, in each language of the page."""

from dataclasses import replace
from datetime import UTC, date, datetime
from string import Formatter

import pytest

from chimp_assets.monitoring import words
from chimp_assets.monitoring.alerts import Alert
from chimp_assets.monitoring.slices import reason
from chimp_assets.monitoring.words import LANGUAGES, changes, sentence
from chimp_assets.web.wording.sentences import translated
from chimp_assets_tests.support.sentences import untranslated

FOG = Alert(
    alert_id=1, alert_key="k", kind="data", signal="brightness", camera="C1", model_id=None, annotator_id=None,
    since=date(2024, 5, 1), noticed=date(2024, 5, 9), until=None, size=-3.2, evidence=900.0,
    detail={"before": 91.2345, "after": 60.5}, state="open", opened_at=datetime(2024, 5, 10, tzinfo=UTC),
    decided_at=None, decided_by=None, why=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("alert", "lang", "said"),
    [
        (FOG, "en", "Camera C1: since 1 May 2024 its pictures became darker (before 91.2, now 60.5)."),
        (FOG, "fr",
         "Caméra C1 : depuis le 1er mai 2024, ses images sont devenues plus sombres (avant 91,2, maintenant 60,5)."),
        (replace(FOG, size=2.0, camera="", detail={}, until=date(2024, 6, 2)), "en",
         "All cameras: since 1 May 2024 its pictures became brighter, until 2 June 2024."),
        (replace(FOG, kind="fact", signal="resolution", size=None, detail={"before": "1920x1080", "after": "640x360"}),
         "en", "Camera C1: since 1 May 2024 its pictures changed in size (before 1920x1080, now 640x360)."),
        (replace(FOG, kind="model", signal="accuracy", model_id=7, detail={"before": 0.91, "after": 0.7}), "en",
         "Camera C1: head 7 names 70% of the audit right since 1 May 2024, before 91%."),
        (replace(FOG, kind="annotator", signal="gold", camera="", annotator_id=3,
                 detail={"before": 0.95, "after": 0.8, "person": "rita"}), "en",
         "rita: since 1 May 2024 80% of the answers to questions with a known answer are right, before 95%."),
        (replace(FOG, signal="what_a_plugin_measures"), "de",
         "Camera C1: since 1 May 2024 something about it changed (before 91.2, now 60.5)."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_where_since_when_and_how_much(alert: Alert, lang: str, said: str) -> None:
    assert sentence(alert, lang) == said


def test_every_language_says_everything() -> None:
    def fields(lang: str) -> dict[str, set[str | None]]:
        return {name: {one[1] for one in Formatter().parse(text)} for name, text in words._FORMS[lang].items()}

    for lang in LANGUAGES:
        assert len(changes(lang)) == len(changes("en"))
        assert set(words.LESS_AND_MORE[lang]) == set(words.LESS_AND_MORE["en"])
        assert set(words.FACTS[lang]) == set(words.FACTS["en"])
        assert fields(lang) == fields("en")


def test_a_reason_is_read_in_the_language_of_the_page() -> None:
    """The reason is stored in English; its day and its change are words as well."""
    assert reason(FOG) == "Filmed by camera C1 since 1 May 2024, when its pictures became darker"
    asked = f"{reason(FOG)}: 3 of 1,200 such tracks, drawn at random."
    assert translated("fr", asked).text == (
        "Filmé par la caméra C1 depuis le 1er mai 2024, quand ses images sont devenues plus sombres : 3 de ces"
        " 1\N{NO-BREAK SPACE}200 pistes, tirées au hasard."
    )
    others = [
        reason(replace(FOG, camera=camera, until=until, signal=signal, size=size))
        for camera in ("C1", "")
        for until in (None, date(2024, 7, 14))
        for signal in (*words.LESS_AND_MORE["en"], *words.FACTS["en"], "other")
        for size in (-1.0, 1.0)
    ]
    assert untranslated([f"{one}: 3 of 5 such tracks, drawn at random." for one in others]) == set()
    assert not any(english in translated("fr", one).text for one in others for english in (" May ", "July", "its "))
