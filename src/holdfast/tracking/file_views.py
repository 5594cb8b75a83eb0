"""Files as pages: a folder as a list, a file in the viewer of its kind, whatever they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from holdfast.chunks import TreeFile
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.tracking.artifact_folders import Entry, list_folder
from holdfast.tracking.artifact_kinds import KIND_WORDS
from holdfast.tracking.artifact_views import ArtifactViews, ShownFile
from holdfast.tracking.grids import Grid, Window
from holdfast.web import Call, Page
from holdfast.web.wording import plural, size_text

__all__ = ["Crumb", "Shelf", "find_below", "show_files"]

_PER_PAGE = 100


class Place(msgspec.Struct, frozen=True):
    """Which page of a folder and names with which text; of a table the first row and column, from 1."""

    page: int
    name: str
    row: int
    column: int


class Crumb(msgspec.Struct, frozen=True):
    """A folder above what is shown."""

    name: str
    address: str


class Shelf(msgspec.Struct, frozen=True):
    """What files belong to: a run, a version of a model."""

    word: str
    """What it is: Run."""
    name: str
    address: str
    """Its own page."""
    title: str
    """What its files are called together: Artifacts."""
    files: str
    """The page of its files; those of folders and files are below."""
    bytes: str
    """Below which its files are downloaded."""
    trail: tuple[Crumb, ...]
    """The pages above its own, and its own."""
    refresh: int = 0
    """After how many seconds its folders are looked at again; 0 for what does not change."""
    teach: str = ""
    """How a first file is made."""


class FolderView(msgspec.Struct, frozen=True):
    """A folder, a page of it."""

    shelf: Shelf
    crumbs: list[Crumb]
    title: str
    sentence: str
    entries: list[Entry]
    shown: str
    place: Place
    pages: int
    can_filter: bool


class Steps(msgspec.Struct, frozen=True):
    """Where a table goes on: addresses, empty where it does not."""

    previous: str = ""
    next: str = ""
    left: str = ""
    right: str = ""


class FileView(msgspec.Struct, frozen=True):
    """A file in its viewer."""

    shelf: Shelf
    crumbs: list[Crumb]
    title: str
    file: TreeFile
    kind: str
    shown: ShownFile
    download: str
    steps: Steps


def show_files(
    call: Call, shelf: Shelf, path: str, found: TreeFile | list[Entry], views: ArtifactViews
) -> Page:
    """The page of what was found at a path of a shelf."""
    if isinstance(found, TreeFile):
        view = _file_view(call, shelf, found, views)
        return Page("tracking/artifact.html", {"view": view}, f"{view.title} of {shelf.name}")
    folder = _folder_view(_read_place(call.query), shelf, path, found)
    return Page("tracking/artifacts.html", {"view": folder}, f"{folder.title} of {shelf.name}")


def find_below(files: Sequence[TreeFile], path: str) -> TreeFile | list[Entry]:
    """The file at a path, or what stands in the folder (empty: the root). Raises NotFound."""
    file = next((one for one in files if one.path == path), None)
    if file is not None:
        return file
    entries = list_folder(files, path)
    if path and not entries:
        raise NotFound(f"There is no file or folder {path[:200]!r}.")
    return entries


def _read_place(query: Mapping[str, str]) -> Place:
    def number(name: str) -> int:
        text = query.get(name, "") or "1"
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not int(text):
            raise InvalidInput(
                f"The {name} {text[:40]!r} is not a number from 1 on.", hint="Follow the page's own links."
            )
        return int(text)

    return Place(number("page"), query.get("name", ""), number("row"), number("column"))


def _crumbs(shelf: Shelf, path: str) -> list[Crumb]:
    """The folders above a path, from all files on."""
    parts = path.split("/")[:-1]
    above = [Crumb(shelf.title, shelf.files)] if path else []
    return above + [
        Crumb(name, f"{shelf.files}/{quote('/'.join(parts[: at + 1]))}") for at, name in enumerate(parts)
    ]


def _folder_view(place: Place, shelf: Shelf, path: str, entries: list[Entry]) -> FolderView:
    wanted = place.name.casefold()
    matching = [one for one in entries if wanted in one.name.casefold()]
    start = (place.page - 1) * _PER_PAGE
    files = sum(one.files or 1 for one in entries)
    size = size_text(sum(one.size for one in entries))
    return FolderView(
        shelf=shelf,
        crumbs=_crumbs(shelf, path),
        title=path.rpartition("/")[2] or shelf.title,
        sentence=f"{plural(files, 'file')}, {size} together." if entries else "No file yet.",
        entries=matching[start : start + _PER_PAGE],
        shown=f"{len(matching):,} of {len(entries):,}" if wanted else f"{len(entries):,}",
        place=place,
        pages=max(1, -(-len(matching) // _PER_PAGE)),
        can_filter=len(entries) > _PER_PAGE,
    )


def _file_view(call: Call, shelf: Shelf, file: TreeFile, views: ArtifactViews) -> FileView:
    place = _read_place(call.query)
    shown = views.show(file, Window(place.row - 1, place.column - 1))
    return FileView(
        shelf=shelf,
        crumbs=_crumbs(shelf, file.path),
        title=file.path.rpartition("/")[2],
        file=file,
        kind=KIND_WORDS[shown.kind],
        shown=shown,
        download=f"{shelf.bytes}/{quote(file.path)}",
        steps=_steps(place, shown.grid) if shown.grid else Steps(),
    )


def _steps(place: Place, grid: Grid) -> Steps:
    """A page of rows back or on, and a page of columns."""
    rows = max(1, Window(column=grid.first_column).rows(grid.all_columns))
    width = Window().most_columns

    def at(row: int, column: int) -> str:
        return f"?row={max(1, row)}&column={max(1, column)}"

    return Steps(
        previous=at(place.row - rows, place.column) if place.row > 1 else "",
        next=at(place.row + len(grid.rows), place.column) if grid.has_more else "",
        left=at(place.row, place.column - width) if place.column > 1 else "",
        right=at(place.row, place.column + width)
        if grid.first_column + len(grid.columns) < grid.all_columns
        else "",
    )
