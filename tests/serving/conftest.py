"""Registered model versions on a real database, without training anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from holdfast.audit.keys import Keys
from holdfast.kernel.principal import Caller
from holdfast.predictions.service import Predictions
from holdfast.registry.records import ModelVersion, Preparation
from holdfast.registry.service import Registry
from holdfast.runtimes.records import Column, Deployable, ModelDescription, Output, Parity, Signature
from holdfast.serving.service import Serving
from holdfast.storage import Objects, Storage
from holdfast.storage.keys import open_keyring
from holdfast.tracking.models import LoggedModels

SIGNATURE = Signature((Column("x", "double"), Column("y", "double")), (Output("label", "long"),))
PARITY = Parity(True, "", 10, 1e-6, 1e-6, {"probabilities": 0.0}, 0)
DEPLOYABLE = Deployable(1, "onnx", PARITY, SIGNATURE, "binary", (0, 1), 1)
DESCRIPTION = ModelDescription(1, "sklearn", "model.pkl", "3.11.2", "binary", "late", SIGNATURE, (0, 1), 1)


@pytest.fixture
def models(storage: Storage, objects: Objects) -> LoggedModels:
    return LoggedModels(storage, objects)


@pytest.fixture
def registry(storage: Storage, objects: Objects, models: LoggedModels) -> Registry:
    return Registry(storage, objects, models)


@pytest.fixture
def predictions(storage: Storage, objects: Objects) -> Predictions:
    return Predictions(storage, objects)


@pytest.fixture
def closing() -> threading.Event:
    return threading.Event()


@pytest.fixture
def serving(
    storage: Storage, objects: Objects, registry: Registry, tmp_path: Path, closing: threading.Event
) -> Serving:
    return Serving(storage, objects, registry, Keys(storage, open_keyring(tmp_path / "keys")), closing)


@pytest.fixture
def register(models: LoggedModels, registry: Registry, caller: Caller) -> Callable[..., ModelVersion]:
    """Register a version that waits for its preparation."""

    def make(name: str = "flights", content: bytes = b"pickle") -> ModelVersion:
        model = models.create_model(caller, name=name, run_id=None)
        files = {
            "holdfast-model.json": msgspec.json.encode(DESCRIPTION),
            "model.pkl": content,
            "reference.json.gz": b"rows",
        }
        for path, data in files.items():
            models.put_file(caller, model.model_id, path, iter([data]))
        models.finalize_model(caller, model.model_id)
        return registry.register_version(caller, name, model.model_id)

    return make


@pytest.fixture
def prepare(registry: Registry, objects: Objects, caller: Caller) -> Callable[..., ModelVersion]:
    """Record what preparing a version gave."""

    def finish(version: ModelVersion, status: str = "ready", message: str = "") -> ModelVersion:
        data = {
            "model.onnx": f"onnx {version.version}".encode(),
            "holdfast-deployable.json": msgspec.json.encode(DEPLOYABLE),
        }
        blobs = {path: objects.put(content) for path, content in data.items()}
        files = {path: (blob.sha256, blob.size) for path, blob in blobs.items()} if status == "ready" else {}
        scored = objects.put(b"scored")
        beside = {"reference-scored.json.gz": (scored.sha256, scored.size)}
        outcome = Preparation(status, "onnx", PARITY, message, files, beside)  # type: ignore[arg-type]
        return registry.preparations.record(caller, version.name, version.version, outcome)

    return finish
