"""Times are milliseconds since the Unix epoch, UTC; windows are aligned to UTC.

Weeks start on Monday, months on the 1st; shorter windows divide the day or the hour.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = [
    "DAY_MS",
    "EARLIEST_MS",
    "FIVE_MINUTES_MS",
    "LATEST_MS",
    "Window",
    "iso",
    "parse_time",
    "parse_window",
]

DAY_MS = 86_400_000
FIVE_MINUTES_MS = 300_000
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first and the last ms of the years 1 to 9999, beyond which there is no time."""
_WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of the epoch
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DIGITS = re.compile(r"-?[0-9]{5,20}")
_BASIC_DATE = re.compile(r"[0-9]{8}")
_SIZES = {
    "5min": 5,
    "10min": 10,
    "15min": 15,
    "30min": 30,
    "1h": 60,
    "2h": 120,
    "3h": 180,
    "6h": 360,
    "12h": 720,
}
_DAYS = re.compile(r"([1-9][0-9]{0,2})(d|w)")


def iso(ms: int) -> str:
    """ISO 8601 in UTC with `Z`, milliseconds only where there are any."""
    moment = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds") + "Z"


def parse_time(value: Any, name: str = "time") -> int:
    """Milliseconds since the epoch, UTC, from an ISO 8601 text (without zone read as UTC) or a number of ms.

    A text of digits is ms, but eight of them are a date (20130601). Raises InvalidInput naming `name` and the
    value: not a time, or outside the years 1 to 9999.
    """
    if isinstance(value, bool) or value is None:
        raise _not_a_time(value, name)
    if isinstance(value, (int, float)):
        if value != value or not EARLIEST_MS <= value <= LATEST_MS:
            raise _not_a_time(value, name)
        return int(value)
    text = str(value).strip()
    if _DIGITS.fullmatch(text) and not _BASIC_DATE.fullmatch(text):
        return parse_time(int(text), name)
    try:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
    except ValueError:
        raise _not_a_time(value, name) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    if not EARLIEST_MS <= ms <= LATEST_MS:
        raise _not_a_time(value, name)
    return ms


def _not_a_time(value: Any, name: str) -> InvalidInput:
    return InvalidInput(
        f"{name} {str(value)[:80]!r} is not a time.",
        hint="Give ISO 8601 (2013-06-01T14:00:00Z; without a zone it is read as UTC) or milliseconds since the epoch.",
    )


class Window(msgspec.Struct, frozen=True):
    """A window size: `text` as the user wrote it, its unit and count."""

    text: str
    unit: str
    """`ms` (a fixed length in `count` ms) or `month` (`count` calendar months)."""
    count: int

    @property
    def is_under_a_day(self) -> bool:
        """Whether the window needs 5-minute buckets."""
        return self.unit == "ms" and self.count < DAY_MS

    def start_of(self, ms: int) -> int:
        """The start of the window that holds the time `ms`."""
        if self.unit == "month":
            moment = _EPOCH + timedelta(milliseconds=ms)
            months = moment.year * 12 + moment.month - 1
            return _month_start(months - months % self.count)
        origin = _MONDAY_MS if self.count % _WEEK_MS == 0 else 0
        return origin + (ms - origin) // self.count * self.count

    def next(self, start: int) -> int:
        """The start of the window after the one that starts at `start`."""
        if self.unit == "month":
            moment = _EPOCH + timedelta(milliseconds=start)
            return _month_start(moment.year * 12 + moment.month - 1 + self.count)
        return start + self.count


def _month_start(months: int) -> int:
    if months >= 10_000 * 12:
        return LATEST_MS + 1
    moment = datetime(months // 12, months % 12 + 1, 1, tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_window(text: str) -> Window:
    """A window size from text: 5min to 12h (divisors of a day), Nd, Nw, 1mo, 3mo, 6mo, 12mo."""
    if text in _SIZES:
        return Window(text, "ms", _SIZES[text] * 60_000)
    if match := _DAYS.fullmatch(text):
        return Window(text, "ms", int(match[1]) * (DAY_MS if match[2] == "d" else _WEEK_MS))
    if text in ("1mo", "3mo", "6mo", "12mo"):
        return Window(text, "month", int(text[:-2]))
    raise InvalidInput(
        f"The window {text[:40]!r} is not one holdfast knows.",
        hint=f"Use {', '.join(_SIZES)}, a number of days or weeks (1d, 7d, 1w), 1mo, 3mo, 6mo or 12mo.",
    )
