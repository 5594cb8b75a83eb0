"""Artifacts where MLflow keeps them: a folder, an object store, or behind its server's proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from holdfast.cli.importing.records import File
from holdfast.kernel.errors import InvalidInput, NotFound, Unavailable

__all__ = ["Artifacts", "Fetched"]

_BLOCK = 1 << 20
_PROXIED = "mlflow-artifacts:"


class _OnDisk:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Iterator[bytes]:
        with self._path.open("rb") as opened:
            while block := opened.read(_BLOCK):
                yield block


class _InStore:
    def __init__(self, store: Any, path: str) -> None:
        self._store, self._path = store, path

    def read(self) -> Iterator[bytes]:
        yield from map(bytes, self._store.get(self._path).stream(min_chunk_size=_BLOCK))


class Fetched:
    """A file that a function gets as a whole into blocks."""

    def __init__(self, fetch: Callable[[], Iterator[bytes]]) -> None:
        self._fetch = fetch

    def read(self) -> Iterator[bytes]:
        """See `File`."""
        return self._fetch()


class Artifacts:
    """Reads artifact addresses; `root` is where a server keeps what it serves as `mlflow-artifacts:/`."""

    def __init__(self, root: str | None, relative_to: Path | None = None) -> None:
        self._root = root.rstrip("/") if root else None
        self._base = relative_to or Path.cwd()

    def files(self, uri: str) -> Mapping[str, File]:
        """The files below an address. A folder that is not there has none: MLflow makes it with the first file."""
        if uri.startswith(_PROXIED):
            if self._root is None:
                raise InvalidInput(
                    f"The artifacts at {uri[:200]} are behind a server's proxy.",
                    hint="Name the folder or bucket where it keeps them: --artifacts DIR (its --artifacts-destination).",
                )
            return self.files(f"{self._root}/{urlsplit(uri).path.lstrip('/')}")
        parts = urlsplit(uri)
        if parts.scheme in ("", "file") or len(parts.scheme) == 1:
            path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(uri)
            return _below(self._base / path)
        return self._in_store(uri)

    def _in_store(self, uri: str) -> Mapping[str, File]:
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        try:
            store = from_url(quote(uri, safe=":/@"))
            found = [str(one["path"]) for page in store.list() for one in page]
        except (BaseError, ValueError) as error:
            raise Unavailable(f"The artifacts at {uri[:200]} can't be read: {error}.") from error
        return {path: _InStore(store, path) for path in found}


def _below(folder: Path) -> dict[str, File]:
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder of artifacts.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _OnDisk(path) for path in paths}
