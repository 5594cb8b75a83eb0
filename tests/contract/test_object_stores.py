"""The contract of object stores over a folder, memory and two S3-speaking servers."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import InvalidInput, Unavailable
from holdfast.kernel.ids import new_id
from holdfast.storage import Objects, Storage, open_backend
from holdfast.storage.objects import Backend
from holdfast.testing.backends import BackendContract
from holdfast.testing.objects import ObjectsContract

STORES = ("folder", "memory", "rclone", "moto")


@pytest.fixture(params=STORES)
def backend(request: pytest.FixtureRequest, tmp_path: Path, s3_environment: Callable[[str], None]) -> Backend:
    if request.param == "folder":
        return open_backend(tmp_path / "objects")
    if request.param == "memory":
        return open_backend("memory://")
    url = request.getfixturevalue(request.param)
    s3_environment(url)
    if request.param == "moto":
        with urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT")):
            pass
    return open_backend(f"s3://bucket/{new_id()}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


class TestBackends(BackendContract):
    pass


class TestObjects(ObjectsContract):
    @pytest.fixture
    def objects(self, storage: Storage, backend: Backend, clock: ManualClock) -> Objects:
        return Objects(storage, backend, clock)


def test_which_stores_are_conditional(backend: Backend, request: pytest.FixtureRequest) -> None:
    assert backend.is_conditional() == ("rclone" not in request.node.callspec.id)
    assert list(backend.list("loose")) == []


def test_a_presigned_address_gives_the_bytes_and_nothing_else_does(
    rclone: str, s3_environment: Callable[[str], None], storage: Storage
) -> None:
    s3_environment(rclone)
    objects = Objects(storage, open_backend(f"s3://bucket/{new_id()}"))
    blob, (packed,) = objects.put(b"for whoever has the address"), objects.put_batch([b"packed"])
    address = objects.presign(blob.sha256, 60)
    assert address is not None
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"for whoever has the address"
    with pytest.raises(urllib.error.HTTPError, match=r"40[03]"):
        urllib.request.urlopen(address.split("?")[0])
    assert objects.presign(packed.sha256, 60) is None


def test_wrong_keys_are_refused_in_words(
    rclone: str, s3_environment: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_environment(rclone)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(Unavailable, match="refuses our credentials") as refused:
        open_backend("s3://bucket/x").put("loose/a", [b"x"])
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "http://host/x", "s3://", "gs:///prefix"])
def test_an_address_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="object store"):
        open_backend(url)
