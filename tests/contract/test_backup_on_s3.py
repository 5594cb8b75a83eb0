"""Backups of a deployment whose objects are in a bucket, into another one and into a folder."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.app.backup import back_up
from holdfast.app.compose import Composition
from holdfast.app.restore import restore
from holdfast.app.services import open_services
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import SystemClock
from holdfast.kernel.errors import Conflict, HoldfastError
from holdfast.kernel.ids import new_id
from holdfast.settings import Settings
from holdfast.storage import open_backend
from tests.app.test_backup import Life, check_whole

pytestmark = [pytest.mark.slow, pytest.mark.database("sqlite")]


@pytest.fixture
def bucket(moto: str, s3_environment: Callable[[str], None]) -> str:
    s3_environment(moto)
    name = f"b-{new_id()}"[:40]
    with urllib.request.urlopen(urllib.request.Request(f"{moto}/{name}", method="PUT")):
        pass
    return f"s3://{name}"


@pytest.fixture
def life(bucket: str, database: Any, tmp_path: Path) -> Iterator[Life]:
    data = tmp_path / "data"
    data.mkdir()
    services = Composition(Settings(data=data, database_url=str(database), objects_url=f"{bucket}/from"))
    yield Life(services, system_caller("default", SystemClock().now_ms()))
    services.close()


@pytest.mark.parametrize("to_bucket", [True, False], ids=["bucket", "folder"])
def test_out_of_a_bucket(
    life: Life, bucket: str, tmp_path: Path, to_bucket: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for work in (life.run, life.ship, life.compact, life.pack, life.run, life.ship):
        work()
    done = back_up(life.services, tmp_path / "b")
    assert done.problems == [] and done.objects >= 3 and done.log_files > 0
    settings = Settings(data=tmp_path / "again", objects_url=f"{bucket}/to" if to_bucket else "")

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(HoldfastError, match="No space left"):
        patched.setattr(os, "sync", fail)
        restore(tmp_path / "b", settings)
    if to_bucket:
        assert list(open_backend(settings.objects).list("loose")) == []
    restore(tmp_path / "b", settings)
    services = open_services(settings)
    try:
        check_whole(services, life, life.runs, life.shipped)
    finally:
        services.close()
    if to_bucket:
        with pytest.raises(Conflict, match="object store"):
            restore(tmp_path / "b", Settings(data=tmp_path / "third", objects_url=settings.objects_url))
