"""What changed, in words: one sentence of each alert, in each language of the page.

Belongs here: the sentences. Does not belong here: pages, mail and commands that show them, and the reasons of questions
(`slices`, translated by `web.wording`), which are made of `change` and `day_of`.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

from chimp_assets.monitoring.alerts import Alert

LANGUAGES = ("en", "fr")

MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"),
}  # fmt: skip

LESS_AND_MORE: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "brightness": ("its pictures became darker", "its pictures became brighter"),
        "contrast": ("its pictures lost contrast", "its pictures gained contrast"),
        "sharpness": ("its pictures became blurred", "its pictures became sharper"),
        "colourfulness": ("its pictures lost colour", "its pictures became more colourful"),
        "infrared": ("it filmed less in infrared", "it filmed more in infrared"),
        "background": ("it was moved", "it was moved"),
        "embedding": ("its animals looked different", "its animals looked different"),
        "unknown_rate": ("fewer animals were unknown to the model", "more animals were unknown to the model"),
        "probability": ("the model became less sure", "the model became surer"),
        "entropy": ("the model wavered less", "the model wavered more"),
        "names": ("the model gave other names", "the model gave other names"),
        "detections": ("fewer animals were found", "more animals were found"),
        "track_length": ("tracks became shorter", "tracks became longer"),
    },
    "fr": {
        "brightness": ("ses images sont devenues plus sombres", "ses images sont devenues plus claires"),
        "contrast": ("ses images ont perdu du contraste", "ses images ont gagné du contraste"),
        "sharpness": ("ses images sont devenues floues", "ses images sont devenues plus nettes"),
        "colourfulness": ("ses images ont perdu leurs couleurs", "ses images sont devenues plus colorées"),
        "infrared": ("elle a moins filmé en infrarouge", "elle a davantage filmé en infrarouge"),
        "background": ("elle a été déplacée", "elle a été déplacée"),
        "embedding": ("ses animaux ont pris un autre aspect", "ses animaux ont pris un autre aspect"),
        "unknown_rate": (
            "moins d’animaux étaient inconnus du modèle",
            "davantage d’animaux étaient inconnus du modèle",
        ),
        "probability": ("le modèle est devenu moins sûr", "le modèle est devenu plus sûr"),
        "entropy": ("le modèle a moins hésité", "le modèle a davantage hésité"),
        "names": ("le modèle a donné d’autres noms", "le modèle a donné d’autres noms"),
        "detections": ("moins d’animaux ont été trouvés", "davantage d’animaux ont été trouvés"),
        "track_length": ("les pistes sont devenues plus courtes", "les pistes sont devenues plus longues"),
    },
}
"""Of a signal that fell, and of one that rose."""

FACTS: dict[str, dict[str, str]] = {
    "en": {
        "resolution": "its pictures changed in size",
        "frame_rate": "it filmed more or fewer pictures a second",
        "codec": "its files were coded in another way",
        "container": "its files were of another kind",
        "pixel_aspect": "its pixels were of another shape",
        "rotation": "its pictures were turned in another way",
        "clock_jump": "its clock jumped",
        "clock_factory": "its clock was back at its first day",
        "clock_hour": "its clock was shifted by an hour",
    },
    "fr": {
        "resolution": "la taille de ses images a changé",
        "frame_rate": "son nombre d’images par seconde a changé",
        "codec": "le codage de ses fichiers a changé",
        "container": "le type de ses fichiers a changé",
        "pixel_aspect": "la forme de ses pixels a changé",
        "rotation": "ses images sont tournées autrement",
        "clock_jump": "son horloge a fait un saut",
        "clock_factory": "son horloge est revenue à sa première date",
        "clock_hour": "son horloge a été décalée d’une heure",
    },
}

_OTHERS = {
    "en": {
        "other": "something about it changed",
        "model": "the model became worse there",
        "annotator": "answers disagreed more often",
    },
    "fr": {
        "other": "quelque chose a changé",
        "model": "le modèle y est devenu moins bon",
        "annotator": "les réponses se contredisaient plus souvent",
    },
}

_FORMS = {
    "en": {
        "of_camera": "Camera {camera}: since {since} {change}{values}{end}.",
        "of_all": "All cameras: since {since} {change}{values}{end}.",
        "of_model": "{where}: head {model} names {after} of the audit right since {since}, before {before}{end}.",
        "of_person": "{person}: since {since} {after} of the answers to {signal} are right, before {before}{end}.",
        "camera": "Camera {camera}",
        "all": "All cameras",
        "values": " (before {before}, now {after})",
        "until": ", until {until}",
        "nobody": "Person {number}",
        "repeat": "repeated questions",
        "gold": "questions with a known answer",
    },
    "fr": {
        "of_camera": "Caméra {camera} : depuis le {since}, {change}{values}{end}.",
        "of_all": "Toutes les caméras : depuis le {since}, {change}{values}{end}.",
        "of_model": "{where} : la tête {model} nomme juste {after} de l’audit depuis le {since}, {before} avant{end}.",
        "of_person": "{person} : depuis le {since}, {after} de réponses justes aux {signal}, {before} avant{end}.",
        "camera": "Caméra {camera}",
        "all": "Toutes les caméras",
        "values": " (avant {before}, maintenant {after})",
        "until": ", jusqu’au {until}",
        "nobody": "Personne {number}",
        "repeat": "questions répétées",
        "gold": "questions à réponse connue",
    },
}


def sentence(alert: Alert, lang: str = "en") -> str:
    """One sentence on what changed, where, since when and how much. Other languages than LANGUAGES: English."""
    lang = lang if lang in LANGUAGES else "en"
    form = _FORMS[lang]
    said = {
        "camera": alert.camera,
        "since": day_of(alert.since, lang),
        "end": form["until"].format(until=day_of(alert.until, lang)) if alert.until else "",
    }
    before, after = (_value(alert.detail.get(name), lang) for name in ("before", "after"))
    if alert.kind in ("model", "annotator") and before and after:
        share = {name: _percent(alert.detail[name], lang) for name in ("before", "after")}
        if alert.kind == "model":
            where = form["camera"].format(**said) if alert.camera else form["all"]
            return form["of_model"].format(**said, **share, where=where, model=alert.model_id)
        person = alert.detail.get("person") or form["nobody"].format(number=alert.annotator_id)
        return form["of_person"].format(**said, **share, person=person, signal=form.get(alert.signal, alert.signal))
    values = form["values"].format(before=before, after=after) if before and after else ""
    said |= {"change": change(alert, lang), "values": values}
    return form["of_camera" if alert.camera else "of_all"].format(**said)


def change(alert: Alert, lang: str = "en") -> str:
    """What changed, as the end of "since 3 May 2024 ...": "its pictures became darker"."""
    if alert.kind in ("model", "annotator"):
        return _OTHERS[lang][alert.kind]
    if alert.signal in FACTS[lang]:
        return FACTS[lang][alert.signal]
    less, more = LESS_AND_MORE[lang].get(alert.signal, (_OTHERS[lang]["other"],) * 2)
    return less if alert.size is not None and alert.size < 0 else more


def changes(lang: str = "en") -> list[str]:
    """Everything that `change` may say, in one order for all languages."""
    two = [phrase for signal in LESS_AND_MORE["en"] for phrase in LESS_AND_MORE[lang][signal]]
    return [*dict.fromkeys(two), *(FACTS[lang][signal] for signal in FACTS["en"]), *_OTHERS[lang].values()]


def translated_words(lang: str, text: str) -> str | None:
    """A day or a change as `day_of` and `change` write them in English, in another language; None for other texts."""
    return _dictionary(lang).get(text) or _translated_day(lang, text)


@cache
def _dictionary(lang: str) -> dict[str, str]:
    return dict(zip(changes("en"), changes(lang), strict=True)) if lang in LANGUAGES else {}


def _translated_day(lang: str, text: str) -> str | None:
    match text.split(" "):
        case [day, month, year] if month in MONTHS["en"] and f"{day}{year}".isdecimal() and lang in LANGUAGES:
            number = "1er" if (lang, day) == ("fr", "1") else day
            return f"{number} {MONTHS[lang][MONTHS['en'].index(month)]} {year}"
        case _:
            return None


def day_of(day: date, lang: str = "en") -> str:
    """A day as people write it: 3 May 2024, 3 mai 2024."""
    number = "1er" if lang == "fr" and day.day == 1 else str(day.day)
    return f"{number} {MONTHS[lang][day.month - 1]} {day.year}"


def _value(value: Any, lang: str) -> str:
    """A number with at most three digits, a text as it is; empty for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return text.replace(".", ",") if lang == "fr" else text


def _percent(share: Any, lang: str) -> str:
    return f"{100 * float(share):.0f}" + ("%" if lang == "en" else " %")
