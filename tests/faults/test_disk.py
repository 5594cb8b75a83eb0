"""A disk that is full, or that fails: refused in words, nothing acknowledged is lost, and work goes on afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import holdfast
from holdfast.client.seen import SeenCheckpoints
from tests.faults.system import System, build_shim, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


class Written:
    """What one client has had acknowledged."""

    def __init__(self, system: System, folder: Path) -> None:
        self._folder = folder
        self.client = holdfast.Client(system.url, seen=SeenCheckpoints(self._folder / "seen"))
        self.run = self.client.create_run("disk").run_id
        self.steps: list[int] = []
        self.artifacts: list[str] = []
        self.models: list[str] = []
        self.refused: list[tuple[int, str]] = []
        self._http = httpx.Client(base_url=system.url, timeout=60)
        self._number = 0

    def once(self) -> None:
        """A batch of metrics, an artifact and a governed change, each on its own, none tried twice."""
        self._number += 1
        number = self._number
        one = f"/api/v1/runs/{self.run}"
        batch = {"metrics": [{"key": "m", "value": 1.0, "step": number}]}
        if self._sent(self._http.post(f"{one}/batch", json=batch)):
            self.steps.append(number)
        name = f"a{number}.txt"
        if self._sent(self._http.put(f"{one}/artifacts/{name}", content=f"{number}".encode() * 2000)):
            self.artifacts.append(name)
        if self._sent(self._http.post("/api/v1/models", json={"name": f"m{number}"})):
            self.models.append(f"m{number}")

    def _sent(self, answer: httpx.Response) -> bool:
        if answer.status_code < 300:
            return True
        self.refused.append((answer.status_code, answer.json()["error"]["message"]))
        return False

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self.client.close()

    def move(self, system: System) -> None:
        """Go on at another server."""
        self.close()
        self.client = holdfast.Client(system.url, seen=SeenCheckpoints(self._folder / "seen"))

    def check(self) -> None:
        """Everything acknowledged is there and reads back."""
        history = self.client.metric_history(self.run, "m", points=100_000)
        assert set(self.steps) <= set(history.steps)
        stored = {item.path for item in self.client.list_artifacts(self.run)}
        assert set(self.artifacts) <= stored
        for name in self.artifacts[-20:]:
            number = name[1:-4]
            copy = self.client.download_artifact(self.run, name, self._folder / name)
            assert copy.read_bytes() == number.encode() * 2000
        assert set(self.models) <= {model.name for model in self.client.list_models()}
        assert self.client.verify_audit().ok


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root: a small file system of the test's own")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    with System(small_disk / "data") as system:
        written = Written(system, tmp_path)
        for _ in range(5):
            written.once()
        assert not written.refused
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"\0" * 65536)
        for _ in range(30):
            written.once()
        assert written.refused and {status for status, _ in written.refused} == {503}
        assert any("full" in said or "space" in said for _, said in written.refused)
        filler.unlink()
        before = len(written.refused)
        wait_until("a change again", lambda: written.once() or len(written.refused) == before)
        for _ in range(5):
            written.once()
        written.check()
        assert system.stop() == 0
    with System(small_disk / "data") as again:
        written.move(again)
        written.check()
    written.close()


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The flag whose existence makes the files below `tmp_path/data` fail."""
    flag = tmp_path / "fail"
    monkeypatch.setenv("LD_PRELOAD", str(build_shim("failing_files.c", tmp_path)))
    monkeypatch.setenv("FAILING_FLAG", str(flag))
    monkeypatch.setenv("FAILING_FOLDER", str(tmp_path / "data"))
    return flag


def test_a_failing_disk(tmp_path: Path, failing: Path) -> None:
    with System(tmp_path / "data") as system:
        written = Written(system, tmp_path)
        for round_ in range(3):
            for _ in range(4):
                written.once()
            assert len(written.refused) == round_ * 12
            failing.touch()
            for _ in range(4):
                written.once()
            failing.unlink()
            assert len(written.refused) == (round_ + 1) * 12
            assert {status for status, _ in written.refused} == {503}
        written.check()
        assert system.stop() == 0
    with System(tmp_path / "data") as again:
        written.move(again)
        written.check()
    written.close()
