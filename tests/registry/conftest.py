"""A registry over a real database, and logged models that are ready to be registered."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from holdfast.audit.service import AuditLog
from holdfast.kernel.principal import Caller
from holdfast.registry.service import Registry
from holdfast.runtimes.records import Column, ModelDescription, Output, Signature
from holdfast.storage import Objects, Storage
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.records import LoggedModel
from holdfast.tracking.service import Tracking

DESCRIPTION = ModelDescription(
    format=1, flavor="sklearn", file="model.pkl", python="3.11.7", task="binary", target="late",
    signature=Signature((Column("distance", "double"),), (Output("label", "long"),)), classes=(0, 1), positive=1,
)  # fmt: skip


@pytest.fixture
def models(storage: Storage, objects: Objects) -> LoggedModels:
    return LoggedModels(storage, objects)


@pytest.fixture
def registry(storage: Storage, objects: Objects, models: LoggedModels) -> Registry:
    return Registry(storage, objects, models)


@pytest.fixture
def log_model(
    storage: Storage, objects: Objects, models: LoggedModels, caller: Caller
) -> Callable[..., LoggedModel]:
    """A ready logged model of a run of its own, whose pickle holds the given bytes."""

    def make(pickle: bytes = b"pickle") -> LoggedModel:
        run = Tracking(storage, objects).create_run(caller)
        model = models.create_model(caller, name="classifier", run_id=run.run_id)
        files = {"model.pkl": pickle, "holdfast-model.json": msgspec.json.encode(DESCRIPTION)}
        for path, data in files.items():
            models.put_file(caller, model.model_id, path, iter([data]))
        return models.finalize_model(caller, model.model_id)

    return make


@pytest.fixture
def flights(registry: Registry, log_model: Callable[..., LoggedModel], caller: Caller) -> str:
    """The name of a model with three versions."""
    for number in range(3):
        registry.register_version(caller, "flights", log_model(b"pickle %d" % number).model_id)
    return "flights"


@pytest.fixture
def actions(storage: Storage, caller: Caller) -> Callable[[], list[str]]:
    """What the audit log has of the actions so far, in order."""
    return lambda: [entry.action for entry in AuditLog(storage).list_entries(caller).items][::-1]
