"""Columns of the Parquet tables: names, types and meanings.

Belongs here: what a column is. Does not belong here: where its values come from (`parquet`), how it is described to
others (`croissant`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableColumn:
    """kind: `key` (int64), `count` (int32), `real` (float64), `share` (float32), `text`, `word` (text of few values),
    `moment` (UTC, milliseconds), `day`."""

    name: str
    kind: str
    what: str


_PLACE = (
    TableColumn("site", "word", "site of the camera"),
    TableColumn("camera", "word", "camera"),
    TableColumn("recorded_on", "day", "calendar day where the cameras are"),
)
_WHO = (
    TableColumn("individual_id", "key", "key of the individual; null: nobody knows"),
    TableColumn("individual", "word", "code of the individual, as merged"),
)
VIDEOS = (
    TableColumn("video_id", "key", "key of the video"),
    TableColumn("video", "text", "path inside the archive"),
    *_PLACE,
    TableColumn("recorded_at", "moment", "when the video begins"),
    TableColumn("duration_s", "real", "seconds"),
    TableColumn("frame_s", "real", "seconds that a kept frame stands for"),
    TableColumn("width", "count", "pixels as displayed"),
    TableColumn("height", "count", "pixels as displayed"),
)
SIGHTINGS = (
    TableColumn("video_id", "key", "key of the video"),
    *_WHO,
    *_PLACE,
    TableColumn("first_at", "moment", "first moment in the video"),
    TableColumn("last_at", "moment", "last moment in the video"),
    TableColumn("first_s", "real", "seconds from the first picture of the video"),
    TableColumn("last_s", "real", "seconds from the first picture of the video"),
    TableColumn("seconds_visible", "real", "how long it is visible"),
    TableColumn("n_tracks", "count", "tracks that are this individual"),
    TableColumn("n_frames", "count", "kept frames with it"),
    TableColumn("probability", "real", "that the name is right: mean of its tracks, weighed by boxes"),
    TableColumn("human_reviewed", "count", "1: a person named one of its tracks"),
)
BOXES = (
    TableColumn("video_id", "key", "key of the video"),
    TableColumn("frame_no", "count", "number of the kept frame, from 0"),
    TableColumn("time_s", "real", "seconds from the first picture of the video"),
    TableColumn("moment", "moment", "moment of the frame"),
    TableColumn("track_id", "key", "one animal followed through one video"),
    *_WHO,
    *_PLACE,
    TableColumn("status", "word", "what is known of the track: identified, unknown, cannot_tell, unlabelled"),
    TableColumn("source", "word", "who says so: person or model"),
    TableColumn("probability", "real", "that the name is right; 1: a person said so"),
    TableColumn("x", "share", "left edge, as a fraction of the displayed picture's width"),
    TableColumn("y", "share", "upper edge, as a fraction of the height"),
    TableColumn("w", "share", "width, as a fraction of the width"),
    TableColumn("h", "share", "height, as a fraction of the height"),
    TableColumn("score", "share", "how sure the detector is of the box"),
)
INDIVIDUALS = (
    TableColumn("individual_id", "key", "key of the individual"),
    TableColumn("individual", "text", "code of the individual"),
    TableColumn("name", "text", "name"),
    TableColumn("sex", "text", "F, M, or U: unknown"),
    TableColumn("birth_date", "day", "day of birth, as well as it is known"),
    TableColumn("mother", "text", "code of the mother"),
    TableColumn("father", "text", "code of the father"),
    TableColumn("entry_date", "day", "from when it was under study"),
    TableColumn("depart_date", "day", "until when"),
    TableColumn("depart_type", "text", "D death, E emigration, P permanent disappearance, O end of observation"),
)
TABLES = {"boxes": BOXES, "individuals": INDIVIDUALS, "sightings": SIGHTINGS, "videos": VIDEOS}
PARTITIONED = ("boxes", "sightings", "videos")
