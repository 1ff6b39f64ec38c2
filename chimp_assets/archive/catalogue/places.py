"""Whose camera a path names: which folders are places, and which are cards, dates, copies or of the system.

Belongs here: rules about folder names, as pure functions. Does not belong here: spellings of one name and what an
operator maps (`database.footage.cameras`), when something was filmed, reading folders (`folders`).

Camera cards bring folders of their own (DCIM/100EK113 by the DCF standard, PRIVATE/AVCHD/BDMV/STREAM, SD_VIDEO/PRG001),
people add dates, cards and copies. None of these is a camera: taken for one, it would mix two cameras that both hold a
100EK113, and split one camera whose card has started a 101EK113.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import PurePosixPath

from chimp_assets.database.texts import cut_to

PLACE_LENGTH = 100

# Folders that operating systems, file servers and sync programs keep for themselves.
_SYSTEM = {
    "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", "lost.dir", "@eadir",
    "#recycle", "@recycle", "#snapshot", "__macosx", "found.000", "network trash folder", "temporary items",
    "$windows.~bt", "android", "thumbs", "desktop.ini", "thumbs.db", "ehthumbs.db", "ds_store", "icon\r",
}  # fmt: skip
# `$RXXXXXX.MP4` and `$IXXXXXX.MP4`: what Windows' recycle bin calls a deleted file, and its note about it.
_RECYCLED = re.compile(r"\$[RI][A-Z0-9]{6}(\.\w+)?", re.IGNORECASE)

# DCF: a number from 100 to 999 and five letters, at least one of which is no digit: eight digits are a serial number.
_DCF = re.compile(r"[1-9]\d\d(?=\w*[A-Z_])[A-Z0-9_]{5}", re.IGNORECASE)
_CARD = {
    "dcim", "private", "m4root", "clip", "avchd", "bdmv", "stream", "mp_root", "sd_video", "xdroot", "bpav", "clpr",
    "mssony", "canonmsc", "eosmisc", "misc", "thmbnl", "avf_info", "video_ts", "sonycard", "hdavctn", "avchdtn",
    "no name", "no_name", "untitled", "eos_digital", "usb disk", "usb drive", "removable disk", "sdcard",
}  # fmt: skip
_CARD_NAME = re.compile(
    r"prg[0-9a-f]{3}|clips?\d{3}|\d{3}mvc|"
    r"((micro|mini)?[-_ ]?(sd|cf|sdhc|sdxc|memory|speicher)[-_ ]*)?(card|cards|karte|karten|carte|tarjeta)[-_ ]*"
    r"(sd|cf|memory|memoire)?[-_ ]*(no\.?|nr\.?|#)?[-_ ]*([a-z]|\d{1,4})?|"
    r"(micro|mini)?[-_ ]?(sd|cf|sdhc|sdxc)[-_ ]*(no\.?|nr\.?|#)?[-_ ]*([a-z]|\d{1,3})?",
    re.IGNORECASE,
)

# Words for what lies in a folder; they name a place only where nothing else does.
_GENERIC = {
    "video", "videos", "movie", "movies", "film", "films", "clips", "footage", "media", "raw", "original", "originals",
    "photo", "photos", "pictures", "images", "mp4", "avi", "mov", "data", "files", "new folder", "neuer ordner",
    "nouveau dossier", "untitled folder", "backup", "backups", "copy", "copies", "kopie", "kopien", "copie", "sub",
    "archive", "camera data", "stills",
}  # fmt: skip
_MONTH = (
    r"(?:jan(?:uary|vier|uar)?|feb(?:ruary|ruar)?|f[ée]v(?:rier)?|mar(?:ch|s)?|m[aä]rz|apr(?:il)?|avr(?:il)?|may|mai|"
    r"jun[ei]?|juin|jul[yi]?|juil(?:let)?|aug(?:ust)?|ao[uû]t|sept?(?:ember|embre)?|o[ck]t(?:ober|obre)?|"
    r"nov(?:ember|embre)?|de[cz](?:ember)?|d[ée]c(?:embre)?|ene(?:ro)?|abr(?:il)?|ago(?:sto)?|dic(?:iembre)?)\.?"
)
_SEP = r"[-_. ]"
_TIME = r"(?:[T_ -]+\d{1,2}[-_:.h]?\d\d(?:[-_:.m]?\d\d)?s?)?"
_NUMERIC = re.compile(rf"(?P<a>\d{{1,4}})(?P<sep>{_SEP})(?P<b>\d{{1,2}})(?P=sep)(?P<c>\d{{1,4}}){_TIME}")
_COMPACT = re.compile(rf"(?P<d>\d{{8}}|\d{{14}}|\d{{6}}){_TIME}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_YEAR_MONTH = re.compile(rf"(?:(?:19|20)\d\d{_SEP}?(?:0?[1-9]|1[0-2])|(?:0?[1-9]|1[0-2]){_SEP}(?:19|20)\d\d)")
_NAMED = re.compile(
    rf"(?:\d{{1,4}}{_SEP}*)?{_MONTH}{_SEP}*\d{{0,2}}(?:{_SEP}*(?:19|20)?\d\d)?|(?:week|kw|semaine|cw){_SEP}*\d{{1,2}}",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:collected|collection|check|checked|until|to|from|retrieved|download|downloaded|date|day)[-_ ]+(?P<before>.+)"
    r"|(?P<after>.+?)[-_ ]+(?:collected|collection|check|checked|retrieved|download|downloaded)",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(.+?)(?:[-_ ]+(?:to|bis|until|au|a)[-_ ]+|\s+[-–]\s+|–|__)(.+)", re.IGNORECASE)

_COPY_WORD = r"(?:copy|kopie|copie|copia|cópia|kopia|kopi|kópia)"
_COPY_AFTER = re.compile(
    rf"(?:\s*[-–—_]\s*|\s+|\(\s*){_COPY_WORD}(?:\s*\(?\d{{1,3}}\)?)?\s*\)?"
    r"|[-_ .]+(?:backup|back-up|bak|bkp|sicherung|sauvegarde|respaldo)(?:[-_ ]?\d{1,3})?",
    re.IGNORECASE,
)
_COPY_BEFORE = re.compile(
    rf"(?:{_COPY_WORD}\s*(?:\(\d{{1,3}}\)\s*)?(?:of|von|de|di|af|av|van)|(?:backup|sicherung|sauvegarde)\s+(?:of|von|de))"
    r"\s+(?:d'|l')?",
    re.IGNORECASE,
)
# `Cam07 (2)` is a second Cam07; `Camera (2)` is the second camera.
_NUMBERED = re.compile(r"(?P<name>.*\d\w?)\s*\(\d{1,3}\)", re.DOTALL)
# What is surely called a camera, whatever lies below it (Cam07/night/...).
_CAMERA = re.compile(
    r"(?:cam|camera|cámara|camara|caméra|kamera|ct|trap|cameratrap|fototrap|piege|piège)[-_ ]*[a-z]?[-_ ]?\d+[a-z]?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CameraPlace:
    """Where a path says that its videos were filmed.

    trunk: the folders that name the place, from the outermost to the camera, copies folded. unsure: why the camera is
    a guess, in words; None where it is not.
    """

    site: str | None
    camera: str | None
    trunk: tuple[str, ...] = ()
    unsure: str | None = None


def place_of(key: str) -> tuple[str | None, str | None]:
    """(site, camera): the first and the last folder of the path that name a place, each cut at 100 letters.

    Cards (DCIM/100EK113), dates, and folders of the system name none; a copy (`Cam07 - Copy`) names what it is a copy
    of. A path with one such folder has it as both; a path without any has neither.
    """
    found = place_named(key)
    return found.site, found.camera


def place_named(key: str) -> CameraPlace:
    """As `place_of`, with the folders that led there and whether it is a guess."""
    return _named_by(key.rpartition("/")[0])


@lru_cache(maxsize=8192)
def _named_by(folder: str) -> CameraPlace:
    parts = list(PurePosixPath(folder).parts) if folder else []
    names: list[str] = []
    weak: list[str] = []
    in_date = False
    for part in parts:
        name = original_name(part)
        if in_date and re.fullmatch(r"\d{1,2}", name):  # 2024/05/17
            continue
        in_date = is_date(name)
        if in_date or is_system(part) or is_card(name):
            continue
        (weak if name.casefold() in _GENERIC or is_vague_date(name) else names).append(name)
    unsure = None
    if not names and weak:
        names, unsure = weak[-1:], "only a folder with a general name, or a number like a date, is there"
    if not names:
        return CameraPlace(None, None)
    last = next((i for i in reversed(range(len(names))) if _CAMERA.fullmatch(names[i])), len(names) - 1)
    trunk = tuple(names[: last + 1])
    return CameraPlace(cut_to(trunk[0], PLACE_LENGTH), cut_to(trunk[-1], PLACE_LENGTH), trunk, unsure)


def original_name(part: str) -> str:
    """The name of a folder or file stem without the marks of a copy: `Cam07 - Copy (2)` is Cam07."""
    name = tidy(part)
    while True:
        before = name
        found = _COPY_BEFORE.match(name)
        if found is not None and name[found.end() :].strip():
            name = name[found.end() :].strip()
        for pattern in (_COPY_AFTER, _NUMBERED):
            shorter = _without_end(name, pattern)
            if shorter:
                name = shorter
        if name == before:
            return name


def _without_end(name: str, pattern: re.Pattern[str]) -> str:
    if "name" in pattern.groupindex:
        found = pattern.fullmatch(name)
        return found["name"].strip() if found else ""
    # The earliest mark that reaches to the end.
    for found in pattern.finditer(name):
        if found.end() == len(name):
            return name[: found.start()].strip()
    return ""


def copy_marks(key: str) -> int:
    """How many parts of a path carry the mark of a copy: of two files with the same bytes, fewer is the original."""
    path = PurePosixPath(key)
    parts = [*path.parts[:-1], path.stem]
    return sum(original_name(part) != tidy(part) or part.casefold().strip() in _BACKUPS for part in parts)


_BACKUPS = {"backup", "backups", "copy", "copies", "kopie", "kopien", "copie", "sicherung", "sauvegarde"}


def tidy(name: str) -> str:
    """A name in NFC, without invisible letters, with single spaces and none at its ends."""
    visible = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
    return " ".join(visible.split()) or name


@lru_cache(maxsize=4096)
def is_system(part: str) -> bool:
    """Whether a folder or file is hidden, or kept by an operating system, a file server or a recycle bin."""
    name = part.casefold().strip()
    return part.startswith(".") or name in _SYSTEM or _RECYCLED.fullmatch(part) is not None


def system_part(key: str) -> str | None:
    """The path down to its first folder or file of the system; None if it has none."""
    parts = key.split("/")
    for number, part in enumerate(parts, start=1):
        if is_system(part):
            return "/".join(parts[:number])
    return None


def is_card(name: str) -> bool:
    """Whether a folder is one that cameras make on their cards, or says which card it is."""
    return (
        name.casefold() in _CARD or _DCF.fullmatch(name) is not None or _CARD_NAME.fullmatch(name.strip()) is not None
    )


def is_date(name: str) -> bool:
    """Whether a folder says a day, a month, a year or a span of them, in any usual order."""
    name = name.strip()
    if _is_day(name) or _YEAR.fullmatch(name) or _YEAR_MONTH.fullmatch(name):
        return True
    if (labelled := _LABEL.fullmatch(name)) is not None:
        said = labelled["before"] or labelled["after"]
        if _is_day(said) or _YEAR_MONTH.fullmatch(said):
            return True
    return any(
        is_date(found[1]) and is_date(found[2]) for found in [_RANGE.fullmatch(name)] if found is not None
    ) or _is_span(name)


def _is_span(name: str) -> bool:
    """Two days with nothing but a sign between them: 2024-01-15-2024-02-01, 20240115_20240201."""
    for size in (10, 8):
        if len(name) == 2 * size + 1 and name[size] in "-_ " and _is_day(name[:size]) and _is_day(name[size + 1 :]):
            return True
    return False


def is_vague_date(name: str) -> bool:
    """Whether a folder may say a date, and may as well be a name: May, 230506."""
    name = name.strip()
    if _NAMED.fullmatch(name):
        return True
    return bool(re.fullmatch(r"\d{6}", name)) and _some_order(name[:2], name[2:4], name[4:])


def _is_day(name: str) -> bool:
    if (found := _NUMERIC.fullmatch(name)) is not None:
        return _some_order(found["a"], found["b"], found["c"])
    if (found := _COMPACT.fullmatch(name)) is not None and len(found["d"]) >= 8:
        digits = found["d"][:8]
        return _some_order(digits[:4], digits[4:6], digits[6:]) or _some_order(digits[:2], digits[2:4], digits[4:])
    return False


def _some_order(a: str, b: str, c: str) -> bool:
    """Whether three numbers are year, month and day in an order that people write."""
    return any(_valid(y, m, d) for y, m, d in ((a, b, c), (c, b, a), (c, a, b)))


def _valid(year: str, month: str, day: str) -> bool:
    if len(year) not in (2, 4) or len(month) > 2 or len(day) > 2:
        return False
    number = int(year) if len(year) == 4 else 2000 + int(year)
    try:
        return 1960 <= date(number, int(month), int(day)).year <= 2099
    except ValueError:
        return False
