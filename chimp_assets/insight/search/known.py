"""Whether an archive has whom and what a search names.

Belongs here: codes for names, sentences for what nothing is known of. Does not belong here: words that mean nothing in
any archive (`query`).
"""

from __future__ import annotations

from dataclasses import replace

from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.query import SearchError, SearchQuery


def known(columns: SearchColumns, asked: SearchQuery) -> SearchQuery:
    """The same with codes where people wrote names. Raises SearchError for whom and what the archive does not have."""
    codes = {one.code for one in columns.people.persons}
    called: dict[str, list[str]] = {}
    for one in columns.people.persons:
        called.setdefault((one.name or "").strip().upper(), []).append(one.code)

    def code_of(key: str, word: str) -> str:
        bare = word.removeprefix("!") if key == "who" else word
        by_name = called.get(bare, [])
        if bare not in codes and len(by_name) != 1:
            if by_name:
                raise SearchError(f"{key}: {len(by_name)} are called {bare[:40]!r}.", f"Write {' or '.join(by_name)}.")
            raise SearchError(f"{key}: there is no individual {word[:40]!r}.", "See the list of individuals.")
        return word if bare in codes else word[: len(word) - len(bare)] + by_name[0]

    for camera in asked.cameras:
        if camera not in columns.cameras:
            raise SearchError(f"cam: there is no camera {camera[:60]!r}.", "Write it as site/camera.")
    for age in asked.ages:
        if age not in columns.people.ages:
            raise SearchError(
                f"age: there is no age class {age[:40]!r}.", f"There are {', '.join(columns.people.ages) or 'none'}."
            )
    return replace(
        asked,
        who=tuple(dict.fromkeys(code_of("who", one) for one in asked.who)),
        beside=tuple(dict.fromkeys(code_of("with", one) for one in asked.beside)),
    )
