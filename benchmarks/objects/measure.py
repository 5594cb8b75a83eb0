"""A 2 GB file, one contiguous edit of 1 % in it, and 20,000 files of 10 KB: holdfast's client and server, and DVC.

The path measured is a user's: `log_artifact` over HTTP to a server process, whose answer says that the bytes are on
disk. DVC does not sync what it writes; nothing is added to its times for that. Runs in turn, medians.

HOLDFAST_BENCH_GB sets the size of the large file, HOLDFAST_BENCH_REPEATS how often each is run.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.objects.plane import Plane
from benchmarks.report import report

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[2]
_DVC = ROOT / ".venv-judges" / "bin" / "dvc"
_GB = float(os.environ.get("HOLDFAST_BENCH_GB", "2"))
_REPEATS = int(os.environ.get("HOLDFAST_BENCH_REPEATS", "3"))
_FILES, _FILE_BYTES = 20_000, 10_000
_BLOCK = 1 << 20


def main() -> None:
    """Measure everything and report one line per figure."""
    if not _DVC.exists():
        print("The peer is missing. Make it with: sh tools/judges.sh judges", file=sys.stderr)
        raise SystemExit(1)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        large, many = folder / "large.bin", folder / "many"
        _make_large(large)
        _make_many(many)
        _compare(f"{_GB:g} GB file", large, folder, goal=0.2)
        _compare(f"{_FILES:,} files of {_FILE_BYTES // 1000} KB", many, folder, goal=0.1)
        _growth(large, folder)


def _compare(what: str, source: Path, folder: Path, goal: float) -> None:
    """Both sides in turn, each on a store of its own; the ratio of the medians."""
    ours, theirs = [], []
    for _ in range(_REPEATS):
        theirs.append(_fresh(folder / "dvc", lambda work: _dvc_add(source, work)))
        ours.append(_fresh(folder / "ours", lambda work: _log_artifact(source, work)))
    mine, peer = statistics.median(ours), statistics.median(theirs)
    report("objects", f"{what}, until durable", mine, "s", all=[round(one, 3) for one in ours])
    report("objects", f"{what}, dvc add", peer, "s", all=[round(one, 3) for one in theirs])
    report(
        "objects", f"{what}, holdfast / dvc", mine / peer, "ratio", goal, times_faster=round(peer / mine, 2)
    )


def _fresh(work: Path, measure: Callable[[Path], float]) -> float:
    work.mkdir()
    os.sync()
    try:
        return measure(work)
    finally:
        shutil.rmtree(work)


def _log_artifact(source: Path, work: Path) -> float:
    with Plane(work / "data") as plane:
        run = plane.start_run()
        started = time.perf_counter()
        run.log_artifact(source)
        return time.perf_counter() - started


def _dvc_add(source: Path, work: Path) -> float:
    def dvc(*arguments: str) -> None:
        subprocess.run(
            [str(_DVC), *arguments], cwd=work, check=True, stdout=subprocess.DEVNULL, env=environment
        )

    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(work / "site")}
    dvc("init", "-q", "--no-scm")
    target = work / source.name
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    os.sync()
    started = time.perf_counter()
    dvc("add", "-q", source.name)
    return time.perf_counter() - started


def _growth(large: Path, folder: Path) -> None:
    """What one contiguous edit of 1 % adds to the store once both versions are packed."""
    with Plane(folder / "growth") as plane:
        run = plane.start_run()
        run.log_artifact(large)
        plane.pack()
        before = _size(plane.data / "objects")
        _edit(large)
        run.log_artifact(large)
        started = time.perf_counter()
        plane.pack()
        seconds = time.perf_counter() - started
        grown = _size(plane.data / "objects") - before
        stats = plane.stats()
    share = 100 * grown / (_GB * 1e9)
    report(
        "objects", "growth by a contiguous edit of 1 %, packed", share, "%", 2.0, packing_s=round(seconds, 2)
    )
    report(
        "objects", "metadata per GB packed", stats["database_bytes"] / _GB / 1e6, "MB", chunks=stats["chunks"]
    )
    shutil.rmtree(folder / "growth")


def _make_large(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(int(_GB * 1e9) // _BLOCK):
            file.write(os.urandom(_BLOCK))


def _make_many(folder: Path) -> None:
    for group in range(100):
        (folder / f"{group:02}").mkdir(parents=True)
        for number in range(_FILES // 100):
            (folder / f"{group:02}" / f"{number:04}.bin").write_bytes(os.urandom(_FILE_BYTES))


def _edit(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(random.Random(3).randrange(size // 2))
        for _ in range(size // 100 // _BLOCK):
            file.write(os.urandom(_BLOCK))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
