"""Charts drawn by the server: numbers become points of an SVG; templates write them without styles of their own.

Belongs here: scales and paths. Does not belong here: colours (`static/pages.css`), the table beside each (templates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 36


@dataclass(frozen=True)
class Series:
    """One line with its band, as the attribute `points`; dots: the places of its points."""

    key: str
    line: str
    band: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class LineChart:
    """Lines on one scale. ticks: (place, text)."""

    series: list[Series]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    top: int = TOP


Point = tuple[float, float, float, float]
"""x, y, low and high."""


def shares_over(lines: Mapping[str, Sequence[Point]]) -> LineChart | None:
    """Shares from 0 to 1 by a count, each line with its band. None without points."""
    largest = max((point[0] for points in lines.values() for point in points), default=0.0)
    if not largest:
        return None

    def x(value: float) -> float:
        return round(LEFT + (WIDTH - RIGHT - LEFT) * value / largest, 1)

    def y(share: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(max(share, 0.0), 1.0), 1)

    series = []
    for key, points in lines.items():
        if not points:
            continue
        upper = [f"{x(p[0])},{y(p[3])}" for p in points]
        lower = [f"{x(p[0])},{y(p[2])}" for p in reversed(points)]
        dots = [(x(p[0]), y(p[1])) for p in points]
        series.append(Series(key, " ".join(f"{a},{b}" for a, b in dots), " ".join(upper + lower), dots))
    step = _step(largest)
    x_ticks = [(x(step * n), f"{round(step * n):,}".replace(",", " ")) for n in range(int(largest / step) + 1)]
    y_ticks = [(y(n / 4), f"{25 * n} %") for n in range(5)]
    return LineChart(series, x_ticks, y_ticks)


@dataclass(frozen=True)
class DayChart:
    """A value over days with its spread, and the days of a change. line, band: the attribute `points`; dots: (x, y, is
    inside the change); change: left and right edge of its days."""

    line: str
    band: str
    dots: list[tuple[float, float, bool]]
    change: tuple[float, float]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = 220
    left: int = LEFT + 12
    right: int = WIDTH - RIGHT
    bottom: int = 220 - BOTTOM
    top: int = TOP


def signal_over_days(
    points: Sequence[tuple[date, float, float]], since: date, until: date | None = None
) -> DayChart | None:
    """points: (day, value, spread), in order of days. None without two of them. until: outside the change."""
    if len(points) < 2:
        return None
    chart = DayChart("", "", [], (0.0, 0.0), [], [])
    first, last = min(points[0][0], since), max(points[-1][0], since)
    low = min(value - spread for _, value, spread in points)
    high = max(value + spread for _, value, spread in points)
    room = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    low, high = low - room, high + room
    days = max(1, (last - first).days)

    def x(day: date) -> float:
        share = min(max((day - first).days / days, 0.0), 1.0)
        return round(chart.left + (chart.right - chart.left) * share, 1)

    def y(value: float) -> float:
        return round(chart.bottom - (chart.bottom - chart.top) * (value - low) / (high - low), 1)

    upper = [f"{x(day)},{y(value + spread)}" for day, value, spread in points]
    lower = [f"{x(day)},{y(value - spread)}" for day, value, spread in reversed(points)]
    marks = sorted({round(days * n / 4) for n in range(5)})
    return replace(
        chart,
        line=" ".join(f"{x(day)},{y(value)}" for day, value, _ in points),
        band=" ".join(upper + lower),
        dots=[(x(day), y(value), day >= since and (until is None or day < until)) for day, value, _ in points],
        change=(x(since), x(until or last)),
        x_ticks=[(x(first + timedelta(days=n)), f"{first + timedelta(days=n)}") for n in marks],
        y_ticks=[
            (y(low + room + n * (high - low - 2 * room) / 2), _short(low + room + n * (high - low - 2 * room) / 2))
            for n in range(3)
        ],
    )


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


@dataclass(frozen=True)
class CalibrationPoint:
    """One point of a reliability diagram: its place, the ends of its interval, and its number of tracks."""

    x: float
    y: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ReliabilityChart:
    """Share of correct names by predicted probability; a calibrated head lies on the diagonal."""

    points: list[CalibrationPoint]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = 360
    height: int = 320
    left: int = LEFT
    right: int = 360 - 2 * RIGHT
    bottom: int = 320 - BOTTOM
    top: int = TOP


def reliability(points: Sequence[tuple[float, float, float, float, int]]) -> ReliabilityChart | None:
    """points: (predicted probability, share correct, its low, its high, n). None without points."""
    if not points:
        return None
    chart = ReliabilityChart([], [], [])

    def x(share: float) -> float:
        return round(chart.left + (chart.right - chart.left) * share, 1)

    def y(share: float) -> float:
        return round(chart.bottom - (chart.bottom - chart.top) * share, 1)

    chart.points.extend(CalibrationPoint(x(said), y(right), y(low), y(high), n) for said, right, low, high, n in points)
    for n in range(5):
        chart.x_ticks.append((x(n / 4), f"{25 * n} %"))
        chart.y_ticks.append((y(n / 4), f"{25 * n} %"))
    return chart


def _step(largest: float) -> float:
    """A round step that gives at most six ticks."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if largest / (step * factor) <= 6:
                return step * factor
        step *= 10


@dataclass(frozen=True)
class Bar:
    """Two stacked parts: place and width; (top, height) of each part; the word below, empty without room."""

    x: float
    width: float
    verified: tuple[float, float]
    model: tuple[float, float]
    word: str


@dataclass(frozen=True)
class BarChart:
    """Stacked counts. largest: the top of the scale."""

    bars: list[Bar]
    largest: int
    width: int = WIDTH
    height: int = 160
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = 130
    top: int = TOP


def bars(rows: Sequence[tuple[str, int, int]]) -> BarChart | None:
    """One bar for each (word, verified, model): verified below, model above. None without counts."""
    largest = max((verified + model for _, verified, model in rows), default=0)
    if not largest:
        return None
    chart = BarChart([], largest)
    step = (chart.right - chart.left) / len(rows)
    every = -(-len(rows) // 10)
    for n, (word, verified, model) in enumerate(rows):
        tall = [(chart.bottom - chart.top) * part / largest for part in (verified, model)]
        chart.bars.append(
            Bar(
                x=round(chart.left + n * step + step * 0.1, 1),
                width=round(min(step * 0.8, 40.0), 1),
                verified=(round(chart.bottom - tall[0], 1), round(tall[0], 1)),
                model=(round(chart.bottom - tall[0] - tall[1], 1), round(tall[1], 1)),
                word=word if n % every == 0 else "",
            )
        )
    return chart


GRAPH_WIDTH, GRAPH_HEIGHT, GRAPH_EDGE = 1000, 680, 36
NAMED = 60
"""Nodes whose names are always shown; other names appear on pointing at them or zooming in."""


@dataclass(frozen=True)
class Dot:
    """A node: place, radius, and whether its name is always shown."""

    key: int
    x: float
    y: float
    r: float
    named: bool


@dataclass(frozen=True)
class GraphLine:
    """An edge between two dots: the value of its index, and the line width for it."""

    a: int
    b: int
    x1: float
    y1: float
    x2: float
    y2: float
    value: float
    width: float


@dataclass(frozen=True)
class Graph:
    """Dots and lines of one drawing."""

    dots: list[Dot]
    lines: list[GraphLine]
    width: int = GRAPH_WIDTH
    height: int = GRAPH_HEIGHT


def graph(
    places: Mapping[int, tuple[float, float]],
    sizes: Mapping[int, int],
    edges: Sequence[tuple[int, int, float]],
) -> Graph:
    """A drawing of a network. places: (x, y) in [0, 1]; sizes: numbers shown by area; edges: two keys, value in
    [0, 1].
    """
    largest = max(sizes.values(), default=0) or 1
    named = set(sorted(sizes, key=lambda key: (-sizes[key], key))[:NAMED])
    at = {
        key: (
            round(GRAPH_EDGE + (GRAPH_WIDTH - 2 * GRAPH_EDGE) * x, 1),
            round(GRAPH_EDGE + (GRAPH_HEIGHT - 2 * GRAPH_EDGE) * y, 1),
        )
        for key, (x, y) in places.items()
    }
    dots = [Dot(key, *at[key], round(4 + 9 * (sizes[key] / largest) ** 0.5, 1), key in named) for key in sizes]
    lines = [GraphLine(a, b, *at[a], *at[b], value, round(0.8 + 7 * value, 2)) for a, b, value in edges]
    return Graph(dots, lines)
