"""Fixtures that every room's tests share: a real SQLite database, a real object folder, a clock that is moved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.kernel.clock import ManualClock
from holdfast.kernel.principal import Caller, Principal
from holdfast.storage import Objects, Storage, metadata


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_760_000_000_000)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    path = tmp_path / "holdfast.db"
    opened = Storage(path)
    opened.write(metadata.create_all)
    yield opened
    opened.close()


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


@pytest.fixture
def make_caller(clock: ManualClock) -> Callable[..., Caller]:
    numbers = itertools.count(1)

    def make(role: str = "contributor", workspace: str = "default", name: str = "ada") -> Caller:
        principal = Principal(id=f"p-{name}", name=name, role=role, auth="open", extra=("predictions:replay",))
        return Caller(principal, workspace, f"req-{next(numbers)}", clock.now_ms())

    return make


@pytest.fixture
def caller(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller()
