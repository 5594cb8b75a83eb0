"""Images, figures, tables, texts and documents, by what arrives at the server."""

from __future__ import annotations

import datetime
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas
import polars
import pytest
import yaml

from holdfast.client import Client
from holdfast.client.active import ActiveRun
from holdfast.client.records import Run
from holdfast.client.rendering import render_document, render_image, render_table
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.media import Media, media_path, parse_media_path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / ".venv-libraries" / "bin" / "python"


@pytest.fixture
def run(plane, client: Client, run_document, tmp_path: Path) -> ActiveRun:
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "finished"}))
    for name in ("notes/a.txt", "b.json"):
        plane.on(f"PUT /api/v1/runs/r1/artifacts/{name}", (200, {}))
    return ActiveRun(client, msgspec.convert(run_document, Run), root=tmp_path)


def _pixels(png: bytes) -> list[list[tuple[int, ...]]]:
    """The pixels of a PNG by a reader that is not ours."""
    if not LIBRARIES.exists():
        pytest.skip("the libraries are not installed: sh tools/judges.sh libraries")
    code = (
        "import sys, io, json, numpy, PIL.Image as I;"
        "print(json.dumps(numpy.asarray(I.open(io.BytesIO(sys.stdin.buffer.read()))).tolist()))"
    )
    return json.loads(
        subprocess.run([LIBRARIES, "-c", code], input=png, capture_output=True, check=True).stdout
    )


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.bool_])
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 3), (3, 5, 4)])
def test_arrays_become_the_pixels_that_they_hold(kind: Any, shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(1).integers(0, 2 if kind is np.bool_ else 256, shape)
    array = (given / 255).astype(kind) if kind is np.float32 else given.astype(kind)
    content, extension = render_image(array)
    expected = given * 255 if kind is np.bool_ else given
    assert extension == "png"
    assert _pixels(content) == (expected[:, :, 0] if shape[2:] == (1,) else expected).tolist()


class Tensor:
    """As torch has it: channels first, on a device."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape = array, array.shape

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return self.array


def test_tensors_may_have_channels_first() -> None:
    array = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    assert render_image(Tensor(array)) == render_image(array.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((2, 2, 2)), "shape 2x2x2"),
        (np.zeros((0, 2)), "shape 0x2"),
        (np.full((2, 2), 1.5), "from 1.5 to 1.5"),
        (np.full((2, 2), np.nan), "from nan to nan"),
        (np.full((2, 2), 256), "from 256 to 256"),
        (np.full((2, 2), "x"), "<U1"),
        ("nowhere.png", "no image file 'nowhere.png'"),
        (b"<svg/>", "no PNG, JPEG, GIF or WebP"),
    ],
)
def test_what_is_no_image_is_told(image: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        render_image(image)


def test_tables_of_every_kind_hold_the_same() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
    expected = {"columns": ["a", "b"], "data": [[1, "x"], [None, "y"]]}
    for table in (rows, {"a": [1, None], "b": ["x", "y"]}, polars.DataFrame(rows)):
        assert json.loads(render_table(table)[0]) == expected
    frame = pandas.DataFrame(rows)
    assert json.loads(render_table(frame)[0]) == expected
    pandas.testing.assert_frame_equal(
        pandas.read_json(io.BytesIO(render_table(frame)[0]), orient="split"), frame, check_dtype=False
    )


def test_cells_that_json_has_not() -> None:
    values = [float("inf"), float("nan"), np.float32(0.5), datetime.date(2026, 1, 2), [1], np.int64(3)]
    told = json.loads(render_table({"a": values})[0])["data"]
    assert told == [["Infinity"], [None], [0.5], ["2026-01-02"], ["[1]"], [3]]


def test_parquet() -> None:
    columns = {"a": [1, 2, 3], "b": ["x", None, "z"]}
    for table in (columns, polars.DataFrame(columns)):
        content, extension = render_table(table, "parquet")
        assert extension == "parquet"
        assert polars.read_parquet(io.BytesIO(content)).to_dict(as_series=False) == columns


@pytest.mark.parametrize(
    ("table", "told"),
    [({"a": [1], "b": [1, 2]}, "a 1, b 2"), ({"a": "xy"}, "'a' is a str"), (3, "int is not")],
)
def test_what_is_no_table_is_told(table: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        render_table(table)


def test_documents() -> None:
    document = {"a": np.float32(0.5), "b": [np.nan, (1, None)], 3: {"x": np.arange(2)}}
    plain = {"a": 0.5, "b": ["NaN", [1, None]], "3": {"x": [0, 1]}}
    assert json.loads(render_document(document, "a.json")) == plain
    assert yaml.safe_load(render_document(document, "a.yaml")) == plain
    with pytest.raises(InvalidInput, match=r"'a\.toml'"):
        render_document(document, "a.toml")
    with pytest.raises(InvalidInput, match="holds a object"):
        render_document({"a": object()}, "a.json")


def test_media_stand_at_paths_that_say_what_they_are(run: ActiveRun, plane) -> None:
    plane.on("PUT /api/v1/runs/r1/artifacts/media/val/sample/0.png", (200, {}))
    plane.on("PUT /api/v1/runs/r1/artifacts/media/val/sample/7.png", (200, {}))
    plane.on("PUT /api/v1/runs/r1/artifacts/tables/sample/0.json", (200, {}))
    image = np.zeros((2, 2), np.uint8)
    assert run.log_image("val/sample", image) == "media/val/sample/0.png"
    assert run.log_image("val/sample", image, 7) == "media/val/sample/7.png"
    assert run.log_table("sample", {"a": [1]}) == "tables/sample/0.json"
    run.log_text("ä", "notes/a.txt")
    run.log_dict({"a": 1}, "b.json")
    for bad in (("*", image, 0), ("k", image, -1), ("k", image, 1.5), ("../k", image, 0)):
        with pytest.raises(InvalidInput):
            run.log_image(*bad)
    run.finish()
    sent = {seen.path.partition("artifacts/")[2]: seen.body for seen in plane.seen if seen.method == "PUT"}
    assert sent["notes/a.txt"] == "ä".encode() and json.loads(sent["b.json"]) == {"a": 1}
    assert sent["media/val/sample/7.png"] == render_image(image)[0]
    assert set(map(parse_media_path, sent)) == {
        Media("image", "val/sample", 0, "png"),
        Media("image", "val/sample", 7, "png"),
        Media("table", "sample", 0, "json"),
        None,
    }


def test_paths_of_media() -> None:
    for media in (Media("figure", "roc", 12, "html"), Media("table", "a/b", 0, "parquet")):
        assert parse_media_path(media_path(media)) == media
    for path in ("media/0.png", "media/a/01.png", "media/a/0.html", "figures/a/x.png", "x/media/a/0.png"):
        assert parse_media_path(path) is None


_FIGURES = """
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt, numpy as np, pandas, PIL.Image, plotly.graph_objects as go, io, json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from holdfast.client.rendering import render_figure, render_image, render_table
from holdfast.kernel.errors import InvalidInput

figure, axes = plt.subplots()
axes.plot([1, 2], [3, 4])
for drawn in (figure, axes):
    content, form = render_figure(drawn)
    assert form == "png" and PIL.Image.open(io.BytesIO(content)).size == (640, 480)
chart = go.Figure(go.Scatter(y=[1, 3, 2]))
content, form = render_figure(chart)
assert form == "html" and b"<html" in content[:200] and len(content) > 1e6  # with plotly itself
content, form = render_figure(chart, "json")
assert form == "json" and json.loads(content)["data"][0]["type"] == "scatter"
for mode in ("RGB", "RGBA", "L", "P", "CMYK", "F"):
    content, form = render_image(PIL.Image.new(mode, (4, 3)))
    assert form == "png" and PIL.Image.open(io.BytesIO(content)).size == (4, 3)
frame = pandas.DataFrame({"a": [1, 2], "t": pandas.to_datetime(["2026-01-01", None])})
content, form = render_table(frame, "parquet")
# From a file: pyarrow 26 may abort a process that ends soon after reading from a Python object.
pathlib.Path("table.parquet").write_bytes(content)
assert pandas.read_parquet("table.parquet").equals(frame)
for bad in ((figure, "html"), (chart, "svg"), (3, None)):
    try:
        render_figure(*bad)
    except InvalidInput:
        continue
    raise SystemExit(f"{bad} was taken")
"""


def test_figures_of_the_real_libraries(tmp_path: Path) -> None:
    if not LIBRARIES.exists():
        pytest.skip("the libraries are not installed: sh tools/judges.sh libraries")
    (tmp_path / "figures.py").write_text(_FIGURES)
    done = subprocess.run(
        [LIBRARIES, tmp_path / "figures.py", ROOT / "src"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InvalidInput, match="PyYAML is not installed") as told:
        render_document({}, "a.yaml")
    assert "pip install pyyaml" in told.value.hint
    for name in ("pyarrow", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidInput, match="pyarrow is not installed"):
        render_table({"a": [1]}, "parquet")
