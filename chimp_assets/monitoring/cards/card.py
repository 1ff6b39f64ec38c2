"""Model cards: what a model is, what it learned from, how well it does and for whom, and what it must not be used for.

Belongs here: the facts of a card, each from SQL, and the files in the store. Does not belong here: their words and
layout (`card_text`), measuring (`vision.evaluation`, `fairness`), promoting (`vision.evaluation.promotion`).

A card is written into the store at each promotion, by the gate, by hand and back: `cards/<model_id>.md` and `.json`. A
promotion is a transaction, and a process may die right after it: `keep_cards` makes what is missing or of an earlier
term, after promotions and every night.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import OPEN, alerts
from chimp_assets.monitoring.cards.card_text import as_markdown, limits_of
from chimp_assets.monitoring.words import sentence
from chimp_assets.vision.datasets.training_set import read_members
from chimp_assets.vision.models.checkpoint import ModelFileError, model_of
from chimp_assets.vision.models.registry import how_to_make, show_model

if TYPE_CHECKING:
    from chimp_assets.vision.models.checkpoint import ModelRow

log = logging.getLogger(__name__)

FOLDER = "cards"
FORMAT = 1
"""Of the JSON: raised when a field changes its meaning."""


class CardError(ChimpError):
    """A card cannot be written to a file."""


def model_card(home: Home, model_id: int) -> dict[str, Any]:
    """Everything a card says, as JSON takes it; where the file of its training set cannot be read, it says so.

    Raises ModelError for an unknown model, StoreError or DatabaseError.
    """
    with home.database.read() as conn:
        row = model_of(conn, model_id)
        shown = show_model(conn, model_id)
        dates = conn.execute(
            sa.select(t.model.c.created_at, t.model.c.decided_at).where(t.model.c.model_id == model_id)
        ).one()
        parents = _parents(conn, row)
        card: dict[str, Any] = {
            "format": FORMAT,
            "model_id": row.model_id,
            "task": row.task,
            "version": row.version,
            "name": row.name,
            "state": row.state,
            "reason": row.reason,
            "created_at": _moment(dates.created_at),
            "decided_at": _moment(dates.decided_at),
            "decisions": [{**one, "at": _moment(one["at"])} for one in shown["decisions"]],
            "checkpoint": {"uri": row.checkpoint_uri, "hash": row.checkpoint_hash},
            "parents": [_name_of(one) for one in parents],
            "splits": _splits(conn),
            "metrics": _metrics(conn, model_id),
            "fairness": _fairness(conn, model_id),
            "drift": _drift(conn, model_id),
            "licences": _licences([row, *parents]),
            "reproduce": {
                "sentence": how_to_make(conn, model_id),
                "code": row.config.get("code"),
                "seed": row.config.get("seed"),
                "settings": row.config.get("settings", {}),
            },
        }
    card["data"] = _data(home, row)
    card["limits"] = limits_of(card, home.settings.monitoring.least_group)
    found: dict[str, Any] = json.loads(json.dumps(card, default=str))
    return found


def save_card(card: dict[str, Any], file: Path, as_json: bool) -> None:
    """Write a card to a file of this machine, as JSON or as Markdown. Raises CardError if it cannot be written."""
    try:
        file.write_text(_json_of(card) if as_json else as_markdown(card), encoding="utf-8")
    except OSError as error:
        raise CardError(
            f"{file} cannot be written: {error.strerror or error}.", "Check the folder and its room."
        ) from None


def _json_of(card: dict[str, Any]) -> str:
    return json.dumps(card, indent=1, sort_keys=True) + "\n"


def write_card(home: Home, model_id: int) -> dict[str, Any]:
    """Put the card of a model into the store, both files; returns it. Raises as `model_card`."""
    card = model_card(home, model_id)
    home.store.put(key_of(model_id, "md"), as_markdown(card).encode())
    # Last, because `keep_cards` looks at it.
    home.store.put(key_of(model_id, "json"), _json_of(card).encode())
    return card


def stored_card(home: Home, model_id: int) -> dict[str, Any] | None:
    """The card as it was written when the model was promoted; None if it has none. Raises StoreError."""
    key = key_of(model_id, "json")
    if home.store.head(key) is None:
        return None
    try:
        found: dict[str, Any] = json.loads(home.store.get(key))
    except ValueError:
        return None  # somebody else's file; made anew by the next run
    return found if found.get("format") == FORMAT else None


def keep_cards(home: Home) -> list[int]:
    """Write the cards of models that are or were champion, where they are missing or of an earlier term; their keys.

    May be killed and run again. Raises as `write_card`.
    """
    m = t.model.c
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(m.model_id, m.state, m.decided_at)
            .where(m.state.in_(("champion", "retired")))
            .order_by(m.model_id)
        ).all()
    there = {info.key for info in home.store.list(FOLDER)}
    written = []
    for row in rows:
        whole = {key_of(row.model_id, "md"), key_of(row.model_id, "json")} <= there
        if whole and row.state == "champion":
            card = stored_card(home, row.model_id)
            whole = card is not None and (card["state"], card["decided_at"]) == ("champion", _moment(row.decided_at))
        if not whole:
            write_card(home, row.model_id)
            written.append(row.model_id)
    return written


def keep_cards_after_promotion(home: Home) -> None:
    """`keep_cards`; what goes wrong is logged and made good by the next run: a promotion never fails because of it."""
    try:
        keep_cards(home)
    except ChimpError as error:
        log.warning("A model card could not be written, the nightly run tries again: %s", error)


def key_of(model_id: int, ending: str) -> str:
    """Where a card lies in the store. ending: md or json."""
    return f"{FOLDER}/{model_id}.{ending}"


def _moment(at: Any) -> str | None:
    return None if at is None else at.isoformat()


def _parents(conn: sa.Connection, row: ModelRow) -> list[ModelRow]:
    """Its parent, that one's parent and so on."""
    found: list[ModelRow] = []
    while row.parent_id is not None and all(row.parent_id != one.model_id for one in found):
        row = model_of(conn, row.parent_id)
        found.append(row)
    return found


def _name_of(row: ModelRow) -> dict[str, Any]:
    return {"model_id": row.model_id, "task": row.task, "version": row.version, "name": row.name}


def _data(home: Home, row: ModelRow) -> dict[str, Any] | None:
    """What it was taught: of its training set; of an embedder that needed no labels, what its row says."""
    if row.training_set_id is None:
        learned: dict[str, Any] = {name: row.config[name] for name in ("n_tracks", "n_crops") if name in row.config}
        return {"labelled": False, **learned} if learned else None
    s = t.training_set.c
    with home.database.read() as conn:
        known = conn.execute(sa.select(t.training_set).where(s.training_set_id == row.training_set_id)).one()
    facts: dict[str, Any] = {
        "labelled": True,
        "training_set_id": known.training_set_id,
        "tracks": known.n_tracks,
        "individuals": known.n_classes,
        "watermark_seq": known.watermark_seq,
        "merge_watermark": known.merge_watermark,
        "split_seed": known.split_seed,
        "member_uri": known.member_uri,
        "member_hash": known.member_hash,
        "videos": None,
        "days": None,
        "cameras": None,
    }
    if known.task == "detector":  # boxes on pictures, not tracks: its file has other columns
        return facts
    try:
        members = read_members(home.database, home.store, known.training_set_id)
    except (ModelFileError, MissingBlobError) as error:
        return facts | {"unreadable": error.sentence}
    videos: dict[int, tuple[Any, ...]] = {}
    with home.database.read() as conn:
        k, v = t.track.c, t.video.c
        for part in in_parts(members.track_id.tolist()):
            for one in conn.execute(
                sa.select(v.video_id, v.site, v.camera, v.recorded_on)
                .join_from(t.track, t.video, v.video_id == k.video_id)
                .where(k.track_id.in_(part))
                .distinct()
            ):
                videos[one.video_id] = (one.site, one.camera, one.recorded_on)
    return facts | {
        "videos": len(videos),
        "days": len({day for _, _, day in videos.values() if day is not None}),
        "cameras": len({(site, camera) for site, camera, _ in videos.values() if camera is not None}),
    }


def _splits(conn: sa.Connection) -> list[dict[str, Any]]:
    s = t.split_assignment.c
    rows = conn.execute(
        sa.select(s.split, sa.func.count().label("videos"), sa.func.count(sa.distinct(s.day_key)).label("days"))
        .group_by(s.split)
        .order_by(s.split)
    )
    return [{"split": row.split, "videos": row.videos, "camera_days": row.days} for row in rows]


def _metrics(conn: sa.Connection, model_id: int) -> list[dict[str, Any]]:
    """Of each set of answers the newest measurement, whole numbers first."""
    e = t.evaluation_metric.c
    newest = (
        sa.select(e.dataset, sa.func.max(e.watermark_seq).label("seq"))
        .where(e.model_id == model_id, e.dataset != "returns")
        .group_by(e.dataset)
        .subquery()
    )
    rows = conn.execute(
        sa.select(
            e.dataset, e.watermark_seq, e.slice_kind, e.slice_value, e.name, e.value, e.ci_low, e.ci_high, e.n,
            e.about, e.blocks,
        )
        .join_from(
            t.evaluation_metric,
            newest,
            sa.and_(newest.c.dataset == e.dataset, newest.c.seq == e.watermark_seq),
        )
        .where(e.model_id == model_id, e.n > 0)
        .order_by(e.dataset, sa.case((e.slice_kind == "all", 0), else_=1), e.metric_id)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def _fairness(conn: sa.Connection, model_id: int) -> dict[str, Any] | None:
    """What the newest look at groups found: each that is worse or better, and how many there are of each state."""
    f = t.fairness_metric.c
    newest = conn.scalar(sa.select(sa.func.max(f.watermark_seq)).where(f.model_id == model_id))
    if newest is None:
        return None
    rows = conn.execute(
        sa.select(
            f.slice_kind, f.slice_value, f.name, f.value, f.low, f.high, f.adjusted_p, f.n, f.blocks, f.state
        )
        .where(f.model_id == model_id, f.watermark_seq == newest)
        .order_by(f.fairness_id)
    ).all()  # fmt: skip
    counts = Counter(row.state for row in rows)
    return {
        "watermark_seq": newest,
        "groups": {state: counts.get(state, 0) for state in t.FAIRNESS_STATES},
        "findings": [dict(row._mapping) for row in rows if row.state in ("worse", "better")],
    }


def _drift(conn: sa.Connection, model_id: int) -> dict[str, Any]:
    """Changes that are open and concern every model, or this one."""
    found = [one for one in alerts(conn, [OPEN]) if one.model_id in (None, model_id)]
    return {
        "open": len(found),
        "alerts": [
            {
                "alert_id": one.alert_id, "kind": one.kind, "signal": one.signal, "camera": one.camera,
                "since": one.since.isoformat(), "says": sentence(one),
            }
            for one in found
        ],
    }  # fmt: skip


def _licences(models: Sequence[ModelRow]) -> list[dict[str, Any]]:
    """Of weights that were learned elsewhere, of the model and what it stands on."""
    found = []
    for one in models:
        if "weights" in one.config or one.config.get("pretrained"):
            found.append(
                {
                    "model_id": one.model_id,
                    "weights": one.config.get("weights", one.config.get("backbone")),
                    "sha256": one.config.get("weights_sha256"),
                    "licence": one.config.get("licence", "not stated"),
                }
            )
    return found
