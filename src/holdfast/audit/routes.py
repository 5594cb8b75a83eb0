"""The audit log over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec

from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.audit.records import (
    AuditEntry,
    CheckpointView,
    ConsistencyProof,
    InclusionProof,
    KeyView,
    Verification,
)
from holdfast.audit.service import AuditLog
from holdfast.kernel.errors import InvalidInput
from holdfast.kernel.paging import Items, PageQuery
from holdfast.web import Call, Route, Stream

__all__ = ["routes"]


Size = Annotated[int, msgspec.Meta(ge=0, lt=10**15)]


class Cosignature(msgspec.Struct, frozen=True):
    """A witness's signature line over the stored checkpoint of `size` entries, and its key (`NAME+HASH+BASE64`)."""

    size: int
    line: str
    witness: str


class EntryQuery(PageQuery, frozen=True):
    """The entries of an object (`kind:name`); without one, all."""

    object: str = ""


class ConsistencyQuery(msgspec.Struct, frozen=True):
    """Two sizes of the log."""

    first: Size
    second: Size


def routes(audit: AuditLog, checkpoints: Checkpoints, keys: Keys) -> list[Route]:
    """The log, its checkpoints and proofs, and the keys; entries are written by the changes that they record."""

    def list_entries(call: Call) -> Items[AuditEntry]:
        asked: EntryQuery = call.params
        return audit.list_entries(
            call.caller, limit=asked.limit, page_token=asked.page_token, object=asked.object or None
        )

    def get_entry(call: Call) -> AuditEntry:
        return audit.get_entry(call.caller, _number(call.path["index"], "the number of an audit entry"))

    def verify(_call: Call) -> Verification:
        return checkpoints.verify()

    def get_checkpoint(call: Call) -> CheckpointView:
        return checkpoints.current(call.caller.time_ms)

    def prove_inclusion(call: Call) -> InclusionProof:
        index = _number(call.path["index"], "the number of an audit entry")
        return checkpoints.prove_inclusion(call.caller, index)

    def prove_consistency(call: Call) -> ConsistencyProof:
        return checkpoints.prove_consistency(call.params.first, call.params.second)

    def add_cosignature(call: Call) -> CheckpointView:
        given: Cosignature = call.body
        return checkpoints.add_cosignature(call.caller, given.size, given.line, given.witness)

    def export(call: Call) -> Stream:
        return Stream(checkpoints.export(call.caller), "application/x-ndjson")

    def list_keys(_call: Call) -> Items[KeyView]:
        return Items(keys.list_keys(), None)

    def rotate_key(call: Call) -> KeyView:
        return keys.rotate(call.caller, call.path["name"])

    return [
        Route(
            "GET",
            "/api/v1/audit",
            list_entries,
            "audit:read",
            summary="List audit entries, newest first",
            result=Items[AuditEntry],
            query=EntryQuery,
        ),
        Route("GET", "/api/v1/audit/verify", verify, "audit:read", summary="Verify the whole audit log"),
        Route(
            "GET",
            "/api/v1/audit/checkpoint",
            get_checkpoint,
            "audit:read",
            summary="The signed state of the log",
        ),
        Route(
            "POST",
            "/api/v1/audit/checkpoint/cosignatures",
            add_cosignature,
            "identity:admin",
            Cosignature,
            "Keep a witness's signature with a checkpoint",
        ),
        Route(
            "GET",
            "/api/v1/audit/consistency",
            prove_consistency,
            "audit:read",
            summary="Prove that one state of the log continues another",
            query=ConsistencyQuery,
        ),
        Route(
            "GET", "/api/v1/audit/export", export, "audit:read", summary="The log as a file to verify offline"
        ),
        Route(
            "GET",
            "/api/v1/audit/proof/{index}",
            prove_inclusion,
            "audit:read",
            summary="Prove that an entry is in the log",
        ),
        Route(
            "GET", "/api/v1/keys", list_keys, "audit:read", summary="The public keys, with their rotations"
        ),
        Route(
            "POST",
            "/api/v1/keys/{name}/rotate",
            rotate_key,
            "deployment:admin",
            summary="Change a key for a new one",
        ),
        Route("GET", "/api/v1/audit/{index}", get_entry, "audit:read", summary="Read one audit entry"),
    ]


def _number(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidInput(f"{text[:40]!r} is not {what}.")
    return int(text)
