from __future__ import annotations

import pytest

from holdfast.kernel.errors import InvalidInput
from holdfast.tracking.columns import RunColumn, parse_columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", []),
        ("metrics.loss, min.loss,params.lr", [("metric", "loss"), ("min", "loss"), ("param", "lr")]),
        ("metric.loss,metrics.loss", [("metric", "loss")]),
        ("metrics.`a, b`,user", [("metric", "a, b"), ("attribute", "user")]),
    ],
)
def test_columns_are_read_as_filters_write_them(text: str, columns: list[tuple[str, str]]) -> None:
    assert [(one.entity, one.key) for one in parse_columns(text)] == columns


@pytest.mark.parametrize("key", ["loss", "val/loss", "a b", "a,b", "a`b", "a=b"])
def test_a_written_column_is_read_back(key: str) -> None:
    column = RunColumn("max", key)
    assert parse_columns(f"{column.text},user") == [column, RunColumn("attribute", "user")]


@pytest.mark.parametrize("text", ["colour", "metrics.", "metrics.loss DESC", "datasets.name"])
def test_what_is_no_column_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_columns(text)
