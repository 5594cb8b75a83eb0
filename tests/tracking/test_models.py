"""Logged models: filled, then sealed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.chunks import TreeFile, tree_digest
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.records import LoggedModel, Run


@pytest.fixture
def model(models: LoggedModels, caller: Caller, run: Run) -> LoggedModel:
    made = models.create_model(caller, name="classifier", run_id=run.run_id)
    models.put_file(caller, made.model_id, "model.pkl", iter([b"pic", b"kle"]))
    return made


def test_a_model_is_pending_until_it_is_finalized(
    models: LoggedModels, caller: Caller, model: LoggedModel, run: Run, actions: Callable[[], list[str]]
) -> None:
    assert (model.status, model.digest, model.experiment_id) == ("pending", None, run.experiment_id)
    ready = models.finalize_model(caller, model.model_id)
    assert ready.digest == tree_digest([TreeFile("model.pkl", sha256_hex(b"pickle"), 6)])
    assert models.finalize_model(caller, model.model_id) == models.get_model(caller, model.model_id) == ready
    assert actions() == ["experiment.create", "model.log"]


def test_a_ready_model_takes_identical_bytes_alone(
    models: LoggedModels, caller: Caller, model: LoggedModel
) -> None:
    models.finalize_model(caller, model.model_id)
    models.put_file(caller, model.model_id, "model.pkl", iter([b"pickle"]))
    for path, data in (("model.pkl", b"other"), ("more.txt", b"pickle")):
        with pytest.raises(InvalidInput, match="sealed"):
            models.put_file(caller, model.model_id, path, iter([data]))
    assert [file.path for file in models.list_files(caller, model.model_id).items] == ["model.pkl"]


def test_a_model_without_files_is_not_finalized(models: LoggedModels, caller: Caller) -> None:
    model = models.create_model(caller, name="empty", run_id=None)
    with pytest.raises(Conflict, match="no file"):
        models.finalize_model(caller, model.model_id)
    assert models.get_model(caller, model.model_id).status == "pending"


def test_the_models_of_a_run_in_order(
    models: LoggedModels, caller: Caller, model: LoggedModel, run: Run
) -> None:
    second = models.create_model(caller, name="classifier", run_id=run.run_id)
    assert models.list_models(caller, run.run_id) == [model, second]


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a:b", "a.b", "100%", "it's", 'a"b', "a\nb", "x" * 251])
def test_a_name_without_sense_is_refused(models: LoggedModels, caller: Caller, name: str) -> None:
    with pytest.raises(InvalidInput, match="logged model"):
        models.create_model(caller, name=name, run_id=None)


def test_unknown_runs_models_and_files_are_not_found(
    models: LoggedModels, caller: Caller, model: LoggedModel, make_caller: Callable[..., Caller]
) -> None:
    stranger = make_caller(workspace="other")
    for ask in (
        lambda: models.create_model(caller, name="a", run_id="nothing"),
        lambda: models.get_model(caller, "m-nothing"),
        lambda: models.put_file(caller, "m-nothing", "a", iter([b"x"])),
        lambda: models.finalize_model(caller, "m-nothing"),
        lambda: models.find_file(caller, model.model_id, "nothing"),
        lambda: models.get_model(stranger, model.model_id),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_viewer_does_not_log_models(
    models: LoggedModels, model: LoggedModel, make_caller: Callable[..., Caller]
) -> None:
    viewer = make_caller("viewer")
    assert models.get_model(viewer, model.model_id) == model
    for write in (
        lambda: models.create_model(viewer, name="a", run_id=None),
        lambda: models.put_file(viewer, model.model_id, "a", iter([b"x"])),
        lambda: models.finalize_model(viewer, model.model_id),
    ):
        with pytest.raises(Forbidden):
            write()
