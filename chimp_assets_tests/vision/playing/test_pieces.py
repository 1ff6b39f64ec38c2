"""Pieces as a player gets them: each picture at its time, and nothing over the end."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
import simplejpeg

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.vision.playing.making import make_piece, make_strip
from chimp_assets.vision.playing.pieces import LONGEST_SIDE, encode_piece
from chimp_assets.vision.playing.strips import HEIGHT, WIDTH
from chimp_assets_tests.vision.playing.counted import number_of, picture, uneven

START_S = 20.0


def decoded(content: bytes) -> list[tuple[float, float, np.ndarray]]:
    """(seconds, seconds it lasts, picture) in the order of decoding."""
    with av.open(io.BytesIO(content)) as file:
        stream = file.streams.video[0]
        base = stream.time_base
        assert base is not None
        lasts = {packet.pts: float((packet.duration or 0) * base) for packet in file.demux(stream) if packet.size}
    with av.open(io.BytesIO(content)) as file:
        shown = [(frame.pts, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    return [(float(pts * base), lasts[pts], one) for pts, one in shown]


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (1000, 562)], ids=["wide", "upright", "larger"])
def test_every_picture_is_there_at_its_time_until_the_next(size: tuple[int, int]) -> None:
    times = [START_S + time_s for time_s in uneven(60)]
    content, unreadable = encode_piece((picture(n, *size) for n in range(60)), times, times[-1] + 0.5)
    found = decoded(content)
    assert unreadable == 0
    assert [number_of(one) for _, _, one in found] == list(range(60))
    assert [time_s for time_s, _, _ in found] == pytest.approx([time_s - START_S for time_s in times], abs=1e-5)
    after = [time_s for time_s, _, _ in found[1:]] + [times[-1] - START_S + 0.5]
    assert [time_s + lasts for time_s, lasts, _ in found] == pytest.approx(after, abs=3e-5)
    height, width = found[0][2].shape[:2]
    assert max(height, width) == min(LONGEST_SIDE, max(size))
    assert width / height == pytest.approx(size[0] / size[1], rel=0.01)


def test_a_piece_never_reaches_into_the_next() -> None:
    """A browser would throw away the next piece's first picture, and with it all that lean on it."""
    rng = np.random.default_rng(1)
    for start, length in zip(rng.uniform(0, 3600, 5), rng.uniform(0.1, 10, 5), strict=True):
        content, _ = encode_piece([picture(0), picture(1)], [start, start + length / 2], start + length)
        time_s, lasts, _ = decoded(content)[-1]
        assert start + time_s + lasts < start + length


def test_a_picture_that_cannot_be_read_is_grey_and_moves_no_other() -> None:
    shown: list[Any] = [None, picture(1), None, picture(3)]
    content, unreadable = encode_piece(shown, [0.0, 0.2, 0.4, 0.6], 0.8)
    found = [one for _, _, one in decoded(content)]
    assert unreadable == 2
    assert [number_of(found[n]) for n in (1, 3)] == [1, 3]
    assert all(found[n].std() < 2 for n in (0, 2))
    with pytest.raises(PictureError, match="None of these"):
        encode_piece([None, None], [0.0, 0.2], 0.4)
    with pytest.raises(ValueError, match="2 pictures and 3 times"):
        encode_piece([picture(0), picture(1)], [0.0, 0.2, 0.4], 0.6)


def test_pictures_of_several_shards_are_read_in_their_order() -> None:
    """As the child does it, in this process; the last picture is damaged."""
    store = BlobStore.open(f"memory://{__name__}")
    jpegs = [simplejpeg.encode_jpeg(picture(n, 640, 360), quality=85) for n in range(5)] + [b"no picture"]
    store.put("one.tar", b"xx" + b"".join(jpegs[:3]))
    store.put("two.tar", b"".join(jpegs[3:]))
    lengths = np.array([len(jpeg) for jpeg in jpegs])
    offsets = [2, 2 + lengths[0], 2 + lengths[:2].sum(), 0, lengths[3], lengths[3:5].sum()]
    message = {
        "store": {}, "uris": ["one.tar", "two.tar"], "shard": np.array([0, 0, 0, 1, 1, 1]),
        "offset": np.array(offsets), "length": lengths, "time_s": np.arange(6) / 5, "until_s": 1.2,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlobStore, "of_message", lambda _message: store)
        patch.setattr("os.nice", lambda more: 10)
        piece, strip = make_piece(message, lambda: None), make_strip(message, lambda: None)
    assert (piece["unreadable"], strip["unreadable"]) == (1, 1)
    assert [number_of(one) for _, _, one in decoded(bytes(piece["content"]))][:5] == [0, 1, 2, 3, 4]
    cells = simplejpeg.decode_jpeg(bytes(strip["content"]))
    assert cells.shape == (HEIGHT, 6 * WIDTH, 3)
    assert [number_of(cells[:, n * WIDTH : (n + 1) * WIDTH]) for n in range(5)] == [0, 1, 2, 3, 4]
    assert cells[:, 5 * WIDTH + 8 :].mean() < 8
