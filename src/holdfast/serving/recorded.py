"""What the audit log holds of deployments."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.audit.recorded import Fact
from holdfast.audit.records import AuditEntry
from holdfast.serving import store
from holdfast.storage import Tx

__all__ = ["RecordedDeployments"]


class RecordedDeployments:
    """Deployments by endpoint and model version, and by what was made of that version."""

    def __init__(self) -> None:
        self._prepared: dict[str, str] = {}

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        of, after = f"{entry.workspace}/{entry.object.partition(':')[2]}", entry.after or {}
        if entry.action == "version.prepare":
            self._prepared[of] = f"{after['runtime']} {entry.digest}"
        if entry.action == "endpoint.deploy":
            name = f"the deployment {entry.workspace}/{after['deployment']}"
            yield name, f"of {after['model']}/{after['version']} at {of}"

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for row in store.all_deployments(tx):
            name, version = (
                f"the deployment {row.workspace_id}/{row.deployment_id}",
                f"{row.model}/{row.version}",
            )
            yield name, f"of {version} at {row.workspace_id}/{row.endpoint}"
            served = f"{row.runtime} {row.deployable_digest}"
            if row.activated_at is not None and served != self._prepared.get(f"{row.workspace_id}/{version}"):
                yield name, f"of another deployable than the version: {served}"
