"""A search in the conditions of exports (`chimp export --where`), so that an export holds the tracks that were found.

Belongs here: what each word of a search is called there. Does not belong here: what conditions select
(`exchange.exports`).
"""

from __future__ import annotations

from chimp_assets.insight.search.query import KINDS, NAMED, UNNAMED, SearchError, SearchQuery

_STATUS = {NAMED: "identified"}
_DAYS = (("since", "from"), ("until", "to"))


def conditions_of(asked: SearchQuery) -> list[tuple[str, str]]:
    """Conditions as (name, value), values of one condition apart. Their order and the page are no conditions.

    Raises SearchError for what cannot be said in them: it is never left out.
    """
    found: list[tuple[str, str]] = []
    for word in asked.who:
        found.append(("not", _plain("who", word[1:])) if word.startswith("!") else ("individual", _plain("who", word)))
    found += [("with", _plain("with", word)) for word in asked.beside]
    found += [("camera", _plain("cam", word)) for word in asked.cameras]
    found += [(name, str(day)) for key, name in _DAYS if (day := getattr(asked, key)) is not None]
    found += [("source", word) for word in asked.sources]
    found += [("status", word) for word in _statuses(asked)]
    found += [("sex", word) for word in asked.sexes]
    found += [("age_class", _plain("age", word)) for word in asked.ages]
    found += [("light", word) for word in asked.lights]
    found += [("flag", "yes") for _ in asked.flag]
    found += [(key, text) for key, text in asked.words() if key in ("p", "quality", "hour")]
    found += [("video_id", str(asked.video))] if asked.video is not None else []
    # A search knows no threshold: every name counts, and `p` narrows.
    return [*found, ("min_probability", "0")]


def _statuses(asked: SearchQuery) -> list[str]:
    """A name is by somebody: who judged a track without naming it is not searched for by `by`."""
    wanted = {one for one in asked.status if one != UNNAMED} | (set(KINDS[1:]) if UNNAMED in asked.status else set())
    if asked.sources:
        if wanted and NAMED not in wanted:
            raise SearchError("Tracks without a name were named by nobody.", "Leave out `by` or `status`.")
        wanted = {NAMED}
    return [_STATUS.get(one, one) for one in KINDS if one in wanted] or ["any"]


def _plain(key: str, word: str) -> str:
    if "," in word:
        raise SearchError(
            f"{key}: {word[:40]!r} has a comma, which separates values in the conditions of exports.",
            "Leave it out, or take the CSV of this page.",
        )
    return word
