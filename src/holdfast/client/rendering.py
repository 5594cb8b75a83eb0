"""What an image, a figure, a table or a document becomes: bytes and the extension of their file.

The libraries that made them are never imported before they are needed, and none is needed by holdfast itself.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client.frames import plain
from holdfast.kernel.errors import InvalidInput

__all__ = ["render_document", "render_figure", "render_image", "render_table"]

Rendered = tuple[bytes, str]
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"))
_COLOURS = {1: 0, 3: 2, 4: 6}
"""Channels to PNG's colour type."""


def render_image(image: Any) -> Rendered:
    """The file of an image: a path or bytes of a PNG, JPEG, GIF or WebP file as they are; a PIL image or an array
    (H x W, H x W x 1, 3 or 4; of tensors also C x H x W) as PNG.

    Arrays hold whole numbers from 0 to 255, booleans, or floats from 0 to 1. Raises InvalidInput for anything else.
    """
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if not path.is_file():
            raise InvalidInput(f"There is no image file {str(path)!r}.")
        return _recognised(path.read_bytes(), str(path))
    if isinstance(image, (bytes, bytearray)):
        return _recognised(bytes(image), f"of {len(image)} bytes")
    if _library(image) == "PIL" and hasattr(image, "save"):
        buffer = io.BytesIO()
        (image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else image.convert("RGB")).save(
            buffer, format="PNG"
        )
        return buffer.getvalue(), "png"
    return _png(_pixels(image)), "png"


def render_figure(figure: Any, form: str | None = None) -> Rendered:
    """The file of a figure: of matplotlib (also seaborn, and axes) PNG; of plotly HTML (all in one file), JSON or, where
    kaleido is installed, PNG."""
    if hasattr(figure, "to_plotly_json"):
        return _plotly(figure, form or "html")
    drawn = figure if hasattr(figure, "savefig") else getattr(figure, "figure", None)
    if drawn is None or not hasattr(drawn, "savefig"):
        raise InvalidInput(
            f"A {type(figure).__name__} is no figure of matplotlib or plotly.",
            hint="Log an image by log_image, a file by log_artifact.",
        )
    if form not in (None, "png"):
        raise InvalidInput(f"A figure of matplotlib cannot be kept as {form!r}.", hint="It is kept as 'png'.")
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png")
    return buffer.getvalue(), "png"


def render_table(table: Any, form: str | None = None) -> Rendered:
    """The file of a table (a pandas or polars frame, a dict of columns, a list of dicts) as `json` (`columns` and `data`
    row by row, missing values null; pandas reads it by orient="split") or `parquet`."""
    if form not in (None, "json", "parquet"):
        raise InvalidInput(f"A table cannot be kept as {form!r}.", hint="Choose 'json' or 'parquet'.")
    columns = _columns(table)
    if form == "parquet":
        return _parquet(table, columns), "parquet"
    rows = list(zip(*columns.values(), strict=True))
    return msgspec.json.encode({"columns": list(columns), "data": rows}), "json"


def render_document(document: Any, path: str) -> bytes:
    """A dict or list as the JSON or YAML that the path's ending asks for. Numbers that JSON has not are text ("NaN")."""
    extension = path.rpartition(".")[2].lower()
    plain = _plain(document, path)
    if extension == "json":
        return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"
    if extension in ("yaml", "yml"):
        try:
            import yaml  # optional
        except ImportError:
            raise _missing("PyYAML", "pyyaml", f"write {path!r}", "end the path by .json") from None
        return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)).encode()
    raise InvalidInput(f"The path {path!r} of a document does not end by .json, .yaml or .yml.")


def _recognised(content: bytes, shown: str) -> Rendered:
    for signature, extension in _SIGNATURES:
        if content.startswith(signature):
            return content, extension
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return content, "webp"
    raise InvalidInput(
        f"The image {shown!r} is no PNG, JPEG, GIF or WebP.", hint="Convert it, or log it by log_artifact."
    )


def _pixels(image: Any) -> Any:
    """An array of H x W x C bytes."""
    try:
        import numpy as np  # whoever has an array has it
    except ImportError:
        raise _missing("numpy", "numpy", "log an array as an image", "give a path or bytes") from None
    is_tensor = hasattr(image, "detach")
    try:
        array = np.asarray(image.detach().cpu().numpy() if is_tensor else image)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"A {type(image).__name__} is no image: {error}.") from error
    if array.ndim == 3 and is_tensor and array.shape[0] in _COLOURS and array.shape[2] not in _COLOURS:
        array = array.transpose(1, 2, 0)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in _COLOURS or 0 in array.shape:
        raise InvalidInput(
            f"An array of the shape {'x'.join(map(str, np.shape(image)))} is no image.",
            hint="Give height x width, or height x width x 1, 3 or 4.",
        )
    return _as_bytes(array, np)


def _as_bytes(array: Any, np: Any) -> Any:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"An image cannot be of the type {array.dtype}.", hint="Give numbers.")
    low, high = array.min(), array.max()
    most = 1 if array.dtype.kind in "bf" else 255
    if not (low >= 0 and high <= most):
        raise InvalidInput(
            f"The image of {array.dtype} has values from {low} to {high}, which are not from 0 to {most}.",
            hint="Scale it; whole numbers go from 0 to 255, floats from 0 to 1.",
        )
    scale = 1 if most == 255 else 255
    return np.rint(array.astype(np.float64) * scale).astype(np.uint8)


def _png(array: Any) -> bytes:
    """H x W x C bytes as PNG (ISO/IEC 15948), rows unfiltered."""
    height, width, channels = array.shape
    raw = bytearray()
    for row in array:
        raw += b"\0" + row.tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(raw), 6)), (b"IEND", b""))
    return _SIGNATURES[0][0] + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _plotly(figure: Any, form: str) -> Rendered:
    if form == "html":
        return str(figure.to_html(full_html=True, include_plotlyjs=True)).encode(), form
    if form == "json":
        return str(figure.to_json()).encode(), form
    if form != "png":
        raise InvalidInput(
            f"A figure of plotly cannot be kept as {form!r}.", hint="Choose 'html', 'json' or 'png'."
        )
    try:
        return bytes(figure.to_image(format="png")), form
    except (ImportError, ValueError, RuntimeError) as error:
        raise InvalidInput(
            f"plotly cannot draw the figure as PNG: {str(error).strip().splitlines()[0]}",
            hint="Install kaleido and a browser for it (pip install kaleido), or keep the figure as 'html' or 'json'.",
        ) from error


def _parquet(table: Any, columns: Mapping[str, list[Any]]) -> bytes:
    buffer = io.BytesIO()
    if _library(table) == "polars":
        (table.collect() if hasattr(table, "collect") else table).write_parquet(buffer)
        return buffer.getvalue()
    try:
        import pyarrow  # optional
        import pyarrow.parquet
    except ImportError:
        pyarrow = None
    if pyarrow is not None:
        frame = _library(table) == "pandas"
        arrow = (
            pyarrow.Table.from_pandas(table, preserve_index=False) if frame else pyarrow.table(dict(columns))
        )
        pyarrow.parquet.write_table(arrow, buffer)
        return buffer.getvalue()
    try:
        import polars  # optional
    except ImportError:
        raise _missing("pyarrow", "pyarrow", "write Parquet", "keep the table as 'json'") from None
    polars.DataFrame(dict(columns), strict=False).write_parquet(buffer)
    return buffer.getvalue()


def _columns(table: Any) -> dict[str, list[Any]]:
    """The columns of a table, of what JSON has."""
    if _library(table) == "polars" and hasattr(table, "collect"):
        table = table.collect()
    if _library(table) == "polars":
        columns = {name: table[name].to_list() for name in table.columns}
    elif _library(table) == "pandas" and hasattr(table, "columns"):
        columns = {str(name): table.iloc[:, at].tolist() for at, name in enumerate(table.columns)}
    elif isinstance(table, Mapping):
        columns = {str(name): _listed(str(name), values) for name, values in table.items()}
    elif isinstance(table, (list, tuple)) and all(isinstance(row, Mapping) for row in table):
        names = dict.fromkeys(str(name) for row in table for name in row)
        columns = {name: [row.get(name) for row in table] for name in names}
    else:
        raise InvalidInput(
            f"A {type(table).__name__} is not a table.",
            hint="Give a pandas or polars frame, a dict of columns, or a list of dicts.",
        )
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        shown = ", ".join(f"{name} {len(values)}" for name, values in list(columns.items())[:8])
        raise InvalidInput(f"The columns differ in length: {shown}.")
    return {name: [_cell(value) for value in values] for name, values in columns.items()}


def _listed(name: str, values: Any) -> list[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise InvalidInput(f"The column {name!r} is a {type(values).__name__}, not a list of values.")
    return list(values)


def _cell(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _plain(value: Any, path: str) -> Any:
    """A value of what JSON and YAML have."""
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, path) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, path) for item in value]
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, tensors
        return _plain(value.tolist(), path)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"The document {path!r} holds a {type(value).__name__}, which JSON has not: {value!r:.80}",
            hint="Turn it into text, numbers, lists and dicts first.",
        ) from error


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _missing(library: str, package: str, what: str, other: str) -> InvalidInput:
    return InvalidInput(
        f"{library} is not installed, which it takes to {what}.",
        hint=f"Install it (pip install {package}), or {other}.",
    )
