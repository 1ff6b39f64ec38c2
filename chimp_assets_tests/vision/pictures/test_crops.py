"""The crops that speak for a track."""

import numpy as np
import pytest
import simplejpeg
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.database import schema
from chimp_assets.vision.pictures.crops import are_grey, best_crops, crop_square, read_crops
from chimp_assets_tests.vision.animals import FRAMES, make_animals


def test_the_best_crop_of_each_part_of_a_tracks_life_is_taken():
    """The k best scores are often k neighbouring frames, which show one pose."""
    frames = np.arange(20)
    boxes = np.tile(np.array([0.4, 0.4, 0.2, 0.2], dtype=np.float32), (20, 1))
    scores = np.full(20, 0.5, dtype=np.float32)
    scores[[3, 4, 5, 12]] = 0.9
    assert best_crops(frames, boxes, scores, 2).tolist() == [3, 12]


def test_boxes_cut_off_by_the_picture_are_taken_last():
    """An animal walking in shows its flank at the border and its face in the middle."""
    frames = np.arange(4)
    boxes = np.array([[0, 0.4, 0.3, 0.3], [0.4, 0.4, 0.2, 0.2], [0.4, 0.4, 0.2, 0.2], [0.7, 0.4, 0.3, 0.3]], np.float32)
    assert set(best_crops(frames, boxes, np.ones(4, np.float32), 2).tolist()) == {1, 2}


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40, unique=True),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
)
def test_any_track_gives_as_many_different_rows_as_it_can(frames, k, random):
    """Long gaps leave parts of a life empty; their places must be filled, never doubled."""
    n = len(frames)
    boxes = np.array([[random.random() * 0.5 for _ in range(2)] + [0.1, 0.1] for _ in range(n)], dtype=np.float32)
    rows = best_crops(np.array(frames), boxes, np.array([random.random() for _ in range(n)], np.float32), k)
    assert len(set(rows.tolist())) == min(n, k)
    assert np.all(np.diff(np.array(frames)[rows]) > 0)


@given(
    st.floats(0, 0.99),
    st.floats(0, 0.99),
    st.floats(0.001, 1),
    st.floats(0.001, 1),
    st.sampled_from([(9, 16), (50, 7)]),
)
def test_any_box_becomes_a_square(x, y, w, h, shape):
    """A box at the border, or of one pixel, ended in an empty array or a wrong size."""
    picture = np.arange(shape[0] * shape[1] * 3, dtype=np.uint32).reshape(*shape, 3).astype(np.uint8)
    assert crop_square(picture, (x, y, min(w, 1 - x), min(h, 1 - y)), 32).shape == (32, 32, 3)


def test_a_square_holds_the_middle_of_its_box():
    """Mixing up x and y, or fractions of width and height, shows another place."""
    picture = np.zeros((100, 200, 3), dtype=np.uint8)
    picture[40:60, 150:170] = (255, 0, 0)
    crop = crop_square(picture, (150 / 200, 40 / 100, 20 / 200, 20 / 100), 32)
    assert crop[16, 16].tolist() == [255, 0, 0]
    assert crop.reshape(-1, 3).mean(0)[0] > 180


def test_a_videos_live_tracks_come_with_their_own_pictures(home):
    """Junk tracks must not be embedded, and the crops of two animals in one frame must not be swapped."""
    make_animals(home, videos=1, bundles=1)
    tracks = {t.track_id: t for t in read_crops(home.database, home.store, 1, 4, 32)}
    assert sorted(tracks) == [schema.track_id_of(1, 0), schema.track_id_of(1, 1)]
    for track in tracks.values():
        assert track.crops.shape == (4, 32, 32, 3)
        assert np.all(np.diff(track.frame_no) > 0)
        middle = track.crops[:, 8:24, 8:24].astype(float)
        other = next(t for t in tracks.values() if t is not track).crops[:, 8:24, 8:24].astype(float)
        assert np.abs(middle[0] - middle[-1]).mean() < np.abs(middle[0] - other[-1]).mean()
    with home.database.write() as conn:
        conn.execute(sa.update(schema.track).where(schema.track.c.track_id == min(tracks)).values(state="junk"))
    assert [t.track_id for t in read_crops(home.database, home.store, 1, 4, 32)] == [max(tracks)]
    assert list(read_crops(home.database, home.store, 1, 4, 32, track_ids=[])) == []


def test_asking_for_no_crops_is_an_error_and_for_many_gives_all():
    """k = 0 would leave tracks without a vector and no word about it."""
    boxes = np.tile(np.array([0.1, 0.1, 0.2, 0.2], dtype=np.float32), (FRAMES, 1))
    assert len(best_crops(np.arange(FRAMES), boxes, np.ones(FRAMES, np.float32), 99)) == FRAMES
    with pytest.raises(ValueError, match="0 crops"):
        best_crops(np.arange(FRAMES), boxes, np.ones(FRAMES, np.float32), 0)


def test_infrared_is_told_from_dark_fur_by_day():
    """By their mean colour black animals by day are infrared, and the slice of the night measures the day."""
    rng = np.random.default_rng(0)
    fur = np.clip(rng.normal(28, 9, (3, 96, 96, 1)) + rng.normal(0, 2, (3, 96, 96, 3)), 0, 255).astype(np.uint8)
    by_day = fur.copy()
    by_day[:, :20] = (70, 110, 60)  # leaves above the animal
    night = np.repeat(np.clip(rng.normal(90, 40, (3, 96, 96, 1)), 0, 255).astype(np.uint8), 3, axis=3)
    kept = np.stack([simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(np.ascontiguousarray(one), 75)) for one in night])
    assert are_grey(kept)
    assert not are_grey(by_day)
