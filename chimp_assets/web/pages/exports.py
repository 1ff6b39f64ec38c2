"""Exports: choose what and in which format, and download it.

Belongs here: handlers, reading the address. Does not belong here: formats and conditions (`exchange.exports`).

A download is a ZIP with the file or folder and its sidecar. It is made in temporary files that are gone when it is
sent, one at a time, and is bounded: larger ones are `chimp export`'s. Coordinates never leave here as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from chimp_assets.database import schema as t
from chimp_assets.database.footage.cameras import in_words
from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.exchange.exports import export as export_of
from chimp_assets.exchange.exports import exports
from chimp_assets.exchange.exports.conditions import ANY, CONDITIONS, ConditionError, selection_of_pairs
from chimp_assets.exchange.exports.export import Export, ExportRequest, missing_settings, pack, write_export
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.insight.individuals import directory
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.tables import safe_name

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])

DOWNLOAD = "/export/download"
MOST_BOXES = 300_000
"""Of tracks in one download: some ten seconds of work."""
MOST_BYTES = 300_000_000
"""Of pictures in one download."""
USUAL = "sightings"
_CHUNK = 1 << 18
_LONGEST = 20_000
# What the form has fields for; others of the address are kept.
_SHOWN = ("individual", "camera", "from", "to", "source", "min_probability")


@dataclass(frozen=True)
class _Extent:
    """How much is selected."""

    tracks: int
    videos: int
    boxes: int


@dataclass(frozen=True)
class _Address:
    """The query of the address. given: conditions in their order; options: of formats, by format and name."""

    format: str
    given: list[tuple[str, str]]
    options: dict[str, dict[str, str]]

    def value(self, key: str) -> str:
        """What a field of the form shows."""
        return ",".join(text for name, text in self.given if name == key)

    def option(self, name: str, option: str, default: str) -> str:
        """What is chosen for an option of a format."""
        return self.options.get(name, {}).get(option, default)

    @property
    def others(self) -> list[tuple[str, str]]:
        """Conditions for which the form has no field."""
        return [(key, text) for key, text in self.given if key not in _SHOWN]


def _read(request: Request) -> _Address:
    """Raises WebError for a parameter that there is not."""
    if len(request.url.query) > _LONGEST:
        raise WebError(422, "malformed", "This selection is too long for an address.", "Use `chimp export`.")
    chosen, given, options = USUAL, [], dict[str, dict[str, str]]()
    known = exports()
    for key, value in request.query_params.multi_items():
        text = value.strip()
        name, point, option = key.partition(".")
        if key == "format":
            chosen = text
        elif key in CONDITIONS:
            given += [(key, text)] if text and (key, text) != ("source", ANY) else []
        elif point and name in known and option in {one.name for one in known[name].options}:
            options.setdefault(name, {})[option] = text
        else:
            raise WebError(422, "malformed", f"{key[:100]!r} is no condition.", f"There are {', '.join(CONDITIONS)}.")
    return _Address(chosen, given, options)


@router.get("/export")
def form(request: Request) -> Response:
    """Conditions, formats with their options, and how much is selected."""
    asked = _read(request)
    known = exports()
    problem: ConditionError | None = None
    extent: _Extent | None = None
    with request.app.state.db.read() as conn:
        try:
            extent = _extent(conn, selection_of_pairs(conn, asked.given, request.app.state.settings))
        except ConditionError as error:
            problem = error
        people, usual = directory.names(conn), name_threshold(conn)
        v = t.video.c
        places = conn.execute(sa.select(v.site, v.camera).where(v.camera.is_not(None)).distinct()).all()
    given = list(dict.fromkeys(key for key, _ in asked.given))
    missing = {name: missing_settings(one, request.app.state.settings) for name, one in known.items()}
    return request.app.state.templates.TemplateResponse(
        request,
        "exports.html",
        {
            "asked": asked,
            "formats": known,
            "chosen": asked.format if asked.format in known and not missing[asked.format] else USUAL,
            "missing": missing,
            "unfit": {name: [key for key in given if not one.may_narrow(key)] for name, one in known.items()},
            "problem": problem,
            "usual": usual,
            "extent": extent,
            "most": MOST_BOXES,
            "people": people,
            "cameras": sorted(in_words(site, camera) for site, camera in places),
            "path": DOWNLOAD,
        },
    )


@router.get(DOWNLOAD)
def download(request: Request, format: Annotated[str, Query(max_length=100)] = USUAL) -> Response:
    """One export as a ZIP. The parameters are those of the page."""
    asked = _read(request)
    one = export_of(format)
    home = request.app.state.home
    with request.app.state.db.read() as conn:
        selection = selection_of_pairs(conn, asked.given, request.app.state.settings)
        extent = _extent(conn, selection)
    if extent.boxes > MOST_BOXES:
        raise WebError(
            413,
            "too_much",
            f"{extent.boxes:,} boxes are selected, and a download here holds at most {MOST_BOXES:,}.",
            "Narrow the selection, or use `chimp export`.",
        )
    wanted = ExportRequest(
        request.app.state.db, home.settings, home.store, selection, options=asked.options.get(format, {}),
        most_bytes=MOST_BYTES,
    )  # fmt: skip
    if not request.app.state.exporting.acquire(blocking=False):
        raise WebError(503, "busy", "Another export is being made.", "Try again in a minute.", {"Retry-After": "20"})
    try:
        packed = _packed(one, wanted, format)
    finally:
        request.app.state.exporting.release()
    headers = {
        "Content-Disposition": f'attachment; filename="{safe_name(format)}.zip"',
        "Cache-Control": "no-store",
        "Content-Length": str(packed.seek(0, 2)),
    }
    packed.seek(0)
    return StreamingResponse(_chunks(packed), media_type="application/zip", headers=headers)


def _extent(conn: sa.Connection, selection: Selection) -> _Extent:
    wanted, k = selection.tracks().subquery("wanted"), t.track.c
    row = conn.execute(
        sa.select(
            sa.func.count(), sa.func.count(wanted.c.video_id.distinct()),
            sa.func.coalesce(sa.func.sum(k.n_detections), 0),
        ).join_from(wanted, t.track, k.track_id == wanted.c.track_id)
    ).one()  # fmt: skip
    return _Extent(*map(int, row))


def _packed(one: Export, wanted: ExportRequest, name: str) -> IO[bytes]:
    """The export with its sidecar as a ZIP in a file without a name, which is gone when it is closed."""
    packed = tempfile.TemporaryFile()  # noqa: SIM115  it is closed when it has been sent
    try:
        with tempfile.TemporaryDirectory(prefix="chimp-export-") as there:
            folder = Path(there) / name
            if not one.folder:
                folder.mkdir()
            write_export(one, wanted, folder if one.folder else folder / one.file_name(name), name=name)
            pack(folder, packed)
    except BaseException:
        packed.close()
        raise
    return packed


def _chunks(packed: IO[bytes]) -> Iterator[bytes]:
    with packed:
        while chunk := packed.read(_CHUNK):
            yield chunk
