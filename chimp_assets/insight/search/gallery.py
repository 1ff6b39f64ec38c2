"""The tracks whose pictures stand below the name of an individual, so that what is counted is what can be paged.

Belongs here: choosing them among the columns. Does not belong here: their pictures (`insight.individuals.pictures`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.query import SearchQuery


def gallery_tracks(columns: SearchColumns, code: str, source: str | None = None) -> np.ndarray:
    """The tracks of an individual whose pictures may be shown under its name, newest first: i64 [n].

    Tracks that measure the model are among them only where a person named them. source: person, volunteers or model.
    """
    asked = SearchQuery(who=(code,), sources=() if source is None else (source,))
    return columns.track[columns.matching(asked)][::-1]
