"""The audit log's pages."""

from __future__ import annotations

from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.records import AuditEntry
from holdfast.audit.service import AuditLog
from holdfast.audit.words import describe_entry, object_address
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.errors import IntegrityError, InvalidInput
from holdfast.kernel.principal import Caller
from holdfast.web import Call, Page, Route
from holdfast.web.diffs import diff_fields
from holdfast.web.wording import plural, stamp_text

__all__ = ["pages"]

_PER_PAGE = 50


def pages(audit: AuditLog, checkpoints: Checkpoints) -> list[Route]:
    """`/audit` and `/audit/{index}`."""

    def show_log(call: Call) -> Page:
        token, thing = call.query.get("page_token", ""), call.query.get("object", "").strip()
        newest = audit.list_entries(call.caller, limit=1).items
        found = audit.list_entries(call.caller, limit=_PER_PAGE, page_token=token, object=thing or None)
        size = newest[0].index + 1 if newest else 0
        context = {
            "entries": found.items,
            "next_token": found.next_page_token,
            "token": token,
            "object": thing,
            "query": dict(call.query),
            "size": size,
            "sentence": _sentence(newest[0]) if newest else "Nothing has changed yet.",
            "verified": checkpoints.verify() if call.query.get("verify") else None,
            "checkpoint": checkpoints.current(call.caller.time_ms) if newest else None,
        }
        return Page("audit/log.html", context, "Audit")

    def show_entry(call: Call) -> Page:
        text = call.path["index"]
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise InvalidInput(
                f"{text[:40]!r} is not the number of an audit entry.", hint="See /audit for the log."
            )
        entry = audit.get_entry(call.caller, int(text))
        context = {
            "entry": entry,
            "sentence": f"{_capital(describe_entry(entry))}, {stamp_text(entry.time_ms)}.",
            "address": object_address(entry.object),
            "change": diff_fields(entry.before or {}, entry.after or {}),
            "leaf": canonical_json(entry.leaf).decode(),
            **_proof(checkpoints, call.caller, entry.index),
        }
        return Page("audit/entry.html", context, f"Audit entry {entry.index}")

    return [
        Route("GET", "/audit", show_log, "audit:read", summary="The audit log"),
        Route("GET", "/audit/{index}", show_entry, "audit:read", summary="One audit entry"),
    ]


def _proof(checkpoints: Checkpoints, caller: Caller, index: int) -> dict[str, object]:
    """The proof, or why there is none: a damaged log can be read all the same."""
    try:
        return {"proof": checkpoints.prove_inclusion(caller, index)}
    except IntegrityError as error:
        return {"unproved": error.message}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(newest: AuditEntry) -> str:
    many = plural(newest.index + 1, "entry", "entries")
    return (
        f"{many}, each a leaf of one Merkle tree: a change of what was written is found by verifying. "
        f"The last: {describe_entry(newest)}."
    )
