"""Times in ms UTC, and windows aligned to UTC."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import DAY_MS, iso, parse_time, parse_window
from holdfast.kernel.times import EARLIEST_MS as LOW
from holdfast.kernel.times import LATEST_MS as HIGH

WINDOWS = [
    "5min",
    "15min",
    "1h",
    "6h",
    "12h",
    "1d",
    "3d",
    "7d",
    "1w",
    "2w",
    "14d",
    "1mo",
    "3mo",
    "6mo",
    "12mo",
]


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-06-01T14:00:00Z", ms(2013, 6, 1, 14)),
        ("2013-06-01T14:00:00z", ms(2013, 6, 1, 14)),
        ("2013-06-01 14:00", ms(2013, 6, 1, 14)),
        ("2013-06-01", ms(2013, 6, 1)),
        ("20130601", ms(2013, 6, 1)),
        ("2013-06-01T14:00:00+02:00", ms(2013, 6, 1, 12)),
        ("2013-06-01T14:00:00.250-04:00", ms(2013, 6, 1, 18) + 250),
        (" 2013-06-01T14:00:00 ", ms(2013, 6, 1, 14)),
        ("1370095200000", ms(2013, 6, 1, 14)),
        ("-86400000", -DAY_MS),
        (1370095200000, ms(2013, 6, 1, 14)),
        (1370095200000.0, ms(2013, 6, 1, 14)),
    ],
)
def test_a_time_is_read_as_utc(text: object, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "value",
    ["", "soon", "2013-13-01", "2013", None, True, float("nan"), float("inf"), HIGH + 1, LOW - 1, "9" * 5000,
     "0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"],
)  # fmt: skip
def test_what_is_not_a_time_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"event_time .* is not a time"):
        parse_time(value, "event_time")


@given(st.integers(LOW, HIGH))
def test_a_time_survives_its_text(moment: int) -> None:
    assert parse_time(iso(moment)) == moment


def test_iso_shows_milliseconds_only_where_there_are_any() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(7) == "1970-01-01T00:00:00.007Z"
    assert iso(ms(80, 1, 2)) == "0080-01-02T00:00:00Z"


def test_weeks_start_on_monday() -> None:
    week = parse_window("1w")
    assert iso(week.start_of(ms(2013, 1, 6, 23, 59))) == "2012-12-31T00:00:00Z"
    assert iso(week.start_of(ms(2013, 1, 7))) == "2013-01-07T00:00:00Z"
    assert parse_window("7d").start_of(ms(2013, 1, 6)) == week.start_of(ms(2013, 1, 6))


def test_months_start_on_the_first() -> None:
    month = parse_window("1mo")
    start = month.start_of(ms(2016, 2, 29, 12))
    assert iso(start) == "2016-02-01T00:00:00Z"
    assert iso(month.next(start)) == "2016-03-01T00:00:00Z"
    assert iso(month.next(ms(2013, 12, 1))) == "2014-01-01T00:00:00Z"
    assert iso(parse_window("3mo").start_of(ms(2013, 6, 30))) == "2013-04-01T00:00:00Z"


@given(st.sampled_from(WINDOWS), st.integers(LOW, HIGH))
def test_every_moment_stands_in_its_window(text: str, moment: int) -> None:
    window = parse_window(text)
    start = window.start_of(moment)
    assert start <= moment < window.next(start)


@given(st.sampled_from(WINDOWS), st.integers(LOW + 9000 * DAY_MS, HIGH - 9000 * DAY_MS))
def test_windows_follow_each_other_without_gap(text: str, moment: int) -> None:
    window = parse_window(text)
    start = window.start_of(moment)
    assert window.start_of(start) == start
    assert window.start_of(window.next(start)) == window.next(start)
    assert window.start_of(window.next(start) - 1) == start


@pytest.mark.parametrize(
    "text", ["", "1", "0d", "1m", "7min", "5h", "1000d", "2mo", "1W", "1y", "-1d", "1d "]
)
def test_other_windows_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="window"):
        parse_window(text)


def test_windows_under_a_day_say_so() -> None:
    under = {text for text in WINDOWS if parse_window(text).is_under_a_day}
    assert under == {"5min", "15min", "1h", "6h", "12h"}
