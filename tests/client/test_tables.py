from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from holdfast.client.tables import Batch, convert, count_rows, read_batches
from holdfast.kernel.errors import InvalidInput


def test_csv_in_batches(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('\ufeffkey,x\n1,"a, b"\n2,\n\n3,c\n', encoding="utf-8")
    batches = list(read_batches(file, 2))
    assert [(batch.first_row, batch.columns) for batch in batches] == [
        (1, {"key": ["1", "2"], "x": ["a, b", ""]}), (3, {"key": ["3"], "x": ["c"]}),
    ]  # fmt: skip
    assert count_rows(file) == 4


def test_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"x": 1}\n\n{"x": null, "y": "b"}\n')
    assert [batch.columns for batch in read_batches(file)] == [{"x": [1, None], "y": [None, "b"]}]


def test_parquet(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame({"x": [1, 2, 3]}).write_parquet(file)
    assert [batch.columns for batch in read_batches(file, 2)] == [{"x": [1, 2]}, {"x": [3]}]
    assert count_rows(file) is None


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("double", ["1.5", "", "NA", None, 2], [1.5, None, None, None, 2.0]),
        ("long", ["1", "2.0", 3, 4.0, "nan"], [1, 2, 3, 4, None]),
        ("boolean", ["true", "0", True, "No"], [True, False, True, False]),
        ("string", ["x", "", 5], ["x", None, "5"]),
        ("datetime", ["2013-01-01", 1356998400000, None], [1356998400000, 1356998400000, None]),
    ],
)
def test_values_become_what_the_signature_says(kind: str, raw: list, value: list) -> None:
    assert convert(Batch(1, {"c": raw}), "c", kind, Path("f.csv")) == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("double", "x"),
        ("double", "-inf"),
        ("double", float("inf")),
        ("long", "1.5"),
        ("long", "inf"),
        ("long", True),
        ("boolean", "maybe"),
        ("datetime", "soon"),
    ],
)
def test_a_value_that_does_not_fit_is_named(kind: str, raw: object) -> None:
    words = {"double": "a finite number", "long": "a whole number", "boolean": "true or false"}
    with pytest.raises(
        InvalidInput, match=rf"Row 8 of 'f.csv': c is '{raw}', not {words.get(kind, 'a time')}"
    ):
        convert(Batch(7, {"c": [None, raw]}), "c", kind, Path("f.csv"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,y\n1\n", "Line 2 of 'a.csv' has 1 cells, not 2"),
        ("a.csv", "", "empty"),
        ("a.csv", "x,x\n1,2\n", "'x' stands more than once"),
        ("a.csv", b"x\n\xff\n", "cannot be read"),
        ("a.jsonl", "{}\n[1]\n", "Line 2"),
        ("a.jsonl", "", "empty"),
        ("a.parquet", "no", "Parquet"),
        ("a.xlsx", "no", "xlsx"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_where(tmp_path: Path, name: str, content, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=message):
        list(read_batches(file))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no file"):
        read_batches(tmp_path / "none.csv")
