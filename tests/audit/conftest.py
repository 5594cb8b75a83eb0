"""A log with its keys, and a client whose requests go to the whole application in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pytest

from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.audit.service import append
from holdfast.client import Client
from holdfast.client.seen import SeenCheckpoints
from holdfast.client.transport import Response
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx
from holdfast.storage.keys import open_keyring

Grow = Callable[[int], None]


@pytest.fixture
def keys(storage: Storage, tmp_path: Path) -> Keys:
    return Keys(storage, open_keyring(tmp_path / "keys"))


@pytest.fixture
def checkpoints(storage: Storage, keys: Keys) -> Checkpoints:
    return Checkpoints(storage, keys)


def grow_log(storage: Storage, caller: Caller, count: int) -> None:
    """Append entries, each on a model of its own, with a state and a reason."""

    def fn(tx: Tx) -> None:
        for number in range(count):
            append(
                tx, caller, action="model.create", object=f"model:m{number}",
                before={"n": 0.5}, after={"n": number}, reason=f"because {number}",
            )  # fmt: skip

    storage.write(fn)


@pytest.fixture
def grow(storage: Storage, caller: Caller) -> Grow:
    return lambda count: grow_log(storage, caller, count)


class InProcess:
    """A transport to an application in this process."""

    def __init__(self, http: Any) -> None:
        self._http = http

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] | None = None,
        sink: IO[bytes] | None = None,
    ) -> Response:
        answer = self._http.request(method, target, headers=dict(headers), content=body)
        if sink is not None and answer.status_code < 300:
            sink.write(answer.content)
        return Response(answer.status_code, dict(answer.headers), b"" if sink else answer.content)

    def close(self) -> None:
        """Nothing to close: the application is the test's."""


@pytest.fixture
def connect(http: Any, tmp_path: Path, composition: Any) -> Callable[..., Client]:
    """Make a client of the whole control plane that remembers checkpoints in `tmp_path`/seen."""
    token = (composition.settings.data / "admin.token").read_text().strip()

    def make(application: Any = http, folder: str = "seen") -> Client:
        seen = SeenCheckpoints(tmp_path / folder)
        return Client(token=token, transport=lambda _url: InProcess(application), seen=seen)

    return make
