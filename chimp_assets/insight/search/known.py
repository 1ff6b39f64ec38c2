"""Whether an archive has whom and what a search names.

Belongs here: sentences for names and cameras that nothing is known of. Does not belong here: words that mean nothing in
any archive (`query`).
"""

from __future__ import annotations

from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.query import SearchError, SearchQuery


def require_known(columns: SearchColumns, asked: SearchQuery) -> None:
    """Raises SearchError that names the first individual or camera of a search which the archive does not have."""
    codes = {one[0] for one in columns.people}
    words = [("who", one.removeprefix("!")) for one in asked.who] + [("with", one) for one in asked.beside]
    for key, word in words:
        if word.upper() not in codes:
            raise SearchError(f"{key}: there is no individual {word[:40]!r}.", "See the list of individuals.")
    for camera in asked.cameras:
        if camera not in columns.cameras:
            raise SearchError(f"cam: there is no camera {camera[:60]!r}.", "Write it as site/camera.")
