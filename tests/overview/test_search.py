"""Search over every noun, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.predictions.records import MonitorFields
from holdfast.tracking.records import Batch
from holdfast.tracking.store import search as runs_store

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

Find = Callable[..., list[tuple[str, str]]]
Log = Callable[..., str]


@pytest.fixture
def find(composition: Composition, caller: Caller) -> Find:
    """(kind, name) of what is found, without pages."""

    def look(text: str, by: Caller = caller) -> list[tuple[str, str]]:
        answer = composition.search.find(by, text, 20)
        return [(hit.kind, hit.name) for hit in answer.items if hit.kind != "page"]

    return look


@pytest.fixture
def log(composition: Composition, caller: Caller) -> Log:
    """A run of a name with params and tags; gives its id."""

    def make(name: str, *, by: Caller = caller, experiment: str = "Delays", **batch: Any) -> str:
        run = composition.tracking.create_run(by, experiment=experiment, name=name)
        if batch:
            composition.tracking.metrics.log_batch(
                by, run.run_id, Batch([], **batch), sha256_hex(name.encode())
            )
        return run.run_id

    return make


def test_the_very_name_then_its_beginning_then_a_word_then_a_part(find: Find, log: Log) -> None:
    for name in ("my-flights", "preflights", "flights", "flights again"):
        log(name)
    assert find("FLIGHTS") == [
        ("run", "flights"),
        ("run", "flights again"),
        ("run", "my-flights"),
        ("run", "preflights"),
    ]


def test_each_word_must_be_there_in_any_order(find: Find, log: Log) -> None:
    log("brave otter")
    log("brave badger")
    assert find("otter bra") == [("run", "brave otter")]
    assert find("otter wolf") == []


@pytest.mark.parametrize(
    "name", ["100% sure", "a_b", "it's", "back\\slash", "wow!", "Überall", "ÜBERALL", "日本語"]
)
def test_signs_of_patterns_and_letters_of_all_kinds_are_just_letters(find: Find, log: Log, name: str) -> None:
    for other in ("100 sure", "a-b", "its", "backslash", "wow", "uberall", name):
        log(other)
    assert find(name)[0] == ("run", name)
    assert [hit for hit in find(name.lower()) if hit == ("run", name)]


def test_a_percent_sign_finds_what_has_one(find: Find, log: Log) -> None:
    log("half")
    log("50 % off")
    assert find("%") == [("run", "50 % off")]


def test_a_run_is_found_by_its_id_a_param_or_a_tag(find: Find, log: Log) -> None:
    run_id = log("wolf", params={"max_depth": "8", "rate": "0.1"}, tags={"team": "Delays Desk"})
    log("badger", params={"max_depth": "9"})
    assert find(run_id) == [("run", "wolf")]
    assert ("run", "wolf") in find(run_id[:13])
    assert find("depth 8") == [("run", "wolf")]
    assert find("desk") == [("run", "wolf")]


def test_experiments_and_endpoints(
    composition: Composition, caller: Caller, make_caller: Callable[..., Caller], find: Find, log: Log
) -> None:
    log("wolf", experiment="Late arrivals")
    composition.predictions.set_monitor(
        make_caller("admin"), "late-flights", MonitorFields(target="cancelled")
    )
    assert find("late") == [("experiment", "Late arrivals"), ("endpoint", "late-flights")]
    assert find("cancelled") == [("endpoint", "late-flights")]


def test_an_audit_entry_is_found_by_its_number(find: Find, log: Log) -> None:
    log("wolf")
    for text in ("0", "#0", "audit 0", "audit entry 0"):
        assert ("audit entry", "Audit entry 0") in find(text)
    assert find("audit 99") == []


def test_nothing_of_another_workspace_is_seen(
    composition: Composition, make_caller: Callable[..., Caller], find: Find, log: Log
) -> None:
    log("wolf", params={"secret": "pelican"}, by=make_caller(workspace="theirs"))
    assert find("wolf") == find("pelican") == find("delays") == []


def test_only_rooms_that_the_caller_may_read_answer(
    composition: Composition, make_caller: Callable[..., Caller], find: Find, log: Log
) -> None:
    log("wolf")
    stranger = make_caller("none")
    assert find("wolf", stranger) == []
    pages = composition.search.find(stranger, "", 20).items
    assert [hit.name for hit in pages] == ["Account"]


def test_people_are_found_by_administrators_of_the_deployment_alone(
    composition: Composition, caller: Caller, find: Find
) -> None:
    root = system_caller("default", caller.time_ms)
    new = NewPerson("ada", display_name="Ada Lovelace", email="countess@example.org")
    composition.people.add(root, new)
    assert find("lovelace", root) == find("countess", root) == [("person", "ada")]
    assert find("lovelace") == []


def test_without_words_there_are_the_pages_to_go_to(composition: Composition, caller: Caller) -> None:
    answer = composition.search.find(caller, "  ", 20)
    assert {hit.kind for hit in answer.items} == {"page"}
    assert composition.search.find(caller, "go to audit", 20).items[0].address == "/audit"


def test_what_nobody_types_is_refused(composition: Composition, caller: Caller) -> None:
    with pytest.raises(InvalidInput, match="201 characters"):
        composition.search.find(caller, "x" * 201, 20)
    with pytest.raises(InvalidInput, match="9 words"):
        composition.search.find(caller, "a b c d e f g h i", 20)
    assert composition.search.find(caller, "a\x00b", 20).query == "a b"


def test_the_answer_tells_that_older_runs_were_not_looked_at(
    composition: Composition, caller: Caller, find: Find, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = log("old wolf", params={"kind": "grey"})
    log("wolf", params={"kind": "white"})
    monkeypatch.setattr(runs_store, "READ_RUNS", 1)
    assert composition.search.find(caller, "kind", 20).notes == [
        "Params and tags were searched in the newest 1 runs."
    ]
    assert find("grey") == []
    assert find("old wolf") == [("run", "old wolf")]
    monkeypatch.setattr(runs_store, "NAMED_RUNS", 1)
    assert find("old wolf") == []
    assert find(old) == [("run", "old wolf")]
    assert "names of the newest 1 " in composition.search.find(caller, "old wolf", 20).notes[0]


def test_over_http(http: Any) -> None:
    http.post("/api/v1/runs", json={"name": "brave-otter"})
    answer = http.get("/api/v1/search?q=otter").json()
    assert [(hit["kind"], hit["name"], hit["fit"]) for hit in answer["items"]] == [("run", "brave-otter", 2)]
    page = http.get("/search?q=otter", headers={"Accept": "text/html"})
    assert answer["items"][0]["address"] in page.text
    assert http.get("/api/v1/search?q=otter&limit=0").status_code == 400
    empty = http.get("/search?q=<script>", headers={"Accept": "text/html"}).text
    assert "<script>”" not in empty
    assert "Nothing found" in empty
