"""Preparing pending model versions: the worker's hand between the registry and the sandbox."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.app.renewal import LEASE_MS, Renewal
from holdfast.app.services import Services
from holdfast.chunks import TreeFile
from holdfast.identity.service import system_caller
from holdfast.registry.prepare import prepare_version
from holdfast.registry.records import Preparation
from holdfast.storage import leases

__all__ = ["PREPARE_FOLDER", "prepare_pending"]

PREPARE_FOLDER = "holdfast-prepare-"


def prepare_pending(services: Services, owner: str, stop: threading.Event) -> None:
    """Prepare every version that waits, one at a time, each under its lease."""
    for workspace, name, version in services.registry.preparations.pending():
        if stop.is_set():
            return
        lease_name = f"prepare:{workspace}:{name}/{version}"
        lease = leases.acquire(services.storage, lease_name, owner, LEASE_MS, services.clock.now_ms())
        if lease is None:
            continue
        with Renewal(services, lease):
            _prepare(services, workspace, name, version)
        leases.release(services.storage, lease)


def _prepare(services: Services, workspace: str, name: str, version: int) -> None:
    caller = system_caller(workspace, services.clock.now_ms())
    files = services.registry.list_files(caller, name, version).items
    with tempfile.TemporaryDirectory(prefix=PREPARE_FOLDER) as folder:
        prepared = prepare_version(
            _fetched(services, files, Path(folder) / "stored"),
            Path(folder) / "work",
            services.executor,
            services.data / "environments",
        )
        outcome = Preparation(
            status=prepared.status,
            runtime=prepared.runtime,
            parity=prepared.parity,
            message=prepared.message,
            deployable_files=_stored(services, prepared.deployable_files),
            beside_files=_stored(services, prepared.beside_files),
        )
    caller = system_caller(workspace, services.clock.now_ms())
    services.registry.preparations.record(caller, name, version, outcome)


def _fetched(services: Services, files: Sequence[TreeFile], folder: Path) -> dict[str, Path]:
    """Local copies of the files, by their paths in the tree."""
    folder.mkdir()
    (folder.parent / "work").mkdir()
    for file in files:
        target = folder / file.sha256
        if not target.exists():
            services.objects.copy_to(file.sha256, target)
    return {file.path: folder / file.sha256 for file in files}


def _stored(services: Services, files: Mapping[str, Path]) -> dict[str, tuple[str, int]]:
    blobs = {path: services.objects.put_file(file) for path, file in files.items()}
    return {path: (blob.sha256, blob.size) for path, blob in blobs.items()}
