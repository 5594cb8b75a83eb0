"""Where a version's files come from: the text that a client names, read as a tree of ours or as a place elsewhere."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

from holdfast.kernel.errors import InvalidInput

__all__ = ["Source", "read_source"]

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]+):")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_MOST = 4096
_HINT = "Name the files of a run (runs:/RUN_ID/path) or of a logged model (models:/MODEL_ID)."


class Source(msgspec.Struct, frozen=True):
    """A logged model, a folder of a run's artifacts, one of the shared folder, a version, or (all empty) a place that
    is not ours."""

    model_id: str = ""
    run_id: str = ""
    path: str = ""
    name: str = ""
    version: str = ""
    folder: str = ""


def read_source(text: str, *, run_id: str = "", model_id: str = "") -> Source:
    """What a source names. Raises InvalidInput for a path of this machine, for one that leaves its folder, and for
    one of another run or logged model than those that the request names.
    """
    if not text or len(text) > _MOST or any(ord(char) < 32 for char in text):
        raise _wrong(text, "it is empty, too long, or holds control characters")
    found = _SCHEME.match(text)
    scheme = found.group(1).lower() if found else ""
    if scheme in ("", "file"):
        raise InvalidInput(
            f"Invalid model version source: '{text[:120]}'. To use a local path as a model version source, the run_id "
            "request parameter has to be specified and the local path has to be contained within the artifact "
            "directory of the run specified by the run_id. This server keeps no artifacts under local paths.",
            hint=_HINT,
        )
    rest = text[len(scheme) + 1 :]
    if scheme not in ("models", "runs", "mlflow-artifacts"):
        _refuse_leaving(text, rest)
        return Source()
    _refuse_leaving(text, rest)
    if rest.startswith("//"):
        if scheme == "mlflow-artifacts" and not (run_id or model_id):
            return Source()
        raise _wrong(text, "it names another server")
    path = rest.strip("/")
    if not path:
        raise _wrong(text, "it names nothing")
    source = {"models": _of_models, "runs": _of_run, "mlflow-artifacts": _of_proxy}[scheme](path, text)
    if run_id and source.run_id and source.run_id != run_id:
        raise _wrong(text, f"it belongs to another run than {run_id}")
    if source.folder and (run_id or model_id):
        raise _wrong(text, "it is not below the artifacts of the run or logged model that the request names")
    if model_id and source.model_id and source.model_id != model_id:
        raise _wrong(text, f"it belongs to another logged model than {model_id}")
    return source


def _of_models(path: str, text: str) -> Source:
    if _MODEL_ID.fullmatch(path):
        return Source(model_id=path)
    name, slash, version = path.rpartition("/")
    if not slash or not name or not version.isascii() or not version.isdigit():
        raise _wrong(text, "it is neither a logged model nor a version")
    return Source(name=name, version=version)


def _of_run(path: str, text: str) -> Source:
    run_id, _, folder = path.partition("/")
    return Source(run_id=run_id, path=folder.strip("/"))


def _of_proxy(path: str, text: str) -> Source:
    parts = path.rstrip("/").split("/")
    if len(parts) >= 4 and parts[1] == "models" and parts[3] == "artifacts":
        return Source(model_id=parts[2], path="/".join(parts[4:]))
    if len(parts) >= 3 and parts[2] == "artifacts":
        return Source(run_id=parts[1], path="/".join(parts[3:]))
    return Source(folder=path)


def _refuse_leaving(text: str, path: str) -> None:
    """No `..`, also not behind however many percent-encodings, and no fragment or query."""
    for _ in range(8):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    if "\\" in path or any(part == ".." for part in path.split("/")) or "\0" in path:
        raise InvalidInput(
            f"Invalid model version source: '{text[:120]}'. If supplying a source as an http, https, local file path, "
            "ftp, objstore, or mlflow-artifacts uri, an absolute path must be provided without relative path "
            "references present. Please provide an absolute path.",
            hint=_HINT,
        )


def _wrong(text: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid model version source {text[:120]!r}: {why}.",
        hint=_HINT,
    )
