"""The machine: disk, memory, open files, versions, the sandbox."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from holdfast.app.doctor.records import Finding, attention, bad, ok
from holdfast.jobs.sandbox import find_bubblewrap
from holdfast.settings import Settings
from holdfast.version import __version__

__all__ = ["check_machine"]

_GB = 1 << 30
_LOW_DISK, _NO_DISK = 5 * _GB, _GB // 2
_LOW_SHARE, _NO_SHARE = 0.10, 0.02
_LOW_MEMORY, _NO_MEMORY = 512 << 20, 128 << 20
_FEW_FILES = 4096
_PACKAGES = ("uvicorn", "starlette", "sqlalchemy", "psycopg", "polars", "deltalake", "obstore", "onnxruntime")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """Everything that does not need the stores."""
    yield from _check_versions()
    yield from _check_disks(settings)
    yield from _check_memory()
    yield _check_open_files()
    path, why = find_bubblewrap()
    if path is not None:
        yield ok("sandbox", f"bubblewrap works ({path})")
    else:
        yield attention(
            "sandbox",
            f"{why}: models are loaded without a sandbox",
            "Install bubblewrap (apt-get install bubblewrap) and allow unprivileged user namespaces.",
        )


def _check_versions() -> Iterator[Finding]:
    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.platform()}"
    yield ok("version", f"holdfast {__version__} on {python}")
    missing, found = list[str](), list[str]()
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield bad(
            "packages",
            f"not installed: {', '.join(missing)}",
            "Install them: pip install 'holdfast[server]'",
        )
    else:
        yield ok("packages", ", ".join(found))


def _check_disks(settings: Settings) -> Iterator[Finding]:
    places = {"data folder": settings.data}
    if not settings.database_url:
        places["database"] = Path(settings.database).parent
    places["temporary folder"] = Path(os.environ.get("TMPDIR", "/tmp"))
    seen = set[int]()
    for name, place in places.items():
        existing = next((folder for folder in (place, *place.parents) if folder.exists()), Path("/"))
        device = existing.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        yield _check_disk(name, existing)


def _check_disk(name: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total if usage.total else 0.0
    text = f"{usage.free / _GB:,.1f} GB of {usage.total / _GB:,.1f} GB free for the {name} ({folder})"
    advice = "Free space, or move the data folder to a larger disk (holdfast backup, holdfast restore)."
    if usage.free < _NO_DISK or share < _NO_SHARE:
        return bad("disk", text, advice)
    if usage.free < _LOW_DISK or share < _LOW_SHARE:
        return attention("disk", text, advice)
    return ok("disk", text)


def _check_memory() -> Iterator[Finding]:
    try:
        text = Path("/proc/meminfo").read_text("ascii")
    except OSError:
        return  # a system that does not tell
    values = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in text.splitlines())
    }
    free, total = values.get("MemAvailable", 0), values.get("MemTotal", 0)
    message = f"{free / _GB:.1f} GB of {total / _GB:.1f} GB available"
    advice = "Stop other programs, or give the machine more memory: preparing a model takes about 0.5 GB."
    if free < _NO_MEMORY:
        yield bad("memory", message, advice)
    elif free < _LOW_MEMORY:
        yield attention("memory", message, advice)
    else:
        yield ok("memory", message)


def _check_open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"at most {soft:,} open files a process (it may be raised to {hard:,})"
    if soft < 256:
        return bad(
            "open files", text, "Raise it: ulimit -n 65536, or LimitNOFILE=65536 in the service's unit."
        )
    if soft < min(_FEW_FILES, 1024):
        return attention("open files", text, "Raise it to 1,024 or more: ulimit -n 65536.")
    return ok("open files", text)
