"""Seen together: the form, the frames, the numbers, the permanent address and the CSV.

Belongs here: handlers, reading the address. Does not belong here: the meaning of together
(`insight.association`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.insight.association import together as facts
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.insight.individuals import directory
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.labelling.items import clip_url, url_of
from chimp_assets.web.tables import csv_download

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])

PAGE = 24
MOST_MINUTES = 24 * 60
COLUMNS = (
    "individuals", "rule", "minutes", "since", "until", "names", "models", "label_seq", "video_id", "uri", "site",
    "camera", "recorded_at", "frame_no", "frame", "track_ids", "verified",
)  # fmt: skip


@dataclass(frozen=True)
class TogetherAddress:
    """The query of an address. who: (key, anim_id, name) of each individual; unknown: words that name nobody;
    promised_on: the day of the names whose promise has the threshold p."""

    who: list[tuple[int, str, str | None]]
    unknown: list[str]
    rule: Rule
    minutes: int
    since: date | None
    until: date | None
    names: Literal["verified", "model"]
    p: float
    promised_on: date | None = None

    @property
    def question(self) -> facts.TogetherQuery:
        """The query of `insight`."""
        return facts.TogetherQuery(
            tuple(key for key, _, _ in self.who),
            Scope(self.rule, self.minutes, self.since, self.until, self.p if self.names == "model" else None),
        )

    def query(self, **more: Any) -> str:
        """The query of the permanent address, without defaults."""
        parts: dict[str, Any] = {"with": ",".join(code for _, code, _ in self.who), "rule": self.rule}
        if self.rule == "minutes":
            parts["minutes"] = self.minutes
        parts |= {key: day.isoformat() for key, day in (("since", self.since), ("until", self.until)) if day}
        if self.names == "model":
            parts |= {"names": "model", "p": f"{self.p:g}"}
        return urlencode({**parts, **more}, safe=",")

    def export_query(self) -> str:
        """The query of the page of exports for these individuals and days."""
        return export_query([code for _, code, _ in self.who], self.since, self.until, self.names, self.p)


@dataclass(frozen=True)
class _TogetherParameters:
    """The parameters of the request."""

    together: Annotated[str, Query(alias="with", max_length=1000)] = ""
    who: Annotated[list[str] | None, Query(max_length=20)] = None
    rule: Rule = "frame"
    minutes: Annotated[int, Query(ge=0, le=MOST_MINUTES)] = 10
    since: Annotated[str, Query(max_length=10)] = ""
    until: Annotated[str, Query(max_length=10)] = ""
    names: Literal["verified", "model"] = "verified"
    p: Annotated[float | None, Query(ge=0, le=1)] = None


@router.get("/together.csv")
def export(request: Request, words: Annotated[_TogetherParameters, Depends()]) -> Response:
    """Frames with all individuals as CSV, or the clip if no frame has all; each row holds the query and the state."""
    with request.app.state.db.read() as conn:
        asked = _read(conn, words)
        found = facts.together(conn, asked.question) if len(asked.who) > 1 else None
    return csv_download(f"together_{'_'.join(code for _, code, _ in asked.who)}", COLUMNS, _rows(asked, found))


@router.get("/together")
def page(
    request: Request,
    words: Annotated[_TogetherParameters, Depends()],
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> Response:
    """Two or more individuals together."""
    with request.app.state.db.read() as conn:
        asked = _read(conn, words)
        if words.who is not None and not asked.unknown:
            return RedirectResponse(f"/together?{asked.query()}", 303)
        found, shown, part, more, clips, untold = None, [], [], None, {}, 0
        if len(asked.who) > 1:
            settings = request.app.state.settings
            found = facts.together(conn, asked.question)
            told, untold = facts.occasions_to_tell(
                conn, found.occasions, settings.seed, settings.acquisition.audit_reserve
            )
            place = next((n + 1 for n, o in enumerate(told) if o.video_id == after), 0) if after else 0
            part = told[place : place + PAGE]
            more = part[-1].video_id if place + PAGE < len(told) else None
            shown = facts.example_frames(conn, part)
            made = facts.clips_of(conn, part)
            clips = {video_id: url_of("clip", name) for video_id, name in made.items()}
            # Missing clips are made when somebody plays them.
            clips |= {o.video_id: clip_url(o.tracks[-1].track_id) for o in part if o.video_id not in made}
        people = directory.names(conn)
    return request.app.state.templates.TemplateResponse(
        request,
        "association/together.html",
        {
            "asked": asked,
            "promised_on": asked.promised_on,
            "found": found,
            "occasions": list(zip(part, shown, strict=True)),
            "more": more,
            "untold": untold,
            "clips": clips,
            "people": people,
            "place_of": {key: n for n, (key, _, _) in enumerate(asked.who)},
            "name_of": {key: name or code for key, code, name in asked.who},
            "too_few": facts.TOO_FEW,
            "most": facts.MAX_TOGETHER,
            "resamples": facts.RESAMPLES,
        },
    )


def _read(conn: sa.Connection, words: _TogetherParameters) -> TogetherAddress:
    usual = name_threshold(conn)
    typed = [*words.together.split(","), *(words.who or [])]
    who: dict[int, tuple[int, str, str | None]] = {}
    unknown = []
    for word in dict.fromkeys(w.strip() for w in typed[:20] if w.strip()):
        key = directory.find_named(conn, word[:200])
        if key is None or (key not in who and len(who) == facts.MAX_TOGETHER):
            unknown.append(word[:200])
            continue
        i = t.individual.c
        row = conn.execute(sa.select(i.anim_id, i.name).where(i.individual_id == key)).one()
        who[key] = (key, row.anim_id, row.name)
    return TogetherAddress(
        list(who.values()),
        unknown,
        words.rule,
        words.minutes,
        *days_of(words.since, words.until),
        words.names,
        usual.shown if words.p is None else words.p,
        usual.promised_on if words.p in (None, usual.shown) else None,
    )


def export_query(
    codes: Sequence[str], since: date | None, until: date | None, names: str, p: float, **more: str
) -> str:
    """The query of the page of exports (`pages.exports`) for what such a page shows."""
    parts = {**more, **({"individual": ",".join(codes)} if codes else {})}
    parts |= {key: day.isoformat() for key, day in (("from", since), ("to", until)) if day}
    parts |= {"min_probability": f"{p:g}"} if names == "model" else {"source": "person"}
    return urlencode(parts, safe=",")


def days_of(since: str, until: str) -> tuple[date | None, date | None]:
    """From when to when, of words like 2013-05-06; an empty one is no bound. Raises WebError for any other word."""
    first, last = _day_of("since", since), _day_of("until", until)
    if first is not None and last is not None and last < first:
        raise WebError(422, "malformed", f"until: {last} is before since, {first}.", "Swap the two days.")
    return first, last


def _day_of(name: str, word: str) -> date | None:
    if not word.strip():
        return None
    try:
        return date.fromisoformat(word.strip())
    except ValueError:
        raise WebError(
            422,
            "malformed",
            f"{name}: {word!r} is not a day like 2013-05-06.",
            "Correct the address, or leave the day out.",
        ) from None


def _rows(asked: TogetherAddress, found: facts.TogetherResult | None) -> Iterator[Sequence[Any]]:
    if found is None:
        return
    fixed = (
        " ".join(code for _, code, _ in asked.who), asked.rule, asked.minutes if asked.rule == "minutes" else None,
        asked.since, asked.until, "verified" if asked.names == "verified" else f"model >= {asked.p:g}",
        " ".join(f"{name} {version} (run {key})" for key, name, version in found.models), found.label_seq,
    )  # fmt: skip
    for occasion in found.occasions:
        first = next(track for track in occasion.tracks if track.video_id == occasion.video_id)
        clip = (occasion.video_id, first.uri, first.site, first.camera, first.recorded_at)
        tracks = (" ".join(str(track.track_id) for track in occasion.tracks), int(occasion.verified))
        numbers: list[int | None] = [*occasion.frames] or [None]
        for frame_no in numbers:
            address = None if frame_no is None else f"/media/frame/{occasion.video_id}/{frame_no}.jpg"
            yield (*fixed, *clip, frame_no, address, *tracks)
