"""What the audit log holds of comments and channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.audit.recorded import Fact
from holdfast.audit.records import AuditEntry
from holdfast.collaboration.store import channels, comments
from holdfast.kernel.canonical import canonical_json
from holdfast.kernel.hashing import sha256_hex
from holdfast.storage import Tx

__all__ = ["RecordedTalk"]


class RecordedTalk:
    """Comments by the digest of what they say; channels by where they lead and what they take."""

    def by_log(self, entry: AuditEntry) -> Iterator[Fact]:
        """See `Recorded`."""
        after = entry.after or {}
        match entry.action:
            case "comment.create" | "comment.edit" | "comment.delete":
                yield (
                    _comment(entry.workspace, after["comment"]),
                    f"on {entry.object}: {entry.digest or 'deleted'}",
                )
            case "channel.add" | "channel.change":
                made = {name: after[name] for name in ("kind", "target", "match")}
                yield _channel(entry.workspace, entry.object.partition(":")[2]), _text(made)
            case "channel.remove":
                yield _channel(entry.workspace, entry.object.partition(":")[2]), None

    def by_rows(self, tx: Tx) -> Iterator[Fact]:
        """See `Recorded`."""
        for workspace, comment, on, body, deleted_at in comments.all_comments(tx):
            said = sha256_hex(body.encode()) if deleted_at is None else "deleted"
            yield _comment(workspace, comment), f"on {on}: {said}"
        for workspace, channel in channels.all_channels(tx):
            made = {
                "kind": channel.kind,
                "target": channel.target,
                "match": msgspec.to_builtins(channel.match),
            }
            yield _channel(workspace, channel.name), _text(made)


def _comment(workspace: str, comment: str) -> str:
    return f"the comment {workspace}/{comment}"


def _channel(workspace: str, name: str) -> str:
    return f"the channel {workspace}/{name}"


def _text(values: dict[str, Any]) -> str:
    return canonical_json(values).decode()
