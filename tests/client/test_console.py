"""What a process prints is kept with its run, as it was on the terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.client.console import CHUNK, ConsoleLog, chunk_path

_PRINTING = """
import ctypes, os, subprocess, sys
import holdfast
holdfast.init({url!r})
print("before")
try:
    with holdfast.start_run(capture_console=True) as run:
        print("from python")
        print("to stderr", file=sys.stderr)
        sys.stdout.flush()
        libc = ctypes.CDLL(None)
        libc.puts(b"from C")
        libc.fflush(None)
        subprocess.run(["sh", "-c", "echo from a child; echo of stderr >&2"])
        for percent in range(0, 101, 10):
            print(f"\\r{{percent}} %", end="", flush=True)
        print("\\nterminal", sys.stdout.isatty(), os.isatty(2), flush=True)
        left = subprocess.Popen(["sh", "-c", "read line; echo from a child that stays"], stdin=subprocess.PIPE)
        raise ValueError("the end")
except ValueError:
    pass
left.communicate(b"go\\n")
print("after")
"""


@pytest.fixture
def chunks(plane, run_document):
    plane.on("POST /api/v1/runs", (200, run_document))
    plane.on("GET /api/v1/runs/r1", (200, run_document))
    plane.on("POST /api/v1/runs/r1/finish", (200, {**run_document, "status": "failed"}))
    plane.on(f"PUT /api/v1/runs/r1/artifacts/{chunk_path(1)}", (200, {}))
    return plane


def _kept(plane) -> list[str]:
    first = f"PUT /api/v1/runs/r1/artifacts/{chunk_path(1)}"
    return plane.bodies(first)[-1].decode().splitlines()


class _Any(dict):
    """Takes every chunk."""

    def get(self, route: str, default: object = None) -> object:
        return (lambda _: (200, {})) if "/artifacts/console/" in route else super().get(route, default)


def _check(kept: list[str], is_terminal: bool) -> None:
    traceback = kept.index("Traceback (most recent call last):")
    assert kept[-1] == "ValueError: the end" and traceback > 0
    assert sorted(kept[:traceback]) == sorted([
        "from python", "to stderr", "from C", "from a child", "of stderr", "100 %",
        f"terminal {is_terminal} {is_terminal}",
    ])  # fmt: skip


def test_python_c_and_children_are_kept_and_printed(chunks, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_PRINTING.format(url=chunks.url))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, check=True)
    _check(_kept(chunks), is_terminal=False)
    printed = done.stdout.decode().split("\n")
    assert printed[0] == "before"
    # Two processes' last words come in any order, and none is lost.
    assert sorted(printed[-3:]) == ["", "after", "from a child that stays"]
    assert "\r0 %\r10 %" in done.stdout.decode() and b"to stderr\nof stderr\n" in done.stderr


def test_at_a_terminal_the_program_still_has_one(chunks, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_PRINTING.format(url=chunks.url))
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, script], env=environment, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:  # Linux: the other side is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    _check(_kept(chunks), is_terminal=True)
    assert b"before\r\nfrom python\r\n" in seen and b"\nafter\r\n" in seen
    assert b"from a child that stays\r\n" in seen


@pytest.mark.parametrize(
    ("how", "within"),
    [
        ("", 'child = subprocess.Popen(["sh", "-c", "while :; do echo y; done"])'),  # prints for ever
        (">&-", "child = None"),  # a service without standard output
    ],
)
def test_odd_surroundings_end_all_the_same(chunks, tmp_path: Path, how: str, within: str) -> None:
    chunks.routes = _Any(chunks.routes)
    script = tmp_path / "script.py"
    script.write_text(
        f"import os, subprocess, sys\nimport holdfast\nholdfast.init({chunks.url!r})\n"
        f"with holdfast.start_run(capture_console=True):\n    os.write(2, b'told\\n')\n    {within}\n"
        "if child is not None:\n    child.kill()\n    child.wait()\n"
    )
    command = ["sh", "-c", f'exec "$0" "$1" {how}', sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "told" in _kept(chunks)


def test_chunks_are_whole_lines_and_joined_the_log() -> None:
    stored: dict[str, bytes] = {}
    log = ConsoleLog(stored.__setitem__)
    lines = [b"%06d %s" % (number, b"x" * 93) for number in range(2000)]
    for line in lines:
        log.add(1, line[:50])
        log.add(2, b"")
        log.add(1, line[50:] + b"\n")
    log.add(1, b"5 %\r6 %")
    log.store()
    assert b"".join(stored[name] for name in sorted(stored)) == b"\n".join([*lines, b"6 %"])
    assert len(stored) == 4 and all(len(chunk) < CHUNK + 200 for chunk in stored.values())
    log.add(1, b"\r7 %\r\n")
    log.store()
    assert b"".join(stored[name] for name in sorted(stored)).endswith(b"x\n7 %\n")


def test_a_line_without_end_is_bounded() -> None:
    stored: dict[str, bytes] = {}
    log = ConsoleLog(stored.__setitem__)
    for _ in range(300):
        log.add(1, b"\r" + b"p" * 1000)
    assert not stored
    for _ in range(300):
        log.add(1, b"q" * 1000)
    assert sum(map(len, stored.values())) > 200_000
