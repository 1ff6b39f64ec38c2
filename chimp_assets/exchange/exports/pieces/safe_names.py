"""Names of files and folders made from names of individuals and of videos.

Belongs here: making any text safe on every file system, and no two the same. Does not belong here: where files go.
"""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))}
LONGEST = 80


def safe(text: str) -> str:
    """Letters, digits, `.`, `_` and `-` of ASCII alone, at most LONGEST, no name that Windows keeps for itself; `_` for
    a text of which nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = _UNSAFE.sub("_", plain)[:LONGEST].strip("._ ")
    if not name:
        return "_"
    return f"_{name}" if name.split(".")[0].lower() in _RESERVED else name


class SafeNames:
    """One safe name for each key, the same whenever it is asked, and no two keys with one name: case does not tell
    names apart, as on Windows and macOS."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, key: str) -> str:
        """The name of this key."""
        if key not in self._names:
            first = name = safe(key)
            n = 2
            while name.lower() in self._taken:
                name, n = f"{first}-{n}", n + 1
            self._taken.add(name.lower())
            self._names[key] = name
        return self._names[key]
