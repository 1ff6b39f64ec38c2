"""The ffmpeg command line as an independent witness: other code, another build than the decoder under test."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def run(*arguments: str) -> None:
    """Make a file; its errors are the test's."""
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", "-y", *arguments], check=True, timeout=120)


def film(path: Path, *output: str, size: str = "320x180", rate: int = 25, seconds: float = 4) -> Path:
    """A moving test picture with a running clock in it, encoded as the options say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}", *output, str(path))
    return path


def pictures(
    path: Path, width: int, height: int, filters: str = "", *, matrix: str = ""
) -> tuple[list[int], np.ndarray]:
    """(pts of every picture that is shown, u8 [n, height, width, 3]). matrix: taken where the file names none."""
    scale = f"scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int" + (
        f":in_color_matrix={matrix}" if matrix else ""
    )
    command = [
        FFMPEG, "-nostdin", "-hide_banner", "-copyts", "-i", str(path),
        "-vf", f"showinfo=checksum=0,{filters}{scale},setsar=1", "-an", "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=300)
    stamps = [int(found) for found in re.findall(rb"Parsed_showinfo.*? n: *\d+ pts: *(-?\d+)", done.stderr)]
    raw = np.frombuffer(done.stdout, np.uint8)
    shown = raw[: len(raw) // (width * height * 3) * (width * height * 3)].reshape(-1, height, width, 3)
    return stamps[: len(shown)], shown
