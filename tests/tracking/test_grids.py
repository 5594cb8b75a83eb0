"""Parts of tables: only what is shown is read, and what is no table says so."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest

from holdfast.tracking.grids import CSV_BUDGET, Grid, NoTable, Window, read_csv, read_split
from holdfast.tracking.parquet import ParquetReader


def texts(grid: Grid) -> list[list[str | None]]:
    return [[cell.text for cell in row] for row in grid.rows]


def csv_of(text: str, window: Window | None = None, delimiter: str = ",") -> Grid:
    return read_csv(io.BytesIO(text.encode()), window or Window(), delimiter)


def test_csv_with_quotes_gaps_and_long_rows() -> None:
    grid = csv_of('\ufeffname,score\n"a, b",1.5\n\nc\nd,2,extra\n')
    assert grid.columns == ["name", "score", "column 3"]
    assert texts(grid) == [["a, b", "1.5", None], ["c", None, None], ["d", "2", "extra"]]
    assert grid.is_number == [False, True, False]
    assert (grid.all_rows, grid.has_more) == (3, False)


@pytest.mark.parametrize(("text", "delimiter"), [("a;b\n1;2\n", ","), ("a\tb\n1\t2\n", "\t")])
def test_other_delimiters(text: str, delimiter: str) -> None:
    assert texts(csv_of(text, delimiter=delimiter)) == [["1", "2"]]


def test_csv_is_paged_by_rows_and_columns() -> None:
    text = "\n".join(",".join(f"{row}.{column}" for column in range(100)) for row in range(100))
    grid = csv_of(text, Window(row=10, column=60))
    assert grid.columns[0] == "0.60" and len(grid.columns) == 40
    assert texts(grid)[0][0] == "11.60"
    assert len(grid.rows) * (len(grid.columns) + 2) <= 2400
    assert grid.has_more and grid.all_rows is None


def test_no_more_of_csv_is_read_than_its_budget() -> None:
    line = b"x" * 999 + b"\n"

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            start = self.given % 1000
            self.given += size
            return (line * (size // 1000 + 2))[start : start + size]

    file = Endless()
    grid = read_csv(file, Window())  # type: ignore[arg-type]
    assert len(grid.rows) == 200 and file.given < 2_000_000
    beyond = read_csv(Endless(), Window(row=CSV_BUDGET // 1000 - 50))  # type: ignore[arg-type]
    assert beyond.is_cut and 40 <= len(beyond.rows) < 50


def test_csv_that_is_none() -> None:
    with pytest.raises(NoTable):
        csv_of('a,b\n"' + "x" * 200_000)
    assert csv_of("").all_columns == 0


def test_json_of_rows_is_decoded_for_those_shown() -> None:
    data = json.dumps(
        {"columns": ["n", 7], "index": [0], "data": [[at, {"a": [at]}] for at in range(500)]}
    ).encode()
    grid = read_split(data, Window(row=300))
    assert grid.columns == ["n", "7"]
    assert texts(grid)[0] == ["300", '{"a":[300]}']
    assert (grid.all_rows, len(grid.rows), grid.has_more) == (500, 200, False)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"columns": 1, "data": []}', b'{"columns": ["a"], "data": [{"a": 1}]}', b"[" * 100_000,
     b'{"columns": ["a"], "data": [[' + b"[" * 100_000, b'{"columns": ["\xff"], "data": []}'],
)  # fmt: skip
def test_json_that_is_no_table(data: bytes) -> None:
    with pytest.raises(NoTable):
        read_split(data, Window())


def test_long_values_are_cut_and_say_more_on_hover() -> None:
    cell = csv_of("a\n" + "x" * 5000).rows[0][0]
    assert cell.text is not None and len(cell.text) == 100 and cell.text.endswith("…")
    assert len(cell.full) == 1000


def test_parquet_is_read_in_a_child() -> None:
    file = io.BytesIO()
    pl.DataFrame(
        {
            "n": range(1000),
            "x": [None, float("nan"), *[0.5] * 998],
            "b": [b"abc"] * 1000,
            "l": [[1, 2]] * 1000,
            "t": [True] * 1000,
        }
    ).write_parquet(file)
    grid = ParquetReader().read(io.BytesIO(file.getvalue()), Window())
    assert grid.columns == ["n", "x", "b", "l", "t"]
    assert texts(grid)[:2] == [
        ["0", None, "3 bytes", "[1, 2]", "true"],
        ["1", "nan", "3 bytes", "[1, 2]", "true"],
    ]
    assert (grid.all_rows, len(grid.rows), grid.has_more) == (1000, 200, True)
    last = ParquetReader().read(io.BytesIO(file.getvalue()), Window(row=990, column=3))
    assert texts(last) == [["[1, 2]", "true"]] * 10


def test_what_is_no_parquet_and_what_unfolds_without_end() -> None:
    with pytest.raises(NoTable):
        ParquetReader().read(io.BytesIO(b"PAR1" + bytes(100) + b"PAR1"), Window())
    bomb = io.BytesIO()
    pl.DataFrame({"x": ["a" * 20_000]}).select(pl.col("x").repeat_by(100_000).explode()).write_parquet(
        bomb, compression="zstd", row_group_size=100_000
    )
    assert len(bomb.getvalue()) < 10_000_000
    try:
        grid = ParquetReader().read(io.BytesIO(bomb.getvalue()), Window())
    except NoTable:
        return
    assert len(grid.rows) == 200
