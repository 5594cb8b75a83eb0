"""Labels as canonical text, so that a prediction and its later truth compare equal whatever wrote them.

The rule, in this order:

1. A class of the endpoint is written as `canonical_label(class)`: `1`, `true`, `late`.
2. A label given to an endpoint with classes is the class with the same canonical text; else the class with the
   same number (`1`, `1.0`, `"1"`, `true` all mean the class `1`; also `true` when the classes are booleans, where
   `1` means `true`); anything else is refused, naming the classes.
3. Without classes (regression, external endpoints) the label is its own canonical text: booleans `true`/`false`,
   whole numbers without a point, other numbers in their shortest form, text as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from holdfast.kernel.errors import InvalidInput

__all__ = ["LabelReader", "canonical_label"]

_WHOLE = 2.0**53
_MOST = 256


def canonical_label(value: Any) -> str:
    """The canonical text of a label: bool, int, float or str. Raises InvalidInput on anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(
                f"The label {value} is not finite.", hint="Leave rows without a true label out."
            )
        return str(int(value)) if value.is_integer() and abs(value) <= _WHOLE else repr(value)
    raise InvalidInput(
        f"The label {value!r:.80} is a {type(value).__name__}.", hint="Labels are text, numbers, booleans."
    )


def _as_number(value: Any) -> float | None:
    """The number that a label stands for: numbers, booleans as 0 and 1, and their text."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text in ("true", "false"):
            return float(text == "true")
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return float(value)


class LabelReader:
    """Reads labels for one endpoint. `classes` is canonical text; empty for regression and unknown classes."""

    def __init__(self, classes: Sequence[str], task: str = "") -> None:
        self._classes = list(classes)
        self._is_number = task == "regression"
        self._by_text = {name: name for name in classes}
        self._by_number: dict[float, str] = {}
        for name in classes:
            number = _as_number(name)
            if number is not None:
                self._by_number.setdefault(number, name)

    def read(self, value: Any) -> str:
        """The canonical text of one label. Raises InvalidInput when the endpoint can't have it."""
        text = canonical_label(value)
        if self._is_number:
            return self._read_number(value)
        if not self._classes:
            if len(text.encode()) > _MOST:
                raise InvalidInput(f"The label {text[:40]!r}… is longer than {_MOST} bytes.")
            return text
        found = self._by_text.get(text)
        if found is None:
            number = _as_number(value)
            found = None if number is None else self._by_number.get(number)
        if found is None:
            known = ", ".join(repr(name) for name in self._classes[:20])
            raise InvalidInput(
                f"The label {value!r:.80} is none of the endpoint's classes.", hint=f"They are {known}."
            )
        return found

    def _read_number(self, value: Any) -> str:
        number = None if isinstance(value, bool) else _as_number(value)
        if number is None:
            raise InvalidInput(
                f"The label {value!r:.80} is not a number.", hint="This endpoint predicts a number."
            )
        return canonical_label(number)
