"""A real notebook in a real IPython kernel shows runs, comparisons and a chart that follows its metrics."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.system import System

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / ".venv-libraries" / "bin" / "python"

_EXECUTE = """
import json, sys
import nbformat
from nbclient import NotebookClient

cells = json.load(sys.stdin)
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(book, timeout=60, kernel_name="python3").execute()
print(json.dumps([cell["outputs"] for cell in book["cells"]]))
"""

_CELLS = [
    """
import sys, time
sys.path.insert(0, {source!r})
import holdfast
client = holdfast.init({url!r})
run = holdfast.start_run("noted", params={{"depth": 3}}, capture_console=True)
run
""",
    """
run.live_chart("loss", every_s=0.5)
for step in range(30):
    holdfast.log_metric("loss", 1 / (step + 1))
    time.sleep(0.05)
print("printed in a cell")
ended = holdfast.finish_run()
""",
    "ended",
    """
with holdfast.start_run("other", params={{"depth": 4}}) as other:
    pass
client.compare_runs([run.run_id, other.run_id])
""",
    "print(client.list_artifacts(run.run_id)[0].path)",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(
        tmp_path_factory.mktemp("notebook") / "data", options=("--no-worker", "--no-inference")
    ) as system:
        yield system


def test_a_notebook_shows_runs_and_a_live_chart(server: System, tmp_path: Path) -> None:
    if not LIBRARIES.exists():
        pytest.skip("the libraries are not installed: sh tools/judges.sh libraries")
    cells = [cell.format(url=server.url, source=str(ROOT / "src")) for cell in _CELLS]
    done = subprocess.run(
        [LIBRARIES, "-W", "ignore", "-c", _EXECUTE], input=json.dumps(cells), cwd=tmp_path, text=True,
        capture_output=True, check=False,
        env={"HOME": str(tmp_path), "HOLDFAST_JOURNAL": str(tmp_path / "journal"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    begun, live, ended, compared, artifacts = json.loads(done.stdout)
    assert "noted" in begun[-1]["data"]["text/html"] and "/runs/" in begun[-1]["data"]["text/html"]
    (chart,) = [one for one in live if one["output_type"] == "display_data"]
    svg = chart["data"]["text/html"]
    assert "<polyline" in svg and "loss" in svg, "the display was updated in its place"
    assert any(one.get("text") == "printed in a cell\n" for one in live)
    assert "<td>depth</td><td>3</td>" in ended[-1]["data"]["text/html"]
    assert "<td>param depth</td><td>3</td><td>4</td>" in compared[-1]["data"]["text/html"]
    assert artifacts[-1]["text"] == "console/000001.log\n"


def test_outside_a_notebook_it_is_told() -> None:
    if not LIBRARIES.exists():
        pytest.skip("the libraries are not installed: sh tools/judges.sh libraries")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from holdfast.client.notebook import display_handle\n"
        "from holdfast.kernel.errors import InvalidInput\n"
        "try: display_handle()\n"
        "except InvalidInput as error: print(error)\n"
    )
    done = subprocess.run([LIBRARIES, "-c", code], capture_output=True, text=True, check=True)
    assert "needs a notebook" in done.stdout
