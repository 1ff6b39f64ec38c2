"""A decoder that dies on some files, for child processes: imports little, since each death starts a new child."""

import os

from chimp_assets.archive.video.reading import decode_video_message


def dies_on_some(message, beat):
    """As a bug in native code would: no exception, no answer."""
    if message["uri"] in ("cam/1.mp4", "cam/3.mp4"):
        os.abort()
    return decode_video_message(message, beat)
