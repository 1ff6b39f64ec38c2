"""A camera that was moved is found in five clips, whatever the light; fog, night and animals move no camera."""

from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.archive.video.signals import picture_signals
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.work.drifted import filmed_in
from chimp_assets.demo.scene import CameraView, Weather
from chimp_assets.monitoring.alerts import alerts
from chimp_assets.monitoring.films.camera_moved import (
    CLIPS,
    BackgroundHistory,
    camera_history,
    cameras_with_backgrounds,
    follow,
    note_moves,
)
from chimp_assets_tests.support.rows import add_bundle, add_video

START = date(2024, 5, 1)
WIDTH, HEIGHT = 320, 180
PAN = WIDTH // 20


def backgrounds(camera: int, n: int, pan: int = 0, infrared: bool = False) -> np.ndarray:
    """Pictures of a demo camera on n days, u8 [n, 36, 64], the camera turned by so many pixels."""
    rng = np.random.default_rng([camera, n, pan])
    found = []
    for day in range(n):
        view = CameraView(WIDTH + 2 * PAN, HEIGHT, 50 + camera, 1000 * pan + day, day)
        light = float(rng.uniform(0.5, 1.2))
        weather = Weather(
            wind=float(rng.uniform(0.5, 2)), shake=0.3, pan=0.0, sun=(light, light, 0.9 * light), cloud=0.1,
            cloud_at_s=3.0, noise=4.0, phase=float(rng.uniform(0, 6)),
        )  # fmt: skip
        picture = view.frame(1.0, 0, weather, [])[0][:, PAN + pan : PAN + pan + WIDTH]
        if infrared and day % 2:
            picture = np.clip(0.5 * picture.mean(2, keepdims=True).repeat(3, 2) + 20, 0, 255).astype(np.uint8)
        found.append(picture_signals(np.ascontiguousarray(picture))[1])
    return np.stack(found)


def history(shown: np.ndarray) -> BackgroundHistory:
    return follow(shown, [START + timedelta(days=n) for n in range(len(shown))], list(range(len(shown))))


@pytest.fixture(scope="module")
def usual() -> np.ndarray:
    return backgrounds(1, 9, infrared=True)


@pytest.fixture(scope="module")
def panned() -> np.ndarray:
    return backgrounds(1, CLIPS, PAN, infrared=True)


def test_a_pan_by_a_twentieth_of_the_width_is_found_in_five_clips(usual: np.ndarray, panned: np.ndarray) -> None:
    found = history(np.concatenate([usual, panned]))
    (move,) = found.moves
    assert (move.since, move.noticed, move.until) == (START + timedelta(days=9), START + timedelta(days=13), None)
    assert move.after == [9, 10, 11, 12, 13]
    assert move.like < 0.5 * move.usual
    values = [block.value for block in found.blocks]
    assert max(values[8:13]) < min(values[:8])
    assert history(np.concatenate([usual, panned[:-1]])).moves == []


def test_a_camera_that_was_turned_back_ends_its_move(usual: np.ndarray, panned: np.ndarray) -> None:
    found = history(np.concatenate([usual[:-1], panned, usual[:CLIPS]]))
    assert [(move.since, move.until) for move in found.moves] == [
        (START + timedelta(days=8), START + timedelta(days=8 + CLIPS))
    ]


def test_light_fog_night_and_animals_move_no_camera(usual: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    dark = np.clip(usual * 0.35, 0, 255).astype(np.uint8)
    fogged = np.clip(150 + 0.2 * usual, 0, 255).astype(np.uint8)
    white = np.full_like(usual, 200) + rng.integers(0, 4, usual.shape, dtype=np.uint8)  # thick fog, or a cleaned lens
    animal = usual.copy()
    animal[:, 12:30, 10:34] = 40
    for others in (dark, fogged, white, animal, usual[:, :, :]):
        assert history(np.concatenate([usual, others])).moves == [], others.mean()


def test_moves_are_noted_once_and_get_their_end(db: Database, usual: np.ndarray, panned: np.ndarray) -> None:
    add_bundle(db, 1)

    def film(shown: np.ndarray, first: int) -> None:
        for n, one in enumerate(shown, start=first):
            add_video(db, n + 1, 1, "decoded")
            with db.write() as conn:
                day = START + timedelta(days=n)
                conn.execute(sa.update(t.video).where(t.video.c.video_id == n + 1).values(recorded_on=day))
                conn.execute(
                    sa.insert(t.video_signal).values(
                        video_id=n + 1, pictures=1, brightness=1, contrast=1, sharpness=1, colourfulness=1, infrared=0,
                        background=one.tobytes(),
                    )
                )  # fmt: skip

    film(usual, 0)
    assert note_moves(db) == []
    film(panned, len(usual))
    assert len(note_moves(db)) == 1
    assert note_moves(db) == []
    film(usual[:CLIPS], len(usual) + CLIPS)
    assert note_moves(db) == []
    with db.read() as conn:
        (alert,) = alerts(conn)
        assert len(camera_history(conn, "cam").blocks) == len(usual) - 1 + 2 * CLIPS
    assert (alert.signal, alert.since) == ("background", START + timedelta(days=9))
    assert (alert.until, alert.detail["videos"]) == (START + timedelta(days=14), [10, 11, 12, 13, 14])


def test_cameras_of_two_sites_with_one_name_are_two(db: Database, usual: np.ndarray, panned: np.ndarray) -> None:
    """Sites number their cameras alike: their views, one after the other, are no camera that was turned."""
    add_bundle(db, 1)
    for n, (site, one) in enumerate([("a", one) for one in usual] + [("b", one) for one in panned]):
        add_video(db, n + 1, 1, "decoded")
        with db.write() as conn:
            of_video = t.video.c.video_id == n + 1
            conn.execute(sa.update(t.video).where(of_video).values(recorded_on=START + timedelta(days=n), site=site))
            conn.execute(
                sa.insert(t.video_signal).values(
                    video_id=n + 1, pictures=1, brightness=1, contrast=1, sharpness=1, colourfulness=1, infrared=0,
                    background=one.tobytes(),
                )
            )  # fmt: skip
    assert note_moves(db) == []
    with db.read() as conn:
        assert cameras_with_backgrounds(conn) == ["a/cam", "b/cam"]
        assert conn.execute(sa.select(sa.func.count()).where(filmed_in("b/cam", START, None))).scalar() == len(panned)
