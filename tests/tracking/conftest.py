"""Tracking over a real database, and one run to write to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from holdfast.audit.service import AuditLog
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.principal import Caller
from holdfast.storage import Objects, Storage
from holdfast.tracking.experiments import Experiments
from holdfast.tracking.models import LoggedModels
from holdfast.tracking.records import Batch, MetricPoint, Run
from holdfast.tracking.service import Tracking


@pytest.fixture
def tracking(storage: Storage, objects: Objects) -> Tracking:
    return Tracking(storage, objects)


@pytest.fixture
def experiments(storage: Storage) -> Experiments:
    return Experiments(storage)


@pytest.fixture
def models(storage: Storage, objects: Objects) -> LoggedModels:
    return LoggedModels(storage, objects)


@pytest.fixture
def run(tracking: Tracking, caller: Caller) -> Run:
    return tracking.create_run(caller, experiment="Flights", name="first")


@pytest.fixture
def log(tracking: Tracking, caller: Caller, run: Run) -> Callable[..., Run]:
    """Log to the run as one request would; metrics are (key, value, step) or (key, value, step, time)."""

    def write(*points: tuple[Any, ...], params: Any = None, tags: Any = None) -> Run:
        batch = Batch([MetricPoint(*point) for point in points], params or {}, tags or {})
        tracking.metrics.log_batch(caller, run.run_id, batch, sha256_hex(msgspec.json.encode(batch)))
        return tracking.get_run(caller, run.run_id)

    return write


@pytest.fixture
def actions(storage: Storage, caller: Caller) -> Callable[[], list[str]]:
    """What the audit log has of the actions so far, in order."""
    return lambda: [entry.action for entry in AuditLog(storage).list_entries(caller).items][::-1]
