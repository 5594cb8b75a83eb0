"""The runs of an experiment, on its page and as JSON."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import Http

HTML = {"Accept": "text/html"}


@pytest.fixture
def filled(http: Http) -> Http:
    """60 runs: even ones finished and odd ones failed, loss falls to its least value before the last."""
    for at in range(60):
        run = http.post("/api/v1/runs", json={"experiment": "e", "name": f"run-{at:02}"}).json()["run_id"]
        points = [
            {"key": "loss", "value": value, "step": step} for step, value in enumerate((1.0, 0.1, at / 100))
        ]
        body = {"metrics": points, "params": {"depth": str(at % 3), "seed": "7"}, "tags": {"team": "a"}}
        assert http.post(f"/api/v1/runs/{run}/batch", json=body).status_code == 200
        http.post(f"/api/v1/runs/{run}/finish", json={"status": "failed" if at % 2 else "finished"})
    return http


def rows(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return re.findall(r'class="open" href="/runs/[^"]*">([^<]*)<', answer.text)


def test_the_page_filters_sorts_and_counts_in_the_database(filled: Http) -> None:
    address = (
        "/experiments/e?filter=metrics.loss < 0.5 AND params.depth = '1'&status=finished&sort=metrics.loss"
    )
    page = filled.get(address, headers=HTML)
    assert rows(page) == [f"run-{at}" for at in (46, 40, 34, 28, 22, 16, 10)] + ["run-04"]
    assert "8 of 60" in page.text
    assert rows(filled.get(address + "&order=asc", headers=HTML))[0] == "run-04"


def test_pages_follow_each_other_without_a_gap(filled: Http) -> None:
    first, second = (
        rows(filled.get(f"/experiments/e?sort=name&order=asc&page={page}", headers=HTML)) for page in (1, 2)
    )
    assert first + second == [f"run-{at:02}" for at in range(60)]
    beyond = filled.get("/experiments/e?page=9", headers=HTML)
    assert rows(beyond) == []
    assert "Show the first" in beyond.text


def test_columns_are_those_that_differ_or_those_asked_for(filled: Http) -> None:
    head = r"sort=([^&\"]*)&amp;order"
    plain = re.findall(head, filled.get("/experiments/e", headers=HTML).text)
    assert plain[4:] == ["metrics.loss", "params.depth"]
    asked = re.findall(head, filled.get("/experiments/e?columns=min.loss,tags.team", headers=HTML).text)
    assert asked[4:] == ["min.loss", "tags.team"]


def test_the_chooser_s_boxes_become_one_list_in_the_address(filled: Http) -> None:
    sent = "/experiments/e?choose=1&column=min.loss&column=tags.team&columns=user&status=failed"
    answer = filled.get(sent, headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == "?status=failed&columns=min.loss%2Ctags.team%2Cuser"


def test_a_filter_that_can_t_be_read_is_told_beside_its_field(filled: Http) -> None:
    page = filled.get("/experiments/e?filter=loss > 1", headers=HTML)
    assert page.status_code == 200
    assert "&#39;loss&#39; is no attribute of runs" in page.text
    assert 'aria-invalid="true"' in page.text


def test_runs_are_searched_as_json(filled: Http) -> None:
    query = {
        "experiment": "e", "filter": "status = 'finished'", "order": "params.depth, metrics.loss DESC",
        "columns": "metrics.loss,min.loss,params.depth,tags.none", "limit": "2", "offset": "1",
    }  # fmt: skip
    found = filled.get("/api/v1/runs/search", params=query).json()
    assert found["total"] == 30
    assert found["columns"] == ["metrics.loss", "min.loss", "params.depth", "tags.none"]
    assert [one["name"] for one in found["items"]] == ["run-48", "run-42"]
    assert found["items"][0]["values"] == [0.48, 0.1, "0", None]


def test_without_columns_every_metric_and_param_is_given(filled: Http) -> None:
    found = filled.get("/api/v1/runs/search?limit=1").json()
    assert found["columns"] == ["metrics.loss", "params.depth", "params.seed"]


def test_a_wrong_search_is_refused(filled: Http) -> None:
    answer = filled.get("/api/v1/runs/search", params={"filter": "metrics.loss ~ 1"})
    assert answer.status_code == 400
    assert "comparison" in answer.json()["error"]["message"]
