"""All answers to one track, and the questions to their authors.

Belongs here: which answer counts, and whether the answers differ. Does not belong here: finding such tracks
(`event_queues`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.kinds import is_answer
from chimp_assets.database.labels.shown import GOLD
from chimp_assets.insight.labelling.review.events import StandingEvent, event_of, standing_events


@dataclass(frozen=True)
class TrackAnswers:
    """Answers to one track. answers: the newest of each person; asked: questions of reviewers to their authors."""

    answers: list[StandingEvent]
    asked: list[StandingEvent]

    @property
    def reviewed(self) -> int:
        """The seq of the newest decision in review; 0 without one."""
        return max((one.seq for one in self.answers if one.in_review), default=0)

    @property
    def head(self) -> StandingEvent | None:
        """The answer that stands."""
        return min(self.answers, key=lambda one: (one.weight, -one.seq), default=None)

    @property
    def open_question(self) -> StandingEvent | None:
        """The newest question without an answer: no answer is newer, and the answer in question still stands."""
        newest = max((one.seq for one in self.answers), default=0)
        ids = {one.annotation_id for one in self.answers}
        return next((q for q in reversed(self.asked) if q.seq > newest and q.supersedes in ids), None)

    @property
    def disputed(self) -> bool:
        """Whether unsettled answers differ. A decision in review settles all answers before it; an answer by somebody
        who may correct others settles earlier ones by people who may not. Gold belongs to the queue `missed`.
        """
        corrected = max((one.seq for one in self.answers if one.corrects), default=0)
        open_ones = [
            one
            for one in self.answers
            if one.seq >= (self.reviewed if one.corrects else corrected) and one.shown.mode != GOLD
        ]
        return len({one.meaning for one in open_ones}) > 1


def answers_of_tracks(conn: sa.Connection, track_ids: Iterable[int]) -> dict[int, TrackAnswers]:
    """The answers to some tracks, with those to the tracks whose place they took.

    Of a person the newest; before she has answered the track itself, the newest to each of those.
    """
    a = t.annotation.c
    newest: dict[int, dict[tuple[int, int], StandingEvent]] = defaultdict(dict)
    asked: dict[int, list[StandingEvent]] = defaultdict(list)
    ids = list(dict.fromkeys(track_ids))
    for part in in_parts(ids):
        heirs = _heirs(conn, part)
        answers = sa.and_(is_answer(t.annotation), a.other_track_id.is_(None))
        questions = sa.and_(a.kind == "skip", a.supersedes.is_not(None))
        about = [*part, *heirs]
        for row in conn.execute(standing_events(a.track_id.in_(about), sa.or_(answers, questions))):
            one = event_of(row)
            for track_id in heirs.get(row.track_id, [row.track_id]):
                if one.kind == "skip":
                    if one.in_review:
                        asked[track_id].append(one)
                    continue
                theirs = newest[track_id]
                if row.track_id == track_id:
                    for key in [key for key in theirs if key[0] == one.annotator_id]:
                        del theirs[key]
                theirs[one.annotator_id, row.track_id] = one
    return {i: TrackAnswers(sorted(newest[i].values(), key=lambda one: one.seq), asked[i]) for i in ids}


def _heirs(conn: sa.Connection, track_ids: list[int]) -> dict[int, list[int]]:
    """Of the tracks that are gone and whose answers count for some of these: which of these."""
    h = t.answer_heir.c
    found: dict[int, list[int]] = defaultdict(list)
    rows = conn.execute(
        sa.select(h.track_id, h.heir_track_id).where(
            h.heir_track_id.in_(track_ids), h.until_seq.is_(None), h.heir_track_id != h.track_id
        )
    )
    for row in rows:
        found[row.track_id].append(row.heir_track_id)
    return dict(found)
