from __future__ import annotations

import pytest
from jinja2 import Environment

from holdfast.kernel.times import DAY_MS, parse_time
from holdfast.web.diffs import diff_fields, read_diff
from holdfast.web.filters import FILTERS
from holdfast.web.wording import column_texts, number_text, plural, share_text, span_text, stamp_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (12345, "12,345"), (-3, "−3"), (0.67430173, "0.6743"), (0.5, "0.5"), (1234.5678, "1,235"),
        (2.1e-7, "2.100e−07"), (1e12, "1,000,000,000,000"), (float("nan"), "NaN"), (float("-inf"), "−∞"),
    ],
)  # fmt: skip
def test_numbers_read_with_sensible_precision(value: float, text: str) -> None:
    assert number_text(value) == text


def test_a_column_of_numbers_aligns_at_the_point() -> None:
    assert column_texts([0.5, 0.6743, None, 1.0]) == ["0.5000", "0.6743", None, "1"]


def test_shares_and_counts() -> None:
    assert share_text(0.2403) == "24.0\u00a0%"
    assert share_text(-0.01, 0) == "−1\u00a0%"
    assert plural(1, "entry", "entries") == "1 entry"
    assert plural(1200, "entry", "entries") == "1,200 entries"


@pytest.mark.parametrize(
    ("start", "days", "text"),
    [
        ("2013-06-03", 7, "3–9 Jun 2013"), ("2013-06-30", 7, "30 Jun – 6 Jul 2013"), ("2013-06-03", 1, "3 Jun 2013"),
        ("2013-12-30", 7, "30 Dec 2013 – 5 Jan 2014"),
    ],
)  # fmt: skip
def test_windows_read_as_days(start: str, days: int, text: str) -> None:
    assert span_text(parse_time(start), parse_time(start) + days * DAY_MS) == text


def test_short_windows_read_with_the_clock() -> None:
    start = parse_time("2026-05-01T09:00:00")
    assert span_text(start, start + 3_600_000) == "1 May 2026, 09:00–10:00 UTC"
    assert stamp_text(start) == "1 May 2026, 09:00 UTC"


def render(template: str, **values: object) -> str:
    environment = Environment(autoescape=True)
    environment.filters.update(FILTERS)
    return environment.from_string(template).render(values)


def test_times_carry_the_absolute_time_and_are_made_relative_by_the_browser() -> None:
    markup = render("{{ t|when }}", t=parse_time("2026-05-01T09:00:00"))
    assert markup == (
        '<time class="rel" datetime="2026-05-01T09:00:00Z" title="1 May 2026, 09:00 UTC">1 May 2026, 09:00 UTC</time>'
    )


def test_what_is_missing_reads_as_a_dash() -> None:
    for name in ("when", "day", "stamp", "number", "count", "percent", "latency", "duration", "bytes", "si"):
        assert "–" in render("{{ t|" + name + " }}", t=None)


def test_cut_numbers_keep_their_full_value_on_hover() -> None:
    assert render("{{ v|number }}", v=0.67430173) == '<span title="0.67430173">0.6743</span>'
    assert render("{{ v|bytes }}", v=1_234_567) == '<span title="1,234,567 bytes">1.23 MB</span>'
    assert render("{{ v|si('B') }}", v=12_345) == '<span title="12345 B">12.3k B</span>'


@pytest.mark.parametrize(
    ("ms", "text"),
    [(850, "850 ms"), (4200, "4.2 s"), (61_000, "1 min 1 s"), (9e6, "2 h 30 min"), (7 * DAY_MS, "7 days")],
)
def test_durations(ms: float, text: str) -> None:
    assert render("{{ v|duration }}", v=ms) == text


def test_an_address_keeps_its_query_and_changes_one_value() -> None:
    assert render("{{ q|with_query(page=2)|safe }}", q={"sort": "a b", "page": "1"}) == "?sort=a+b&page=2"
    assert render("{{ q|with_query(page=None)|safe }}", q={"page": "1"}) == "?"


def test_values_for_scripts_hold_no_nan() -> None:
    assert (
        render("{{ v|plain|tojson }}", v=[1.0, float("nan"), "</script>"])
        == '[1.0, null, "\\u003c/script\\u003e"]'
    )


def test_fields_that_differ_become_lines() -> None:
    lines = diff_fields({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": None})
    assert [(line.kind, line.text) for line in lines] == [
        ("del", "b: 2"), ("add", "b: 5"), ("del", "c: 3"), ("add", "d: None"),
    ]  # fmt: skip


def test_a_unified_diff_becomes_lines() -> None:
    lines = read_diff("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n", 100)
    assert [line.kind for line in lines] == ["at", "at", "at", "del", "add", "same"]
    assert lines[4].text == "new"
