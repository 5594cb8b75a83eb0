"""Verbs on the audit log."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.client.api import Api
from holdfast.client.records import AuditEntry, AuditReport

__all__ = ["AuditVerbs"]

_AUDIT = "/api/v1/audit"


class AuditVerbs:
    """The audit part of `Client`."""

    _api: Api

    def audit_log(self, *, page_size: int = 100) -> Iterator[AuditEntry]:
        """The entries of the audit log, newest first, fetched page by page."""
        return self._api.pages(_AUDIT, AuditEntry, limit=page_size)

    def get_audit_entry(self, index: int) -> AuditEntry:
        """One entry. Raises NotFound."""
        return self._api.get(f"{_AUDIT}/{index}", AuditEntry)

    def verify_audit(self) -> AuditReport:
        """Have the server recompute the whole tree and name what is damaged."""
        return self._api.get(f"{_AUDIT}/verify", AuditReport)
