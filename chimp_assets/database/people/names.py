"""When two names are one, which signs a name may hold, and which names look like others.

Belongs here: users, codes of individuals and communities, aliases, as texts. Does not belong here: who has a name
(`people`, `individuals`, `lookup`), and other texts (`texts`).

Two names are one if they differ only in case, in the way accents are composed, or in how wide a blank is. A name holds
no sign that nobody sees. A name that looks like another, or mixes alphabets, is taken only where somebody insists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from chimp_assets.database.texts import first_unseen, sign_name

# Letters of other alphabets that look like Latin ones (Unicode Technical Standard 39, confusables.txt): what each
# resembles, in its own case.
_ALIKE = dict(
    zip(
        # Cyrillic
        "АВЕЅІЈКМНОРСТУХԌԚԜҮҺӀаеѕіјорсухԁһԛԝѵӏ"
        # Greek
        "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϲϳοαινρυκτϜ"
        # Armenian, Cherokee, Coptic
        "ՕՍԼՏօոսհցᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᎾᏢᏒᏚᎢᏙᎳᏃⲞⲢⲤⲦⲬⲘⲔⲎ"
        # Latin letters that few fonts tell from others
        "ɑɡɩ",
        "ABESIJKMHOPCTYXGQWYHIaesijopcyxdhqwvlABEZHIKMNOPTYXCcjoaivpuktFOULSonuhgABCDEGHIJKLMOPRSTVWZOPCTXMKHagi",
        strict=True,
    )
)
_ALPHABETS = frozenset(
    ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "HEBREW", "ARABIC", "LISU", "ETHIOPIC")
)
_WORDS = re.compile(r"[^\W_]+")


def clean(text: str) -> str:
    """A name as it is stored: composed (NFC), without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


def code_of(text: str) -> str:
    """A code as it is stored: clean and in capitals."""
    return clean(clean(text).upper())


def key_of(text: str) -> str:
    """Two names are one if and only if their keys are equal: case, composition and kinds of blanks do not count."""
    folded = unicodedata.normalize("NFD", " ".join(text.split())).upper().casefold()
    return unicodedata.normalize("NFC", folded)


def fault_in(text: str) -> str | None:
    """Why a text cannot be a name whatever anybody says, to follow "it"; None if it can."""
    sign = first_unseen(text)
    return None if sign is None else f"holds {sign_name(sign)}, which nobody sees"


def doubt_about(text: str, others: Mapping[str, str]) -> str | None:
    """Why a name may be taken for another one, to follow "it"; None where it cannot.

    others: `looks` of the names that there are.
    """
    for word in _WORDS.findall(unicodedata.normalize("NFC", text)):
        mixed = _mixed(word)
        if mixed is not None:
            return mixed
    look, key = look_of(text), key_of(text)
    other = others.get(look)
    if other is not None and key_of(other) != key:
        odd = next((c for c in clean(text) if _plain_of(c) != c), None) or next(
            (c for c in clean(other) if _plain_of(c) != c), None
        )
        return f"looks like {other}" + (f": {odd} is {sign_name(odd)}" if odd else "")
    return None


def looks(names: Iterable[str]) -> dict[str, str]:
    """How names look, for `doubt_about`."""
    return {look_of(name): name for name in names}


def look_of(text: str) -> str:
    """The same for names that most fonts show alike."""
    return key_of("".join(_plain_of(character) for character in unicodedata.normalize("NFC", text)))


def _mixed(word: str) -> str | None:
    """What is wrong with a word of letters that look like Latin ones, or of two alphabets."""
    for character in word:
        plain = _plain_of(character)
        if plain != character and character not in _ALIKE:
            return f"holds {character}, {sign_name(character)}, which looks like {plain}"
    alphabets = {alphabet: c for c in reversed(word) if (alphabet := _alphabet_of(c)) is not None}
    strange = sorted(alphabets.keys() - {"LATIN"})
    if strange and len(alphabets) > 1:
        odd = alphabets[strange[0]]
        like = f", which looks like {_ALIKE[odd]}" if odd in _ALIKE else ""
        return f"mixes alphabets: {odd} is {sign_name(odd)}{like}"
    letters = [c for c in word if c.isalpha()]
    if strange and all(c in _ALIKE for c in letters):
        odd = letters[0]
        return f"looks like {''.join(_plain_of(c) for c in word)}: {odd} is {sign_name(odd)}"
    return None


def _plain_of(character: str) -> str:
    """What a character looks like: a Latin letter or a digit, or itself."""
    if character in _ALIKE:
        return _ALIKE[character]
    if character > "\x7f" and character.isalnum():
        wide = unicodedata.normalize("NFKC", character)
        if wide.isascii() and wide.isalnum():
            return wide
    return character


def _alphabet_of(character: str) -> str | None:
    if not character.isalpha():
        return None
    words = unicodedata.name(character, "").split()
    return words[0] if words and words[0] in _ALPHABETS else None
