"""What cannot be a password because everybody would try it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.database.people.users import PeopleError
from chimp_assets.home import Home
from chimp_assets.web.auth import accounts
from chimp_assets.web.auth.passwords import COMMON, is_easy_to_guess
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

EASY = [
    "1234567890", "          ", "aaaaaaaaaa", "abababababab", "Password123", "P@ssw0rd2024", "qwertyuiop",
    "QWERTY123456", "abcdefghij", "0987654321", "1q2w3e4r5t", "1qaz2wsx3edc", "iloveyou1234", "adminadmin",
    "admin12345", "welcome2026!", "letmein12345", "chimpassets", "Chimp Assets", "chimp-assets-2026", "12 34 56 78 90",
    "passwordpassword", "motdepasse1", "azertyuiop", "monkey monkey", "!!!!!!!!!!!", "123123123123",
    "１２３４５６７８９０",
    "password\N{NO-BREAK SPACE}1", "trustno1trustno1", "changeme123", "Administrator", "9876543210", "volunteer123",
    "qazwsxedcrfv", "asdfghjkl;", "йцукенгшщз", "2026-11-29-2026", "\N{IDEOGRAPHIC SPACE}" * 12, "🐵" * 12,
]  # fmt: skip
FINE = [
    PASSWORD, "a password of her own", "a grove of twelve old figs", "correct horse battery staple", "k3j-2hd8-sk2l",
    "xkqpwmzrtv", "not this one either", "ein langes Kennwort", "la grève des figuiers", "new password please",
    "東京の猿は木から落ちる朝",
]  # fmt: skip


@pytest.mark.parametrize("password", EASY)
def test_a_password_that_everybody_would_try_is_refused(password: str) -> None:
    """Ten characters of `1234567890` are guessed before the brake takes hold."""
    with pytest.raises(PeopleError, match="easy to guess"):
        accounts.check_password(password, "anna")


def test_such_a_password_can_neither_be_given_nor_chosen(home: Home, browser: Callable[..., Browser]) -> None:
    """Both ways in refuse it."""
    with pytest.raises(PeopleError, match="easy to guess"):
        accounts.set_password(home.database, "anna", "1234567890")
    answer = browser("anna").post("/api/password", json={"old": PASSWORD, "new": " " * 10})
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    assert "easy to guess" in answer.json()["error"]


@pytest.mark.parametrize("password", FINE)
def test_a_password_of_ones_own_is_taken(password: str) -> None:
    """A rule that refuses sentences drives people to write passwords down."""
    accounts.check_password(password, "anna")


def test_the_name_of_its_owner_is_no_password() -> None:
    """The first that is tried for Jane Goodall is janegoodall."""
    for password in ("janegoodall", "Jane.Goodall.1960", "goodall goodall", "llaJaneGoodall".removeprefix("lla")):
        assert is_easy_to_guess(password, "Jane Goodall"), password
    assert not is_easy_to_guess("janegoodbye of the hill", "Jane Goodall")


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(COMMON), st.integers(0, 99_999), st.sampled_from(["", "!", " ", "-", "***"]), st.booleans())
def test_a_common_word_with_a_number_is_refused_however_it_is_written(word: str, n: int, mark: str, big: bool) -> None:
    """People put a year behind a word, and so do guessers."""
    assert is_easy_to_guess(f"{word.upper() if big else word}{mark}{n}{mark}")


@settings(max_examples=60, deadline=None, database=None)
@given(st.text(max_size=300))
def test_any_text_is_judged(text: str) -> None:
    """A password may be anything that a person pastes."""
    assert is_easy_to_guess(text) in (True, False)


def test_one_password_typed_in_two_ways_is_one(home: Home, browser: Callable[..., Browser]) -> None:
    """A Mac writes é as two characters, a PC as one: the same person must get in from both."""
    for written, typed in (("NFC", "NFD"), ("NFD", "NFC")):
        password = "le café du crépuscule ﬁn"
        accounts.set_password(home.database, "anna", unicodedata.normalize(written, password))
        browser().sign_in("anna", unicodedata.normalize(typed, password))


def test_a_hash_of_a_password_as_it_was_typed_still_opens_and_is_renewed(
    home: Home, browser: Callable[..., Browser]
) -> None:
    """Versions before did not normalise: whoever had such a password must not be locked out by an update."""
    import sqlalchemy as sa

    from chimp_assets.database import schema as t

    typed = unicodedata.normalize("NFD", "le café du crépuscule")
    with home.database.write() as conn:
        mine = t.app_user.c.name == "anna"
        conn.execute(sa.update(t.app_user).where(mine).values(password_hash=accounts._hasher.hash(typed)))
    browser().sign_in("anna", typed)
    browser().sign_in("anna", unicodedata.normalize("NFC", typed))
