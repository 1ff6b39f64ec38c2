"""Pictures of answers say what the rows say, of whatever names and numbers, and how many they leave out."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.insight.question_pictures import MOST_BARS, MOST_LINES, Chart, chart_of, picture
from chimp_assets.insight.questions import questions
from chimp_assets.insight.svg import WIDTH, on_white

BAR, LINE = Chart("bar", "n", "who"), Chart("line", "n", "who", "sex")
NETWORK = Chart("network", "n", "who", other="sex")
SVG = "{http://www.w3.org/2000/svg}"


def rows(*values: tuple[Any, Any, Any]) -> list[dict[str, Any]]:
    return [dict(zip(("who", "n", "sex"), value, strict=True)) for value in values]


def drawn(chart: Chart, records: list[dict[str, Any]]) -> ET.Element:
    made = picture(chart, "Who?", records)
    assert made is not None
    return ET.fromstring(made)


def test_bars_are_as_long_as_their_numbers_and_begin_at_nothing() -> None:
    bars = drawn(BAR, rows(("FF", 4, "F"), ("FI", 2, "M"), ("TU", -1, "M"))).iter(f"{SVG}rect")
    (ff, fi, tu) = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in bars]
    assert ff[0] == fi[0] == pytest.approx(tu[0] + tu[1], abs=0.2)
    assert ff[1] == pytest.approx(2 * fi[1], abs=0.2)
    assert fi[1] == pytest.approx(2 * tu[1], abs=0.2)


def test_lines_are_one_of_each_group_in_the_order_of_what_they_go_by() -> None:
    page = drawn(LINE, rows(("2014", 3, "F"), ("2013", 1, "F"), ("2013", 2, "M"), (None, 9, "F"), ("2014", None, "M")))
    lines = [line.attrib["points"].split() for line in page.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [2, 1]
    (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in lines[0])
    assert x1 < x2
    assert y1 > y2, "more is higher"


def test_ties_are_drawn_between_those_who_have_them() -> None:
    page = drawn(NETWORK, rows(("FF", 0.5, "FI"), ("FF", 0.1, "TU"), ("TU", 0, "FI")))
    assert len(list(page.iter(f"{SVG}circle"))) == 3
    titles = [line.findtext(f"{SVG}title") for line in page.iter(f"{SVG}line")]
    assert sorted(titles) == ["FF - FI: 0.5", "FF - TU: 0.1"]


@pytest.mark.parametrize("chart", [BAR, LINE, NETWORK], ids=lambda chart: chart.kind)
def test_nothing_to_draw_is_no_picture(chart: Chart) -> None:
    assert picture(chart, "Who?", []) is None
    assert picture(chart, "Who?", rows(("FF", None, "F"), ("FI", "many", "M"), (None, 1, "F"))) is None


def test_what_is_left_out_is_said() -> None:
    many = rows(*((f"A{n}", n, f"group {n}") for n in range(MOST_BARS + 5)))
    assert f"The first {MOST_BARS} of {MOST_BARS + 5} (who)." in (picture(BAR, "Who?", many) or "")
    assert f"The first {MOST_LINES} of {MOST_BARS + 5} (sex)." in (picture(LINE, "Who?", many) or "")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NUMBERS = st.one_of(st.none(), st.integers(-(10**9), 10**9), st.floats(allow_nan=True, allow_infinity=True))


@given(
    chart=st.sampled_from([BAR, LINE, NETWORK, Chart("line", "n", "n")]),
    title=st.sampled_from(["Who?", "</svg>&\"'", "long " * 40]),
    records=st.lists(st.tuples(st.one_of(st.none(), TEXTS), NUMBERS, st.one_of(st.none(), TEXTS)), max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_answer_is_drawn_within_its_page(chart: Chart, title: str, records: list[tuple[Any, Any, Any]]) -> None:
    """A name like </svg> ended the page that it stood in; a number beyond all others drew outside of it."""
    made = picture(chart, title, rows(*records))
    if made is None:
        return
    for text in (made, on_white(made)):
        page = ET.fromstring(text)
        assert {part.tag.removeprefix(SVG) for part in page.iter()} <= {
            "svg", "g", "text", "title", "rect", "line", "polyline", "circle",
        }  # fmt: skip
    assert "nan" not in re.sub(r">[^<]*<|aria-label=\S*", "", made)
    for part in page.iter(f"{SVG}circle"):
        assert -1 <= float(part.attrib["cx"]) <= WIDTH + 1
    for part in page.iter(f"{SVG}rect"):
        if "x" in part.attrib and part.attrib.get("y") != "30":
            assert float(part.attrib["x"]) + float(part.attrib["width"]) <= WIDTH + 1


def test_a_header_is_read_and_every_chart_names_columns_of_its_question() -> None:
    assert chart_of(["Who?", "Chart: bar n by camera for sex"]) == Chart("bar", "n", "camera", "sex")
    assert chart_of(["Who?", "Chart: pie n by camera"]) is None
    assert sum(one.chart is not None for one in questions()) > 30
    for one in questions():
        lines = [line for line in one.statement.splitlines() if line.startswith("-- Chart")]
        assert len(lines) == (one.chart is not None), one.name
        for column in one.chart.columns if one.chart else ():
            assert re.search(rf"\b{column}\b", re.sub(r"--[^\n]*", "", one.statement)), (one.name, column)
