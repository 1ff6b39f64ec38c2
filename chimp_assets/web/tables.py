"""Tables as CSV downloads.

Belongs here: the form of the file. Does not belong here: what a row is (`insight`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import StreamingResponse

from chimp_assets.database.csv_cells import GuardedWriter

_FLUSH = 32_768


def csv_download(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingResponse:
    """A CSV in UTF-8 with a header. Null is an empty cell; a text that looks like a formula gets a leading '."""
    headers = {"Content-Disposition": f'attachment; filename="{safe_name(name)}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(header, rows), media_type="text/csv; charset=utf-8", headers=headers)


def safe_name(name: str) -> str:
    """A file name that every system accepts, and that is safe in a header."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = GuardedWriter(buffer)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        if buffer.tell() > _FLUSH:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
