"""The witnesses of one file as moments, and what each of them supports.

Belongs here: dropping what cannot be true at all, and the questions that every weighing asks.
Does not belong here: which witness wins (`named_moment`, `named_day`, `unnamed`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chimp_assets.archive.times.names import WrittenTime, written_in_folder, written_in_name
from chimp_assets.archive.times.weighing.clocks import FIRST_DIGITAL_YEAR, Stamp, moments_of_clock, stamp_of
from chimp_assets.archive.times.witnesses import ORDERS, Rules, Witness, Witnesses

SAME = timedelta(seconds=3)
"""Two clocks of one camera that are read one after the other."""
WRITING = timedelta(minutes=2)
"""A camera closes a file this soon after its last picture; a name may be the beginning, a tag the end."""
DAY = timedelta(days=1)
ZONES = timedelta(hours=15)
"""No two clocks of one place are further apart, nor does a recording last longer."""
YEAR = timedelta(days=365)
DECADE = 10 * YEAR
# A card that was collected later than this after the recording is worth a question.
COLLECTED = timedelta(days=240)
_EPOCHS = {(1999, 11, 30), (1979, 12, 31), (1999, 12, 31), (2036, 2, 7)}


class TimeCase:
    """The witnesses of one file as moments; what cannot be true at all is dropped and noted."""

    def __init__(self, seen: Witnesses, rules: Rules) -> None:
        self.rules = rules
        self.notes: list[str] = []
        self.dropped: list[Witness] = []
        self.span = timedelta(seconds=min(max(seen.duration_s or 0.0, 0.0), 86_400.0)) + WRITING
        self.stamp = self._possible_stamp(stamp_of(seen, rules))
        self.name = self._possible(written_in_name(seen.uri), "file_name")
        self.folder = self._possible(written_in_folder(seen.uri), "folder")
        self.modified = seen.modified
        # The end of a list of unset clocks: FAT's first day, Unix's.
        if self.modified is not None and self.modified.year < FIRST_DIGITAL_YEAR:
            self.dropped.append("file_time")
            self.modified = None
        if self.modified is not None and self.modified > rules.latest:
            self.dropped.append("file_time")
            self.notes.append("The file's date lies in the future.")
            self.modified = None

    def _possible_stamp(self, stamp: Stamp | None) -> Stamp | None:
        if stamp is None:
            return None
        if stamp.clock.year < FIRST_DIGITAL_YEAR:
            self.dropped.append(stamp.witness)
            self.notes.append(f"The clock that the {stamp.noun} shows ({stamp.clock}) was never set.")
            return None
        if stamp.likeliest > self.rules.latest:
            self.dropped.append(stamp.witness)
            self.notes.append(f"The {stamp.noun}'s time ({stamp.clock}) lies in the future: a clock that was wrong.")
            return None
        return stamp

    def _possible(self, written: WrittenTime | None, witness: Witness) -> WrittenTime | None:
        if written is None:
            return None
        kept = tuple(r for r in written.readings if self.moments_of(written, r[1])[0] <= self.rules.latest)
        if not kept:
            self.dropped.append(witness)
            what = "name" if witness == "file_name" else "folder"
            self.notes.append(f"The {what} names a moment in the future: a clock that was wrong.")
            return None
        written = replace(written, readings=kept)
        wanted = ORDERS.get(self.rules.date_order)
        chosen = tuple(one for one in kept if one[0] == wanted)
        if len(kept) > 1 and chosen:
            return replace(written, readings=chosen, loose=written.loose and not self.rules.order_is_stated)
        return written

    def moments_of(self, written: WrittenTime, clock: datetime) -> list[datetime]:
        """What a clock of a name may be in UTC: two where the hour was there twice."""
        if written.zone is not None:
            return [clock.replace(tzinfo=written.zone).astimezone(UTC)]
        return moments_of_clock(clock, self.rules.zone)

    def day_of(self, moment: datetime) -> datetime:
        """Midnight of the local day, without zone."""
        return moment.astimezone(self.rules.zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)

    def agrees(self, one: datetime, other: datetime) -> bool:
        """Whether two moments may be the beginning and the end of the recording, or the same."""
        return abs(one - other) <= self.span

    def file_supports(self, moment: datetime) -> bool:
        """Whether the file was written when the recording ended."""
        return self.modified is not None and -SAME <= self.modified - moment <= self.span

    def file_supports_digits(self, clock: datetime) -> bool:
        """The same where the card's date is the clock's digits, taken for UTC."""
        if self.modified is None:
            return False
        return -SAME <= self.modified.replace(tzinfo=None) - clock <= self.span

    def file_is_a_year_later(self, moment: datetime) -> bool:
        """Whether the file was written a year after the recording to the hour, whatever zones were mixed up: then the
        year of the camera may be set wrong."""
        if self.modified is None:
            return False
        return YEAR - ZONES <= self.modified - moment <= YEAR + DAY + ZONES

    def folder_is_much_earlier(self, moment: datetime) -> bool:
        """Whether the folder names a day so long before that no card stayed in its camera for it."""
        folder = self.folder
        return (
            folder is not None
            and folder.resolution != "year"
            and all(self.day_of(moment) - clock > YEAR for clock in folder.clocks)
        )

    def file_is_older(self, moment: datetime) -> bool:
        """Whether the file was there well before the recording, whatever zones were mixed up."""
        return self.modified is not None and self.modified < moment - timedelta(hours=26)

    def is_reset(self, clock: datetime) -> bool:
        """Whether a clock shows what clocks show that have lost their time: the first of a January, or their makers'
        other beginnings. Real recordings of a New Year's Day fit too: they are doubted, not refused."""
        day = (clock.year, clock.month, clock.day)
        return (clock.month, clock.day) == (1, 1) or day in _EPOCHS or clock.year < 1995

    def folder_supports(self, moment: datetime) -> bool:
        """Whether the folder is named by the very day."""
        return (
            self.folder is not None
            and self.folder.resolution != "year"
            and any(clock.date() == self.day_of(moment).date() for clock in self.folder.clocks)
        )
