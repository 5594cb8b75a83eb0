"""Structs are ready before threads read them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_THREADS = """
import threading
import msgspec
from holdfast.kernel.structs import prepare_structs, unprepared_structs

kinds = [msgspec.defstruct(f"Kind{at}", [("a", int), ("b", list[str])], module="holdfast.made") for at in range(200)]
assert set(unprepared_structs()) >= set(kinds)
prepare_structs()
assert not unprepared_structs()
barrier = threading.Barrier(6)

def read():
    for kind in kinds:
        barrier.wait()
        assert msgspec.convert({"a": 1, "b": ["x"]}, kind).b == ["x"]

threads = [threading.Thread(target=read) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
_CLIENT = """
import holdfast.client
from holdfast.kernel.structs import unprepared_structs
assert not unprepared_structs()
"""
_SERVER = """
import pathlib, sys
import holdfast.app.server, holdfast.app.worker
from holdfast.app.compose import Composition
from holdfast.kernel.structs import unprepared_structs
from holdfast.settings import Settings
assert unprepared_structs()
services = Composition(Settings(data=pathlib.Path(sys.argv[1]), database_url=sys.argv[2]))
services.close()
assert not unprepared_structs()
"""


_INFERENCE = """
import holdfast.serving.inference.server
from holdfast.kernel.structs import prepare_structs, unprepared_structs
assert unprepared_structs()
prepare_structs()
assert not unprepared_structs()
"""


def _run(program: str, *values: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, *values], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.returncode


def test_threads_read_prepared_structs_at_once() -> None:
    _run(_THREADS)


def test_the_client_prepares_its_structs() -> None:
    _run(_CLIENT)


def test_an_inference_server_has_structs_that_are_never_read() -> None:
    _run(_INFERENCE)


def test_a_server_prepares_its_structs(tmp_path: Path, migrated: Path) -> None:
    database = tmp_path / "holdfast.db"
    shutil.copy(migrated, database)
    _run(_SERVER, str(tmp_path), str(database))
