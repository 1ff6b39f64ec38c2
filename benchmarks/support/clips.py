"""Video to measure with: generated 1080p, made once and kept in the temporary folder, and a real clip if there is one.

Belongs here: making and finding clips. Does not belong here: what is measured.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

from chimp_assets_tests.paths import SHARED_DATA

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_FOLDER = Path(tempfile.gettempdir()) / "chimp-benchmark-clips"


def ffmpeg_version() -> str:
    """Version of the command line that peers are measured with."""
    return subprocess.run([FFMPEG, "-version"], capture_output=True, text=True, check=True).stdout.split()[2]


def generated(fps: int = 25) -> Path:
    """One minute of 1920 x 1080 H.264, about 6 Mbit/s at 25 pictures a second, noise over a moving test picture, a key
    picture every 50.
    """
    return _made(
        f"1080p{fps}.mp4",
        ["-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r={fps}:d=60,noise=alls=8:allf=t", "-c:v", "libx264",
         "-preset", "superfast", "-b:v", f"{6 * fps // 25 or 1}M", "-g", "50", "-pix_fmt", "yuv420p"],
    )  # fmt: skip


def repeated(clip: Path, times: int) -> Path:
    """The clip that many times in a row, without encoding it again."""
    return _made(
        f"{clip.stem}-{times}.mp4", ["-stream_loop", str(times - 1), "-i", str(clip), "-c", "copy"]
    )  # fmt: skip


def real() -> Path | None:
    """A real 1080p clip (39 s at 60 pictures a second), where the shared test files are on this machine."""
    path = SHARED_DATA / "videos" / "tracktor_spider_video.mp4"
    return path if path.is_file() else None


def _made(name: str, options: list[str]) -> Path:
    path = _FOLDER / name
    if not path.is_file():
        _FOLDER.mkdir(exist_ok=True)
        partial = path.with_name(f"part-{name}")
        subprocess.run([FFMPEG, "-v", "error", "-nostdin", "-y", *options, str(partial)], check=True)
        partial.replace(path)
    return path
