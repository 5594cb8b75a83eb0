from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel.times import DAY_MS, parse_time
from holdfast.web.charts import Chart, Level, Mark, Series, Span, draw, spark, value_text


def test_a_value_at_the_axis_top_stands_at_the_plot_top() -> None:
    drawing = draw(Chart("c", "t", [0.0, 1.0], [Series("s", [0.0, 10.0])], is_time=False))
    assert drawing.y_ticks[0].text == "0"
    assert drawing.y_ticks[-1].text == "10"
    assert drawing.y_ticks[-1].at == drawing.top
    assert drawing.lines[0].path == f"M{drawing.left}.0 {drawing.bottom}.0L{drawing.right}.0 {drawing.top}.0"


def test_a_missing_value_breaks_the_line() -> None:
    drawing = draw(Chart("c", "t", [0.0, 1.0, 2.0, 3.0], [Series("s", [1.0, None, 2.0, 3.0])], is_time=False))
    assert drawing.lines[0].path.count("M") == 2


def test_values_on_few_labels_are_marked() -> None:
    series = Series("s", [1.0, 2.0], weak=[False, True])
    drawing = draw(Chart("c", "t", [0.0, 1.0], [series], is_time=False))
    assert [dot[2] for dot in drawing.lines[0].dots] == [True]


def test_an_interval_becomes_a_closed_band() -> None:
    series = Series("s", [1.0, 2.0], low=[0.5, 1.5], high=[1.5, 2.5])
    band = draw(Chart("c", "t", [0.0, 1.0], [series], is_time=False)).lines[0].band
    assert band.startswith("M")
    assert band.endswith("Z")
    assert band.count(" ") == 4


def test_the_reference_is_inside_the_axis_even_where_no_value_comes_near() -> None:
    chart = Chart(
        "c", "t", [0.0, 1.0], [Series("s", [0.5, 0.6])], is_time=False, level=Level("r", 0.1, 0.05, 0.15)
    )
    drawing = draw(chart)
    assert drawing.level_y is not None
    assert drawing.top <= drawing.level_y <= drawing.bottom
    assert drawing.level_box is not None
    assert drawing.level_box[1] > 0


def test_months_are_named_with_the_year_on_the_first_and_on_january() -> None:
    start = parse_time("2013-03-04")
    drawing = draw(
        Chart("c", "t", [float(start + 7 * DAY_MS * i) for i in range(52)], [Series("s", [1.0] * 52)])
    )
    texts = [tick.text for tick in drawing.x_ticks]
    assert texts[0] == "Apr 2013"
    assert texts[1] == "May"
    assert "Jan 2014" in texts


def test_short_times_are_named_by_the_clock() -> None:
    start = parse_time("2026-05-01T06:00:00")
    drawing = draw(
        Chart("c", "t", [float(start + 3_600_000 * i) for i in range(7)], [Series("s", [1.0] * 7)])
    )
    assert "09:00" in [tick.text for tick in drawing.x_ticks]


def test_texts_of_marks_never_run_into_each_other() -> None:
    marks = [Mark(float(x * x), "deploy", f"version {x}") for x in range(12)]
    series = [Series("s", [1.0, 2.0])]
    drawing = draw(Chart("c", "t", [0.0, 121.0], series, is_time=False, marks=marks, spans=[Span(1, 999)]))
    shown = [mark for mark in drawing.marks if mark.text]
    assert 4 < len(shown) < 12
    assert len(drawing.marks) == 12
    left, width = drawing.spans[0]
    assert left + width <= drawing.right + 0.1


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=1, max_size=50))
def test_every_point_lies_within_the_plot(values: list[float | None]) -> None:
    xs = [float(i) for i in range(len(values))]
    drawing = draw(Chart("c", "t", xs, [Series("s", values, dots=True)], is_time=False))
    assert len(drawing.y_ticks) >= 2
    for x, y, _, _ in drawing.lines[0].dots:
        assert drawing.left <= x <= drawing.right
        assert drawing.top - 0.1 <= y <= drawing.bottom + 0.1


def test_values_that_are_no_numbers_are_left_out() -> None:
    drawing = draw(Chart("c", "t", [0.0, 1.0, 2.0], [Series("s", [math.nan, 1.0, math.inf])], is_time=False))
    assert len(drawing.lines[0].dots) == 1


def test_a_sparkline_keeps_gaps_and_ends_on_the_last_known_value() -> None:
    drawn = spark([1, None, 3, 2])
    assert drawn.path.count("M") == 2
    assert drawn.last is not None
    assert spark([]).last is None
    assert spark([None]).path == ""


def test_values_read_in_their_unit() -> None:
    assert value_text(0.2403, "share") == "24.0\u00a0%"
    assert value_text(1900.0, "latency") == "1.9 ms"
    assert value_text(410.0, "latency") == "410 µs"
    assert value_text(None, "number") == "no value"
