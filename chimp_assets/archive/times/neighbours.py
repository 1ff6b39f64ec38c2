"""What a camera's other files add to a video's time: corrections, the order of day and month, pieces of a recording.

Belongs here: the verdict on rows of `video` with their neighbours. Does not belong here: writing it (`rows`), the
verdict on one file alone (`recording_time`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.archive.times.names import piece_of, written_in_name
from chimp_assets.archive.times.recording_time import weigh
from chimp_assets.archive.times.standing import StandingCorrection, same
from chimp_assets.archive.times.weighing.case import SAME
from chimp_assets.archive.times.weighing.correction import corrected
from chimp_assets.archive.times.witnesses import DateOrder, RecordingTime, Rules, Witnesses
from chimp_assets.database import schema
from chimp_assets.settings import Settings

PAGE = 500
_NAMES_READ = 5_000


@dataclass(frozen=True)
class WeighedRow:
    """A video with its witnesses and the verdict on it."""

    row: Any
    seen: Witnesses
    base: RecordingTime
    verdict: RecordingTime


def rules_of(settings: Settings, latest: datetime) -> Rules:
    """How the settings read witnesses of a file that was listed before `latest`."""
    archive = settings.archive
    return Rules(ZoneInfo(archive.timezone), latest, archive.container_time, archive.date_order)


def time_rows() -> sa.Select[Any]:
    video, kept = schema.video.c, schema.video_time.c
    return sa.select(
        video.video_id, video.bundle_id, video.uri, video.site, video.camera, video.recorded_at,
        video.recorded_at_source, video.recorded_on, video.recorded_at_certainty, video.duration_s,
        video.discovered_at, video.state, kept.witnesses, kept.witness, kept.disagree,
        kept.note, kept.asks, kept.correction_id, kept.weighed,
        kept.video_id.label("kept_id"),
    ).outerjoin_from(schema.video, schema.video_time, kept.video_id == video.video_id)  # fmt: skip


class Neighbourhood:
    """Weighs rows with what is known of their cameras: corrections, the order of day and month, pieces."""

    def __init__(self, conn: sa.Connection, settings: Settings, standing: list[StandingCorrection]) -> None:
        self._conn = conn
        self._settings = settings
        self._zone = ZoneInfo(settings.archive.timezone)
        self._standing = standing
        self._orders: dict[tuple[str | None, str | None, bool], DateOrder | None] = {}

    def weigh(self, rows: Sequence[Any]) -> list[WeighedRow]:
        """The verdict on each row, and on other pieces of the recordings that they are pieces of."""
        known = {row.uri: self._alone(row) for row in rows if not is_set_by_person(row)}
        chains = _chains(known)
        self._fetch(known, chains)
        for names in chains:
            _follow_chain(known, names)
        return list(known.values())

    def _fetch(self, known: dict[str, WeighedRow], chains: Iterable[tuple[str, ...]]) -> None:
        missing = sorted({name for names in chains for name in names if name not in known})
        newest: dict[str, Any] = {}
        for start in range(0, len(missing), PAGE):
            some = missing[start : start + PAGE]
            statement = time_rows().where(schema.video.c.uri.in_(some)).order_by(schema.video.c.version)
            newest.update({row.uri: row for row in self._conn.execute(statement)})
        for uri, row in newest.items():
            if not is_set_by_person(row):
                known[uri] = self._alone(row)

    def _alone(self, row: Any) -> WeighedRow:
        seen = _witnesses_of(row)
        rules = rules_of(self._settings, row.discovered_at + timedelta(days=1))
        corrections = [one for one in self._standing if one.is_of(row.site, row.camera)]
        order = next((one.date_order for one in corrections if one.date_order is not None), None)
        if order is not None:
            rules = replace(rules, date_order=order)
        base = weigh(seen, rules)
        if base.asks and rules.date_order == "auto":
            shown = self._order_of(row, bool((found := written_in_name(row.uri)) and found.short))
            if shown is not None:
                rules = replace(rules, date_order=shown, order_is_stated=False)
                base = weigh(seen, rules)
        return WeighedRow(row, seen, base, self._corrected(seen, rules, base, corrections))

    def _corrected(
        self, seen: Witnesses, rules: Rules, base: RecordingTime, corrections: list[StandingCorrection]
    ) -> RecordingTime:
        clock = None if base.moment is None else base.moment.astimezone(self._zone).replace(tzinfo=None)
        for one in corrections:
            is_reset = one.correction.showed is not None
            if one.date_order is not None or (clock is None and not is_reset):
                continue
            # A period of a clock that was reset is one of its own digits, which decide in `corrected`.
            if not is_reset and clock is not None and not one.covers(clock):
                continue
            after = corrected(seen, rules, base, one.correction)
            if after is not base:
                return after
        return base

    def _order_of(self, row: Any, short: bool) -> DateOrder | None:
        """How other names of the camera write day and month; None where they do not show it, or show both."""
        key = (row.site, row.camera, short)
        if key not in self._orders:
            video = schema.video.c
            uris = self._conn.scalars(
                sa.select(video.uri)
                .where(same(video.site, row.site), same(video.camera, row.camera))
                .limit(_NAMES_READ)
            )
            shown = {order for uri in uris for order in [_order_shown(uri, short)] if order is not None}
            words: dict[str, DateOrder] = {"dmy": "day_first", "mdy": "month_first", "ymd": "year_first"}
            self._orders[key] = words[shown.pop()] if len(shown) == 1 else None
        return self._orders[key]


def _order_shown(uri: str, short: bool) -> str | None:
    written = written_in_name(uri)
    if written is None or written.short != short or len(written.readings) != 1 or (written.hidden and not short):
        return None
    order = written.readings[0][0]
    return order if short or order != "ymd" else None


def shows_order(uri: str) -> bool:
    return _order_shown(uri, True) is not None or _order_shown(uri, False) is not None


def is_set_by_person(row: Any) -> bool:
    """Whether a person wrote the time of this very video: no correction of a clock moves it."""
    return row.recorded_at_source == "user" and row.correction_id is None


def _witnesses_of(row: Any) -> Witnesses:
    """The witnesses kept; for rows older than that, their one witness."""
    if row.witnesses is not None:
        seen = Witnesses.of_text(row.uri, row.witnesses)
        return replace(seen, duration_s=row.duration_s if row.duration_s is not None else seen.duration_s)
    if row.recorded_at is not None and row.recorded_at_source == "container":
        return Witnesses(row.uri, {"creation_time": row.recorded_at.isoformat()}, None, row.duration_s)
    if row.recorded_at is not None and row.recorded_at_source == "file_time":
        return Witnesses(row.uri, {}, row.recorded_at, row.duration_s)
    return Witnesses(row.uri, {}, None, row.duration_s)


def _chains(known: dict[str, WeighedRow]) -> set[tuple[str, ...]]:
    return {piece.names for uri in known if (piece := piece_of(uri)) is not None}


def _follow_chain(known: dict[str, WeighedRow], names: tuple[str, ...]) -> None:
    """Each piece of a recording begins where the one before it ends, where they all claim one beginning."""
    first = known.get(names[0])
    before = first
    for number, name in enumerate(names[1:], start=2):
        here = known.get(name)
        if here is not None and here.base.moment is not None and here.base.witness != "file_time":
            known[name] = here = _after(here, before, first, number)
        if here is None and not any(later in known for later in names[number:]):
            return
        before = here


def _after(here: WeighedRow, before: WeighedRow | None, first: WeighedRow | None, number: int) -> WeighedRow:
    note = f"Piece {number} of one recording"
    base = here.base.moment
    assert base is not None
    if before is None or before.verdict.moment is None:
        doubt = f"{note}; piece {number - 1} is not there, so that its beginning is not known."
        # A recording of its own beginning: other pieces do not claim the same.
        alone = first is not None and first.base.moment is not None and abs(first.base.moment - base) > SAME
        return here if alone else _with(here, here.verdict.moment, "unsure", doubt)
    same_beginning = any(
        one is not None and one.base.moment is not None and abs(one.base.moment - base) <= SAME
        for one in (first, before)
    )
    if not same_beginning:
        return here
    length = before.row.duration_s if before.row.duration_s is not None else before.seen.duration_s
    if length is None:
        return _with(here, here.verdict.moment, "unsure", f"{note}; how long the one before it is, is not known yet.")
    moment = before.verdict.moment + timedelta(seconds=length)
    certainty = before.verdict.certainty
    return _with(here, moment, certainty, f"{note}: it begins where piece {number - 1} ends.")


def _with(here: WeighedRow, moment: datetime | None, certainty: Any, note: str) -> WeighedRow:
    words = f"{here.verdict.note} {note}".strip()
    return replace(here, verdict=replace(here.verdict, moment=moment, certainty=certainty, note=words))
