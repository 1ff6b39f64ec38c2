"""Easy passwords: common words, runs of keys, repetitions, names of the owner and the product.

Belongs here: whether a password is easy to guess. Does not belong here: its length and its hash (`accounts`).

A password is refused if it consists only of listed pieces: at most two words of `COMMON` or of the owner's name, with
any runs (`1234`, `qwerty`), repetitions, years, digits and punctuation. A sentence of four words passes. NIST SP
800-63B-4 asks for such a list, and advises against rules about kinds of characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

MOST_WORDS = 2
"""A password of more common words than this counts as a sentence."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Rows of keyboards (QWERTY, AZERTY, QWERTZ, Dvorak), columns of them, alphabets and digits; each is read both ways.
_ROWS = (
    "1234567890", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
    "qwertzuiop", "yxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujm",
    "q1w2e3r4t5y6u7i8o9p0", "1a2b3c4d5e6f7g8h9i", "a1b2c3d4e5f6g7h8i9", "147258369", "159357", "!@#$%^&*()",
    "aoeuidhtns", "pyfgcrl", "qjkxbmwvz", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя", _LETTERS,
)  # fmt: skip
_SHORTEST_RUN = 3
# Read as the letters that they stand for.
_MEANT = str.maketrans("@4301!$57+", "aaeoiisstt")
_FEW = 3
"""A password with at most this many different characters counts as a repetition."""

# The heads of published lists of leaked passwords, without those that are runs or shorter than three letters, words of
# this product, and what people put before a year.
COMMON = """
abc abcd about access account action active admin administrator adobe adobe123 africa agent alex alexander alexis alice
alpha always amanda america amor amour andrea andrew angel angela animal animals anna anthony apache apple april
archive archives arsenal arthur ashley asset assets asshole august austin autumn azerty babe baby babygirl backup
bailey banana bandit barcelona baseball basketball batman beach bear beautiful beer benjamin bienvenue bigdog biteme
blahblah blessed blink blue bonjour boss boston bowling boy brandon brandy brown buddy buster butterfly camera camille
captain carlos caroline casper cat celtic change changeit changeme charles charlie cheese chelsea cheval chicken chimp
chimpanzee chimpanzees chimpassets chimps chocolate chouette chris christ christian classic claude coffee college
company computer connect contrasena cookie cool cooper corvette cowboy cowboys crystal daddy dakota dallas dance daniel
database david december default demo dennis diamond dolphin donald doudou dragon dream eagle eagles edward einstein
elephant elizabeth email emily england enter eric estrella ever expert falcon family father february ferrari ficken
field fire fish flower football forest forever france frank fred freddy freedom friday friend friends fuck fucker
fuckme fuckoff fuckyou galaxy gandalf garfield gateway geheim gemini george gfhjkm giants ginger girl god goddess gold
golden golfer gombe good goodall google gorilla great green guest guitar gunner hallo hallo123 hammer hannah happy
hardcore harley harry heather heaven hello helpme hockey holiday home hope horse hottie house hunter iceman iloveu
iloveyou internet jack jackson jacob jaguar jake jamaica jambo james january jasmine jason jennifer jeremy jessica
jesus jetaime john johnny jonathan jordan joseph joshua july june junior justin karibu karma katie keeper kennedy
kennwort kevin kigoma killer king kitten kitty knight label labels ladybug lakers laptop lauren legend lemotdepasse
letmein liberty life linux little liverpool login lol london looking lord louise loulou love lovely loveme lover
loveyou lucky maggie magic mambo manager march marie marina marine marseille martin master matrix matthew maverick
maxwell melissa mercedes mercury merlin metallica michael michelle mickey midnight miller mindy monday money monkey
monkeys monster morgan motdepasse mother mountain mudar muffin music mustang myspace naruto nathan nature ncc1701
nenosiri network new newyork nicholas nicolas nicole ninja nirvana nothing november october office oliver orange pass
passe passer passion passw0rd passwd password passwort patrick peace peaches peanut pepper peter phoenix picture pirate
player please pokemon police porsche portal power precious prince princesa princess private public pumpkin purple pussy
queen rabbit rachel rainbow ranger rangers raven reader red redsox research richard robert rock rocket root rose runner
russia sabrina sam samantha samsung saturday schatz scooter secret secretariat secure security selena senha september
server service shadow shalom shannon share shelby silver simba siri sister site skywalker slayer smile smokey snoopy
snow soccer sokwe soleil sommer sophie spider spiderman spring squirt staff star startrek starwars station steelers
steve steven stream streams student studio summer sun sunday sunflower sunshine super superman superstar supervisor
support swordfish system tanzania taylor teacher team teamo temp temporary tennis tequiero test teste tester testing
thomas thunder thursday tiffany tiger tigers tigger time timothy tinker today tomorrow toulouse toyota training travel
trinity truelove trustme trustno tuesday turtle tweety twitter unknown user username vacances vanessa vendredi victor
victoria victory video videos viewer viking village vincent virginia visitor volunteer wanker warrior water web
webmaster wednesday welcome whatever white wildlife william willkommen willow windows winner winter wizard wolf
wolverine women wonder wordpass world xbox yamaha yankees yellow yesterday you zaq zxcvbn
""".split()  # noqa: SIM905  a list of words reads as words


def is_easy_to_guess(password: str, name: str = "") -> bool:
    """Whether a password consists only of pieces that guessers try first. name: of its owner."""
    text = _plain(password)
    compact = _compact(password)
    if len(set(text)) <= _FEW or _is_repetition(text) or len(compact) <= _FEW:
        return True
    own = {part for part in (_compact(name), *map(_compact, name.split())) if len(part) >= 3}
    words = _words() | own
    return _falls_apart(compact, words) or _falls_apart("".join(text.split()), words)


def _plain(text: str) -> str:
    """Capitals, accents and wide letters as plain ones."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def _compact(text: str) -> str:
    return re.sub(r"[\W_]+", "", _plain(text))


@cache
def _words() -> frozenset[str]:
    return frozenset(COMMON)


@cache
def _runs() -> frozenset[str]:
    """All runs of three neighbours, forwards and backwards."""
    rows = [way for row in map(_plain, _ROWS) for way in (row, row[::-1])]
    return frozenset(row[i : i + _SHORTEST_RUN] for row in rows for i in range(len(row) - _SHORTEST_RUN + 1))


def _is_repetition(text: str) -> bool:
    """Whether it repeats one piece, possibly cut off at the end."""
    return any(text == (text[:n] * (len(text) // n + 1))[: len(text)] for n in range(1, len(text) // 2 + 1))


def _falls_apart(text: str, words: frozenset[str]) -> bool:
    """Whether a text consists of at most MOST_WORDS words and other pieces that are easy to guess."""
    meant = text.translate(_MEANT)
    longest = max(map(len, words), default=0)
    # Fewest words to each place of the text; None: unreachable.
    fewest: list[int | None] = [0, *[None] * len(text)]
    for at in range(len(text)):
        count = fewest[at]
        if count is None:
            continue
        steps = [(at + n, 0) for n in _filler(text, at)]
        ends = range(at + 3, min(at + longest, len(text)) + 1)
        steps += [(end, 1) for end in ends if text[at:end] in words or meant[at:end] in words]
        for to, more in steps:
            there = fewest[to]
            if there is None or count + more < there:
                fewest[to] = count + more
    last = fewest[-1]
    return last is not None and last <= MOST_WORDS


def _filler(text: str, at: int) -> list[int]:
    """Lengths of easy pieces at a place: a digit, a mark, a run of neighbours, a repeated character."""
    found = [1] if text[at].isdecimal() or not text[at].isalnum() else []
    end = at + _SHORTEST_RUN
    while end <= len(text) and text[end - _SHORTEST_RUN : end] in _runs():
        found.append(end - at)
        end += 1
    same = len(text) - at - len(text[at:].lstrip(text[at]))
    found += range(3, same + 1)
    return found
