"""Keys and prediction ids: how a caller names a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from holdfast.kernel.errors import InvalidInput

__all__ = ["MOST_KEY_BYTES", "prediction_time", "read_keys", "read_prediction_ids"]

MOST_KEY_BYTES = 128
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.[0-9]{1,9}")


def read_keys(values: Sequence[Any], column: str = "key", *, needed: bool = False) -> list[str | None]:
    """Keys as text (whole numbers become their digits), None where there is none, unless one is `needed`.

    Raises InvalidInput naming column, row and value: another type, empty, or more than 128 bytes of UTF-8.
    """
    keys: list[str | None] = []
    for row, value in enumerate(values):
        if type(value) is int:
            value = str(value)
        if value is None and not needed:
            keys.append(None)
            continue
        if type(value) is not str or not value:
            raise InvalidInput(
                f"Column {column!r}, row {row}: {value!r:.80} is not a key.",
                hint="Keys are text that is not empty.",
            )
        if len(value) * 4 > MOST_KEY_BYTES and len(value.encode("utf-8", "surrogatepass")) > MOST_KEY_BYTES:
            raise InvalidInput(
                f"Column {column!r}, row {row}: the key {value[:40]!r}… is longer than {MOST_KEY_BYTES} bytes.",
                hint="Send a shorter one, such as a hash of it.",
            )
        keys.append(value)
    return keys


def read_prediction_ids(values: Sequence[Any]) -> list[str]:
    """Prediction ids, as holdfast gave them. Raises InvalidInput naming row and value."""
    for row, value in enumerate(values):
        if not isinstance(value, str) or _ID.fullmatch(value) is None:
            raise InvalidInput(
                f"Column 'prediction_id', row {row}: {value!r:.80} is not a prediction id.",
                hint="Send it as the answer gave it: <request id>.<row>. A key of your own goes in the column 'key'.",
            )
    return list(values)


def prediction_time(prediction_id: str) -> int:
    """When the request of a prediction began, in ms UTC: the time within its UUIDv7."""
    (checked,) = read_prediction_ids([prediction_id])
    return int(checked[:13].replace("-", ""), 16)
