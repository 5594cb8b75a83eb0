"""What may be logged: numbers and their look-alikes become floats, the rest text, without importing numpy."""

from __future__ import annotations

import math
import re
from typing import Any

from holdfast.client.api import non_finite_text
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.times import EARLIEST_MS, LATEST_MS

__all__ = [
    "checked_key",
    "checked_step",
    "checked_time",
    "metric_value",
    "param_text",
    "point_record",
    "tag_text",
]

_MAX_STEP = 2**53 - 1
_KEY = re.compile(r"[\w.\- :/]{1,250}")
_PARAM_LIMIT, _TAG_LIMIT = 6000, 8000


def metric_value(key: str, value: Any) -> float:
    """`value` as a float: int, float, bool, and anything with `__float__` (numpy scalars, arrays and tensors of one
    element).

    NaN and infinities are values. Raises InvalidInput naming key and value for text, None, complex numbers
    and whatever does not become one float.
    """
    if type(value) is float:
        return value
    if isinstance(value, (str, bytes, bytearray, complex)) or not hasattr(type(value), "__float__"):
        if hasattr(type(value), "__index__"):
            return float(value.__index__())
        raise _not_a_number(key, value)
    try:
        return float(value.item() if getattr(value, "ndim", 0) and hasattr(value, "item") else value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise _not_a_number(key, value) from error


def _not_a_number(key: str, value: Any) -> InvalidInput:
    return InvalidInput(
        f"The metric {key!r} has the value {_shown(value)} ({type(value).__name__}), not one number.",
        hint="Log a float; use log_param or set_tag for text.",
    )


def checked_key(kind: str, key: Any) -> str:
    """The key of a metric, param or tag. Raises InvalidInput when the server would refuse it."""
    if isinstance(key, str) and _KEY.fullmatch(key):
        return key
    raise InvalidInput(
        f"The {kind} key {_shown(key)} is not a name of 1 to 250 letters, digits and _ . - : / or space."
    )


def checked_step(key: str, step: Any) -> int:
    """A step as an int within ±(2^53 - 1). Raises InvalidInput naming key and step."""
    if hasattr(type(step), "__index__") and not isinstance(step, bool):
        number = int(step.__index__())
        if -_MAX_STEP <= number <= _MAX_STEP:
            return number
    raise InvalidInput(f"The step {_shown(step)} of {key!r} is not a whole number within ±(2^53 - 1).")


def param_text(key: str, value: Any) -> str:
    """A param's value as text. Raises InvalidInput when it is longer than 6,000 characters."""
    return _text("param", key, value, _PARAM_LIMIT)


def tag_text(key: str, value: Any) -> str:
    """A tag's value as text. Raises InvalidInput when it is longer than 8,000 characters."""
    return _text("tag", key, value, _TAG_LIMIT)


def _text(kind: str, key: str, value: Any, limit: int) -> str:
    text = str(value)
    if len(text) > limit:
        raise InvalidInput(
            f"The {kind} {key!r} has a value of {len(text):,} characters; at most {limit:,} are kept.",
            hint="Log long text as an artifact.",
        )
    return text


def checked_time(time_ms: Any) -> int:
    """A time in ms since the epoch, UTC. Raises InvalidInput naming it."""
    if isinstance(time_ms, int) and EARLIEST_MS <= time_ms <= LATEST_MS:
        return time_ms
    raise InvalidInput(f"The time {_shown(time_ms)} is not one in milliseconds since 1970, UTC.")


def point_record(key: str, value: float, step: int, time_ms: int) -> dict[str, Any]:
    """The wire form of one metric point."""
    wire: float | str = value if math.isfinite(value) else non_finite_text(value)
    return {"key": key, "value": wire, "step": step, "time": time_ms}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
