"""The words and numbers of a report in each language.

Belongs here: loading texts, filling values in, writing numbers. Does not belong here: sentences (`texts`), those of
alerts (`monitoring.words`).
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from chimp_assets.database.labels.promises.looks import MERGED, NEW_HEAD, NEW_TRACKS, STALE, WITHDRAWN
from chimp_assets.errors import ChimpError

FOLDER = Path(__file__).with_name("texts")
DEFAULT = "en"
_DASH = "–"
_THIN = "\N{NARROW NO-BREAK SPACE}"


class ReportError(ChimpError):
    """A report cannot be made or found as asked."""


@cache
def languages() -> tuple[str, ...]:
    """Codes of the available languages, the default first."""
    found = sorted(file.stem for file in FOLDER.glob("*.toml"))
    return (DEFAULT, *(code for code in found if code != DEFAULT))


def known_language(lang: str) -> str:
    """The language as it is. Raises ReportError for one that there is not."""
    if lang not in languages():
        raise ReportError(f"There is no report in the language {lang!r}.", f"Choose one of {', '.join(languages())}.")
    return lang


@cache
def catalogue(lang: str) -> dict[str, str]:
    """All texts of a language by key, `section.name`."""
    table = tomllib.loads((FOLDER / f"{lang}.toml").read_text(encoding="utf-8"))
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": str(text) for name, text in value.items()}
        else:
            flat[key] = str(value)
    return flat


class Words:
    """Texts and numbers in one language."""

    def __init__(self, lang: str) -> None:
        self.lang = known_language(lang)
        self._texts = catalogue(DEFAULT) | catalogue(lang)

    def __call__(self, key: str, **values: object) -> str:
        """A text with its {values} filled in. Raises KeyError for a key that no language has."""
        return self._texts[key].format_map({name: str(value) for name, value in values.items()})

    def number(self, value: float | None, digits: int = 0) -> str:
        """1,234.5 or 1 234,5; a dash where it is not known."""
        if value is None:
            return _DASH
        text = f"{value:,.{digits}f}"
        return text.replace(",", _THIN).replace(".", ",") if self.lang == "fr" else text

    def signed(self, value: float | None, digits: int = 0) -> str:
        """A difference with its sign; ± 0 as 0."""
        if value is None:
            return _DASH
        sign = "+" if round(value, digits) > 0 else "\N{MINUS SIGN}" if round(value, digits) < 0 else ""
        return sign + self.number(abs(value), digits)

    def share(self, value: float | None, digits: int = 0) -> str:
        """A share in percent."""
        return _DASH if value is None else f"{self.number(100 * value, digits)}{_THIN}%"

    def group(self, kind: str, value: str) -> str:
        """A group of animals, cameras or times by its kind: `age class adult`, in the words of the language."""
        first, _, second = value.partition(" ")
        parts = {
            "sex": [f"sex_{value}"],
            "age_class": [f"age_{value}"],
            "light": [f"light_{value}"],
            "sex_age": [f"sex_{first}", f"age_{second}"],
        }.get(kind)
        if kind == "camera_light":
            camera, _, light = value.rpartition(" ")
            said = f"{camera}, {self._texts.get(f'groups.light_{light}', light)}"
        elif parts is None:
            said = value
        else:
            said = ", ".join(self._texts.get(f"groups.{part}", part.partition("_")[2]) for part in parts)
        return f"{self('kinds.' + kind)} {said}"

    def ended(self, reason: str | None) -> str:
        """Why a promise ended, as `promise_look.end_reason` says it; what is not known as it is."""
        if not reason:
            return self("not_known")
        if reason.startswith(STALE):
            return self("ended.stale")
        key = {NEW_HEAD: "head", MERGED: "merged", NEW_TRACKS: "tracks", WITHDRAWN: "withdrawn"}.get(reason)
        return reason if key is None else self(f"ended.{key}")

    def limits(self, low: float | None, high: float | None) -> str:
        """A 95 % interval of shares in words; nothing where it is not known."""
        if low is None or high is None:
            return ""
        return self("interval", low=self.share(low), high=self.share(high))
