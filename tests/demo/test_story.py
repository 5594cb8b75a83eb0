from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from holdfast.client import Client
from holdfast.client.seen import SeenCheckpoints
from holdfast.demo.server import free_port


def _read_until(terminal: int, text: str) -> str:
    """What the program writes to its terminal until `text` appears or it ends."""
    seen = b""
    while text.encode() not in seen:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode("utf-8", "replace"))


@pytest.mark.slow
def test_three_months_in_a_terminal_then_again_into_a_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "demo", "--quick", "--data", str(tmp_path / "data")]
    port = free_port()
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdin=other_end, stdout=other_end, stderr=other_end
    )
    os.close(other_end)
    try:
        text = _read_until(terminal, "Serving until Ctrl-C")
        assert "Serving until Ctrl-C" in text, text
        for month in ("2013-02", "2013-03", "2013-04", "2013-05"):
            assert month in text
        pages = re.findall(rf"http://127.0.0.1:{port}/\S*", text)
        for path in ("/experiments/1", "/models/flights/1", "/endpoints/flight-delays?window=1mo", "/audit"):
            assert f"http://127.0.0.1:{port}{path}" in pages
        for page in pages:
            with urllib.request.urlopen(page) as answer:
                assert answer.status == 200 and b"</html>" in answer.read()
        with Client(f"http://127.0.0.1:{port}", seen=SeenCheckpoints(tmp_path / "seen")) as client:
            months = client.monitor("flight-delays", window="1mo")["windows"]
            assert sum(month["rows"] for month in months) == 85_010
            assert client.verify_audit().ok
            (run,) = client.list_runs("flights")
            assert {"output.log", "packages.txt"} <= {item.path for item in client.list_artifacts(run.run_id)}
            assert run.metrics["reference error"].last == pytest.approx(0.24, abs=0.01)
    finally:
        process.send_signal(signal.SIGINT)
        _read_until(terminal, "\0")
        os.close(terminal)
    assert process.wait(30) == 0

    again = subprocess.run(
        [*command, "--port", str(free_port())],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "train on January" not in again.stdout and "2013-04" in again.stdout
