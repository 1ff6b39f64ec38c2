"""Recording that tracks take the place of others, for everybody who rewrites tracks without a label event.

Belongs here: the names to import. Does not belong here: how answers and questions follow (`labels.rewriting.heirs`).
"""

from chimp_assets.database.labels.rewriting.heirs import Followed, Heir, follow, follow_none

__all__ = ["Followed", "Heir", "follow", "follow_none"]
