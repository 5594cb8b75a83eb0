"""The pages of a run's artifacts: a folder as a list, a file in the viewer of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from holdfast.chunks import TreeFile
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.tracking.artifact_folders import Entry, list_folder
from holdfast.tracking.artifact_kinds import KIND_WORDS
from holdfast.tracking.artifact_views import ArtifactViews, ShownFile
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.grids import Grid, Window
from holdfast.tracking.records import Experiment, Run
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Page, Route
from holdfast.web.wording import plural, size_text

__all__ = ["artifact_address", "artifact_page", "download_address"]

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


class FolderView(msgspec.Struct, frozen=True):
    """A folder of artifacts, a page of it."""

    run: Run
    experiment: Experiment
    crumbs: list[Crumb]
    title: str
    sentence: str
    entries: list[Entry]
    at: str
    """The address of the run's artifacts."""
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

    run: Run
    experiment: Experiment
    crumbs: list[Crumb]
    title: str
    file: TreeFile
    kind: str
    shown: ShownFile
    download: str
    steps: Steps


def artifact_address(run_id: str, path: str = "") -> str:
    """The page of an artifact or a folder; without a path of all."""
    return f"/runs/{run_id}/artifacts" + (f"/{quote(path)}" if path else "")


def download_address(run_id: str, path: str) -> str:
    """Where an artifact's bytes are."""
    return f"/api/v1/runs/{run_id}/artifacts/{quote(path)}"


def artifact_page(experiments: Experiments, tracking: Tracking, views: ArtifactViews) -> list[Route]:
    """`/runs/{run_id}/artifacts` and everything below."""

    def show(call: Call) -> Page:
        run = tracking.get_run(call.caller, call.path["run_id"])
        experiment = experiments.get_experiment(call.caller, run.experiment_id)
        path = call.path.get("path", "").removesuffix("/")
        found = _find(call, tracking, run, path)
        if isinstance(found, TreeFile):
            view = _file_view(call, run, experiment, found, views)
            return Page("tracking/artifact.html", {"view": view}, f"{view.title} of {run.name}")
        folder = _folder_view(_read_place(call.query), run, experiment, path, found)
        return Page("tracking/artifacts.html", {"view": folder}, f"{folder.title} of {run.name}")

    read, page = "tracking:read", "/runs/{run_id}/artifacts"
    return [
        Route("GET", page, show, read, summary="A run's artifacts"),
        Route("GET", page + "/{path:path}", show, read, summary="An artifact or a folder"),
    ]


def _read_place(query: Mapping[str, str]) -> Place:
    def number(name: str) -> int:
        text = query.get(name, "") or "1"
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not int(text):
            raise InvalidInput(
                f"The {name} {text[:40]!r} is not a number from 1 on.", hint="Follow the page's own links."
            )
        return int(text)

    return Place(number("page"), query.get("name", ""), number("row"), number("column"))


def _find(call: Call, tracking: Tracking, run: Run, path: str) -> TreeFile | list[Entry]:
    """The file at a path, or what stands in the folder. Raises NotFound, and InvalidInput for what is no path."""
    if not path:
        return list_folder(tracking.list_artifacts(call.caller, run.run_id).items, "")
    try:
        return tracking.find_artifact(call.caller, run.run_id, path)
    except NotFound:
        entries = list_folder(tracking.list_artifacts(call.caller, run.run_id).items, path)
        if not entries:
            raise
        return entries


def _crumbs(run: Run, path: str) -> list[Crumb]:
    """The folders above a path, from all artifacts on."""
    parts = path.split("/")[:-1]
    above = [Crumb("Artifacts", artifact_address(run.run_id))] if path else []
    return above + [
        Crumb(name, artifact_address(run.run_id, "/".join(parts[: at + 1]))) for at, name in enumerate(parts)
    ]


def _folder_view(
    place: Place, run: Run, experiment: Experiment, path: str, entries: list[Entry]
) -> FolderView:
    wanted = place.name.casefold()
    matching = [one for one in entries if wanted in one.name.casefold()]
    start = (place.page - 1) * _PER_PAGE
    files = sum(one.files or 1 for one in entries)
    size = size_text(sum(one.size for one in entries))
    return FolderView(
        run=run,
        experiment=experiment,
        crumbs=_crumbs(run, path),
        title=path.rpartition("/")[2] or "Artifacts",
        sentence=f"{plural(files, 'file')}, {size} together." if entries else "No artifact yet.",
        entries=matching[start : start + _PER_PAGE],
        at=artifact_address(run.run_id),
        shown=f"{len(matching):,} of {len(entries):,}" if wanted else f"{len(entries):,}",
        place=place,
        pages=max(1, -(-len(matching) // _PER_PAGE)),
        can_filter=len(entries) > _PER_PAGE,
    )


def _file_view(
    call: Call, run: Run, experiment: Experiment, file: TreeFile, views: ArtifactViews
) -> FileView:
    place = _read_place(call.query)
    shown = views.show(file, Window(place.row - 1, place.column - 1))
    return FileView(
        run=run,
        experiment=experiment,
        crumbs=_crumbs(run, file.path),
        title=file.path.rpartition("/")[2],
        file=file,
        kind=KIND_WORDS[shown.kind],
        shown=shown,
        download=download_address(run.run_id, file.path),
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
