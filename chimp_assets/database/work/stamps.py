"""Which work on a bundle is older than its tracks, by the name under which whoever does the work knows it.

Belongs here: nothing more. Does not belong here: the moments (`database.stamps`), which label events change as well.
"""

from chimp_assets.database.stamps import changed_at, mark_changed, stamp_of_work

__all__ = ["changed_at", "mark_changed", "stamp_of_work"]
