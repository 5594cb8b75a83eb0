from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from holdfast.client.values import checked_key, checked_step, metric_value, param_text
from holdfast.kernel.errors import InvalidInput


@pytest.mark.parametrize(
    "value",
    [1, 1.0, True, np.float32(1), np.int64(1), np.bool_(True), np.array(1.0), np.array([[1.0]]), Decimal(1)],
)
def test_number_look_alikes_become_floats(value: object) -> None:
    assert metric_value("loss", value) == 1.0 and type(metric_value("loss", value)) is float


def test_nan_and_infinities_are_values() -> None:
    assert math.isnan(metric_value("loss", math.nan)) and metric_value("loss", -math.inf) == -math.inf


@pytest.mark.parametrize(
    "value", ["1.0", None, 1j, np.str_("1"), [1.0], np.array([1.0, 2.0]), {}, 10**400, b"1", object()]
)
def test_what_is_not_one_number_is_refused_with_key_and_value(value: object) -> None:
    with pytest.raises(InvalidInput, match="'loss'") as raised:
        metric_value("loss", value)
    assert repr(value)[:20] in raised.value.message


@pytest.mark.parametrize("key", ["", 3, None, "a\nb", "a" * 251, "a*b"])
def test_a_key_that_the_server_would_refuse_is_refused_at_once(key: object) -> None:
    with pytest.raises(InvalidInput, match="metric key"):
        checked_key("metric", key)


def test_steps_are_whole_numbers() -> None:
    assert checked_step("loss", np.int32(3)) == 3
    for step in (1.5, "1", True, 2**60, None):
        with pytest.raises(InvalidInput, match="'loss'"):
            checked_step("loss", step)


def test_params_become_text() -> None:
    assert [param_text("k", value) for value in (1, 0.5, "x", True, np.float64(0.1))] == [
        "1", "0.5", "x", "True", "0.1",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="artifact"):
        param_text("k", "x" * 6001)
