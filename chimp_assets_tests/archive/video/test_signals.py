"""What pictures look like, in numbers; a video in parts looks like the whole."""

from itertools import pairwise

import numpy as np
import pytest

from chimp_assets.archive.video.signals import MOST, NUMBERS, PictureSample, chosen, picture_signals, signal_of


def scene(seed: int = 0, size: tuple[int, int] = (180, 320)) -> np.ndarray:
    """Coloured squares of 20 pixels, u8 [h, w, 3]."""
    squares = np.random.default_rng(seed).integers(0, 256, (size[0] // 20, size[1] // 20, 3), dtype=np.uint8)
    return squares.repeat(20, 0).repeat(20, 1)


def signals(picture: np.ndarray) -> dict[str, float]:
    return dict(zip(NUMBERS, picture_signals(picture)[0].tolist(), strict=True))


def changed(picture: np.ndarray, factor: float, add: float = 0.0) -> np.ndarray:
    return np.clip(picture * factor + add, 0, 255).astype(np.uint8)


def test_each_signal_says_what_it_is_named_after() -> None:
    usual = signals(scene())
    assert signals(changed(scene(), 0.6))["brightness"] == pytest.approx(0.6 * usual["brightness"], rel=0.02)
    fogged = signals(changed(scene(), 0.3, 150))
    assert fogged["contrast"] == pytest.approx(0.3 * usual["contrast"], rel=0.02)
    blurred = (scene().astype(int) + np.roll(scene(), 3, 1) + np.roll(scene(), -3, 0)) // 3
    assert signals(blurred.astype(np.uint8))["sharpness"] < 0.5 * usual["sharpness"]
    grey = signals(scene().mean(2, keepdims=True).repeat(3, 2).astype(np.uint8))
    assert (usual["infrared"], grey["infrared"]) == (0, 1)
    assert grey["colourfulness"] < 0.01 < usual["colourfulness"]


def test_numbers_are_those_of_their_definitions() -> None:
    """Against luma, its spread and Hasler and Suesstrunk's colourfulness, written out."""
    areas = scene(size=(720, 1280)).reshape(36, 20, 64, 20, 3).mean((1, 3))
    red, green, blue = areas[..., 0], areas[..., 1], areas[..., 2]
    luma, red_green, yellow_blue = 0.299 * red + 0.587 * green + 0.114 * blue, red - green, (red + green) / 2 - blue
    colour = np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    found = signals(scene(size=(720, 1280)))
    assert found["brightness"] == pytest.approx(luma.mean(), rel=1e-5)
    assert found["contrast"] == pytest.approx(luma.std(), rel=1e-5)
    assert found["colourfulness"] == pytest.approx(colour, rel=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (20, 40), (35, 63), (97, 131), (2000, 70)])
def test_pictures_of_any_size_have_signals(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    numbers, small = picture_signals(picture)
    assert np.isfinite(numbers).all()
    assert small.shape == (36, 64)


@pytest.mark.parametrize("seconds", [0.3, 40, 64, 65, 700, 5000])
def test_parts_have_exactly_the_signals_of_the_whole(seconds: float) -> None:
    rng = np.random.default_rng(int(seconds))
    times = np.sort(rng.uniform(0, seconds, max(1, int(seconds * 1.5))))
    shown = [rng.integers(0, 256, (2, 3, 3), dtype=np.uint8) for _ in times]
    whole = signal_of(zip(times, shown, strict=True))
    assert whole is not None
    cuts = [0, *sorted(rng.integers(0, len(times) + 1, 4).tolist()), len(times)]
    joined = PictureSample()
    for start, end in pairwise(cuts):
        part = PictureSample()
        for time_s, picture in zip(times[start:end], shown[start:end], strict=True):
            part.add(time_s, picture)
        joined.join(PictureSample.of_message(part.as_message()))
    found = joined.signal()
    assert found is not None
    assert found.as_columns() == whole.as_columns()
    places = chosen(times)
    assert len(places) == whole.pictures <= MOST
    again = signal_of((times[n], shown[n]) for n in places)
    assert again is not None
    assert again.as_columns() == whole.as_columns()


def test_an_animal_that_passes_is_not_in_the_background() -> None:
    filmed = [scene() for _ in range(9)]
    for picture in filmed[:4]:
        picture[40:120, 60:200] = 255
    found = signal_of(enumerate(filmed))
    assert found is not None
    np.testing.assert_array_equal(found.background, picture_signals(scene())[1])
