"""A wheel built from this tree installs and runs in empty environments, in both of its sizes."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def install(wheel: Path, folder: Path, extra: str = "") -> Path:
    subprocess.run([UV, "venv", "-q", folder, "--python", sys.executable], check=True)
    python = folder / "bin" / "python"
    what = f"holdfast{extra} @ file://{wheel}"
    pins = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([UV, "pip", "install", "-q", "--python", python, *pins, what], check=True)
    return python


def test_the_wheel_holds_templates_static_files_and_migrations(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "holdfast/web/templates/base.html",
        "holdfast/web/static/css/tokens.css",
        "holdfast/overview/templates/overview/fleet.html",
        "holdfast/storage/migrations/versions/0001_first_schema.py",
        "holdfast/py.typed",
    ):
        assert part in names
    assert not [name for name in names if name.startswith(("tests/", "tools/", "benchmarks/"))]


def test_the_client_installs_alone_and_stays_small(wheel: Path, tmp_path: Path) -> None:
    python = install(wheel, tmp_path / "client")
    shown = subprocess.run(
        [python.with_name("holdfast"), "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("holdfast ")
    code = "import sys, holdfast; holdfast.Client; print([m for m in ('numpy', 'polars', 'sqlalchemy') if m in sys.modules])"
    assert (
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "[]"
    )
    size = sum(path.lstat().st_size for path in (tmp_path / "client" / "lib").rglob("*") if path.is_file())
    assert size < 30e6
    server = subprocess.run(
        [python.with_name("holdfast"), "server"], capture_output=True, text=True, check=False
    )
    assert server.returncode == 1
    assert "holdfast[server]" in server.stderr


def test_the_server_installs_and_shows_its_pages(wheel: Path, tmp_path: Path) -> None:
    python = install(wheel, tmp_path / "server", "[server]")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--data", str(tmp_path / "data"), "--no-worker", "--no-inference"]
    process = subprocess.Popen(
        [python.with_name("holdfast"), "server", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "serves at" in process.stdout.readline()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert b"holdfast" in answer.read()
    finally:
        process.terminate()
        started = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - started < 15
        process.stdout.close()
