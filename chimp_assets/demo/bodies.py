"""A moving animal seen from the side: posture, gait, head turns, drawn with the look of one individual.

Belongs here: from a pose to a picture with alpha. Does not belong here: looks (`faces`), paths through a place
(`archive`), what hides an animal (`scene`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from chimp_assets.demo.faces import SIDE, Appearance, draw_face, draw_skull

# A figure's picture in body lengths: as wide as a stride, as high as a sitting adult with its head.
_WIDTH, _HEIGHT, _GROUND = 2.3, 2.0, 1.85
_HEAD_RADIUS = 0.48  # larger than life, so that a face still has some thirty pixels


@dataclass(frozen=True)
class Pose:
    """One moment of one animal.

    length: pixels from shoulder to rump; heading: -1 left, 1 right; sitting: 0 walks, 1 sits, between is rising;
    stride: phase of the gait in radians; yaw, roll: degrees, yaw 0 looks into the camera, 180 away;
    nod: -1 to 1; arm: 0 to 1, how far a sitting animal's hand is raised.
    """

    length: float
    heading: int
    sitting: float
    stride: float
    yaw: float
    roll: float
    nod: float
    arm: float


class Figure:
    """An individual ready to be drawn. Holds its sprites and its fur; about 200 kB."""

    def __init__(self, look: Appearance, face: np.ndarray | None = None) -> None:
        """face: u8 [SIDE, SIDE, 4] RGBA to show instead of the drawn face (a photograph)."""
        self.look = look
        self.skull = draw_skull(look)
        self.face = draw_face(look) if face is None else face
        self.photographed = face is not None
        rng = np.random.default_rng(look.fur_seed + 2)
        strands = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), sigmaX=1.1, sigmaY=3.2)
        clumps = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 9)
        fur = 1 + 0.2 * strands / strands.std() + 0.12 * clumps / clumps.std()
        self.fur = fur.astype(np.float32)
        self._scaled_fur = self.fur  # of the last size that was drawn

    def draw(self, pose: Pose) -> tuple[np.ndarray, tuple[float, float]]:
        """The animal, and (x, y) in the picture of the point on the ground below it, pixels.

        Picture: f32 [h, w, 4] RGBA, colours premultiplied 0 to 255, alpha 0 to 1.
        """
        size = pose.length
        width, height = round(_WIDTH * size), round(_HEIGHT * size)
        joints = _joints(pose)

        def at(name: str) -> tuple[float, float]:
            x, y = joints[name]
            return (x * pose.heading + _WIDTH / 2) * size, (y + _GROUND) * size

        far = np.zeros((height, width), np.uint8)
        near = np.zeros((height, width), np.uint8)
        for mask, leg in ((far, "far"), (near, "near")):
            _limb(mask, at("shoulder"), at(f"elbow_{leg}"), at(f"hand_{leg}"), 0.11 * size, 0.075 * size)
            _limb(mask, at("hip"), at(f"knee_{leg}"), at(f"foot_{leg}"), 0.14 * size, 0.08 * size)
        _taper(near, at("hip"), at("shoulder"), 0.26 * size, 0.32 * size)
        _taper(near, at("shoulder"), at("head"), 0.27 * size, 0.24 * size)

        picture = self._furred(far, 0.62)
        _over(picture, self._furred(near, 1.0), 0, 0)
        self._head(picture, at("head"), _HEAD_RADIUS * size * (1.25 if self.photographed else 1.0), pose)
        return picture, (_WIDTH / 2 * size, _GROUND * size)

    def _furred(self, mask: np.ndarray, light: float) -> np.ndarray:
        height, width = mask.shape
        if self._scaled_fur.shape != mask.shape:
            self._scaled_fur = cv2.resize(self.fur, (width, height), interpolation=cv2.INTER_LINEAR)
        # Round bodies: what lies near the upper edge of the shape catches the light.
        above = cv2.blur(mask, (max(3, width // 14), max(3, height // 9)), anchor=(0, -1)).astype(np.float32)
        shade = self._scaled_fur * (light * 1.32 - (light * 0.5 / 255) * above)
        alpha = mask.astype(np.float32) * np.float32(1 / 255)
        shade *= alpha
        return cv2.merge([*(shade * float(channel) for channel in self.look.coat), alpha])

    def _head(self, picture: np.ndarray, centre: tuple[float, float], radius: float, pose: Pose) -> None:
        _lay(picture, self.skull, centre, (radius, radius), pose.roll)
        if abs(pose.yaw) > 88:
            return
        yaw = np.radians(pose.yaw)
        at = (centre[0] + 0.42 * radius * np.sin(yaw), centre[1] + 0.16 * radius * pose.nod)
        turned = (max(0.14, float(np.cos(yaw))) * radius, radius * (1 - 0.12 * abs(pose.nod)))
        # A face that is turned away lies in shade.
        _lay(picture, self.face, at, turned, pose.roll, light=1 - 0.25 * abs(float(np.sin(yaw))))


def _joints(pose: Pose) -> dict[str, tuple[float, float]]:
    """Joints in body lengths, x forward of the middle, y below the ground (so negative above it)."""
    swing, lift = np.sin(pose.stride), np.cos(pose.stride)
    walk = {
        "shoulder": (0.42, -0.70 + 0.015 * lift),
        "hip": (-0.42, -0.56 - 0.015 * lift),
        "head": (0.66, -1.0 + 0.05 * pose.nod),
        "elbow_near": (0.44 + 0.1 * swing, -0.34),
        "hand_near": (0.42 + 0.26 * swing, -0.02 - 0.1 * max(0.0, lift)),
        "elbow_far": (0.40 - 0.1 * swing, -0.34),
        "hand_far": (0.38 - 0.26 * swing, -0.06 - 0.1 * max(0.0, -lift)),
        "knee_near": (-0.36 - 0.12 * swing, -0.32),
        "foot_near": (-0.44 - 0.26 * swing, -0.02 - 0.08 * max(0.0, -lift)),
        "knee_far": (-0.32 + 0.12 * swing, -0.32),
        "foot_far": (-0.40 + 0.26 * swing, -0.06 - 0.08 * max(0.0, lift)),
    }
    raised = pose.arm
    sit = {
        "shoulder": (0.02, -0.78),
        "hip": (-0.14, -0.26),
        "head": (0.1, -1.18 + 0.04 * pose.nod),
        "elbow_near": (0.34, -0.5 - 0.12 * raised),
        "hand_near": (0.36 - 0.12 * raised, -0.26 - 0.62 * raised),
        "elbow_far": (0.3, -0.48),
        "hand_far": (0.46, -0.3),
        "knee_near": (0.26, -0.44),
        "foot_near": (0.3, -0.04),
        "knee_far": (0.34, -0.42),
        "foot_far": (0.42, -0.06),
    }
    s = pose.sitting
    return {k: ((1 - s) * walk[k][0] + s * sit[k][0], (1 - s) * walk[k][1] + s * sit[k][1]) for k in walk}


def _taper(
    mask: np.ndarray, start: tuple[float, float], end: tuple[float, float], r_start: float, r_end: float
) -> None:
    steps = 9
    for i in range(steps):
        t = i / (steps - 1)
        x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
        radius = r_start + t * (r_end - r_start)
        cv2.circle(mask, (round(x * 16), round(y * 16)), max(1, round(radius * 16)), 255, -1, cv2.LINE_AA, 4)


def _limb(
    mask: np.ndarray,
    top: tuple[float, float],
    middle: tuple[float, float],
    end: tuple[float, float],
    thick: float,
    thin: float,
) -> None:
    _taper(mask, top, middle, thick, thin)
    _taper(mask, middle, end, thin, 0.9 * thin)


def _lay(
    picture: np.ndarray,
    sprite: np.ndarray,
    centre: tuple[float, float],
    radius: tuple[float, float],
    roll: float,
    light: float = 1.0,
) -> None:
    """Scales and rolls a straight-alpha sprite and lays it on a premultiplied picture, in place."""
    reach = 1.2 * max(radius)
    left, top = max(0, int(centre[0] - reach)), max(0, int(centre[1] - reach))
    right, bottom = min(picture.shape[1], int(centre[0] + reach) + 1), min(picture.shape[0], int(centre[1] + reach) + 1)
    half = SIDE / 2
    sin, cos = np.sin(np.radians(roll)), np.cos(np.radians(roll))
    sx, sy = radius[0] / half, radius[1] / half
    matrix = np.array(
        [
            [cos * sx, -sin * sy, centre[0] - left - half * (cos * sx - sin * sy)],
            [sin * sx, cos * sy, centre[1] - top - half * (sin * sx + cos * sy)],
        ]
    )
    if max(sx, sy) < 0.5:  # warpAffine has no area filter: large steps would leave jagged edges
        sprite = cv2.resize(sprite, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
        matrix[:, :2] *= 2
    warped = cv2.warpAffine(sprite, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR).astype(np.float32)
    alpha = warped[..., 3] * np.float32(1 / 255)
    warped[..., 3] = 1 / light
    warped *= cv2.merge([alpha * np.float32(light)] * 4)
    _over(picture, warped, left, top)


def _over(picture: np.ndarray, layer: np.ndarray, left: int, top: int) -> None:
    """Porter and Duff's over of two premultiplied f32 RGBA pictures, in place."""
    below = picture[top : top + layer.shape[0], left : left + layer.shape[1]]
    below *= cv2.merge([1 - layer[..., 3]] * 4)
    below += layer
