"""Pictures of tracks: the right ones, small enough for a slow link, playable, and never a row without its file."""

from __future__ import annotations

import io
import json
import uuid

import av
import cv2
import numpy as np
import pytest
import simplejpeg
import sqlalchemy as sa

from chimp_assets.checks.item_media import item_media_fits_a_slow_link
from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.references import choose_references
from chimp_assets.database.work.due import lacking_pictures, tracks_without_pictures
from chimp_assets.home import Home
from chimp_assets.operations.sweep import audit_store
from chimp_assets.resources import HomeResource
from chimp_assets.vision.pictures import item_media
from chimp_assets.vision.pictures.clips import CLIP_BYTES, CLIP_S, _encoded_to_fit, _window, encode_clip
from chimp_assets.vision.pictures.item_media import make_item_media
from chimp_assets.vision.pictures.stills import STILL_BYTES, TrackBoxes, sharpest, stills
from chimp_assets_tests.vision.animals import START, answer, make_animals


@pytest.fixture
def filmed(home: Home) -> Home:
    """Four videos of two tracks each; eight tracks have no pictures yet."""
    make_animals(home, videos=4)
    return home


def media_of(home: Home, track_id: int) -> dict[tuple[str, int], sa.Row]:
    with home.database.read() as conn:
        rows = conn.execute(sa.select(t.item_media).where(t.item_media.c.track_id == track_id)).all()
    return {(row.kind, row.place): row for row in rows}


def test_a_track_gets_crops_a_frame_a_clip_and_its_boxes(filmed: Home) -> None:
    """What the page shows must be what the rows say: the file, its size, the frame, the place of the animal."""
    track = t.track_id_of(1, 1)
    done = make_item_media(filmed.database, filmed.store, [track])
    assert (done.tracks, done.clips, done.failed) == (1, 1, {})
    media = media_of(filmed, track)
    assert sorted(media) == [("boxes", 0), ("clip", 0), *(("crop", n) for n in range(6)), ("frame", 0)]
    for (kind, _), row in media.items():
        content = filmed.store.get(row.uri)
        assert len(content) == row.bytes
        assert row.uri.startswith(f"item-media/{row.content_hash}.")
        if kind in ("crop", "frame"):
            picture = simplejpeg.decode_jpeg(content)
            assert picture.shape[:2] == (row.height, row.width)
    crops = [media["crop", n] for n in range(6)]
    assert (media["frame", 0].frame_no, media["frame", 0].x) == (crops[0].frame_no, crops[0].x), "the best is both"
    assert [crop.frame_no for crop in crops[1:]] == sorted(crop.frame_no for crop in crops[1:])
    boxes = json.loads(filmed.store.get(media["boxes", 0].uri))
    clip = media["clip", 0]
    assert [row[0] for row in boxes["frames"]] == pytest.approx([n / 5 for n in range(6)])
    with filmed.database.read() as conn:
        d = t.detection.c
        drawn = conn.execute(sa.select(d.x, d.y, d.w, d.h).where(d.track_id == track).order_by(d.frame_no)).all()
    assert np.array(boxes["frames"])[:, 1:] == pytest.approx(np.array(drawn), abs=1e-4)
    assert [other["track_id"] for other in boxes["others"]] == [t.track_id_of(1, 0)]
    assert clip.time_s == pytest.approx(crops[0].time_s - clip.start_s)


def test_the_clip_is_h264_with_the_pictures_at_their_times_and_its_index_first(filmed: Home) -> None:
    """Browsers on tablets play nothing else, and a clip with its index at the end does not begin before it is whole."""
    track = t.track_id_of(1, 0)
    make_item_media(filmed.database, filmed.store, [track])
    row = media_of(filmed, track)["clip", 0]
    content = filmed.store.get(row.uri)
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (row.width, row.height) == (160, 120)
        times = [frame.time for frame in container.decode(stream)]
    assert times == pytest.approx([n / 5 for n in range(6)], abs=0.002)
    assert content.index(b"moov") < content.index(b"mdat")


def test_pictures_of_noise_are_made_smaller_until_they_fit() -> None:
    """Leaves in wind are noise: at one quality they cost ten times as much as grass."""
    rng = np.random.default_rng(5)
    noise = [(n / 5, rng.integers(0, 256, (480, 640, 3), np.uint8)) for n in range(21)]
    assert len(encode_clip(noise, 480, 25)[0]) > CLIP_BYTES
    content, width, height = _encoded_to_fit(noise)
    assert len(content) <= CLIP_BYTES
    assert (width % 2, height % 2) == (0, 0)
    numbers = np.arange(8, dtype=np.int64)
    seen = TrackBoxes(numbers, np.tile([0.1, 0.1, 0.8, 0.8], (8, 1)), np.ones(8))
    pictures = {n: noise[n] for n in range(8)}
    made = stills(seen, list(range(8)), pictures)
    assert len(made) == 9
    assert sum(len(blob.content) for blob in made) <= STILL_BYTES
    alone = stills(seen, [0], pictures)[0]
    assert alone.columns["width"] > made[0].columns["width"], "no smaller than it must be"


def test_a_blurred_crop_does_not_come_first() -> None:
    """The first crop is what the expert sees for three seconds."""
    rng = np.random.default_rng(6)
    sharp = rng.integers(0, 256, (120, 160, 3), np.uint8)
    pictures = {n: (n / 5, cv2.GaussianBlur(sharp, (15, 15), 5) if n != 11 else sharp) for n in range(24)}
    seen = TrackBoxes(np.arange(24, dtype=np.int64), np.tile([0.2, 0.2, 0.5, 0.5], (24, 1)), np.ones(24))
    shown = sharpest(seen, np.arange(24), pictures)
    assert shown[0] == 11
    assert len(shown) == 8
    assert [n // 3 for n in sorted(shown)] == list(range(8)), "one for each eighth of its life"


@pytest.mark.parametrize(
    ("times", "best", "window"),
    [
        ([n / 5 for n in range(100)], 10.0, (40, 61)),
        ([n / 5 for n in range(100)], 0.0, (0, 21)),
        ([n / 5 for n in range(100)], 19.8, (79, 100)),
        ([0.0, 3.0, 6.0, 9.0], 3.0, (1, 2)),
        ([0.0, 2.0, 4.0, 6.0], 2.0, (0, 3)),
        ([5.0], 5.0, (0, 1)),
    ],
)
def test_the_clip_lies_around_the_best_picture(times: list[float], best: float, window: tuple[int, int]) -> None:
    """A clip that does not hold the moment it opens on shows another animal."""
    first, last = _window(times, best)
    assert times[last - 1] - times[first] <= CLIP_S + 1e-9
    assert times[first] <= best <= times[last - 1]
    if window != (1, 2):
        assert (first, last) == window


def test_a_maker_that_dies_leaves_files_without_rows_and_never_the_reverse(
    filmed: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row without its file is a broken picture for ever; a file without a row is swept."""
    track = t.track_id_of(1, 0)
    real = item_media.insert_rows

    def dies(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(item_media, "insert_rows", dies)
    with pytest.raises(KeyboardInterrupt):
        make_item_media(filmed.database, filmed.store, [track])
    assert media_of(filmed, track) == {}
    found = audit_store(filmed.database, filmed.store, 0, delete=True)
    assert (found.unnamed, found.n_missing) == (9, 0), "the sweep looks into the folder of pictures"
    monkeypatch.setattr(item_media, "insert_rows", real)
    make_item_media(filmed.database, filmed.store, [track])
    make_item_media(filmed.database, filmed.store, [track])
    found = audit_store(filmed.database, filmed.store, 0)
    assert (found.unnamed, found.n_missing, found.partial) == (0, 0, 0)
    assert len(media_of(filmed, track)) == 9


def test_a_shard_that_is_gone_costs_its_own_tracks_their_pictures_and_no_others(filmed: Home) -> None:
    """One lost file must not stop the pictures of a whole plan."""
    with filmed.database.read() as conn:
        uri = conn.scalar(sa.select(t.frame_shard.c.uri).where(t.frame_shard.c.video_id == 2))
    filmed.store.delete(str(uri))
    done = make_item_media(filmed.database, filmed.store, [t.track_id_of(v, 0) for v in (1, 2, 3)] + [404])
    assert (done.tracks, list(done.failed)) == (2, [t.track_id_of(2, 0)])


def test_what_is_asked_and_what_stands_for_somebody_gets_pictures(filmed: Home) -> None:
    """A queue without pictures is an empty screen."""
    db = filmed.database
    truth = {t.track_id_of(1, 0): "AA", t.track_id_of(2, 0): "AA"}
    answer(filmed, truth, "typical")
    _ask(filmed, [t.track_id_of(3, 1), t.track_id_of(3, 0)])
    assert choose_references(db) == 2
    assert choose_references(db) == 0
    with db.read() as conn:
        wanted = tracks_without_pictures(conn)
    assert wanted == [t.track_id_of(3, 1), t.track_id_of(3, 0), t.track_id_of(2, 0), t.track_id_of(1, 0)]
    make_item_media(db, filmed.store, wanted[:3])
    with db.read() as conn:
        assert tracks_without_pictures(conn) == [t.track_id_of(1, 0)]
        assert lacking_pictures(conn, wanted) == [t.track_id_of(1, 0)]
    result = item_media_fits_a_slow_link(HomeResource(path=str(filmed.settings.home)))
    assert result.passed
    assert result.metadata["tracks"].value == 3
    with db.write() as conn:
        conn.execute(sa.update(t.item_media).where(t.item_media.c.kind == "clip").values(bytes=CLIP_BYTES + 1))
    assert not item_media_fits_a_slow_link(HomeResource(path=str(filmed.settings.home))).passed


def test_a_photo_that_somebody_chose_stays_and_the_others_follow_the_answers(filmed: Home) -> None:
    """The expert knows which picture shows the torn ear."""
    db = filmed.database
    truth = {t.track_id_of(v, 0): "AA" for v in (1, 2, 3, 4)}
    answer(filmed, truth, "typical")
    choose_references(db)
    with db.write() as conn:
        r = t.reference_photo.c
        who = conn.scalar(sa.select(r.individual_id).limit(1))
        expert = conn.scalar(sa.select(t.app_user.c.user_id))
        conn.execute(sa.update(t.reference_photo).where(r.place == 2).values(user_id=expert))
        kept = conn.scalar(sa.select(r.track_id).where(r.place == 2))
        gone = conn.scalar(sa.select(r.track_id).where(r.place == 0))
        event, name = _event_of(conn, gone), conn.scalar(sa.select(t.app_user.c.name))
    (taken_back,) = record_events(db, [LabelEvent(str(uuid.uuid4()), "retract", name, supersedes=event)])
    assert taken_back.status == "stored"
    assert choose_references(db) > 0
    with db.read() as conn:
        rows = conn.execute(sa.select(r.place, r.track_id, r.user_id).order_by(r.place)).all()
        assert {row.track_id for row in rows} == set(truth) - {gone}
        assert [(row.track_id, row.user_id) for row in rows if row.place == 2] == [(kept, expert)]
        assert who is not None


def test_tracking_anew_takes_the_pictures_of_the_old_tracks_along(filmed: Home) -> None:
    """Rows of tracks that are no more would keep their video from being tracked ever again."""
    from chimp_assets.vision.tracking.bundle import _delete_leftovers

    make_item_media(filmed.database, filmed.store, [t.track_id_of(1, 0)])
    with filmed.database.write() as conn:
        assert _delete_leftovers(conn, 1) == 2
    assert media_of(filmed, t.track_id_of(1, 0)) == {}


def _event_of(conn: sa.Connection, track_id: int | None) -> str:
    return str(conn.scalar(sa.select(t.annotation.c.annotation_id).where(t.annotation.c.track_id == track_id)))


def _ask(home: Home, track_ids: list[int]) -> None:
    from chimp_assets.database.work.queue import write_round

    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.model).values(
                model_id=9, task="embedder", version=1, name="e", state="champion", config="{}", created_at=START
            )
        )
    n = len(track_ids)
    write_round(
        home.database, policy="{}", seed=1, embedder_model_id=9, watermark_seq=0, n_pool=n, track_ids=track_ids,
        lanes=["typical"] * n, propensity=[0.5] * n, reasons=[""] * n,
    )  # fmt: skip
