"""Questions as the labelling page gets them: track, video, pictures, candidates, as JSON-ready dictionaries.

Belongs here: reading these facts for many items at once. Does not belong here: choosing items (`database.work.queue`),
making pictures (`vision.pictures.item_media`), HTTP (`api.queue`).

A claim reads a constant number of statements, however many items it has: six and one more for each 500 tracks.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.evidence import is_denied
from chimp_assets.database.labels.references import best_named
from chimp_assets.database.work.queue import QueueItem
from chimp_assets.web.wording.sentences import Translation, translated
from chimp_assets.web.wording.texts import DEFAULT

MAX_CANDIDATES = 5
REFERENCES_SHOWN = 3
ASKED_SHOWN = 5
"""Pictures of X beside "is this X?": one from another side often decides."""
MEDIA_SUFFIX = {"crop": "jpg", "frame": "jpg", "clip": "mp4", "boxes": "json"}


@dataclass(frozen=True)
class LabellingQuestion:
    """One question about a track, or a pair of tracks. item_id: the answer refers to it.

    blind: without suggestions; as_new: without a hint to answers of others. individual_id: is it this one? None: who is
    it?
    """

    item_id: int
    round_id: int
    track_id: int
    lane: str
    position: int
    reason: str
    blind: bool = False
    other_track_id: int | None = None
    as_new: bool = False
    individual_id: int | None = None


@dataclass
class _ItemFacts:
    tracks: dict[int, Any] = field(default_factory=dict)
    media: dict[int, dict[str, list[Any]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    candidates: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    references: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[int, str] = field(default_factory=dict)
    placed: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    evidence: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))


def is_blind(item_id: int, share: float) -> bool:
    """Whether an item is shown without suggestions: drawn from its number, so equal for everybody and after a
    reload.
    """
    digest = hashlib.sha256(f"blind:{item_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def questions_of(
    items: Sequence[QueueItem], blind_share: float, repeat_as: str = "boundary"
) -> list[LabellingQuestion]:
    """Items of the queue as questions. A repeat is blind and looks like other items, so that nobody answers from
    memory; "is this X?" and what measures (the audit, small groups, a promise) are blind, so that no chance sways
    anybody and nobody confirms the name that is tested. repeat_as: the lane that most items are of.
    """
    questions = []
    for item in items:
        repeat = item.lane == "repeat"
        questions.append(
            LabellingQuestion(
                item.item_id,
                item.round_id,
                item.track_id,
                repeat_as if repeat else item.lane,
                item.position,
                "" if repeat else item.reason,
                repeat or item.lane in (*t.MEASURING_LANES, t.IS_IT, t.PROMISE) or is_blind(item.item_id, blind_share),
                getattr(item, "other_track_id", None),
                individual_id=getattr(item, "individual_id", None),
            )
        )
    return questions


def champion_head(conn: sa.Connection) -> dict[str, Any] | None:
    """The champion head and its number of individuals; None without a champion."""
    m, s = t.model.c, t.training_set.c
    row = conn.execute(
        sa.select(m.model_id, m.name, m.version, s.n_classes)
        .outerjoin_from(t.model, t.training_set, s.training_set_id == m.training_set_id)
        .where(m.task == "head", m.state == "champion")
    ).first()
    if row is None:
        return None
    return {"head_id": row.model_id, "head_name": f"{row.version} ({row.name})", "n_classes": row.n_classes or 0}


def item_dicts(
    conn: sa.Connection, questions: Sequence[LabellingQuestion], lease_until: datetime | None, lang: str = DEFAULT
) -> list[dict[str, Any]]:
    """The questions as dictionaries, reasons in the given language, questions of one video together. Tracks that no
    longer exist are left out."""
    head = champion_head(conn)
    facts = _read(conn, questions, head["head_id"] if head else None)
    there = [question for question in questions if question.track_id in facts.tracks]
    asked = asked_individuals(conn, {q.individual_id for q in there if q.individual_id is not None})
    found = [
        _item(question, facts, head, lease_until, translated(lang, question.reason))
        | _asked(question, asked)
        | _said_before(question, facts)
        for question in there
    ]
    first: dict[int, int] = {}
    for place, item in enumerate(found):
        first.setdefault(item["video"]["video_id"], place)
    return sorted(found, key=lambda item: first[item["video"]["video_id"]])


def _read(conn: sa.Connection, questions: Sequence[LabellingQuestion], head_id: int | None) -> _ItemFacts:
    facts = _ItemFacts()
    ids = sorted({i for q in questions for i in (q.track_id, q.other_track_id) if i is not None})
    seen = sorted({q.track_id for q in questions if not q.blind})
    for part in in_parts(ids):
        _read_tracks(conn, facts, part)
        read_media(conn, facts.media, part)
        _read_answers(conn, facts, part)
    for part in in_parts(seen if head_id is not None else []):
        _read_candidates(conn, facts, part, head_id or 0)
    return facts


def _read_tracks(conn: sa.Connection, facts: _ItemFacts, part: list[int]) -> None:
    """Tracks, and what people said about single individuals of them, as far as that decides something."""
    k, v, e, i = t.track.c, t.video.c, t.track_evidence.c, t.individual.c
    columns = (
        k.track_id, k.first_s, k.last_s, k.n_detections, k.first_frame_no, k.last_frame_no,
        v.video_id, v.uri, v.site, v.camera, v.recorded_at, v.recorded_at_source,
        e.state, e.n_yes, e.n_no, i.anim_id, i.name,
    )  # fmt: skip
    for row in conn.execute(
        sa.select(*columns)
        .join_from(t.track, t.video, v.video_id == k.video_id)
        .outerjoin(t.track_evidence, sa.and_(e.track_id == k.track_id, e.state != "open"))
        .outerjoin(t.individual, i.individual_id == e.individual_id)
        .where(k.track_id.in_(part))
        .order_by(k.track_id, e.state, i.anim_id)
    ):
        facts.tracks[row.track_id] = row
        if row.state is not None:
            people = row.n_no if row.state == "denied" else row.n_yes
            said = {"state": row.state, "anim_id": row.anim_id, "name": row.name, "people": people}
            facts.evidence[row.track_id].append(said)


def read_media(conn: sa.Connection, media: dict[int, dict[str, list[Any]]], part: list[int]) -> None:
    """Adds the media rows of some tracks to `media`, by track and kind, best first."""
    for row in conn.execute(
        sa.select(t.item_media)
        .where(t.item_media.c.track_id.in_(part))
        .order_by(t.item_media.c.track_id, t.item_media.c.place)
    ):
        media[row.track_id][row.kind].append(row)


def _read_answers(conn: sa.Connection, facts: _ItemFacts, part: list[int]) -> None:
    """Standing answers of these tracks, and the individuals named in their videos with frame ranges, in one
    statement.
    """
    k = t.track.c
    beside = sa.select(k.track_id).where(
        k.video_id.in_(sa.select(t.track.c.video_id).where(t.track.c.track_id.in_(part)).scalar_subquery())
    )
    answers = effective_answers(of_tracks=beside).subquery()
    rows = conn.execute(
        sa.select(
            answers.c.track_id, answers.c.annotation_id, answers.c.individual_id,
            k.video_id, k.first_frame_no, k.last_frame_no,
        ).join_from(answers, t.track, k.track_id == answers.c.track_id)
    )  # fmt: skip
    for row in rows:
        facts.answers[row.track_id] = row.annotation_id
        if row.individual_id is not None:
            facts.placed[row.video_id].append((row.individual_id, row.track_id, row.first_frame_no, row.last_frame_no))


def _read_candidates(conn: sa.Connection, facts: _ItemFacts, part: list[int], head_id: int) -> None:
    p, i = t.prediction.c, t.individual.alias("said")
    who = t.individual
    rows = conn.execute(
        sa.select(p.track_id, p.rank, p.probability, who.c.individual_id, who.c.anim_id, who.c.name)
        .join_from(t.prediction, i, i.c.individual_id == p.individual_id)
        .join(who, who.c.individual_id == sa.func.coalesce(i.c.same_as_id, i.c.individual_id))
        .where(p.model_id == head_id, p.track_id.in_(part), p.rank <= MAX_CANDIDATES)
        # At once; a plan will have the others named anew.
        .where(~is_denied(p.track_id, who.c.individual_id))
        .order_by(p.track_id, p.rank)
    )
    wanted = set()
    for row in rows:
        facts.candidates[row.track_id].append(row)
        wanted.add(row.individual_id)
    facts.references.update(standing_references(conn, wanted - facts.references.keys()))


def _said_before(question: LabellingQuestion, facts: _ItemFacts) -> dict[str, Any]:
    """What people said about single individuals of a track; nothing for questions that nothing may sway."""
    sways = question.blind or question.as_new or question.individual_id is not None
    said = (
        [] if sways or question.lane in (*t.MEASURING_LANES, t.PROMISE) else facts.evidence.get(question.track_id, [])
    )
    return {"evidence": said} if said else {}


def asked_individuals(conn: sa.Connection, individual_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Whom "is this X?" asks about, by key: the code by which it is answered, name and pictures of whom it is as
    merged."""
    asked, who = t.individual.alias("asked"), t.individual.c
    columns = (
        asked.c.individual_id,
        asked.c.anim_id,
        who.individual_id.label("now"),
        who.anim_id.label("code"),
        who.name,
    )
    found: dict[int, dict[str, Any]] = {}
    for part in in_parts(individual_ids):
        rows = conn.execute(
            sa.select(*columns)
            .join_from(
                asked, t.individual, who.individual_id == sa.func.coalesce(asked.c.same_as_id, asked.c.individual_id)
            )
            .where(asked.c.individual_id.in_(part))
        ).all()
        photos = standing_references(conn, {row.now for row in rows})
        for row in rows:
            name = row.name or row.code
            found[row.individual_id] = {"anim_id": row.anim_id, "name": name, "references": photos.get(row.now, [])}
    return found


def _asked(question: LabellingQuestion, asked: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Nothing but for "is this X?". The track itself is no picture of X, though it may have become one meanwhile."""
    who = None if question.individual_id is None else asked.get(question.individual_id)
    if who is None:
        return {}
    photos = [photo for photo in who["references"] if photo["track_id"] != question.track_id]
    return {"individual": who | {"references": photos[:ASKED_SHOWN]}}


def standing_references(conn: sa.Connection, individuals: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """Reference photos of these individuals; without chosen photos, those that the rule picks now."""
    found: dict[int, list[dict[str, Any]]] = {}
    for part in in_parts(individuals):
        found |= references(conn, t.reference_photo.c.individual_id.in_(part))
    lacking = [one for one in individuals if one not in found]
    if lacking:
        by_rule = best_named(conn, lacking)
        photos = _photos_of(conn, [track_id for tracks in by_rule.values() for track_id in tracks])
        for one, tracks in by_rule.items():
            found[one] = [photos[track_id] for track_id in tracks if track_id in photos]
    return found


def references(conn: sa.Connection, which: sa.ColumnElement[bool] | None = None) -> dict[int, list[dict[str, Any]]]:
    """Reference photos by individual, in display order. Photos that are not made yet are cut on request."""
    r = t.reference_photo.c
    statement = _photos(t.reference_photo, r.track_id).add_columns(r.individual_id).order_by(r.individual_id, r.place)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in conn.execute(statement if which is None else statement.where(which)):
        found.setdefault(row.individual_id, []).append(_photo(row))
    return found


def _photos_of(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    found = {}
    for part in in_parts(track_ids):
        shown = t.track.alias("shown")
        for row in conn.execute(_photos(shown, shown.c.track_id).where(shown.c.track_id.in_(part))):
            found[row.track_id] = _photo(row)
    return found


def _photos(of: sa.FromClause, track_id: sa.ColumnElement[int]) -> sa.Select[Any]:
    """The best crop of each track in column `track_id` of `of`, made or not."""
    m, k = t.item_media.c, t.track.c
    return (
        sa.select(k.track_id, k.first_frame_no, k.last_frame_no, k.n_detections, m.content_hash, t.video.c.recorded_at)
        .join_from(of, t.track, k.track_id == track_id)
        .join(t.video, t.video.c.video_id == k.video_id)
        .outerjoin(t.item_media, sa.and_(m.track_id == k.track_id, m.kind == "crop", m.place == 0))
    )


def _photo(row: Any) -> dict[str, Any]:
    url = url_of("crop", row.content_hash) if row.content_hash else face_url(row)
    return {"url": url, "track_id": row.track_id, "recorded_at": moment(row.recorded_at)}


def _item(
    question: LabellingQuestion,
    facts: _ItemFacts,
    head: dict[str, Any] | None,
    lease_until: datetime | None,
    reason: Translation,
) -> dict[str, Any]:
    row = facts.tracks[question.track_id]
    part = _track_part(question.track_id, facts)
    shows = head is not None and not question.blind
    other = question.other_track_id
    return {
        "item_id": question.item_id,
        "round_id": question.round_id,
        "lane": question.lane,
        "position": question.position,
        "reason": reason.text,
        "reason_lang": reason.lang,
        "blind": question.blind,
        "lease_until": moment(lease_until),
        "base_event_id": None if question.blind or question.as_new else facts.answers.get(question.track_id),
        **part,
        "candidates": [
            _candidate(c, row, facts) | {"rank": rank}
            for rank, c in enumerate(facts.candidates[question.track_id] if shows else [], start=1)
        ],
        "compared_with": head["n_classes"] if head else 0,
        "model": {"head_id": head["head_id"], "head_name": head["head_name"]} if shows and head else None,
        "media_missing": not part["crops"],
        "other": _track_part(other, facts) if other is not None and other in facts.tracks else None,
    }


def track_dicts(conn: sa.Connection, track_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Track, video and pictures of some tracks, in the given order; tracks that no longer exist are left out."""
    facts = _ItemFacts()
    for part in in_parts(track_ids):
        _read_tracks(conn, facts, part)
        read_media(conn, facts.media, part)
    return [_track_part(track_id, facts) for track_id in track_ids if track_id in facts.tracks]


def video_dict(conn: sa.Connection, video_id: int) -> dict[str, Any]:
    """The facts about a video that accompany its frames."""
    v = t.video.c
    columns = (v.video_id, v.uri, v.site, v.camera, v.recorded_at, v.recorded_at_source)
    return _video_part(conn.execute(sa.select(*columns).where(v.video_id == video_id)).one())


def _video_part(row: Any) -> dict[str, Any]:
    return {
        "video_id": row.video_id,
        "file": row.uri.rpartition("/")[2],
        "site": row.site,
        "camera": row.camera,
        "recorded_at": moment(row.recorded_at),
        "recorded_at_source": row.recorded_at_source,
    }


def _track_part(track_id: int, facts: _ItemFacts) -> dict[str, Any]:
    row = facts.tracks[track_id]
    return {
        "track_id": track_id,
        "video": _video_part(row),
        "track": {
            "first_s": row.first_s,
            "last_s": row.last_s,
            "n_detections": row.n_detections,
            "first_frame_no": row.first_frame_no,
            "last_frame_no": row.last_frame_no,
        },
        "face": face_url(row),
        **pictures(facts.media[track_id]),
    }


def pictures(media: dict[str, list[Any]]) -> dict[str, Any]:
    """Crops, clip and frame of one track, from its media rows."""
    crops = [
        {
            "url": url_of("crop", m.content_hash),
            "frame_no": m.frame_no,
            "time_s": m.time_s,
            "width": m.width,
            "height": m.height,
        }
        for m in media.get("crop", [])
    ]
    clip, boxes, frame = (next(iter(media.get(kind, [])), None) for kind in ("clip", "boxes", "frame"))
    return {
        "crops": crops,
        "clip": None
        if clip is None
        else {
            "url": url_of("clip", clip.content_hash),
            "boxes_url": url_of("boxes", boxes.content_hash) if boxes else None,
            "width": clip.width,
            "height": clip.height,
            "fps": clip.fps,
            "start_s": clip.start_s,
            "best_s": clip.time_s,
        },
        "frame": None
        if frame is None
        else {
            "url": url_of("frame", frame.content_hash),
            "frame_no": frame.frame_no,
            "width": frame.width,
            "height": frame.height,
            "box": [frame.x, frame.y, frame.w, frame.h],
        },
    }


def _candidate(row: Any, track: Any, facts: _ItemFacts) -> dict[str, Any]:
    beside = next(
        (
            track_id
            for who, track_id, first, last in facts.placed[track.video_id]
            if who == row.individual_id
            and track_id != track.track_id
            and first <= track.last_frame_no
            and last >= track.first_frame_no
        ),
        None,
    )
    return {
        "rank": row.rank,
        "anim_id": row.anim_id,
        "name": row.name,
        "probability": row.probability,
        "references": facts.references.get(row.individual_id, [])[:REFERENCES_SHOWN],
        "in_frame": beside,
    }


def url_of(kind: str, content_hash: str) -> str:
    """Address of a picture, by the hash of its content: browsers may cache it for ever."""
    return f"/media/{content_hash}.{MEDIA_SUFFIX[kind]}"


def face_url(row: Any) -> str:
    """Address of the best crop of a track, cut on request. It changes if the video is tracked again."""
    return f"/media/track/{row.track_id}.jpg?v={row.first_frame_no}-{row.last_frame_no}-{row.n_detections}"


def picture_url(track_id: int | None, content_hash: str | None) -> str | None:
    """Address of the best crop of a track: the stored one, else one that is cut on request. None without a track."""
    if content_hash:
        return url_of("crop", content_hash)
    return None if track_id is None else f"/media/track/{track_id}.jpg"


def clip_url(track_id: int) -> str:
    """Address of the clip of a track, made on request."""
    return f"/media/track/{track_id}/clip.mp4"


def moment(at: datetime | None) -> str | None:
    """A time as ISO 8601 in UTC with milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
