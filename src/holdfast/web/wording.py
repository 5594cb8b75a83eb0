"""How numbers and times read in words: plain texts, shared by pages, charts and sentences.

Times are milliseconds since the epoch and read in UTC.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from holdfast.kernel.times import DAY_MS

__all__ = [
    "column_texts",
    "day_text",
    "moment",
    "number_text",
    "plural",
    "share_text",
    "size_text",
    "span_text",
    "stamp_text",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def number_text(value: float, digits: int = 4) -> str:
    """`digits` significant digits, thousands grouped, an exponent only for the very large and very small."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    if not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def column_texts(values: Sequence[float | None], digits: int = 4) -> list[str | None]:
    """The values of one table column, with as many decimals as the longest of them, so that points align."""
    texts = [None if value is None else number_text(value, digits) for value in values]
    plain = [text for text in texts if text and "." in text and "e" not in text]
    places = max((len(text.split(".")[1]) for text in plain), default=0)
    return [
        f"{value:,.{places}f}".replace("-", "−") if text in plain else text
        for value, text in zip(values, texts, strict=True)
    ]


def size_text(size: int) -> str:
    """A number of bytes in kB, MB and so on: `3.2 MB`."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{number_text(amount, 3)} {unit}"


def share_text(value: float, digits: int = 1) -> str:
    """A share from 0 to 1 as a percentage: 0.2403 is `24.0 %`, with a no-break space."""
    return f"{value * 100:.{digits}f}\u00a0%".replace("-", "−")


def moment(ms: float) -> datetime:
    """The time as a UTC datetime."""
    return _EPOCH + timedelta(milliseconds=ms)


def day_text(ms: int) -> str:
    """A day in UTC: `3 Jun 2013`."""
    day = moment(ms)
    return f"{day.day} {day:%b %Y}"


def stamp_text(ms: int) -> str:
    """A time in UTC to the minute: `3 Jun 2013, 14:05 UTC`."""
    return f"{day_text(ms)}, {moment(ms):%H:%M} UTC"


def span_text(start: int, end: int) -> str:
    """The window from `start` to `end` (exclusive) in words: one day, a range of days, or hours of a day."""
    first, last = moment(start), moment(end - 1)
    if end - start < DAY_MS:
        return f"{day_text(start)}, {first:%H:%M}–{moment(end):%H:%M} UTC"
    if first.date() == last.date():
        return day_text(start)
    if first.year != last.year:
        return f"{day_text(start)} – {day_text(end - 1)}"
    if first.month != last.month:
        return f"{first.day} {first:%b} – {day_text(end - 1)}"
    return f"{first.day}–{day_text(end - 1)}"


def plural(count: int, noun: str, many: str = "") -> str:
    """A count with its noun: `1 window`, `2 windows`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
