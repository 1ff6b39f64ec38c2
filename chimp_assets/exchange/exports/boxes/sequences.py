"""Names of folders and files for videos, that every system and program accepts.

Belongs here: such names. Does not belong here: formats.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from chimp_assets.exchange.exports.footage import HandedVideo

_LONGEST = 60


def sequence_name(video: HandedVideo) -> str:
    """A name of its own for each video: its number, then what its file is called, in letters, digits and dashes."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", PurePosixPath(video.uri).stem).strip("-")[:_LONGEST]
    return f"{video.video_id:06d}-{stem}" if stem else f"{video.video_id:06d}"
