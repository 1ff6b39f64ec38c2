"""Upright boxes around what people drew in VIA.

Belongs here: shapes of VIA 1 and 2 (by name) and VIA 3 (by number). Does not belong here: attributes.
"""

from __future__ import annotations

import math
from typing import Any

from chimp_assets.exchange.imports.reading.sources import shown
from chimp_assets.exchange.imports.reading.values import EntryError, number

Edges = tuple[float, float, float, float]
# _via_shape.js of VIA 3
_POINT, _RECT, _CIRCLE, _ELLIPSE, _LINE, _POLYLINE, _POLYGON, _EXTREME_RECT, _EXTREME_CIRCLE = range(1, 10)


def named_shape(shape: Any) -> Edges | None:
    """x, y, w, h around `shape_attributes`; None for points and lines. Raises EntryError."""
    if type(shape) is not dict:
        raise EntryError("its shape_attributes are not an object")
    kind = shape.get("name")

    def of(*names: str) -> list[float]:
        return [number(shape.get(name), name) for name in names]

    if kind == "rect":
        x, y, w, h = of("x", "y", "width", "height")
        return x, y, w, h
    if kind == "circle":
        x, y, r = of("cx", "cy", "r")
        return _around(x, y, r, r)
    if kind == "ellipse":
        x, y, rx, ry = of("cx", "cy", "rx", "ry")
        turn = number(shape.get("theta") or 0, "theta")
        return _around(
            x,
            y,
            math.hypot(rx * math.cos(turn), ry * math.sin(turn)),
            math.hypot(rx * math.sin(turn), ry * math.cos(turn)),
        )
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if type(xs) is not list or type(ys) is not list or len(xs) != len(ys) or not xs:
            raise EntryError("its polygon has no points, or not as many x as y")
        return _hull([number(x, "a point") for x in xs], [number(y, "a point") for y in ys])
    if kind in ("point", "polyline", "line"):
        return None
    raise EntryError(f"it has a shape that is unknown: {shown(kind)}")


def numbered_shape(xy: list[Any]) -> Edges | None:
    """x, y, w, h around a shape of VIA 3, [number, ...]; None for points and lines. Raises EntryError."""
    kind = xy[0]
    values = [number(value, "xy") for value in xy[1:]]
    if kind in (_POINT, _LINE, _POLYLINE):
        return None
    if kind == _RECT and len(values) == 4:
        return values[0], values[1], values[2], values[3]
    if kind in (_CIRCLE, _EXTREME_CIRCLE) and len(values) == 3:
        return _around(values[0], values[1], values[2], values[2])
    if kind == _ELLIPSE and len(values) >= 4:
        return _around(*values[:4])
    if kind in (_POLYGON, _EXTREME_RECT, _EXTREME_CIRCLE) and len(values) >= 4 and len(values) % 2 == 0:
        return _hull(values[::2], values[1::2])
    raise EntryError(f"its xy is no shape that is known: {shown(xy)}")


def _around(x: float, y: float, rx: float, ry: float) -> Edges:
    return x - rx, y - ry, 2 * rx, 2 * ry


def _hull(xs: list[float], ys: list[float]) -> Edges:
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
