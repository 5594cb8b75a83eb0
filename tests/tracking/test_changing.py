"""Many runs changed at once, saved views and notes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.kernel.errors import Forbidden, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage
from holdfast.tracking.changing import RunChange, RunChanges
from holdfast.tracking.records import Batch
from holdfast.tracking.service import Tracking
from holdfast.tracking.views import Views
from tests.conftest import Http
from tests.web.visitor import Visitor

HTML = {"Accept": "text/html"}


@pytest.fixture
def changes(storage: Storage) -> RunChanges:
    return RunChanges(storage)


@pytest.fixture
def ids(tracking: Tracking, caller: Caller) -> list[str]:
    found = []
    for at in range(3):
        run = tracking.create_run(caller, experiment="e", name=f"run {at}", tags={"team": "a"})
        tracking.metrics.log_batch(caller, run.run_id, Batch(params={"depth": str(at)}), new_id())
        found.append(run.run_id)
    return found


def test_tags_names_and_archive_of_all(
    tracking: Tracking, changes: RunChanges, caller: Caller, ids: list[str]
) -> None:
    change = RunChange(
        [*ids, ids[0]], {"stage": "new"}, ["team", "none"], rename="{n}: {params.depth} of {tags.team}"
    )
    assert changes.change_runs(caller, change).changed == 3
    runs = [tracking.get_run(caller, one) for one in ids]
    assert [run.name for run in runs] == ["1: 0 of a", "2: 1 of a", "3: 2 of a"]
    assert [run.tags for run in runs] == [{"stage": "new"}] * 3
    assert changes.change_runs(caller, RunChange(ids, {"stage": "new"})).changed == 0
    assert changes.change_runs(caller, RunChange(ids[:2], archive=True)).changed == 2
    assert changes.change_runs(caller, RunChange(ids, archive=True)).changed == 1
    number = runs[0].experiment_id
    assert tracking.count_runs(caller, [number], []) == 0
    assert changes.change_runs(caller, RunChange(ids, {"back": "1"}, archive=False)).changed == 3
    assert [run.tags["back"] for run in tracking.find_runs(caller, [number], [], [])] == ["1"] * 3


def test_all_or_none(
    tracking: Tracking, changes: RunChanges, caller: Caller, ids: list[str], actions: Callable[[], list[str]]
) -> None:
    before = [tracking.get_run(caller, one) for one in ids]
    entries = actions()
    bad: list[tuple[RunChange, type[Exception], str]] = [
        (RunChange([*ids, "f" * 32], {"a": "b"}), NotFound, "f" * 32),
        (RunChange(ids, archive=True, rename="{params.gone}"), InvalidInput, "no param 'gone'"),
        (RunChange(ids, archive=True, rename="{secret}"), InvalidInput, "{secret}"),
        (RunChange(ids, rename="x" * 251), InvalidInput, "x" * 80),
        (RunChange(ids, {"": "x"}), InvalidInput, "tag name"),
        (RunChange(ids, {"a": "x" * 8001}), InvalidInput, "8001"),
        (RunChange(ids, {"a": "1"}, ["a"]), InvalidInput, "both"),
        (RunChange(ids), InvalidInput, "Nothing"),
        (RunChange([], {"a": "1"}), InvalidInput, "0 runs"),
        (RunChange([f"{at:032x}" for at in range(1001)], {"a": "1"}), InvalidInput, "1001 runs"),
    ]
    for change, error, told in bad:
        with pytest.raises(error, match=re.escape(told)):
            changes.change_runs(caller, change)
    assert [tracking.get_run(caller, one) for one in ids] == before
    assert actions() == entries


def test_an_archived_run_is_taken_back_first(changes: RunChanges, caller: Caller, ids: list[str]) -> None:
    changes.change_runs(caller, RunChange(ids[:1], archive=True))
    with pytest.raises(InvalidInput, match="archived"):
        changes.change_runs(caller, RunChange(ids, {"a": "1"}))


def test_a_tag_opens_a_sealed_run(
    tracking: Tracking, changes: RunChanges, caller: Caller, ids: list[str]
) -> None:
    sealed = tracking.finish_run(caller, ids[0], "finished")
    assert sealed.digest
    changes.change_runs(caller, RunChange(ids, rename="{name} again"))
    assert tracking.get_run(caller, ids[0]).digest == sealed.digest
    changes.change_runs(caller, RunChange(ids, {"a": "1"}))
    assert tracking.get_run(caller, ids[0]).digest is None


def test_a_viewer_changes_nothing(
    changes: RunChanges, storage: Storage, make_caller: Callable[..., Caller], ids: list[str]
) -> None:
    viewer = make_caller("viewer")
    with pytest.raises(Forbidden):
        changes.change_runs(viewer, RunChange(ids, archive=True))
    with pytest.raises(Forbidden):
        Views(storage).save_view(viewer, "e", "v", "sort=name")


def test_views_are_shared_or_ones_own(
    storage: Storage, make_caller: Callable[..., Caller], ids: list[str]
) -> None:
    views, ada, bob = Views(storage), make_caller(name="ada"), make_caller(name="bob")
    mine = views.save_view(ada, "e", "mine", "?sort=name&order=asc&page=4&zoom.x=1~2&evil=1")
    assert mine.query == "sort=name&order=asc"
    shared = views.save_view(ada, "e", "best", "filter=metrics.a > 1", is_shared=True)
    assert [one.name for one in views.list_views(ada, "e").items] == ["best", "mine"]
    assert views.list_views(bob, "e").items == [shared]
    again = views.save_view(ada, "e", "best", "group=user", is_shared=True)
    assert (again.view_id, again.query) == (shared.view_id, "group=user")
    with pytest.raises(NotFound):
        views.delete_view(bob, mine.view_id)
    with pytest.raises(Forbidden, match="ada"):
        views.delete_view(bob, shared.view_id)
    views.delete_view(make_caller("admin", name="root"), shared.view_id)
    views.delete_view(ada, mine.view_id)
    assert views.list_views(ada, "e").items == []
    for name, query in (("", "a=b"), ("x" * 101, "a=b"), ("n", "filter=" + "x" * 9000), ("n", "filter=%00")):
        with pytest.raises(InvalidInput):
            views.save_view(ada, "e", name, query)


def send(http: Http, page: str, action: str, **fields: str) -> Any:
    """Send a form of a page as a browser does."""
    return Visitor(http).send(page, action, **fields)


@pytest.fixture
def runs(http: Http) -> list[str]:
    return [
        http.post("/api/v1/runs", json={"experiment": "e", "name": f"run-{at}"}).json()["run_id"]
        for at in range(3)
    ]


def test_marked_runs_are_changed_on_a_page(http: Http, runs: list[str]) -> None:
    page = f"/runs/change?run={runs[0]}&run={runs[1]}"
    opened = http.get(page, headers=HTML).text
    assert "2 runs marked" in opened and ">e</a>" in opened
    ids = " ".join(runs[:2])
    assert send(http, page, "/runs/change", runs=ids, verb="tag", key="team", value="a b").status_code == 303
    assert (
        send(http, page, "/runs/change", runs=ids, verb="rename", pattern="{tags.team}-{n}").status_code
        == 303
    )
    shown = [http.get(f"/api/v1/runs/{run}").json() for run in runs]
    assert [(one["name"], one["tags"]) for one in shown] == [
        ("a b-1", {"team": "a b"}), ("a b-2", {"team": "a b"}), ("run-2", {}),
    ]  # fmt: skip
    assert send(http, page, "/runs/change", runs=ids, verb="untag", key="team").status_code == 303
    wrong = send(http, page, "/runs/change", runs=ids, verb="rename", pattern="{tags.team}")
    assert wrong.status_code == 400 and "has no tag" in wrong.text and "{tags.team}" in wrong.text
    assert send(http, page, "/runs/change", runs=ids, verb="archive").status_code == 303
    assert ">run-2<" in http.get("/experiments/e", headers=HTML).text
    archived = http.get("/experiments/e?archived=1", headers=HTML).text
    assert "2 archived" in archived and ">a b-1<" in archived and ">run-2<" not in archived
    assert send(http, page, "/runs/change", runs=ids, verb="restore").status_code == 303
    assert http.get("/runs/change", headers=HTML).status_code == 400
    assert http.post("/runs/change", data={"runs": ids, "verb": "archive"}).status_code == 403


def test_views_and_notes_on_the_page(http: Http, runs: list[str]) -> None:
    page = "/experiments/1"
    saved = send(http, page, page + "/views", query="sort=name&order=asc", name="by <name>", shared="1")
    assert saved.headers["location"] == "/experiments/1?sort=name&order=asc"
    shown = http.get(saved.headers["location"], headers=HTML).text
    assert "by &lt;name&gt;</a>" in shown and 'aria-current="true">by' in shown
    view = http.get("/api/v1/experiments/1/views").json()["items"][0]
    assert send(http, page, f"/views/{view['view_id']}/delete").status_code == 303
    assert http.get("/api/v1/experiments/1/views").json()["items"] == []
    for thing in (page, f"/runs/{runs[0]}"):
        note = "# Findings\n**good** <script>x</script> [a](javascript:1)"
        assert send(http, thing, thing + "/note", note=note).headers["location"] == thing + "#note"
        text = http.get(thing, headers=HTML).text
        assert "<strong>good</strong>" in text and "<script>x" not in text and 'href="javascript' not in text
        send(http, thing, thing + "/note", note="")
        assert "Findings" not in http.get(thing, headers=HTML).text
        assert send(http, thing, thing + "/note", note="x" * 8001).status_code == 400
    run = http.post(
        "/api/2.0/mlflow/runs/set-tag",
        json={"run_id": runs[0], "key": "mlflow.note.content", "value": "of *mlflow*"},
    )
    assert run.status_code == 200
    assert "<em>mlflow</em>" in http.get(f"/runs/{runs[0]}", headers=HTML).text


def test_the_api_changes_and_saves(http: Http, runs: list[str]) -> None:
    done = http.post("/api/v1/runs/change", json={"runs": runs, "tags": {"a": "1"}, "archive": True})
    assert done.json() == {"changed": 3}
    assert http.post("/api/v1/runs/change", json={"runs": runs, "colour": 1}).status_code == 400
    body = {"query": "group=params.depth", "is_shared": True}
    view = http.put("/api/v1/experiments/e/views/mine", json=body).json()
    assert http.delete(f"/api/v1/views/{view['view_id']}").status_code == 200
    assert http.delete(f"/api/v1/views/{view['view_id']}").status_code == 404
