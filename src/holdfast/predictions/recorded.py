"""What the audit log holds of endpoints and label batches."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.audit.recorded import Fact
from holdfast.audit.records import AuditEntry
from holdfast.predictions import store
from holdfast.storage import Tx

__all__ = ["RecordedEndpoints"]


class RecordedEndpoints:
    """Endpoints by the model version that was deployed last; label batches by digest."""

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        name, after = f"the endpoint {entry.workspace}/{entry.object.partition(':')[2]}", entry.after or {}
        match entry.action:
            case "endpoint.deploy":
                yield name, f"for {after['model']}/{after['version']}"
            case "endpoint.delete":
                yield name, None
            case "endpoint.feedback":
                yield _batch(entry.workspace, after["batch"]), f"{after['rows']} rows of {entry.digest}"

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for workspace, name, model, version in store.all_served(tx):
            yield f"the endpoint {workspace}/{name}", f"for {model}/{version}"
        for workspace, batch, rows, sha256 in store.all_batches(tx):
            yield _batch(workspace, batch), f"{rows} rows of {sha256}"


def _batch(workspace: str, batch: str) -> str:
    return f"the label batch {workspace}/{batch}"
