"""Individual looks: who has which coat, face colours, ears and patches, and the pictures of head and face.

Belongs here: the traits of an individual, how they are inherited, and drawing a head seen from the front.
Does not belong here: bodies in motion (`bodies`), places (`scene`), who appears when (`archive`).
Colours are RGB, 0 to 255; sprites are u8 [side, side, 4] RGBA with straight alpha.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

SIDE = 160
_SHIFT = 4  # cv2 takes fixed-point coordinates: sixteenths of a pixel

Colour = np.ndarray  # f64 [3], RGB

# Skin of adult chimpanzees runs from pink over brown to nearly black; children are paler.
_SKINS = np.array(
    [[58, 44, 40], [92, 66, 54], [134, 98, 78], [176, 134, 110], [206, 160, 138], [112, 74, 62], [150, 120, 104]],
    dtype=np.float64,
)
# Coats run from black over brown to grey; a coat alone never names anybody, but it helps as it does in the field.
_COATS = np.array(
    [[26, 25, 28], [44, 36, 31], [74, 52, 36], [62, 60, 60], [100, 92, 84], [96, 62, 38], [34, 33, 38], [118, 96, 70]],
    dtype=np.float64,
)


@dataclass(frozen=True)
class Patch:
    """A blotch of skin: centre and radii in face units (-1 to 1), angle in degrees, strength 0 to 1."""

    x: float
    y: float
    rx: float
    ry: float
    angle: float
    colour: Colour
    strength: float


@dataclass(frozen=True)
class Appearance:
    """Everything visible that an individual keeps for life. Lengths are relative to the face's half width."""

    skin: Colour
    muzzle: Colour
    coat: Colour
    ear: Colour
    brow_height: float
    brow_thickness: float
    eye_spacing: float
    ear_size: float
    ear_turn: float
    face_width: float
    muzzle_width: float
    bald: float
    beard: float
    patches: tuple[Patch, ...]
    body: float
    fur_seed: int


def _patch(rng: np.random.Generator, skin: Colour) -> Patch:
    pale = np.array([232.0, 196.0, 174.0])
    dark = np.array([32.0, 24.0, 24.0])
    colour = dark if skin.mean() > 100 else pale
    return Patch(
        x=float(rng.uniform(-0.7, 0.7)),
        y=float(rng.uniform(-0.75, 0.75)),
        rx=float(rng.uniform(0.14, 0.38)),
        ry=float(rng.uniform(0.10, 0.26)),
        angle=float(rng.uniform(0, 180)),
        colour=colour + rng.normal(0, 8, 3),
        strength=float(rng.uniform(0.65, 1.0)),
    )


def new_look(rng: np.random.Generator) -> Appearance:
    """A look of no known family."""
    skin = _SKINS[rng.integers(len(_SKINS))] + rng.normal(0, 7, 3)
    muzzle = np.clip(skin * rng.uniform(0.6, 1.5) + rng.normal(0, 8, 3), 20, 235)
    return Appearance(
        skin=skin,
        muzzle=muzzle,
        coat=np.clip(_COATS[rng.integers(len(_COATS))] * rng.uniform(0.85, 1.2) + rng.normal(0, 1, 3), 12, 150),
        ear=np.clip(skin * rng.uniform(0.7, 1.2), 20, 230),
        brow_height=float(rng.uniform(-0.42, -0.26)),
        brow_thickness=float(rng.uniform(0.07, 0.2)),
        eye_spacing=float(rng.uniform(0.3, 0.44)),
        ear_size=float(rng.uniform(0.24, 0.5)),
        ear_turn=float(rng.uniform(-25, 25)),
        face_width=float(rng.uniform(0.66, 0.84)),
        muzzle_width=float(rng.uniform(0.42, 0.62)),
        bald=float(rng.uniform(0, 0.7)),
        beard=float(max(0.0, rng.uniform(-0.6, 0.9))),
        patches=tuple(_patch(rng, skin) for _ in range(int(rng.integers(2, 5)))),
        body=float(rng.uniform(0.92, 1.08)),
        fur_seed=int(rng.integers(1 << 30)),
    )


def child_look(mother: Appearance, rng: np.random.Generator, likeness: float = 0.72) -> Appearance:
    """A look that takes this share of everything from the mother; about half of her patches come along."""
    own = new_look(rng)

    def mixed(hers: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        return likeness * hers + (1 - likeness) * theirs

    inherited = tuple(
        replace(p, x=p.x + float(rng.normal(0, 0.05)), y=p.y + float(rng.normal(0, 0.05)))
        for p in mother.patches[: (len(mother.patches) + 1) // 2]
    )
    return replace(
        own,
        skin=mixed(mother.skin, own.skin),
        muzzle=mixed(mother.muzzle, own.muzzle),
        coat=mixed(mother.coat, own.coat),
        ear=mixed(mother.ear, own.ear),
        brow_height=likeness * mother.brow_height + (1 - likeness) * own.brow_height,
        brow_thickness=likeness * mother.brow_thickness + (1 - likeness) * own.brow_thickness,
        eye_spacing=likeness * mother.eye_spacing + (1 - likeness) * own.eye_spacing,
        ear_size=likeness * mother.ear_size + (1 - likeness) * own.ear_size,
        face_width=likeness * mother.face_width + (1 - likeness) * own.face_width,
        muzzle_width=likeness * mother.muzzle_width + (1 - likeness) * own.muzzle_width,
        patches=inherited + own.patches[:2],
    )


def aged(look: Appearance, age_years: float) -> Appearance:
    """The look at an age: children are small, pale and big-eared, old animals balder and grey-bearded."""
    youth = float(np.clip((9.0 - age_years) / 9.0, 0, 1))
    old = float(np.clip((age_years - 25.0) / 20.0, 0, 1))
    pale = np.array([212.0, 168.0, 146.0])
    return replace(
        look,
        skin=look.skin * (1 - 0.35 * youth) + pale * 0.35 * youth,
        muzzle=look.muzzle * (1 - 0.35 * youth) + pale * 0.35 * youth,
        ear_size=look.ear_size * (1 + 0.2 * youth),
        bald=look.bald * (1 - youth) + 0.3 * old,
        beard=look.beard * (1 - 0.7 * youth) + 0.3 * old,
        body=look.body * (1 - 0.42 * youth),
    )


class _Pen:
    """Draws anti-aliased shapes in units of half the sprite's side, origin in the middle, y down."""

    def __init__(self, side: int = SIDE) -> None:
        self.side = side
        self.half = side / 2

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return round((x + 1) * self.half * (1 << _SHIFT)), round((y + 1) * self.half * (1 << _SHIFT))

    def ellipse(self, x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> np.ndarray:
        mask = np.zeros((self.side, self.side), np.uint8)
        axes = (max(1, round(rx * self.half * (1 << _SHIFT))), max(1, round(ry * self.half * (1 << _SHIFT))))
        cv2.ellipse(mask, self._at(x, y), axes, angle, 0, 360, 255, -1, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float, thick: float) -> np.ndarray:
        mask = np.zeros((self.side, self.side), np.uint8)
        axes = (round(rx * self.half * (1 << _SHIFT)), round(ry * self.half * (1 << _SHIFT)))
        width = max(1, round(thick * self.half))
        cv2.ellipse(mask, self._at(x, y), axes, 0, start, end, 255, width, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255


def _paint(picture: np.ndarray, mask: np.ndarray, colour: Colour, strength: float = 1.0) -> None:
    share = (mask * strength)[..., None]
    picture *= 1 - share
    picture += share * colour.astype(np.float32)


def _soft(mask: np.ndarray, radius: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), radius)


def _grain(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Fine upright strands, mean 1, f32 [SIDE, SIDE, 1]."""
    raw = rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    strands = cv2.GaussianBlur(raw, (0, 0), sigmaX=0.8, sigmaY=3.0)
    return np.asarray(1 + strength * strands / strands.std())[..., None]


def _rgba(picture: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([np.clip(picture, 0, 255), np.clip(alpha, 0, 1) * 255]).astype(np.uint8)


def draw_skull(look: Appearance) -> np.ndarray:
    """Head without its face: fur and ears, as seen from the front or from behind."""
    pen = _Pen()
    rng = np.random.default_rng(look.fur_seed)
    picture = np.ones((SIDE, SIDE, 3), np.float32) * look.coat.astype(np.float32)
    picture *= _grain(rng, 0.22)
    alpha = pen.ellipse(0, -0.02, 0.62, 0.72)
    ears = np.zeros_like(alpha)
    for side in (-1, 1):
        turn = side * look.ear_turn
        ear = pen.ellipse(side * 0.66, -0.05, look.ear_size * 0.62, look.ear_size * 0.85, turn)
        inner = pen.ellipse(side * 0.68, -0.05, look.ear_size * 0.38, look.ear_size * 0.6, turn)
        _paint(picture, ear * (1 - alpha), look.ear)
        _paint(picture, _soft(inner, 1.5) * (1 - alpha), look.ear * 0.62)
        ears = np.maximum(ears, ear)
    return _rgba(picture, np.maximum(alpha, ears))


def draw_face(look: Appearance) -> np.ndarray:
    """Bare skin, brow, eyes, muzzle, mouth, patches and beard of the front of the head."""
    pen = _Pen()
    rng = np.random.default_rng(look.fur_seed + 1)
    w = look.face_width * 0.66
    upper = pen.ellipse(0, -0.2 - 0.12 * look.bald, w, 0.33 + 0.14 * look.bald)
    muzzle = pen.ellipse(0, 0.3, look.muzzle_width * 0.86, 0.34)
    cheeks = pen.ellipse(0, 0.05, w * 0.86, 0.42)
    skin = _soft(np.maximum(np.maximum(upper, muzzle), cheeks), 1.6)
    beard = _soft(pen.ellipse(0, 0.56, 0.36, 0.22), 4) * look.beard
    alpha = np.maximum(skin, beard)

    picture = np.ones((SIDE, SIDE, 3), np.float32) * look.skin.astype(np.float32)
    _paint(picture, _soft(muzzle, 3), look.muzzle)
    for patch in look.patches:
        blotch = pen.ellipse(patch.x * w, patch.y * 0.55, patch.rx * 0.62, patch.ry * 0.62, patch.angle)
        _paint(picture, _soft(blotch, 2), patch.colour, patch.strength)
    picture *= 1 + 0.4 * (_grain(rng, 0.12) - 1)

    brow = look.skin * 0.42
    _paint(
        picture, _soft(pen.arc(0, look.brow_height + 0.34, w * 0.95, 0.36, 200, 340, look.brow_thickness), 1.2), brow
    )
    for side in (-1, 1):
        x, y = side * look.eye_spacing * 0.62, look.brow_height + 0.17
        _paint(picture, _soft(pen.ellipse(x, y, 0.135, 0.09), 1.2), look.skin * 0.35)
        _paint(picture, pen.ellipse(x, y, 0.075, 0.065), np.array([86.0, 52, 24]))
        _paint(picture, pen.ellipse(x, y, 0.04, 0.042), np.array([8.0, 6, 6]))
        _paint(picture, pen.ellipse(x - 0.02, y - 0.025, 0.016, 0.016), np.array([240.0, 240, 240]))
        _paint(picture, _soft(pen.ellipse(side * 0.075, 0.16, 0.045, 0.032, side * 25), 0.8), look.muzzle * 0.25)
    _paint(picture, pen.arc(0, 0.1, look.muzzle_width * 0.7, 0.36, 35, 145, 0.035), look.muzzle * 0.3)
    _paint(picture, beard * (1 - _soft(muzzle, 2)), np.array([196.0, 188, 178]))
    # The muzzle juts out: light from above falls on it and leaves the chin in shade.
    shade = np.interp(np.linspace(-1, 1, SIDE), [-1, -0.2, 0.2, 0.75], [0.95, 1.0, 1.12, 0.78])
    return _rgba(picture * shade[:, None, None], alpha)


def photo_face(file: Path) -> np.ndarray:
    """A photograph of a face as a sprite with a soft oval edge. Raises ValueError if the file is no picture."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{file} is not a picture that OpenCV can read")
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    oval = _soft(_Pen().ellipse(0, 0, 0.9, 0.93), 3)
    return _rgba(cv2.cvtColor(square, cv2.COLOR_BGR2RGB).astype(np.float32), oval)
