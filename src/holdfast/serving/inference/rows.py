"""What both wire forms are decoded to: rows by column, with the caller's keys and event times."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.kernel.errors import HoldfastError, InvalidInput
from holdfast.kernel.times import parse_time

__all__ = ["Rows", "decode_json", "read_event_times"]


class Rows(msgspec.Struct, frozen=True):
    """Rows to predict. `columns` is not checked against a signature yet; `event_times` are ms, UTC."""

    columns: dict[str, list[Any]]
    count: int
    keys: list[str | None] | None = None
    event_times: list[int | None] | None = None


def decode_json(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """The decoded body. Raises InvalidInput saying where it is no JSON or of another form."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The body does not fit the protocol: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = ""
        if any(word in body for word in (b"NaN", b"Infinity")):
            hint = "JSON has no NaN or Infinity: send null for a missing value."
        elif "truncated" in str(error) or "EOF" in str(error):
            hint = "The body ends too early: check its Content-Length."
        raise InvalidInput(f"The body is not valid JSON: {error}.", hint=hint) from None


def read_event_times(values: list[Any]) -> list[int | None]:
    """Event times as ms, UTC; None where there is none. Raises InvalidInput naming row and value."""
    if all(type(value) is int and 0 <= value <= 253_402_300_799_999 for value in values):
        return list(values)
    times: list[int | None] = []
    for row, value in enumerate(values):
        try:
            times.append(None if value is None else parse_time(value, "event time"))
        except HoldfastError as error:
            raise InvalidInput(f"Row {row}: {error.message}", hint=error.hint) from None
    return times
