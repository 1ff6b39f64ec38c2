"""What stands beside a file that was handed on: what is in it, as of when, by which models, and how to cite it.

Belongs here: the sidecar of every export. Does not belong here: formats, writing them (`export`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.files.whole_file import write_whole

if TYPE_CHECKING:
    from chimp_assets.exchange.exports.export import Export, ExportRequest

ABOUT = "about.json"
"""The sidecar in a folder; that of a file is called `<file>.about.json`."""
_PRODUCT = "chimp-assets"
_HANDED_ON = (
    "title", "description", "species", "vernacular", "sampling_design", "contributors", "organisation", "data_licence",
    "media_licence", "citation", "homepage",
)  # fmt: skip


def sidecar_of(file: Path) -> Path:
    """Where the sidecar of a file lies."""
    return file.with_name(f"{file.name}.{ABOUT}")


def about_of(
    export: Export, request: ExportRequest, name: str | None, n: int, files: Mapping[str, Any]
) -> dict[str, Any]:
    """The sidecar of what was written. files: `file_facts` of each by its path; n: what `write` returned."""
    facts = dict(request.facts)
    with request.database.read() as conn:
        newest = int(conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0)
        models = _models(conn)
    project = request.settings.project
    said = {key: getattr(project, key) for key in _HANDED_ON}
    return {
        "export": name,
        "what": export.what,
        "selection": {"words": request.selection.words, "where": list(request.selection.given)},
        "options": dict(request.options),
        "label_seq": facts.pop("label_seq", newest),
        "models": models,
        "coordinates": "exact" if request.exact_places else "rounded to 2 decimals, or left out",
        "counts": {"n": n, **facts.pop("counts", {})},
        **facts,
        "project": {key: list(value) if isinstance(value, tuple) else value for key, value in said.items() if value},
        "made_by": {"product": _PRODUCT, "version": product_version()},
        "made_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "files": dict(files),
    }


def product_version() -> str:
    """The version of the product, as its package says."""
    try:
        return importlib.metadata.version(_PRODUCT)
    except importlib.metadata.PackageNotFoundError:
        return "checkout"


def file_facts(file: Path) -> dict[str, Any]:
    """Bytes and SHA-256 of a file."""
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def write_about(file: Path, about: Mapping[str, Any]) -> None:
    """Writes a sidecar, whole. Raises FileWriteError."""
    text = json.dumps(about, ensure_ascii=False, indent=1, default=str) + "\n"
    write_whole(file, lambda stream: stream.write(text.encode("utf-8", "backslashreplace")))


def is_about_folder(folder: Path) -> bool:
    """Whether an export has written this folder."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        isinstance(about, dict) and isinstance(made := about.get("made_by"), dict) and made.get("product") == _PRODUCT
    )


def _models(conn: sa.Connection) -> list[dict[str, Any]]:
    """The detectors, the embedder and the head that stand behind tracks and names now."""
    m = t.model.c
    used = sa.select(t.track.c.model_id).where(t.track.c.model_id == m.model_id, t.track.c.state == "live").exists()
    rows = conn.execute(
        sa.select(m.model_id, m.task, m.name, m.version, m.checkpoint_hash)
        .where(sa.or_(m.state == "champion", sa.and_(m.task == "detector", used)))
        .order_by(m.task, m.version)
    )
    return [row._asdict() for row in rows]
