"""Sightings as CSV. Does not belong here: what a sighting is (`sql/views/v_sighting.sql`)."""

from __future__ import annotations

from typing import BinaryIO

import sqlalchemy as sa

from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import Export, ExportRequest

COLUMNS = (
    "anim_id", "uri", "site", "camera", "recorded_at", "recorded_on", "first_s", "last_s", "seconds_visible",
    "n_tracks", "n_frames", "min_probability", "mean_probability", "human_reviewed",
)  # fmt: skip


def _write(request: ExportRequest, stream: BinaryIO) -> int:
    """Without conditions every sighting, with its probability; else those in which a track is wanted."""
    view = sa.table("v_sighting", sa.column("individual_id"), sa.column("video_id"), *map(sa.column, COLUMNS))
    wanted = sa.select(*(view.c[name] for name in COLUMNS)).order_by(view.c.video_id, view.c.individual_id)
    if request.selection.given:
        tracks = request.selection.tracks().subquery("tracks")
        named = sa.select(tracks.c.video_id, tracks.c.individual_id).where(tracks.c.individual_id.is_not(None))
        pair = named.distinct().subquery("pair")
        both = sa.and_(pair.c.video_id == view.c.video_id, pair.c.individual_id == view.c.individual_id)
        wanted = wanted.join_from(view, pair, both)
    with request.read() as conn:
        return write_rows(stream, COLUMNS, conn.execution_options(yield_per=2_000).execute(wanted))


EXPORT = Export(
    "Who was seen in which video, when, and for how long: a row for each individual of a video.", ".csv", _write
)
