"""The audit log over HTTP."""

from __future__ import annotations

from holdfast.audit.records import AuditEntry, Verification
from holdfast.audit.service import AuditLog
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.paging import Items, parse_limit
from holdfast.web import Call, Route

__all__ = ["routes"]


def routes(audit: AuditLog) -> list[Route]:
    """Reading routes; entries are written by the changes that they record."""

    def list_entries(call: Call) -> Items[AuditEntry]:
        return audit.list_entries(
            call.caller,
            limit=parse_limit(call.query.get("limit")),
            page_token=call.query.get("page_token", ""),
            object=call.query.get("object"),
        )

    def get_entry(call: Call) -> AuditEntry:
        text = call.path["index"]
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise InvalidInput(f"{text[:40]!r} is not the number of an audit entry.")
        return audit.get_entry(call.caller, int(text))

    def verify(_call: Call) -> Verification:
        return audit.verify()

    return [
        Route("GET", "/api/v1/audit", list_entries, "audit:read", summary="List audit entries, newest first"),
        Route("GET", "/api/v1/audit/verify", verify, "audit:read", summary="Verify the whole audit log"),
        Route("GET", "/api/v1/audit/{index}", get_entry, "audit:read", summary="Read one audit entry"),
    ]
