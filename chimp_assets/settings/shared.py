"""Settings that all hosts of one database must share, because rows of two hosts would disagree without it.

Belongs here: which settings these are, and why the others are not among them. Does not belong here: where the shared
values are kept (`database.upkeep.shared_settings`).

**Among them** is what decides what a row says, whichever host writes it: which files are videos (another list retires
videos, and retires them again when the next host lists), how their times are weighed (all of them are weighed again
whenever the rules change), which frames are kept, which boxes and tracks come of them, which tracks are the audit's.

**Not among them** is what a row or a model says itself (everything about embedders, heads and plans: dimensions, crops,
lanes; the champion's own record is read, not the settings), what only sizes or paces the work (workers, shards,
bundles, limits of memory), when a step is due, the gate, the page, and where steps run. These may differ, and change.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from chimp_assets.settings.load import Settings
from chimp_assets.settings.steps import IN_STORE

SHARED = (
    "seed",
    "archive.suffixes",
    "archive.follow_links",
    "archive.timezone",
    "archive.container_time",
    "archive.date_order",
    "pictures.suffixes",
    "pictures.burst_s",
    "pictures.crops",
    "decode.policy",
    "decode.fps",
    "decode.longest_side",
    "decode.jpeg_quality",
    "detect.detector",
    "detect.second_opinion",
    "detect.weights",
    "detect.min_score",
    "detect.min_track_detections",
    "detect.min_quality",
    "detect.max_gap_s",
    "acquisition.audit_reserve",
    "acquisition.audit_reserve_tracks",
)
"""Names as in chimp.toml."""


def shared_values(settings: Settings) -> dict[str, str]:
    """Each shared setting as JSON. Weights count by the name of their file: hosts keep it in different folders."""
    return {name: json.dumps(_value(settings, name), ensure_ascii=False) for name in SHARED}


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    if name in ("archive.suffixes", "pictures.suffixes", "pictures.crops"):
        return sorted(set(value))
    if name == "detect.weights" and value is not None and not value.startswith(IN_STORE):
        return PurePath(value).name
    return value
