"""Models, versions that are counted and sealed, aliases and what they named at any time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from holdfast.audit.service import AuditLog
from holdfast.chunks import tree_digest
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.principal import Caller
from holdfast.registry.records import Preparation
from holdfast.registry.rules import parse_version
from holdfast.registry.service import Registry
from holdfast.runtimes.records import Parity
from holdfast.storage import Objects, Storage, trees
from holdfast.tracking.models import MODEL_TREE, LoggedModels
from holdfast.tracking.records import LoggedModel

LogModel = Callable[..., LoggedModel]
PARITY = Parity(True, "", 100, 1e-5, 1e-4, {"probabilities": 1e-7}, 0)


def prepared(objects: Objects) -> Preparation:
    """What the worker hands over for a version that was converted."""
    onnx, reference = objects.put(b"onnx"), objects.put(b"reference")
    return Preparation(
        "ready", "onnx", PARITY, "", {"model.onnx": (onnx.sha256, onnx.size)},
        {"reference-scored.json.gz": (reference.sha256, reference.size)},
    )  # fmt: skip


# Models


def test_a_new_model_has_no_versions(registry: Registry, caller: Caller) -> None:
    made = registry.create_model(caller, "flights")
    assert (made.name, made.versions, made.aliases) == ("flights", [], [])
    assert registry.list_models(caller).items == [made]
    with pytest.raises(Conflict, match="'flights'"):
        registry.create_model(caller, "flights")


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a:b", "a@b", "a\nb", " a", "a ", "x" * 251])
def test_a_name_without_sense_is_refused(registry: Registry, caller: Caller, name: str) -> None:
    with pytest.raises(InvalidInput, match="registered model"):
        registry.create_model(caller, name)
    with pytest.raises(InvalidInput):
        registry.register_version(caller, name, "m-1")


@pytest.mark.parametrize("name", ["flights", "späte Flüge", "a.b-c_d", "7", "x" * 250, "100%"])
def test_a_name_with_sense(registry: Registry, caller: Caller, name: str) -> None:
    assert registry.create_model(caller, name).name == name


def test_an_unknown_model_is_told_with_the_known_ones(
    registry: Registry, caller: Caller, flights: str
) -> None:
    with pytest.raises(NotFound, match="'fligths'") as caught:
        registry.get_model(caller, "fligths")
    assert caught.value.details["known"] == ["flights"]


# Versions


def test_versions_count_from_one(registry: Registry, caller: Caller, flights: str) -> None:
    assert [version.version for version in registry.get_model(caller, flights).versions] == [3, 2, 1]
    newest = registry.get_version(caller, flights, 3)
    assert (newest.status, newest.deployable_digest, newest.created_by) == ("pending", None, "ada")
    assert newest.description.target == "late"


def test_a_number_is_never_given_again(
    registry: Registry, caller: Caller, storage: Storage, flights: str, log_model: LogModel
) -> None:
    storage.write(lambda tx: tx.execute(text("DELETE FROM model_version WHERE version = 3")))
    assert registry.register_version(caller, flights, log_model().model_id).version == 4


def test_many_register_at_once_and_each_gets_a_number(
    registry: Registry, caller: Caller, log_model: LogModel
) -> None:
    model = log_model().model_id
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: registry.register_version(caller, "m", model).version, range(12)))
    assert sorted(made) == list(range(1, 13))


def test_a_version_keeps_its_files_when_the_logged_model_loses_them(
    registry: Registry, caller: Caller, storage: Storage, log_model: LogModel
) -> None:
    model = log_model()
    version = registry.register_version(caller, "m", model.model_id)
    storage.write(
        lambda tx: tx.execute(text("DELETE FROM tree_file WHERE owner_kind = :k"), {"k": MODEL_TREE})
    )
    storage.write(
        lambda tx: tx.execute(text("DELETE FROM tree_seal WHERE owner_kind = :k"), {"k": MODEL_TREE})
    )
    files = registry.list_files(caller, "m", version.version).items
    assert [file.path for file in files] == ["holdfast-model.json", "model.pkl"]
    assert tree_digest(files) == version.digest == model.digest


def test_a_version_is_sealed(registry: Registry, caller: Caller, storage: Storage, flights: str) -> None:
    version = registry.get_version(caller, flights, 1)
    with pytest.raises(InvalidInput, match="sealed"):
        storage.write(
            lambda tx: trees.put_file(
                tx, "default", "model_version", version.version_id, "model.pkl", "0" * 64, 1
            )
        )


def test_a_model_that_is_not_ready_is_refused(
    registry: Registry, models: LoggedModels, caller: Caller, actions: Callable[[], list[str]]
) -> None:
    pending = models.create_model(caller, name="m", run_id=None)
    with pytest.raises(Conflict, match="not ready"):
        registry.register_version(caller, "m", pending.model_id)
    with pytest.raises(NotFound):
        registry.register_version(caller, "m", "m-nothing")
    assert registry.list_models(caller).items == []
    assert actions() == []


@pytest.mark.parametrize("description", [None, b"", b"{}", b"[]", b"x" * 4_000_001])
def test_a_model_without_a_description_is_refused(
    registry: Registry, models: LoggedModels, caller: Caller, description: bytes | None
) -> None:
    model = models.create_model(caller, name="m", run_id=None)
    models.put_file(caller, model.model_id, "model.pkl", iter([b"x"]))
    if description is not None:
        models.put_file(caller, model.model_id, "holdfast-model.json", iter([description]))
    models.finalize_model(caller, model.model_id)
    with pytest.raises((InvalidInput, NotFound), match=r"holdfast-model\.json"):
        registry.register_version(caller, "m", model.model_id)
    assert registry.list_models(caller).items == []


def test_an_unknown_version_is_told_with_the_known_ones(
    registry: Registry, caller: Caller, flights: str
) -> None:
    with pytest.raises(NotFound, match="no version 9") as caught:
        registry.get_version(caller, flights, 9)
    assert caught.value.details["known"] == [3, 2, 1]


def test_the_versions_of_a_run(registry: Registry, caller: Caller, flights: str) -> None:
    version = registry.get_version(caller, flights, 2)
    assert version.run_id is not None
    assert registry.versions_of_run(caller, version.run_id) == [version]


def test_registering_is_audited(
    registry: Registry, caller: Caller, storage: Storage, flights: str, actions: Callable[[], list[str]]
) -> None:
    assert [action for action in actions() if action.startswith(("model.create", "version"))] == [
        "model.create", *["version.register"] * 3,
    ]  # fmt: skip
    entry = AuditLog(storage).list_entries(caller).items[0]
    assert (entry.object, entry.digest) == (
        "model:flights/3",
        registry.get_version(caller, flights, 3).digest,
    )


# Specs


def test_a_spec_names_a_version(registry: Registry, caller: Caller, flights: str) -> None:
    registry.set_alias(caller, flights, "production", 2)
    found = {spec: registry.resolve_version(caller, spec).version
             for spec in ("flights", "flights/1", "flights@production")}  # fmt: skip
    assert found == {"flights": 3, "flights/1": 1, "flights@production": 2}


def test_a_spec_of_nothing_is_refused(registry: Registry, caller: Caller, flights: str) -> None:
    registry.set_alias(caller, flights, "production", 2)
    for spec in ("", "@", "/", "fligths", "fligths/1", "fligths@production", "flights@", "flights@staging",
                 "flights/9", "flights@production/1", "flights/1@production"):  # fmt: skip
        with pytest.raises((NotFound, InvalidInput)):
            registry.resolve_version(caller, spec)


def test_a_model_without_versions_resolves_to_nothing(registry: Registry, caller: Caller) -> None:
    registry.create_model(caller, "empty")
    with pytest.raises(NotFound, match="no version"):
        registry.resolve_version(caller, "empty")


@pytest.mark.parametrize("number", ["0", "-1", "1.0", "one", "", "²", "1" * 10, "1" * 5000])
def test_a_version_number_without_sense_is_refused(number: str) -> None:
    assert parse_version("7") == 7
    with pytest.raises(InvalidInput, match="version number"):
        parse_version(number)


# Aliases


def test_an_alias_moves_and_is_told_on_its_version(registry: Registry, caller: Caller, flights: str) -> None:
    registry.set_alias(caller, flights, "production", 1)
    registry.set_alias(caller, flights, "production", 2)
    registry.set_alias(caller, flights, "champion", 2)
    assert [(state.alias, state.version) for state in registry.get_model(caller, flights).aliases] == [
        ("champion", 2), ("production", 2),
    ]  # fmt: skip
    assert registry.get_version(caller, flights, 2).aliases == ["champion", "production"]
    assert registry.get_version(caller, flights, 1).aliases == []


def test_pointing_where_it_points_changes_nothing(
    registry: Registry, make_caller: Callable[..., Caller], clock: ManualClock, flights: str,
    actions: Callable[[], list[str]],
) -> None:  # fmt: skip
    first = registry.set_alias(make_caller(), flights, "production", 1)
    clock.advance(1_000)
    assert registry.set_alias(make_caller(name="bob"), flights, "production", 1) == first
    assert actions().count("alias.set") == 1
    assert len(registry.alias_history(make_caller(), flights).items) == 1


def test_what_was_production_at_a_time(
    registry: Registry, make_caller: Callable[..., Caller], clock: ManualClock, flights: str
) -> None:
    start = clock.now_ms()
    for version in (1, 3, 2):
        registry.set_alias(make_caller(), flights, "production", version)
        clock.advance(60_000)
    registry.delete_alias(make_caller(), flights, "production")

    def production(at: int) -> list[int | None]:
        changes = registry.alias_history(make_caller(), flights, alias="production", at=at).items
        return [change.version for change in changes]

    assert production(start - 1) == []
    assert [production(start + minute * 60_000) for minute in range(3)] == [[1], [3], [2]]
    assert production(start + 59_999) == [1]
    assert production(start + 180_000) == []


def test_the_history_of_aliases_latest_first(
    registry: Registry, make_caller: Callable[..., Caller], clock: ManualClock, flights: str
) -> None:
    registry.set_alias(make_caller(), flights, "production", 1)
    registry.set_alias(make_caller(name="bob"), flights, "staging", 2)
    registry.delete_alias(make_caller(), flights, "production")
    history = registry.alias_history(make_caller(), flights).items
    assert [(change.alias, change.version, change.by) for change in history] == [
        ("production", None, "ada"), ("staging", 2, "bob"), ("production", 1, "ada"),
    ]  # fmt: skip
    standing = registry.alias_history(make_caller(), flights, at=clock.now_ms()).items
    assert [change.alias for change in standing] == ["staging"]


def test_deleting_an_alias_twice_is_fine(
    registry: Registry, caller: Caller, flights: str, actions: Callable[[], list[str]]
) -> None:
    registry.set_alias(caller, flights, "production", 1)
    registry.delete_alias(caller, flights, "production")
    registry.delete_alias(caller, flights, "production")
    assert actions().count("alias.delete") == 1
    with pytest.raises(NotFound):
        registry.resolve_version(caller, "flights@production")


def test_an_alias_without_sense_is_refused(registry: Registry, caller: Caller, flights: str) -> None:
    for alias in ("", "latest", "v1", "v007", "a b", "a/b", "a@b", "a.b", "x" * 256, "a\n"):
        with pytest.raises(InvalidInput, match="is not an alias"):
            registry.set_alias(caller, flights, alias, 1)


def test_an_alias_of_nothing_is_refused(registry: Registry, caller: Caller, flights: str) -> None:
    for name, version in (("fligths", 1), (flights, 9), (flights, 0), (flights, -1)):
        with pytest.raises(NotFound):
            registry.set_alias(caller, name, "production", version)
    with pytest.raises(InvalidInput, match="64 bits"):
        registry.set_alias(caller, flights, "production", 2**70)
    assert registry.get_model(caller, flights).aliases == []


def test_the_reason_is_bound_by_the_audit_entry(
    registry: Registry, caller: Caller, storage: Storage, flights: str
) -> None:
    registry.set_alias(caller, flights, "production", 1)
    registry.set_alias(caller, flights, "production", 2, reason="better in June")
    entry = AuditLog(storage).list_entries(caller).items[0]
    assert (entry.action, entry.object, entry.reason) == (
        "alias.set",
        "model:flights@production",
        "better in June",
    )
    assert (entry.before, entry.after) == ({"version": 1}, {"version": 2})
    assert "better" not in str(entry.leaf)


# Preparation


def test_a_prepared_version_is_ready_under_its_deployable_digest(
    registry: Registry, caller: Caller, objects: Objects, flights: str
) -> None:
    ready = registry.preparations.record(caller, flights, 1, prepared(objects))
    assert (ready.status, ready.runtime, ready.parity) == ("ready", "onnx", PARITY)
    files = registry.list_files(caller, flights, 1).items
    assert [file.path for file in files] == ["holdfast-model.json", "model.onnx", "model.pkl"]
    assert ready.deployable_digest == tree_digest(files) != ready.digest
    assert registry.scored_reference(caller, flights, 1) == b"reference"


def test_a_preparation_is_recorded_once(
    registry: Registry, caller: Caller, objects: Objects, flights: str, actions: Callable[[], list[str]]
) -> None:
    first = registry.preparations.record(caller, flights, 1, prepared(objects))
    late = Preparation("failed", None, None, "too late", {}, {})
    assert registry.preparations.record(caller, flights, 1, late) == first
    assert registry.preparations.record(caller, flights, 1, prepared(objects)) == first
    assert actions().count("version.prepare") == 1


def test_a_version_that_could_not_be_prepared_says_why(
    registry: Registry, caller: Caller, flights: str
) -> None:
    failed = Preparation("failed", None, None, "model.pkl does not load: EOFError", {}, {})
    version = registry.preparations.record(caller, flights, 1, failed)
    assert (version.status, version.deployable_digest, version.message) == ("failed", None, failed.message)
    assert registry.scored_reference(caller, flights, 1) is None
    assert [file.path for file in registry.list_files(caller, flights, 1).items] == [
        "holdfast-model.json",
        "model.pkl",
    ]


def test_versions_that_wait_oldest_first(
    registry: Registry, caller: Caller, objects: Objects, flights: str
) -> None:
    assert registry.preparations.pending() == [("default", "flights", number) for number in (1, 2, 3)]
    registry.preparations.record(caller, flights, 2, prepared(objects))
    assert [number for _, _, number in registry.preparations.pending()] == [1, 3]


# Permissions and workspaces


def test_a_viewer_reads_and_does_not_write(
    registry: Registry, flights: str, objects: Objects, make_caller: Callable[..., Caller]
) -> None:
    viewer = make_caller("viewer")
    assert registry.resolve_version(viewer, "flights").version == 3
    for write in (
        lambda: registry.create_model(viewer, "m"),
        lambda: registry.register_version(viewer, "m", "m-1"),
        lambda: registry.set_alias(viewer, flights, "production", 1),
        lambda: registry.delete_alias(viewer, flights, "production"),
        lambda: registry.preparations.record(viewer, flights, 1, prepared(objects)),
    ):
        with pytest.raises(Forbidden):
            write()


def test_a_stranger_sees_nothing(
    registry: Registry, flights: str, make_caller: Callable[..., Caller]
) -> None:
    stranger = make_caller(workspace="other")
    assert registry.list_models(stranger).items == []
    with pytest.raises(NotFound):
        registry.get_model(stranger, flights)
    with pytest.raises(NotFound):
        registry.set_alias(stranger, flights, "production", 1)
