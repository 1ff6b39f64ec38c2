"""The simulated expert: judges a track as a person would, knows who it is from the truth, and errs at stated rates.

Belongs here: matching tracks to the truth, the expert's errors, answering the queue.
Does not belong here: anything the model side uses. The expert speaks to the product only through claim and events.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.label_event import EventResult
from chimp_assets.database.labels.shown import written
from chimp_assets.database.people.users import DEFAULT_EXPERT, ensure_default_users
from chimp_assets.database.work.queue import QueueItem, claim
from chimp_assets.demo.truth import ArchiveTruth, TrueAnimal, TrueVideo
from chimp_assets.errors import ChimpError

MIN_IOU = 0.2
MIN_INSIDE = 0.6
"""A box is on an animal if their intersection over union, or the share of the box inside it, is at least this."""

MIN_MATCHED = 0.4
"""A track with a smaller share of its boxes on any animal shows no animal."""

MIXED = 0.6
"""Two animals share a track about equally if the second has at least this share of the boxes of the first."""

PROPOSED = 5
"""Names that a page proposes."""

_BLIND_LANES = (*t.MEASURING_LANES, t.PROMISE)
_NAMESPACE = uuid.UUID("6f0c1a52-6d0b-5c5e-9a55-5f3b5d0a7c11")
_TRACKS_PER_QUERY = 400


class ExpertError(ChimpError):
    """The expert cannot answer: the home and the truth belong to different archives, or an answer was refused."""


@dataclass(frozen=True)
class ExpertAnswer:
    """An answer about one track. kind: one of ANSWER_KINDS except new_individual, which depends on the table."""

    kind: str
    anim_id: str | None = None


class SimulatedExpert:
    """Answers tracks from the truth. The same track gets the same answer whenever and however often it is asked.

    wrong: share of animals that get another animal's name (a close relative's if there is one).
    unknown: share of animals that the expert does not recognise. prices: seconds of each kind of answer.
    """

    def __init__(
        self,
        db: Database,
        truth: ArchiveTruth,
        seed: int,
        wrong: float = 0.03,
        unknown: float = 0.05,
        name: str = DEFAULT_EXPERT,
        lease_minutes: float = 15.0,
        prices: Prices | None = None,
    ) -> None:
        if min(wrong, unknown) < 0 or wrong + unknown > 1:
            raise ValueError(f"error rates {wrong} and {unknown} are no shares")
        self.db, self.truth, self.seed, self.name = db, truth, seed, name
        self.wrong, self.unknown, self.lease_minutes = wrong, unknown, lease_minutes
        self.prices = prices or Prices()
        self._videos = {video.uri: video for video in truth.videos}
        self._introduced = False

    def introduce(self) -> None:
        """Stores what a research group knows beforehand: the expert as a user, and every individual but newcomers."""
        ensure_default_users(self.db)
        upsert_individuals(self.db, self.truth.individual_rows())
        self._introduced = True

    def answer_queue(self, n: int, lanes: Sequence[str] | None = None) -> dict[str, int]:
        """Claims up to n items, answers them, and returns the number of answers of each kind.

        Safe to repeat after a crash: an item's answer always has the same id, so it is stored once. Raises ExpertError.
        """
        if not self._introduced:
            self.introduce()
        counts: Counter[str] = Counter()
        while n > 0:
            items = self.claimed(min(n, 200), lanes)
            if not items:
                break
            counts.update(self._record(items))
            n -= len(items)
        return dict(sorted(counts.items()))

    def claimed(self, n: int, lanes: Sequence[str] | None) -> list[QueueItem]:
        """Up to n items, leased to this expert. An expert at a distance asks the labelling page instead."""
        return claim(self.db, self.name, n, self.lease_minutes, lanes)

    def stored(self, events: list[LabelEvent]) -> list[EventResult]:
        """The results of answers, once they are stored with what a page would have shown."""
        proposed = self._proposed([event.track_id for event in events if event.track_id is not None])
        return record_events(
            self.db,
            [replace(event, shown=_shown(event.lane, proposed.get(event.track_id or 0, []))) for event in events],
        )

    def answer(self, track_id: int) -> ExpertAnswer:
        """The answer for one track, with the expert's errors. Raises ExpertError if there is no such track."""
        return self.answers([track_id])[track_id]

    def answers(self, track_ids: Iterable[int]) -> dict[int, ExpertAnswer]:
        """The answers for tracks, with the expert's errors. Nothing is stored."""
        return {track_id: self._with_errors(track_id, what) for track_id, what in self.really(track_ids).items()}

    def really(self, track_ids: Iterable[int]) -> dict[int, ExpertAnswer]:
        """What the tracks really show: identify, not_animal or cannot_tell. Raises ExpertError for unknown tracks."""
        wanted = sorted(set(track_ids))
        found: dict[int, ExpertAnswer] = {}
        for start in range(0, len(wanted), _TRACKS_PER_QUERY):
            found.update(self._look_at(wanted[start : start + _TRACKS_PER_QUERY]))
        missing = [track_id for track_id in wanted if track_id not in found]
        if missing:
            raise ExpertError(f"There is no track {missing[0]} in this home.", "Ask about tracks of this home.")
        return found

    def _look_at(self, track_ids: list[int]) -> dict[int, ExpertAnswer]:
        boxes: dict[int, list[tuple[float, float, float, float, float]]] = defaultdict(list)
        uris: dict[int, str] = {}
        d, f = t.detection.c, t.frame.c
        statement = (
            sa.select(d.track_id, t.video.c.uri, f.time_s, d.x, d.y, d.w, d.h)
            .join(t.frame, sa.and_(f.video_id == d.video_id, f.frame_no == d.frame_no))
            .join(t.video, t.video.c.video_id == d.video_id)
            .where(d.track_id.in_(track_ids))
        )
        with self.db.read() as conn:
            for row in conn.execute(statement):
                uris[row.track_id] = row.uri
                boxes[row.track_id].append((row.time_s, row.x, row.y, row.w, row.h))
        return {track_id: seen_in(self._video(uris[track_id]), np.array(boxes[track_id])) for track_id in boxes}

    def _video(self, uri: str) -> TrueVideo:
        try:
            return self._videos[uri]
        except KeyError:
            raise ExpertError(
                f"The truth file does not name the video {uri}.", "Use the truth file of this archive."
            ) from None

    def _with_errors(self, track_id: int, what: ExpertAnswer) -> ExpertAnswer:
        if what.kind != "identify" or what.anim_id is None:
            return what
        rng = np.random.default_rng([self.seed, 501, track_id])
        chance = rng.random()
        if chance < self.wrong:
            return ExpertAnswer("identify", str(rng.choice(self._lookalikes(what.anim_id))))
        return ExpertAnswer("unknown") if chance < self.wrong + self.unknown else what

    def _lookalikes(self, anim_id: str) -> list[str]:
        """Close relatives; without any, everybody else that the group knows."""
        by_id = {i.anim_id: i for i in self.truth.individuals}
        me = by_id[anim_id]
        kin = [
            i.anim_id
            for i in self.truth.individuals
            if i.anim_id != anim_id
            and (i.mom == anim_id or me.mom == i.anim_id or (me.mom is not None and i.mom == me.mom))
        ]
        return kin or [i.anim_id for i in self.truth.individuals if i.anim_id != anim_id and not i.newcomer]

    def _record(self, items: list[QueueItem]) -> Counter[str]:
        answers = self.answers(item.track_id for item in items)
        ids = {item.item_id: self._event_id(item) for item in items}
        with self.db.read() as conn:
            known = set(conn.scalars(sa.select(t.individual.c.anim_id)))
            # An answer that is sent again must not change: the first sight of an animal stays the first.
            sent: dict[str, str] = {
                row.annotation_id: row.kind
                for row in conn.execute(
                    sa.select(t.annotation.c.annotation_id, t.annotation.c.kind).where(
                        t.annotation.c.annotation_id.in_(list(ids.values()))
                    )
                )
            }
        names = {i.anim_id: i.name for i in self.truth.individuals}
        proposed = self._proposed([item.track_id for item in items])
        events = []
        for item in items:
            answer = answers[item.track_id]
            kind = answer.kind
            if answer.anim_id is not None and answer.anim_id not in known:
                kind = "new_individual"
                known.add(answer.anim_id)
            kind = sent.get(ids[item.item_id], kind)
            events.append(
                LabelEvent(
                    annotation_id=ids[item.item_id],
                    kind=kind,
                    annotator=self.name,
                    lane=item.lane,
                    track_id=item.track_id,
                    anim_id=answer.anim_id,
                    name=names.get(answer.anim_id or "") if kind == "new_individual" else None,
                    propensity=item.propensity,
                    item_id=item.item_id,
                    seconds=self._seconds(item, kind, answer.anim_id, proposed.get(item.track_id, [])),
                )
            )
        results = self.stored(events)
        refused = [result for result in results if result.status == "rejected"]
        if refused:
            raise ExpertError(
                f"The answer to item {refused[0].annotation_id} was refused: {refused[0].reason}.",
                "This is a fault of the simulated expert; please report it.",
            )
        return Counter(event.kind for event in events)

    def _event_id(self, item: QueueItem) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self.seed}|{self.name}|{item.item_id}|{item.track_id}"))

    def _proposed(self, track_ids: Sequence[int]) -> dict[int, list[tuple[str, float]]]:
        """What a page proposes of each track: codes and probabilities of the champion head, likeliest first."""
        p, m = t.prediction.c, t.model.c
        found: dict[int, list[tuple[str, float]]] = defaultdict(list)
        with self.db.read() as conn:
            head = conn.scalar(sa.select(m.model_id).where(m.task == "head", m.state == "champion"))
            for part in in_parts(track_ids):
                rows = conn.execute(
                    sa.select(p.track_id, t.individual.c.anim_id, p.probability)
                    .join(t.individual, t.individual.c.individual_id == p.individual_id)
                    .where(p.model_id == head, p.rank <= PROPOSED, p.track_id.in_(part))
                    .order_by(p.track_id, p.rank)
                )
                for row in rows:
                    found[row.track_id].append((row.anim_id, float(row.probability)))
        return found

    def _seconds(self, item: QueueItem, kind: str, anim_id: str | None, proposed: list[tuple[str, float]]) -> float:
        """The price of the answer, give or take a quarter: simulated like the rest, and the same on every run."""
        around = np.random.default_rng([self.seed, 502, item.track_id]).uniform(0.75, 1.25)
        return round(price_of(self.prices, item.lane, kind, anim_id, [code for code, _ in proposed]) * float(around), 1)


def price_of(prices: Prices, lane: str, kind: str, anim_id: str | None, proposed: Sequence[str]) -> float:
    """Seconds of an answer. proposed: codes of the names that the page proposes, likeliest first."""
    if kind in ("unknown", "new_individual"):
        return prices.nobody
    if kind != "identify":
        return prices.other
    if lane in _BLIND_LANES:
        return prices.audit
    if proposed and anim_id == proposed[0]:
        return prices.right
    return prices.listed if anim_id in proposed else prices.named


def _shown(lane: str, proposed: list[tuple[str, float]]) -> str | None:
    if lane in _BLIND_LANES:
        return written({"mode": "blind"})
    return written({"mode": "single", "candidates": [[code, round(share, 3)] for code, share in proposed]})


def seen_in(video: TrueVideo, boxes: np.ndarray) -> ExpertAnswer:
    """What a track shows. boxes: f64 [n, 5], each time_s and x, y, w, h in fractions of the picture.

    Every box goes to the animal that it overlaps best; the animal with most boxes is the answer.
    """
    votes: Counter[str] = Counter()
    for time_s, *box in boxes.tolist():
        best, best_iou = None, 0.0
        for animal in video.animals:
            true_box = _box_at(animal, time_s, 0.75 / max(video.fps, 1.0))
            if true_box is None:
                continue
            iou, inside = _overlap(box, true_box)
            if (iou >= MIN_IOU or inside >= MIN_INSIDE) and iou > best_iou:
                best, best_iou = animal.anim_id, iou
        if best is not None:
            votes[best] += 1
    if sum(votes.values()) < MIN_MATCHED * len(boxes):
        return ExpertAnswer("not_animal")
    (first, most), *rest = votes.most_common(2)
    if rest and rest[0][1] >= MIXED * most:
        return ExpertAnswer("cannot_tell")
    return ExpertAnswer("identify", first)


def _box_at(animal: TrueAnimal, time_s: float, tolerance_s: float) -> tuple[float, float, float, float] | None:
    """The animal's box in the picture nearest to a time, or None if it is not visible then."""
    place = int(np.searchsorted(animal.times_s, time_s))
    near = [k for k in (place - 1, place) if 0 <= k < len(animal.times_s)]
    if not near:
        return None
    k = min(near, key=lambda k: abs(animal.times_s[k] - time_s))
    return animal.boxes[k] if abs(animal.times_s[k] - time_s) <= tolerance_s else None


def _overlap(box: Sequence[float], true_box: Sequence[float]) -> tuple[float, float]:
    """(intersection over union, share of the box that lies in the true box)."""
    x, y, w, h = box
    tx, ty, tw, th = true_box
    wide = max(0.0, min(x + w, tx + tw) - max(x, tx))
    high = max(0.0, min(y + h, ty + th) - max(y, ty))
    shared = wide * high
    area = w * h
    return shared / (area + tw * th - shared), shared / area
