"""The fields that a biography, a membership or an alias may have: their names, words and lengths.

Belongs here: names, closed vocabularies, lengths. Does not belong here: checking a value (`values`), and headers of
files (`individual_files`).
"""

from __future__ import annotations

from chimp_assets.database.schema import (
    BIRTH_DATE_DISTRIBUTIONS,
    BIRTH_GROUP_QUALITIES,
    DEPART_TYPES,
    ENTRY_TYPES,
    FIRST_BORN,
    SEXES,
)

DATES = ("birth_date", "bd_min", "bd_max", "entry_date", "depart_date")
PARENTS = ("mom_id", "dad_id")
VOCABULARIES = {
    "sex": SEXES,
    "bd_dist": BIRTH_DATE_DISTRIBUTIONS,
    "bg_qual": BIRTH_GROUP_QUALITIES,
    "first_born": FIRST_BORN,
    "entry_type": ENTRY_TYPES,
    "depart_type": DEPART_TYPES,
}
FIELDS = ("anim_id", "name", *VOCABULARIES, *DATES, *PARENTS, "birth_community", "depart_date_error", "provisional")
LENGTHS = {"anim_id": 40, "name": 200, "birth_community": 40, "community": 40, "alias": 200, "source": 100}
IDENTIFIERS = ("anim_id", "alias", "community", "birth_community")
"""Fields that say who or what is meant: stored composed (NFC), compared by `names.key_of`."""
