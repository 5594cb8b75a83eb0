"""The pages of a version's files: its folders, and each file in the viewer of its kind."""

from __future__ import annotations

from urllib.parse import quote

from holdfast.chunks import check_path
from holdfast.registry.rules import parse_version
from holdfast.registry.service import Registry
from holdfast.tracking.artifact_views import ArtifactViews
from holdfast.tracking.file_views import Crumb, Shelf, find_below, show_files
from holdfast.web import Call, Page, Route

__all__ = ["file_page"]


def file_page(registry: Registry, views: ArtifactViews) -> list[Route]:
    """`/models/{name}/{version}/files` and everything below."""

    def show(call: Call) -> Page:
        version = registry.get_version(call.caller, call.path["name"], parse_version(call.path["version"]))
        path = call.path.get("path", "").removesuffix("/")
        if path:
            check_path(path)
        files = registry.list_files(call.caller, version.name, version.version).items
        return show_files(call, _shelf(version.name, version.version), path, find_below(files, path), views)

    read, page = "registry:read", "/models/{name}/{version}/files"
    return [
        Route("GET", page, show, read, summary="A version's files"),
        Route("GET", page + "/{path:path}", show, read, summary="A file of a version, or a folder"),
    ]


def _shelf(name: str, version: int) -> Shelf:
    segment = quote(name, safe="")
    page = f"/models/{segment}/{version}"
    return Shelf(
        word="Version",
        name=f"{name} version {version}",
        address=page,
        title="Files",
        files=f"{page}/files",
        bytes=f"/api/v1/models/{segment}/versions/{version}/files",
        trail=(
            Crumb("Models", "/models"),
            Crumb(name, f"/models/{segment}"),
            Crumb(f"Version {version}", page),
        ),
    )
