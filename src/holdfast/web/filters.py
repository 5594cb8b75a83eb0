"""Template filters: how numbers, times and sizes read on a page.

Numbers keep their full value in a `title` where precision is cut; a missing value reads as a dash. Times are
milliseconds UTC and are written as absolute UTC in a `<time>` element; the browser makes those of class `rel`
relative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from markupsafe import Markup

from holdfast.kernel.times import DAY_MS, iso
from holdfast.web.charts import Chart, draw, pick_rows, spark, value_text
from holdfast.web.wording import day_text, number_text, plural, share_text, size_text, span_text, stamp_text

__all__ = ["FILTERS"]

_NONE = Markup('<span class="none" title="no value">–</span>')
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SMALL = ((1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def _number(value: float | None, digits: int = 4) -> str | Markup:
    if value is None:
        return _NONE
    text = number_text(value, digits)
    if text.replace(",", "") == repr(value):
        return text
    return Markup('<span title="{}">{}</span>').format(value, text)


def _count(value: int | None) -> str | Markup:
    return _NONE if value is None else f"{value:,}"


def _si(value: float | None, unit: str = "") -> str | Markup:
    if value is None:
        return _NONE
    size, short = abs(value), number_text(value, 3)
    for factor, prefix in _SI:
        if size >= factor:
            short = number_text(value / factor, 3) + prefix
            break
    else:
        for factor, prefix in _SMALL:
            if 0 < size < 1 and size >= factor:
                short = number_text(value / factor, 3) + prefix
                break
    return Markup('<span title="{} {}">{}{}</span>').format(value, unit, short, f" {unit}" if unit else "")


def _percent(value: float | None, digits: int = 1) -> str | Markup:
    return _NONE if value is None else share_text(value, digits)


def _points(value: float | None, digits: int = 1) -> str | Markup:
    """A difference of shares in percentage points, signed: 0.081 is `+8.1 pp`."""
    return _NONE if value is None else f"{value * 100:+.{digits}f} pp".replace("-", "−")


def _duration(ms: float | None) -> str | Markup:
    if ms is None:
        return _NONE
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = seconds / 60, seconds / 3600, ms / DAY_MS
    if minutes < 60:
        return f"{int(minutes)} min {int(seconds % 60)} s"
    if hours < 48:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{days:.0f} days"


def _latency(us: float | None) -> str | Markup:
    if us is None:
        return _NONE
    if us < 1000:
        return f"{us:.0f} µs"
    return f"{number_text(us / 1000, 3)} ms" if us < 1e6 else f"{number_text(us / 1e6, 3)} s"


def _size(value: int | None) -> str | Markup:
    if value is None:
        return _NONE
    return Markup('<span title="{} bytes">{}</span>').format(f"{value:,}", size_text(value))


def _when(ms: int | None) -> Markup:
    """A wall-clock time, relative in the browser, absolute UTC without a script."""
    if ms is None:
        return _NONE
    return Markup('<time class="rel" datetime="{}" title="{}">{}</time>').format(
        iso(ms), stamp_text(ms), stamp_text(ms)
    )


def _stamp(ms: int | None) -> Markup:
    """An absolute time, for event times and evidence."""
    return _NONE if ms is None else Markup('<time datetime="{}">{}</time>').format(iso(ms), stamp_text(ms))


def _day(ms: int | None) -> Markup:
    return _NONE if ms is None else Markup('<time datetime="{}">{}</time>').format(iso(ms), day_text(ms))


def _with_query(query: Mapping[str, str], **changes: Any) -> str:
    """The page's own address with some query values changed; None or an empty text removes one."""
    values = {**query, **changes}
    kept = {key: str(value) for key, value in values.items() if value not in (None, "")}
    return "?" + urlencode(kept)


def _segment(text: object) -> str:
    """A name as one path segment of an address."""
    return quote(str(text), safe="")


def _without(values: Mapping[str, str], *names: str) -> dict[str, str]:
    """The rest of a query."""
    return {name: value for name, value in values.items() if name not in names and value}


def _extreme(choose: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float | None]], float | None]:
    """The least or greatest of the finite values; None without one."""

    def find(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None and math.isfinite(value)]
        return choose(known) if known else None

    return find


def _plain(record: object) -> Any:
    """A record as lists and dicts, for `tojson`; NaN and infinities become null. Curves go without their points."""
    if isinstance(record, Chart) and record.curves:
        bare = [msgspec.structs.replace(one, x=[], y=[], low=[], high=[]) for one in record.series]
        record = msgspec.structs.replace(record, series=bare)
    return _finite(msgspec.to_builtins(record))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


FILTERS: dict[str, Callable[..., Any]] = {
    "bytes": _size,
    "count": _count,
    "day": _day,
    "duration": _duration,
    "greatest": _extreme(max),
    "least": _extreme(min),
    "latency": _latency,
    "number": _number,
    "percent": _percent,
    "pick_rows": pick_rows,
    "plain": _plain,
    "plural": plural,
    "points": _points,
    "segment": _segment,
    "si": _si,
    "span": span_text,
    "spark": spark,
    "drawing": draw,
    "value": value_text,
    "stamp": _stamp,
    "when": _when,
    "with_query": _with_query,
    "without": _without,
}
"""Name in a template -> function."""
