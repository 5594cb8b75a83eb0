"""Runs side by side: in the service, as JSON, on a page and as Markdown."""

from __future__ import annotations

import re
from typing import Any

import pytest

from holdfast.cli.runs import markdown_of
from holdfast.client.records import ComparedRow, ComparedRun, Comparison
from tests.conftest import Http

HTML = {"Accept": "text/html"}


def make(http: Http, name: str, depth: str, loss: float, **recipe: Any) -> str:
    body = {
        "experiment": "e",
        "name": name,
        "recipe": {"git_commit": "c" * 40, **recipe},
        "start_time": 1_000,
    }
    run = http.post("/api/v1/runs", json=body).json()["run_id"]
    points = [{"key": "loss", "value": value, "step": step} for step, value in enumerate((1.0, loss))]
    batch = {"metrics": points, "params": {"depth": depth, "seed": "7"}, "tags": {"team": "a|b"}}
    assert http.post(f"/api/v1/runs/{run}/batch", json=batch).status_code == 200
    http.post(f"/api/v1/runs/{run}/finish", json={"status": "finished", "end_time": 3_000})
    return str(run)


@pytest.fixture
def three(http: Http) -> list[str]:
    return [
        make(http, "a", "1", 0.5, packages_artifact="packages.txt"),
        make(http, "b", "2", 0.25, packages_artifact="packages.txt"),
        make(http, "c", "2", 0.75, git_dirty=True),
    ]


def compare(http: Http, runs: list[str], **more: str) -> Any:
    return http.get("/api/v1/runs/compare", params={"runs": ",".join(runs), **more})


def rows(found: Any) -> dict[tuple[str, str], tuple[list[Any], list[Any]]]:
    return {(row["kind"], row["key"]): (row["values"], row["deltas"]) for row in found.json()["rows"]}


def test_only_what_differs_is_shown_with_differences_to_the_baseline(http: Http, three: list[str]) -> None:
    found = compare(http, three, baseline=three[1])
    assert found.json()["baseline"] == 1
    assert rows(found) == {
        ("metric", "loss"): ([0.5, 0.25, 0.75], [0.25, None, 0.5]),
        ("min", "loss"): ([0.5, 0.25, 0.75], [0.25, None, 0.5]),
        ("param", "depth"): (["1", "2", "2"], [None, None, None]),
        ("code", "uncommitted changes"): (["no", "no", "yes"], [None, None, None]),
    }
    everything = rows(compare(http, three, all="true"))
    assert everything["param", "seed"] == (["7"] * 3, [None] * 3)
    assert everything["max", "loss"] == ([1.0] * 3, [None, 0.0, 0.0])
    assert everything["run", "duration (s)"][0] == [2.0] * 3
    assert everything["code", "git commit"][0] == ["c" * 40] * 3


def test_packages_are_compared_by_name(http: Http, three: list[str]) -> None:
    for run, text in zip(three, ("numpy==1.0\nscipy==1.1\n", "numpy==2.0\nscipy==1.1\n"), strict=False):
        assert http.put(f"/api/v1/runs/{run}/artifacts/packages.txt", content=text.encode()).status_code < 300
    found = rows(compare(http, three[:2]))
    assert found["package", "numpy"][0] == ["1.0", "2.0"]
    assert ("package", "scipy") not in found


def test_what_a_run_lacks_is_nothing(http: Http, three: list[str]) -> None:
    bare = http.post("/api/v1/runs", json={"experiment": "e", "name": "bare"}).json()["run_id"]
    values, deltas = rows(compare(http, [bare, three[0]]))["metric", "loss"]
    assert (values, deltas) == ([None, 0.5], [None, None])


def test_what_can_t_be_compared_is_refused(http: Http, three: list[str]) -> None:
    for asked, said in (
        ([three[0]], "1 different runs can't be compared"),
        ([three[0], three[0]], "1 different runs"),
        ([f"{number:032x}" for number in range(501)], "501 different runs"),
    ):
        answer = compare(http, asked)
        assert answer.status_code == 400 and said in answer.text
    assert "not among the runs" in compare(http, three[:2], baseline=three[2]).text
    assert compare(http, [three[0], "f" * 32]).status_code == 404


def test_the_page_pins_drops_and_shows_everything(http: Http, three: list[str]) -> None:
    address = "/compare?" + "&".join(f"run={run}" for run in three)
    page = http.get(address, headers=HTML).text
    assert "3 runs; 4 things differ." in page
    assert re.findall(r'<th scope="row">([^<]*)</th>', page) == [
        "loss",
        "loss",
        "depth",
        "uncommitted changes",
    ]
    assert "−0.25" in page and "+0.25" in page
    pinned = http.get(address + f"&baseline={three[1]}", headers=HTML).text
    assert re.findall(r'aria-label="Make ([abc]) the baseline"', pinned) == ["a", "c"]
    assert f'name="pinned" value="{three[1]}"' in pinned
    dropped = http.get(address + f"&pinned={three[1]}&without={three[2]}", headers=HTML).text
    assert "2 runs; 3 things differ." in dropped
    assert re.findall(r'aria-label="Make ([abc]) the baseline"', dropped) == ["a"]
    assert "2 runs" in http.get(address + f"&pinned={three[1]}&without={three[1]}", headers=HTML).text
    assert "seed" in http.get(address + "&all=1", headers=HTML).text
    assert http.get(f"/compare?run={three[0]}", headers=HTML).status_code == 400


def test_what_is_not_finite_has_no_difference(http: Http) -> None:
    runs = []
    for name, value in (("a", "Infinity"), ("b", "NaN"), ("c", 1.0)):
        run = http.post("/api/v1/runs", json={"experiment": "e", "name": name}).json()["run_id"]
        http.post(f"/api/v1/runs/{run}/batch", json={"metrics": [{"key": "loss", "value": value}]})
        runs.append(run)
    values, deltas = rows(compare(http, runs))["metric", "loss"]
    assert (values, deltas) == (["Infinity", "NaN", 1.0], [None] * 3)
    assert "−NaN" not in http.get("/compare?" + "&".join(f"run={run}" for run in runs), headers=HTML).text


def test_a_page_of_many_runs_grows_with_their_number_alone(http: Http) -> None:
    runs = [make(http, f"run-{at:03}", str(at), at / 10) for at in range(120)]

    def size(count: int) -> int:
        return len(http.get("/compare?" + "&".join(f"run={run}" for run in runs[:count]), headers=HTML).text)

    assert size(120) < 2.5 * size(60)


def test_many_runs_stand_as_rows(http: Http) -> None:
    runs = [make(http, f"run-{at:02}", str(at), at / 10) for at in range(12)]
    page = http.get("/compare?" + "&".join(f"run={run}" for run in runs), headers=HTML).text
    assert re.findall(r'<th scope="row"><a class="open"[^>]*>([^<]*)<', page) == [
        f"run-{at:02}" for at in range(12)
    ]


def test_runs_are_marked_in_the_table_of_an_experiment(http: Http, three: list[str]) -> None:
    page = http.get("/experiments/e", headers=HTML).text
    assert sorted(re.findall(r'name="run" value="([^"]*)"', page)) == sorted(three)
    assert '<form method="get" action="/compare"' in page


def test_markdown_stays_in_its_cells() -> None:
    runs = [ComparedRun(f"r{at}", name, 1, "finished", 0) for at, name in enumerate(("a", "b|[x](y)"))]
    found = Comparison(
        runs,
        0,
        [
            ComparedRow("metric", "loss", [0.5, 0.25], [None, -0.25], True),
            ComparedRow("tag", "t", ["x|y\nz", None], [None, None], True),
        ],
    )
    assert markdown_of(found, "http://h").splitlines() == [
        r"| | [a](http://h/runs/r0) (baseline) | [b\|\[x\](y)](http://h/runs/r1) |",
        "|---|---:|---:|",
        "| metric loss | 0.5 | 0.25 (-0.25) |",
        r"| tag t | x\|y z |  |",
    ]


def test_uncommitted_changes_stand_side_by_side(http: Http) -> None:
    runs = [make(http, name, "1", 0.5, git_dirty=True, git_diff_artifact="code.diff") for name in ("a", "b")]
    for run, line in zip(runs, ("depth = 3", "depth = <4>"), strict=True):
        text = f"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-depth = 2\n+{line}\n"
        assert http.put(f"/api/v1/runs/{run}/artifacts/code.diff", content=text.encode()).status_code == 200
    page = http.get(f"/compare?run={runs[0]}&run={runs[1]}&all=1", headers=HTML).text
    assert "Uncommitted changes of a" in page and "depth = 3" in page and "depth = &lt;4&gt;" in page
    same = {"content": b"+ the same\n"}
    for run in runs:
        http.put(f"/api/v1/runs/{run}/artifacts/code.diff", **same)
    page = http.get(f"/compare?run={runs[0]}&run={runs[1]}&all=1", headers=HTML).text
    assert "Uncommitted changes of a" not in page


def test_data_sets_are_compared_by_digest(http: Http, three: list[str]) -> None:
    for run, digest in zip(three, ("1a", "1a", "2b"), strict=True):
        dataset = {"name": "flights", "digest": digest, "source_type": "local", "source": "x"}
        tag = {"key": "mlflow.data.context", "value": "training"}
        body = {"run_id": run, "datasets": [{"tags": [tag], "dataset": dataset}]}
        assert http.post("/api/2.0/mlflow/runs/log-inputs", json=body).status_code == 200
    assert rows(compare(http, three))["data", "flights (training)"] == (["1a", "1a", "2b"], [None] * 3)
