"""MLflow's artifact proxy: files of runs, logged models and versions by path, and a folder for what is none of these.

`{experiment}/{run}/artifacts/...` is a run's, `{experiment}/models/{model}/artifacts/...` a logged model's,
`versions/{id}/...` a version's own copy, to be read alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from holdfast.chunks import TreeFile, check_path
from holdfast.kernel.errors import InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.mlflow_api.errors import NotImplementedHere
from holdfast.mlflow_api.files import one_level
from holdfast.mlflow_api.runs import OfRun, RunCalls, run_of
from holdfast.mlflow_api.wire import Message, answer, route
from holdfast.registry.rules import parse_version
from holdfast.registry.service import Registry
from holdfast.storage import Objects
from holdfast.tracking.folder import SharedFolder
from holdfast.tracking.models import FILE_LIMIT, LoggedModels
from holdfast.tracking.multipart import PART_LIMIT, MultipartUploads
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Raw, Route, Upload
from holdfast.web.files import send_file

__all__ = ["ArtifactCalls", "artifact_routes"]

_PROXY = "/api/2.0/mlflow-artifacts"
_SMALL = 10 * 1024**2
_PART = _PROXY + "/mpu/parts/{upload_id}/{number}"
_PRESIGNED_S = 3600
_MISLEADING = re.compile(r"^(?:file:|[A-Za-z]:/)|(?:^|/)\.{1,2}[;#?]", re.IGNORECASE)
"""Paths that are absolute to others, and steps upwards where `;`, `#` or `?` ends a name."""
_WINDOWS = re.compile(r"(?:[A-Za-z]:|\\\\).*", re.DOTALL)
_OF_RUN = re.compile(r"([0-9]{1,18})/([a-zA-Z0-9][\w\-]{0,255})/artifacts(?:/(.*))?", re.DOTALL)
_OF_MODEL = re.compile(r"[0-9]{1,18}/models/(m-[0-9a-f]{32})/artifacts(?:/(.*))?", re.DOTALL)
_OF_VERSION = re.compile(r"versions/(v-[0-9a-f]{32})(?:/(.*))?", re.DOTALL)


class _Listing(OfRun):
    path: str = ""
    page_token: str = ""


class _VersionFile(msgspec.Struct):
    name: str | None = None
    version: str | None = None
    path: str = ""


class _Proxied(msgspec.Struct):
    path: str = ""


class _Beginning(msgspec.Struct):
    path: str | None = None
    num_parts: int = 1


class _Part(msgspec.Struct):
    part_number: int = 0
    etag: str = ""
    url: str = ""


class _Ending(msgspec.Struct):
    path: str | None = None
    upload_id: str | None = None
    parts: list[_Part] = []


_LISTING, _PROXIED = Message(_Listing), Message(_Proxied)
_BEGINNING, _ENDING = Message(_Beginning, "path"), Message(_Ending, "path", "upload_id")
_OF_VERSION_FILE = Message(_VersionFile, "name", "version")


class Place(msgspec.Struct, frozen=True):
    """Where a path of the proxy leads: a kind of owner, its id, and the path within (empty: its root)."""

    kind: str
    owner: str
    path: str


class ArtifactCalls:
    """The handlers."""

    def __init__(
        self,
        runs: RunCalls,
        tracking: Tracking,
        models: LoggedModels,
        registry: Registry,
        folder: SharedFolder,
        uploads: MultipartUploads,
        objects: Objects,
    ) -> None:
        self._runs = runs
        self._tracking = tracking
        self._models = models
        self._registry = registry
        self._folder = folder
        self._uploads = uploads
        self._objects = objects

    def put(self, call: Call) -> Raw:
        """uploadArtifact: durable before the answer."""
        self._store(call.caller, _file_at(call.path["path"]), call.blocks)
        return answer()

    def _store(self, caller: Caller, place: Place, blocks: Iterator[bytes]) -> None:
        if place.kind == "run":
            self._tracking.artifacts.put(caller, place.owner, place.path, blocks)
        elif place.kind == "model":
            self._models.put_file(caller, place.owner, place.path, blocks)
        else:
            self._folder.put_file(caller, place.path, blocks)

    def get(self, call: Call) -> Any:
        """downloadArtifact, with ranges."""
        return send_file(self._objects, self._find(call), byte_range=call.headers.get("range", ""))

    def _find(self, call: Call) -> TreeFile:
        place = place_of(call.path["path"])
        file = next((one for one in self._files(call.caller, place) if one.path == place.path), None)
        if file is None:
            raise NotFound(f"No such artifact: {call.path['path'][:200]!r}")
        return file

    def _files(self, caller: Caller, place: Place) -> list[TreeFile]:
        if place.kind == "run":
            return self._tracking.artifacts.list(caller, place.owner).items
        if place.kind == "model":
            return self._models.list_files(caller, place.owner).items
        if place.kind == "version":
            return self._registry.files_of(caller, place.owner)
        return self._folder.list_files(caller)

    def listing(self, call: Call) -> Raw:
        """listArtifacts: one level; what is not there, or is a file, has nothing below it."""
        asked = _folder(_PROXIED.read(call).path)
        place = place_of(asked) if asked else Place("folder", "", "")
        try:
            files = self._files(call.caller, place)
        except NotFound:
            return answer()
        return answer({"files": one_level(files, place.path, is_basename=True) or None})

    def delete(self, call: Call) -> Raw:
        """deleteArtifact: a file, or a folder with everything below it."""
        place = place_of(call.path["path"])
        if not place.path:
            raise InvalidInput(f"The root {call.path['path'][:120]!r} can't be deleted.")
        if place.kind == "run":
            self._tracking.artifacts.delete_below(call.caller, place.owner, place.path)
        elif place.kind == "model":
            self._models.delete_files(call.caller, place.owner, place.path)
        elif place.kind == "version":
            raise InvalidInput("The files of a model version can't be changed.")
        else:
            self._folder.delete_files(call.caller, place.path)
        return answer()

    def list_run(self, call: Call) -> Raw:
        """listArtifacts of the tracking service."""
        body = _LISTING.read(call)
        run = self._tracking.get_run(call.caller, run_of(body))
        folder = _folder(body.path)
        if folder:
            checked(folder)
        files = self._tracking.artifacts.list(call.caller, run.run_id).items
        root = self._runs.run_root(call.caller, run)
        return answer({"root_uri": root, "files": one_level(files, folder) or None})

    def get_of_run(self, call: Call) -> Any:
        """get-artifact: a file of a run, as MLflow's own pages ask for it"""
        body = _LISTING.read(call)
        file = self._tracking.artifacts.find(call.caller, run_of(body), checked(body.path))
        return send_file(self._objects, file, byte_range=call.headers.get("range", ""))

    def get_of_version(self, call: Call) -> Any:
        """get-artifact of a version, as MLflow's own pages ask for it"""
        body = _OF_VERSION_FILE.read(call)
        path = checked(body.path)
        version = self._registry.get_version(call.caller, str(body.name), parse_version(str(body.version)))
        files = self._registry.files_of(call.caller, version.version_id)
        file = next((one for one in files if one.path == path), None)
        if file is None:
            raise NotFound(f"No such artifact: {path[:200]!r}")
        return send_file(self._objects, file, byte_range=call.headers.get("range", ""))

    def put_of_run(self, call: Call) -> Raw:
        """upload-artifact: a small file of a run, as MLflow's own pages send it"""
        run_id, path = call.query.get("run_uuid", ""), call.query.get("path", "")
        if not run_id or not path:
            raise InvalidInput(f"Request must specify {'path' if run_id else 'run_uuid'}.")
        checked(path)
        if not call.raw:
            raise InvalidInput("Request must specify data.")
        self._tracking.artifacts.put(call.caller, run_id, path, iter([call.raw]))
        return answer()

    def begin_parts(self, call: Call) -> Raw:
        """createMultipartUpload: an address for each part, in their order"""
        body = _BEGINNING.read(call)
        path = _sent_to(call, str(body.path))
        place = _file_at(path)
        self._files(call.caller, place)  # raises for what is not there
        upload_id = self._uploads.begin(call.caller, path, body.num_parts)
        base = f"{call.url}{_PROXY}/mpu/parts/{upload_id}"
        headers = _again(call.headers)
        credentials = [
            {"url": f"{base}/{number}", "part_number": number, "headers": headers}
            for number in range(1, body.num_parts + 1)
        ]
        return answer({"upload_id": upload_id, "credentials": credentials})

    def put_part(self, call: Call) -> Raw:
        """part of a multipart upload: durable before the answer, whose ETag is its digest"""
        number = call.path["number"]
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise InvalidInput(f"{number[:80]!r} is no number of a part.")
        digest = self._uploads.put_part(call.caller, call.path["upload_id"], int(number), call.blocks)
        return Raw(b"", headers={"ETag": f'"{digest}"'})

    def complete_parts(self, call: Call) -> Raw:
        """completeMultipartUpload: the file is there with all its parts, or not at all"""
        body = _ENDING.read(call)
        path = _sent_to(call, str(body.path))
        place = _file_at(path)
        digests = {part.part_number: part.etag.strip('"') for part in body.parts}
        self._uploads.complete(
            call.caller,
            str(body.upload_id),
            path,
            digests,
            lambda blocks: self._store(call.caller, place, blocks),
        )
        return answer()

    def abort_parts(self, call: Call) -> Raw:
        """abortMultipartUpload: its parts are forgotten"""
        self._uploads.abort(call.caller, str(_ENDING.read(call).upload_id))
        return answer()

    def presigned(self, call: Call) -> Raw:
        """getPresignedDownloadUrl: of the bucket, where the file stands there by itself"""
        file = self._find(call)
        url = self._objects.presign(file.sha256, _PRESIGNED_S)
        if url is None:
            raise NotImplementedHere(
                f"{call.path['path'][:200]!r} has no address of its own.", hint="Download it from here."
            )
        return answer({"url": url, "headers": {}, "file_size": file.size})


def _file_at(path: str) -> Place:
    """Where a file may be written. Raises InvalidInput for a folder and for a version's copy."""
    place = place_of(path)
    if not place.path:
        raise InvalidInput(f"{path[:120]!r} is a folder, not a file.")
    if place.kind == "version":
        raise InvalidInput("The files of a model version can't be changed.")
    return place


def _sent_to(call: Call, local: str) -> str:
    """The path of a file that is sent in parts: the folder in the address, with the name that it has at the client."""
    name = re.split(r"[\\/]" if _WINDOWS.fullmatch(local) else "/", local)[-1]
    if not name:
        raise InvalidInput(f"{local[:200]!r} is a folder, not a file.")
    return f"{call.path['path'].rstrip('/')}/{name}"


def _again(headers: Mapping[str, str]) -> dict[str, str]:
    """What the caller sends with each part, so that it is known again: its own proof of who it is, and its workspace.

    Stock clients send parts with these headers alone, as to a bucket's signed addresses.
    """
    names = ("Authorization", "X-MLFLOW-WORKSPACE", "X-Holdfast-Workspace")
    return {name: headers[name.lower()] for name in names if name.lower() in headers}


def place_of(path: str) -> Place:
    """Where the proxy's path leads. Raises InvalidInput for one that leaves its folder, however it is encoded."""
    path = checked(path.rstrip("/"))
    for kind, pattern in (("model", _OF_MODEL), ("run", _OF_RUN), ("version", _OF_VERSION)):
        found = pattern.fullmatch(path)
        if found is not None:
            *_, owner, inner = found.groups()
            return Place(kind, owner, checked(inner) if inner else "")
    return Place("folder", "", path)


def checked(path: str) -> str:
    """The path, when a tree may hold it and no program takes it for another. Raises InvalidInput in MLflow's words."""
    if _MISLEADING.search(unquote(path)):
        raise InvalidInput("Invalid path")
    try:
        return check_path(path)
    except InvalidInput:
        raise InvalidInput("Invalid path") from None


def _folder(path: str) -> str:
    """A folder as clients name it: `.` is itself, slashes may be doubled. Empty is the root."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def artifact_routes(calls: ArtifactCalls) -> list[Route]:
    """The routes of the proxy, and the tracking service's listing."""
    read, write = "tracking:read", "tracking:write"
    one = _PROXY + "/artifacts/{path:path}"
    return [
        route("GET", f"{_PROXY}/artifacts", calls.listing, read),
        route("GET", one, calls.get, read, None),
        Route("PUT", one, calls.put, write, Upload, "MLflow's uploadArtifact", FILE_LIMIT),
        route("DELETE", one, calls.delete, write),
        route("POST", _PROXY + "/mpu/create/{path:path}", calls.begin_parts, write),
        Route("PUT", _PART, calls.put_part, write, Upload, "A part of MLflow's multipart upload", PART_LIMIT),
        route("POST", _PROXY + "/mpu/complete/{path:path}", calls.complete_parts, write),
        route("POST", _PROXY + "/mpu/abort/{path:path}", calls.abort_parts, write),
        route("GET", _PROXY + "/presigned/{path:path}", calls.presigned, read, None),
        route("GET", "/api/2.0/mlflow/artifacts/list", calls.list_run, read),
        route("GET", "/get-artifact", calls.get_of_run, read),
        route("GET", "/model-versions/get-artifact", calls.get_of_version, "registry:read"),
        Route(
            "POST",
            "/api/2.0/mlflow/upload-artifact",
            calls.put_of_run,
            write,
            bytes,
            "MLflow's upload-artifact",
            _SMALL,
        ),
    ]
