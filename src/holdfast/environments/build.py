"""Building the environment of a lock with uv, once per lock, wheels only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from holdfast.environments.lock import Lock, satisfies
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import InvalidInput

__all__ = ["BuildCommand", "ensure"]

_CONVERTERS = ("skl2onnx", "onnxruntime", "numpy")
_INDEX_SETTINGS = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_OFFLINE")
_PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_OUTPUT_SHOWN = 800


class BuildCommand(Protocol):
    """Runs one command of a build, isolated, with network: it may write to `folder` and read `inputs`."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        inputs: Sequence[Path],
        environment: Mapping[str, str],
    ) -> tuple[int, str]:
        """The exit code and the tail of what it printed."""


def ensure(lock: Lock, cache: Path, build: BuildCommand) -> Path:
    """The Python executable to run a model of this lock with.

    This interpreter when it satisfies the lock, else that of a virtual environment under `cache`, built once from
    wheels, with the converters to ONNX where those can be had. Atomic: what has a name in `cache` is complete;
    processes that need the same lock wait for one build. Raises InvalidInput naming the packages that can't be
    had.
    """
    differences = satisfies(lock)
    if not differences:
        return Path(sys.executable)
    cache.mkdir(parents=True, exist_ok=True)
    finished = cache.resolve() / _key(lock)
    if not _python_of(finished).exists():
        with _only_builder(finished.with_suffix(".lock")):
            if not _python_of(finished).exists():
                _build(lock, finished, build, differences)
    return _python_of(finished)


def _build(lock: Lock, finished: Path, build: BuildCommand, differences: list[str]) -> None:
    unfinished = finished.with_suffix(".building")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        _fill(lock, unfinished, build, differences)
        unfinished.rename(finished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _fill(lock: Lock, folder: Path, build: BuildCommand, differences: list[str]) -> None:
    """Install the lock with the converters, or without them when they do not fit it."""
    pinned = [f"{name}=={version}" for name, version in lock.packages.items()]
    code, output = _install(lock, folder, build, [*pinned, *_CONVERTERS])
    if code != 0:
        code, output = _install(lock, folder, build, pinned)
    if code != 0:
        raise InvalidInput(
            f"The environment of the model cannot be built here: {'; '.join(differences)}. uv says: "
            + output.strip()[-_OUTPUT_SHOWN:],
            hint="Install these versions next to holdfast, or log the model again from an environment whose "
            "packages are all on your package index as wheels.",
        )


def _install(lock: Lock, folder: Path, build: BuildCommand, packages: list[str]) -> tuple[int, str]:
    """The exit code and output of making a fresh environment in `folder` with these packages."""
    uv, base = _find_uv(), _find_python(lock.python)
    environment = _build_environment(folder.parent / "uv")
    inputs = [base.parent.parent, *_paths_in(environment)]
    make = ["venv", "--clear", "--no-project", "--no-python-downloads", "--python", str(base), str(folder)]
    fill = [
        "pip",
        "install",
        "--compile-bytecode",
        "--only-binary",
        ":all:",
        "--python",
        str(_python_of(folder)),
        *packages,
    ]
    code, output = 0, ""
    for step in (make, fill):
        command = [uv, "--quiet", "--no-progress", *step]
        code, output = build(command, folder=folder.parent, inputs=inputs, environment=environment)
        if code != 0:
            break
    return code, output


def _build_environment(cache: Path) -> dict[str, str]:
    """The index, certificate and proxy settings of this process, for uv alone: wheels run no code."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _PASSED_ON or name.startswith(_INDEX_SETTINGS)
    }
    configuration = Path.home() / ".config" / "uv" / "uv.toml"
    if configuration.is_file():
        environment.setdefault("UV_CONFIG_FILE", str(configuration))
    return {**environment, "UV_CACHE_DIR": str(cache)}


def _paths_in(environment: Mapping[str, str]) -> list[Path]:
    """The files and folders that the settings name, for uv to read."""
    named = [Path(value) for name, value in environment.items() if name != "UV_CACHE_DIR"]
    return [path for path in named if path.is_absolute() and ".." not in path.parts and path.exists()]


def _find_uv() -> str:
    path = shutil.which(
        "uv", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    )
    if path is None:
        raise InvalidInput(
            "The model needs packages that are not installed here, and uv, which would fetch them, is missing.",
            hint="Run: pip install 'holdfast[server]', then register the model again.",
        )
    return path


def _find_python(minor: str) -> Path:
    """The real path of an interpreter of this minor version: this one's base, or `pythonX.Y` on the PATH."""
    if minor == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable).resolve()
    found = shutil.which(f"python{minor}")
    if found is None:
        raise InvalidInput(
            f"The model was fitted with Python {minor}, and there is no python{minor} on this machine.",
            hint=f"Install Python {minor}, or log the model again with Python "
            f"{sys.version_info.major}.{sys.version_info.minor}.",
        )
    return Path(found).resolve()


def _key(lock: Lock) -> str:
    named = {"python": lock.python, "packages": lock.packages, "platform": sysconfig.get_platform()}
    return hashlib.sha256(canonical_json(named)).hexdigest()[:32]


def _python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


@contextmanager
def _only_builder(path: Path) -> Iterator[None]:
    """Hold the lock file: one build of an environment at a time, over all processes."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
