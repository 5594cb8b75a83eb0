"""The interpreter of a lock: this one, or one that uv builds once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from holdfast.environments.build import ensure
from holdfast.environments.lock import Lock, parse_lock
from holdfast.kernel.errors import InvalidInput

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


class Builder:
    """A build command that records what it is asked, and makes what uv would make, or fails."""

    def __init__(self, *, refuses: str = "") -> None:
        self.commands: list[list[str]] = []
        self._refuses = refuses

    def __call__(
        self, command: Sequence[str], *, folder: Path, inputs: Sequence[Path], environment: Mapping[str, str]
    ) -> tuple[int, str]:
        self.commands.append(list(command))
        if self._refuses in command:
            return 1, f"no wheel for {self._refuses}"
        if "venv" in command:
            target = Path(command[-1])
            assert target.parent == folder and str(folder) in environment["UV_CACHE_DIR"]
            (target / "bin").mkdir(parents=True, exist_ok=True)
            (target / "bin" / "python").touch()
        return 0, ""

    @property
    def installs(self) -> list[list[str]]:
        return [command for command in self.commands if "install" in command]


def test_this_interpreter_when_it_satisfies_the_lock(tmp_path: Path) -> None:
    builder = Builder()
    lock = parse_lock(f"# python=={THIS}.0\nnumpy=={version('numpy')}")
    assert ensure(lock, tmp_path / "cache", builder) == Path(sys.executable)
    assert builder.commands == [] and not (tmp_path / "cache").exists()


def test_builds_from_wheels_with_the_converters_and_once(tmp_path: Path) -> None:
    builder = Builder()
    lock = Lock(THIS, {"numpy": "1.0"})
    first = ensure(lock, tmp_path, builder)
    assert first.exists() and ensure(lock, tmp_path, builder) == first
    (install,) = builder.installs
    assert install[install.index("--only-binary") + 1] == ":all:"
    assert {"numpy==1.0", "skl2onnx", "onnxruntime"} <= set(install)
    assert ensure(Lock(THIS, {"numpy": "1.1"}), tmp_path, builder) != first


def test_without_the_converters_when_they_do_not_fit(tmp_path: Path) -> None:
    builder = Builder(refuses="skl2onnx")
    assert ensure(Lock(THIS, {"numpy": "1.0"}), tmp_path, builder).exists()
    assert len(builder.installs) == 2 and "skl2onnx" not in builder.installs[1]


def test_names_what_cannot_be_had_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"no-such-thing==9\.9 is needed.*no wheel for no-such-thing==9\.9"
    ):
        ensure(Lock(THIS, {"no-such-thing": "9.9"}), tmp_path, Builder(refuses="no-such-thing==9.9"))
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_python_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"Python 3\.2, and there is no python3\.2"):
        ensure(Lock("3.2", {}), tmp_path, Builder())


def test_two_threads_build_once(tmp_path: Path) -> None:
    builder, lock = Builder(), Lock(THIS, {"numpy": "1.0"})
    threads = [threading.Thread(target=ensure, args=(lock, tmp_path, builder)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builder.installs) == 1
