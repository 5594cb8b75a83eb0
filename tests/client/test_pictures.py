from __future__ import annotations

import math
from xml.etree.ElementTree import fromstring

import pytest

from holdfast.client.pictures import line_chart
from holdfast.client.records import ComparedRow, ComparedRun, Comparison, MetricSummary, Run

_SVG = "{http://www.w3.org/2000/svg}"


def _lines(svg: str) -> list[list[tuple[float, float]]]:
    found = fromstring(svg).iter(f"{_SVG}polyline")
    return [[tuple(map(float, pair.split(","))) for pair in one.attrib["points"].split()] for one in found]


def test_a_line_goes_from_corner_to_corner_and_breaks_at_gaps() -> None:
    (line,) = _lines(line_chart({"loss": ([0, 5, 10], [1.0, 0.5, 0.0])}))
    assert [x for x, _ in line] == [64, 348, 632] and [y for _, y in line] == [8, 112, 216]
    steps = list(range(7))
    svg = line_chart({"loss": (steps, [1.0, 2.0, math.nan, 3.0, 4.0, math.inf, 5.0])})
    assert [len(one) for one in _lines(svg)] == [2, 2] and svg.count("<circle") == 1


@pytest.mark.parametrize(
    "values", [[1.0], [0.0, 0.0], [1.7e308, -1.7e308], [5e-324, 0.0], [-math.inf], [math.nan], []]
)
def test_any_values_give_a_picture(values: list[float]) -> None:
    svg = line_chart({"<&>": (list(range(len(values))), values)})
    assert fromstring(svg).tag == f"{_SVG}svg" and "nan" not in svg and "inf" not in svg


def test_a_run_and_a_comparison_show_themselves_escaped() -> None:
    summary = MetricSummary(0.5, 3, 0, 0.25, None, 4000)
    run = Run("r1", 1, "<b>", "finished", 0, params={"depth": "<script>"}, metrics={"loss&": summary})
    html = run._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "loss&amp;" in html and "4,000" in html
    fromstring(html)
    runs = [ComparedRun(name, name, 1, "finished", 0) for name in ("first", "<second>")]
    rows = [
        ComparedRow("param", "depth", ["3", "<4>"], [None, None], True),
        ComparedRow("metric", "loss", [0.5, None], [None, None], True),
        ComparedRow("param", "seed", ["1", "1"], [None, None], False),
    ]
    root = fromstring(Comparison(runs, 0, rows)._repr_html_())
    assert [cell.text for cell in root.iter("th")] == [None, "first *", "<second>"]
    assert [cell.text for cell in root.iter("td")] == ["param depth", "3", "<4>", "metric loss", "0.5", None]
    assert "1 rows are the same" in "".join(root.itertext())
