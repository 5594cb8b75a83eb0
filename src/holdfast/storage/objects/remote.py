"""Objects in S3, Google Cloud Storage, Azure Blob Storage, or in memory for tests, through obstore."""

from __future__ import annotations

import datetime
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions, store

from holdfast.kernel.errors import InvalidInput, NotFound, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.storage.objects.backend import Entry, Part

__all__ = ["RemoteBackend"]

_BLOCK, _PARALLEL = 8 << 20, 4
"""Multipart uploads hold at most so many parts of so many bytes."""
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL", "STORAGE_EMULATOR_HOST"),
}
_RETRIES: Any = {"max_retries": 4, "retry_timeout": datetime.timedelta(seconds=30)}


class RemoteBackend:
    """A bucket, below a prefix. Credentials and endpoint come from the environment (AWS_ACCESS_KEY_ID, ...)."""

    block = _BLOCK

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "memory" and not parts.netloc:
            raise InvalidInput(f"The object store {url!r} names no bucket.", hint="Like s3://bucket/prefix.")
        self.url = url.rstrip("/")
        self._scheme = parts.scheme
        self._prefix = parts.path.strip("/")
        try:
            self._store: Any = _open(parts.scheme, parts.netloc)
        except (exceptions.BaseError, ValueError) as error:
            raise InvalidInput(
                f"The object store {url!r} can't be opened: {_first_line(error)}",
                hint="Give the credentials in the environment, like AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            ) from None

    def put(self, key: str, parts: Sequence[Part]) -> None:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        with self._calling(key):
            obstore.put(
                self._store, self._name(key), data, chunk_size=_BLOCK, max_concurrency=_PARALLEL,
                use_multipart=len(data) > _BLOCK,
            )  # fmt: skip

    def put_new(self, key: str, data: bytes) -> bool:
        try:
            with self._calling(key):
                obstore.put(self._store, self._name(key), data, mode="create", use_multipart=False)
        except exceptions.AlreadyExistsError:
            return False
        return True

    def writer(self, key: str) -> _RemoteWriter:
        return _RemoteWriter(self, key)

    def read(self, key: str, start: int, length: int) -> Part:
        if length <= 0:
            return b""
        with self._calling(key):
            try:
                return memoryview(obstore.get_range(self._store, self._name(key), start=start, length=length))
            except exceptions.GenericError as error:
                # Stores refuse a range that begins at the end of the key or after it.
                if start >= self.size(key):
                    return b""
                if "non-partial" not in str(error):
                    raise
                # rclone's server gives ranges under the status of a whole key, which obstore refuses.
                return self._read_through(key, start, length)

    def _read_through(self, key: str, start: int, length: int) -> Part:
        """The range by reading the key from its begin on."""
        parts: list[Part] = []
        position = 0
        for block in obstore.get(self._store, self._name(key)).stream(min_chunk_size=1 << 20):
            parts.append(memoryview(block)[max(0, start - position) : max(0, start + length - position)])
            position += len(block)
            if position >= start + length:
                break
        return b"".join(parts)

    def size(self, key: str) -> int:
        with self._calling(key):
            return int(obstore.head(self._store, self._name(key))["size"])

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                with self._calling(key):
                    obstore.delete(self._store, self._name(key))
            except NotFound:
                continue

    def list(self, prefix: str) -> Iterator[Entry]:
        base = len(self._name(""))
        with self._calling(prefix):
            for page in obstore.list(self._store, self._name(prefix) + "/", chunk_size=1000):
                for item in page:
                    modified = int(item["last_modified"].timestamp() * 1000)
                    yield Entry(item["path"][base:], item["size"], modified)

    def presign(self, key: str, seconds: int) -> str | None:
        if self._scheme == "memory":
            return None
        with self._calling(key):
            signed = obstore.sign(self._store, "GET", self._name(key), datetime.timedelta(seconds=seconds))
        return str(signed)

    def is_conditional(self) -> bool:
        return self._conditional

    @functools.cached_property
    def _conditional(self) -> bool:
        key = f"loose/probe-{new_id()}"
        self.put(key, [b"probe"])
        try:
            return not self.put_new(key, b"probe again")
        finally:
            self.delete([key])

    def check(self) -> None:
        with self._calling("loose"):
            next(iter(obstore.list(self._store, self._name("loose") + "/", chunk_size=1)), None)

    def table(self, name: str) -> str:
        if self._scheme == "memory":
            raise Unavailable("Delta tables can't stand in memory://.", hint="Use a folder or a bucket.")
        return f"{self.url}/{name}"

    def _name(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    @contextmanager
    def _calling(self, key: str) -> Iterator[None]:
        """Errors of the store in our words."""
        try:
            yield
        except exceptions.AlreadyExistsError:
            raise
        except FileNotFoundError:
            raise NotFound(f"The object store has no {key}.") from None
        except (exceptions.BaseError, OSError, ValueError) as error:
            denied = isinstance(
                error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError)
            )
            raise Unavailable(
                f"The object store {self.url} {'refuses our credentials' if denied else 'fails'}: {_first_line(error)}",
                hint="Check the bucket's name and its credentials in the environment."
                if denied
                else "Check that the store can be reached from here.",
                retry_after_s=10,
            ) from error


class _RemoteWriter:
    """A multipart upload; what is smaller than a part is sent as one put."""

    def __init__(self, backend: RemoteBackend, key: str) -> None:
        self._backend, self._key = backend, key
        with backend._calling(key):
            self._writer: Any = obstore.open_writer(
                backend._store, backend._name(key), buffer_size=_BLOCK, max_concurrency=_PARALLEL
            )

    def write(self, block: Part) -> None:
        with self._backend._calling(self._key):
            self._writer.write(block)

    def commit(self) -> None:
        with self._backend._calling(self._key):
            self._writer.close()
        self._writer = None

    def abort(self) -> None:
        if self._writer is not None:
            self._writer = None  # parts that were sent are for the bucket's lifecycle rule
            self._backend.delete([self._key])


def _open(scheme: str, bucket: str) -> Any:
    if scheme == "memory":
        return store.MemoryStore()
    endpoint = next((os.environ[name] for name in _ENDPOINTS[scheme] if os.environ.get(name)), "")
    client: Any = {"allow_http": endpoint.startswith("http://"), "timeout": "60s", "connect_timeout": "5s"}
    if scheme == "s3":
        options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        return store.S3Store(bucket, client_options=client, retry_config=_RETRIES, **options)
    if scheme == "gs":
        return store.GCSStore(bucket, client_options=client, retry_config=_RETRIES)
    return store.AzureStore(bucket, client_options=client, retry_config=_RETRIES)


def _first_line(error: BaseException) -> str:
    return next(itertools.chain(str(error).splitlines(), [type(error).__name__])).strip()
