"""MLflow's artifact proxy: files of runs, logged models and versions by path, and a folder for what is none of these.

`{experiment}/{run}/artifacts/...` is a run's, `{experiment}/models/{model}/artifacts/...` a logged model's,
`versions/{id}/...` a version's own copy, to be read alone.
"""

from __future__ import annotations

import re
from typing import Any

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
from holdfast.tracking.service import Tracking
from holdfast.web import Call, Raw, Route, Upload
from holdfast.web.files import send_file

__all__ = ["ArtifactCalls", "artifact_routes"]

_PROXY = "/api/2.0/mlflow-artifacts"
_SMALL = 10 * 1024**2
_NO_MULTIPART = "Multipart upload is not supported for the current artifact repository"
"""What MLflow's client looks for at the start of the message; any other lets the upload fail."""
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


_LISTING, _PROXIED = Message(_Listing), Message(_Proxied)
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
        objects: Objects,
    ) -> None:
        self._runs = runs
        self._tracking = tracking
        self._models = models
        self._registry = registry
        self._folder = folder
        self._objects = objects

    def put(self, call: Call) -> Raw:
        """uploadArtifact: durable before the answer."""
        place = place_of(call.path["path"])
        if not place.path:
            raise InvalidInput(f"{call.path['path'][:120]!r} is a folder, not a file.")
        if place.kind == "run":
            self._tracking.put_artifact(call.caller, place.owner, place.path, call.blocks)
        elif place.kind == "model":
            self._models.put_file(call.caller, place.owner, place.path, call.blocks)
        elif place.kind == "version":
            raise InvalidInput("The files of a model version can't be changed.")
        else:
            self._folder.put_file(call.caller, place.path, call.blocks)
        return answer()

    def get(self, call: Call) -> Any:
        """downloadArtifact, with ranges."""
        place = place_of(call.path["path"])
        file = next((one for one in self._files(call.caller, place) if one.path == place.path), None)
        if file is None:
            raise NotFound(f"No such artifact: {call.path['path'][:200]!r}")
        return send_file(self._objects, file, byte_range=call.headers.get("range", ""))

    def _files(self, caller: Caller, place: Place) -> list[TreeFile]:
        if place.kind == "run":
            return self._tracking.list_artifacts(caller, place.owner).items
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
            self._tracking.delete_artifacts(call.caller, place.owner, place.path)
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
        files = self._tracking.list_artifacts(call.caller, run.run_id).items
        root = self._runs.run_root(call.caller, run)
        return answer({"root_uri": root, "files": one_level(files, folder) or None})

    def get_of_run(self, call: Call) -> Any:
        """get-artifact: a file of a run, as MLflow's own pages ask for it"""
        body = _LISTING.read(call)
        file = self._tracking.find_artifact(call.caller, run_of(body), checked(body.path))
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
        self._tracking.put_artifact(call.caller, run_id, path, iter([call.raw]))
        return answer()

    def multipart(self, call: Call) -> Raw:
        """multipart upload: not offered. The client then uploads whole files, by these words alone."""
        raise NotImplementedHere(_NO_MULTIPART)

    def presigned(self, call: Call) -> Raw:
        """getPresignedDownloadUrl: not offered, so that the client downloads from here."""
        raise NotImplementedHere(
            f"{call.path['path'][:200]!r} is not offered this way.", hint="Download it whole."
        )


def place_of(path: str) -> Place:
    """Where the proxy's path leads. Raises InvalidInput for one that leaves its folder, however it is encoded."""
    path = checked(path.rstrip("/"))
    for kind, pattern in (("model", _OF_MODEL), ("run", _OF_RUN), ("version", _OF_VERSION)):
        found = pattern.fullmatch(path)
        if found is not None:
            *_, owner, inner = found.groups()
            return Place(kind, owner, inner or "")
    return Place("folder", "", path)


def checked(path: str) -> str:
    """The path, when a tree may hold it. Raises InvalidInput in MLflow's words."""
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
        route("POST", _PROXY + "/mpu/create/{path:path}", calls.multipart, write),
        route("POST", _PROXY + "/mpu/complete/{path:path}", calls.multipart, write),
        route("POST", _PROXY + "/mpu/abort/{path:path}", calls.multipart, write),
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
