"""Cutting, joining and telling tracks from the scenery, by colours alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.vision.tracking.purity import PurityConfig, colours, purify, scenery
from chimp_assets.vision.tracking.tracker import LinkedTrack

RED, BLUE, GROUND = (150, 60, 50), (50, 70, 150), (120, 118, 90)


def track(first, n, x=0.1, step=0.01):
    """A track of n boxes in a row that walks to the right."""
    boxes = np.tile(np.array([x, 0.4, 0.2, 0.2], np.float32), (n, 1))
    boxes[:, 0] += step * np.arange(n, dtype=np.float32)
    return LinkedTrack(np.arange(first, first + n, dtype=np.int32), boxes, np.full(n, 0.8, np.float32))


def looks_like(colour_of):
    """Appearance of boxes whose colour is a function of the frame number, with some noise."""

    def looks(spots):
        found = {}
        for spot in spots:
            noise = np.random.default_rng(spot[0]).normal(0, 6, (30, 30, 3))
            picture = np.clip(np.array(colour_of(spot[0])) + noise, 0, 255).astype(np.uint8)
            found[spot] = colours(picture, (0.1, 0.1, 0.8, 0.8))
        return found

    return looks


def test_a_track_is_cut_where_its_animal_changes_beside_another():
    """A track that jumps to another animal makes a wrong name of a right answer."""
    one, other = track(0, 20), track(10, 4, x=0.3)
    parts = purify([one, other], 5.0, looks_like(lambda frame: RED if frame < 12 else BLUE))
    assert [part.frame_nos.tolist() for part in parts] == [list(range(12)), list(range(10, 14)), list(range(12, 20))]


def test_a_track_that_meets_nobody_stays_whole():
    """Where no other animal was near, a change of colour is a turn or a shadow: cuts made four new tracks a switch."""
    far = track(0, 20, x=0.7, step=0.0)
    parts = purify([track(0, 20), far], 5.0, looks_like(lambda frame: RED if frame < 12 else BLUE))
    assert len(parts) == 2


def test_a_track_of_one_animal_in_moving_shade_stays_whole():
    """Cutting on every change of light would ask the expert twice for each animal."""
    shade = looks_like(lambda frame: tuple(c * (0.85 + 0.1 * np.sin(frame / 3)) for c in RED))
    assert len(purify([track(0, 30)], 5.0, shade)) == 1


def test_an_animal_that_was_hidden_for_a_while_goes_on_as_one_track():
    """A bush in front of the way makes two questions of one animal."""
    parts = [track(0, 10), track(17, 10, x=0.2)]
    (whole,) = purify(parts, 5.0, looks_like(lambda frame: RED))
    assert whole.frame_nos.tolist() == [*range(10), *range(17, 27)]


@pytest.mark.parametrize(
    ("second", "colour"),
    [
        (track(17, 10, x=0.2), BLUE),
        (track(60, 10, x=0.2), RED),
        (track(5, 10, x=0.2), RED),
        (track(11, 10, x=0.8, step=0.0), RED),
    ],
    ids=["another animal", "too late", "at the same time", "too far"],
)
def test_what_is_not_one_animal_is_not_joined(second, colour):
    """Two animals in one track are worse than one animal in two."""
    first = track(0, 10)
    looks = looks_like(lambda frame: RED if frame < 10 else colour)
    assert len(purify([first, second], 5.0, looks)) == 2


def test_crossing_tracks_that_swapped_their_animals_are_put_right():
    """Cut and join together: each half goes on in the other track."""
    left, right = track(0, 20, x=0.3, step=0.0), track(0, 20, x=0.45, step=0.0)

    def looks(spots):
        found = {}
        for spot in spots:
            is_left = spot[1][0] < 0.4
            found |= looks_like(lambda frame, a=is_left: RED if a == (frame < 10) else BLUE)([spot])
        return found

    whole = purify([left, right], 5.0, looks)
    assert len(whole) == 2
    for one in whole:
        sides = one.boxes[:, 0] < 0.4
        assert (sides[:10] == sides[0]).all()
        assert (sides[10:] == ~sides[0]).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_box_is_lost_doubled_or_moved(data):
    """Rows that vanish here would never be asked about, and a doubled one breaks the key of its table."""
    tracks = []
    for _ in range(data.draw(st.integers(0, 4))):
        frames = sorted(data.draw(st.sets(st.integers(0, 40), min_size=1, max_size=25)))
        boxes = np.tile(np.array([data.draw(st.floats(0, 0.7)), 0.4, 0.2, 0.2], np.float32), (len(frames), 1))
        scores = np.random.default_rng(len(tracks)).random(len(frames)).astype(np.float32)
        tracks.append(LinkedTrack(np.array(frames, np.int32), boxes, scores))
    turn = data.draw(st.integers(1, 20))

    def rows(some):
        return sorted(
            (int(n), *map(float, box), float(score))
            for one in some
            for n, box, score in zip(one.frame_nos, one.boxes, one.scores, strict=True)
        )

    looks = looks_like(lambda frame: RED if frame // turn % 2 else BLUE)
    pure = purify(tracks, 5.0, looks)
    assert rows(pure) == rows(tracks)
    assert all((np.diff(one.frame_nos) > 0).all() for one in pure)
    assert rows(purify(tracks, 5.0, looks)) == rows(pure)


def test_a_stone_looks_like_its_place_and_an_animal_does_not():
    """Swaying stems and stones were a third of the false tracks on generated clips."""
    stone, animal = track(20, 10, x=0.1, step=0.0), track(20, 10, x=0.6, step=0.0)

    def looks(spots):
        found = {}
        for spot in spots:
            there = spot[1][0] > 0.4 and 20 <= spot[0] < 30
            found |= looks_like(lambda frame, there=there: RED if there else GROUND)([spot])
        return found

    likeness = scenery([stone, animal], np.arange(60), looks)
    assert likeness[0] > PurityConfig().scenery_above
    assert likeness[1] < 0.5


def test_an_animal_that_never_leaves_is_not_called_scenery():
    """Where the empty place was never seen nothing can be said: the track must stay."""
    assert np.isnan(scenery([track(0, 30, step=0.0)], np.arange(30), looks_like(lambda frame: RED))).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.99), st.floats(0, 0.99), st.floats(0.001, 1), st.floats(0.001, 1))
def test_any_box_of_any_picture_has_a_look(x, y, w, h):
    """Boxes of a pixel at the border of small pictures gave empty cuts."""
    look = colours(np.full((20, 30, 3), 90, np.uint8), (x, y, min(w, 1 - x), min(h, 1 - y)))
    assert float(look.astype(np.float32) @ look.astype(np.float32)) == pytest.approx(1, abs=0.01)
