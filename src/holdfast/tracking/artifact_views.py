"""What is shown of one artifact: a picture, a frame, a part of a table, the start of a text, or a sentence alone."""

from __future__ import annotations

import contextlib
from typing import Literal

import msgspec

from holdfast.chunks import TreeFile
from holdfast.storage import Objects
from holdfast.tracking.artifact_kinds import ArtifactKind, is_text, kind_by_name
from holdfast.tracking.grids import CSV_BUDGET, Grid, NoTable, Window, read_csv, read_split
from holdfast.tracking.parquet import PARQUET_LIMIT, ParquetReader
from holdfast.tracking.pictures import picture_size
from holdfast.web.wording import plural, size_text

__all__ = ["PICTURE_LIMIT", "ArtifactViews", "Picture", "ShownFile"]

PICTURE_LIMIT = 32_000_000
_TEXT_LIMIT = 200_000
_PRETTY_LIMIT, _JSON_TABLE_LIMIT = 2_000_000, 16_000_000
_HEAD = 1 << 16
_SMALL, _ENLARGED = 112, 224
_ALONE: dict[ArtifactKind, str] = {
    "sound": "holdfast does not play sound: download the file to listen to it.",
    "video": "holdfast does not play video: download the file to watch it.",
    "pdf": "holdfast does not show PDF files: download it to read it.",
}
_FRAMED: dict[ArtifactKind, str] = {
    "document": "The document is shown in a frame of its own: its scripts may run, but see nothing of holdfast and load "
    "nothing from elsewhere.",
    "drawing": "The drawing is shown in a frame of its own, where no script runs.",
}


class Picture(msgspec.Struct, frozen=True):
    """How large an image is (pixels) and is shown: small ones enlarged by a whole factor."""

    width: int
    height: int
    factor: int = 1

    @property
    def pixels(self) -> str:
        """`28 × 28 pixels`."""
        return f"{self.width:,} × {self.height:,} pixels"


class ShownFile(msgspec.Struct, frozen=True):
    """How a file is shown."""

    form: Literal["picture", "frame", "grid", "text", "none"]
    kind: ArtifactKind
    note: str
    """A sentence about what is shown, and what is not."""
    text: str = ""
    grid: Grid | None = None
    picture: Picture | None = None


class ArtifactViews:
    """Reads no more of a file than it shows, or refuses."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._parquet = ParquetReader()

    def show(self, file: TreeFile, window: Window) -> ShownFile:
        """The file as it is shown; of a table the rows and columns of the window."""
        kind = kind_by_name(file.path)
        if kind in _ALONE:
            return ShownFile("none", kind, _ALONE[kind])
        if kind in _FRAMED:
            return ShownFile("frame", kind, _FRAMED[kind])
        if kind == "image":
            return self._image(file)
        if kind == "json":
            return self._json(file, window)
        if kind in ("csv", "tsv"):
            return self._csv(file, kind, window)
        return self._parquet_file(file, window) if kind == "parquet" else self._text(file, kind)

    def picture(self, file: TreeFile) -> Picture | None:
        """The size of an image, as far as its first 64 kB tell it."""
        size = picture_size(self._objects.open_range(file.sha256, 0, _HEAD))
        if size is None:
            return None
        largest = max(size)
        return Picture(*size, factor=_ENLARGED // largest if largest <= _SMALL else 1)

    def table(self, file: TreeFile, window: Window, limit: int) -> Grid | None:
        """A table as JSON of at most so many bytes; None for any other."""
        if kind_by_name(file.path) != "json" or file.size > limit:
            return None
        try:
            return read_split(self._objects.open_range(file.sha256, 0, file.size), window)
        except NoTable:
            return None

    def _image(self, file: TreeFile) -> ShownFile:
        if file.size > PICTURE_LIMIT:
            limit = size_text(PICTURE_LIMIT)
            return ShownFile("none", "image", f"Images over {limit} are not shown here: download it.")
        picture = self.picture(file)
        if picture is None:
            return ShownFile("picture", "image", "Its first bytes do not tell how large it is.")
        enlarged = f", shown {picture.factor} times as large" if picture.factor > 1 else ""
        note = f"{picture.pixels}{enlarged}."
        return ShownFile("picture", "image", note, picture=picture)

    def _csv(self, file: TreeFile, kind: ArtifactKind, window: Window) -> ShownFile:
        try:
            with self._objects.open(file.sha256) as stream:
                grid = read_csv(stream, window, "\t" if kind == "tsv" else ",")
        except NoTable as error:
            return self._text(file, kind, f"It can't be read as a table ({error}). ")
        beyond = f" What lies behind the first {size_text(CSV_BUDGET)} is not shown: download it."
        return _of_grid(kind, grid, beyond if grid.is_cut else "")

    def _json(self, file: TreeFile, window: Window) -> ShownFile:
        if file.size > _JSON_TABLE_LIMIT:
            return self._text(file, "json", f"JSON over {size_text(_JSON_TABLE_LIMIT)} is shown as text. ")
        data = self._objects.open_range(file.sha256, 0, file.size)
        with contextlib.suppress(NoTable):  # most JSON is none
            return _of_grid("json", read_split(data, window))
        if file.size > _PRETTY_LIMIT:
            return self._text(
                file, "json", f"JSON over {size_text(_PRETTY_LIMIT)} is shown as it is written. "
            )
        try:
            pretty = msgspec.json.format(data, indent=2)
        except (msgspec.DecodeError, RecursionError) as error:
            return self._text(file, "json", f"It is not the JSON of the standard ({error}). ")
        text, note = _start(pretty[:_TEXT_LIMIT], len(pretty), "Indented for reading")
        return ShownFile("text", "json", note, text)

    def _parquet_file(self, file: TreeFile, window: Window) -> ShownFile:
        if file.size > PARQUET_LIMIT:
            limit = size_text(PARQUET_LIMIT)
            return ShownFile(
                "none", "parquet", f"Parquet files over {limit} are not shown here: download it."
            )
        try:
            with self._objects.open(file.sha256) as stream:
                return _of_grid("parquet", self._parquet.read(stream, window))
        except NoTable as error:
            return ShownFile("none", "parquet", f"The table can't be read: {str(error).rstrip('.')}.")

    def _text(self, file: TreeFile, kind: ArtifactKind, why: str = "") -> ShownFile:
        data = self._objects.open_range(file.sha256, 0, _TEXT_LIMIT)
        if not is_text(data):
            return ShownFile("none", "other", f"{why}holdfast has no viewer for such a file: download it.")
        text, note = _start(data, file.size, "")
        return ShownFile("text", "text" if kind == "other" else kind, f"{why}{note}", text)


def _of_grid(kind: ArtifactKind, grid: Grid, beyond: str = "") -> ShownFile:
    if not grid.all_columns:
        return ShownFile("none", kind, "The table has no columns.")
    if not grid.rows:
        note = "The table has no rows." if not grid.first_row else "No row stands here."
        return ShownFile("grid", kind, note + beyond, grid=grid)
    if not grid.columns:
        return ShownFile("none", kind, "No column stands here.")
    last = grid.first_row + len(grid.rows)
    of = f" of {grid.all_rows:,}" if grid.all_rows is not None else ", more follow" if grid.has_more else ""
    note = f"Rows {grid.first_row + 1:,} to {last:,}{of}"
    if len(grid.columns) < grid.all_columns:
        right = grid.first_column + len(grid.columns)
        note += f"; columns {grid.first_column + 1:,} to {right:,} of {grid.all_columns:,}"
    return ShownFile("grid", kind, f"{note}.{beyond}", grid=grid)


def _start(data: bytes, size: int, how: str) -> tuple[str, str]:
    """A text as far as it was read, and what is told of that."""
    if not size:
        return "", "It is empty."
    text = data.decode(errors="replace")
    if len(data) >= size:
        lines = text.count("\n") + (not text.endswith("\n"))
        return text, f"{how}." if how else f"All of it: {plural(lines, 'line')}."
    told = f"the first {size_text(len(data))} of {size_text(size)}: download it for the rest."
    return text.rstrip("\ufffd"), f"{how}, {told}" if how else told[0].upper() + told[1:]
