"""Following the audit log: each entry becomes notifications in inboxes and deliveries to channels, exactly once.

The position in the log moves in the same transaction that writes what the entries gave rise to, so a worker that is
killed does the rest again, and two workers never do the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from holdfast.audit.records import AuditEntry
from holdfast.audit.service import AuditLog
from holdfast.audit.words import object_address
from holdfast.collaboration.events import Event, event_of, objects_concerned, owns
from holdfast.collaboration.feed import comment_of
from holdfast.collaboration.hooks import Hooks, HookSource
from holdfast.collaboration.outbox import Outbox, Outgoing
from holdfast.collaboration.records import Comment, Notification, Subscription
from holdfast.collaboration.store import comments as comment_store
from holdfast.collaboration.store import inbox as store
from holdfast.storage import Storage, Tx, lock

__all__ = ["Follower"]

_BLOCK = 32
_EXCERPT = 140


class Follower:
    """Reads the audit log from where it stopped."""

    def __init__(
        self, storage: Storage, audit_log: AuditLog, outbox: Outbox, hooks: Hooks, source: HookSource
    ) -> None:
        self._storage = storage
        self._audit = audit_log
        self._outbox = outbox
        self._hooks = hooks
        self._source = source

    def follow(self, now_ms: int) -> int:
        """Follow at most 32 entries; gives how many there were, 0 at the end of the log.

        Owners of new objects begin to watch them; watchers, the mentioned and the answered are notified, never of
        what they did themselves.
        """
        position = self._storage.read(store.load_position)
        entries = self._audit.entries_after(position, _BLOCK)
        if not entries:
            return 0
        outgoing = self._outbox.prepare(
            [event for entry in entries if (event := event_of(entry)) is not None], now_ms
        )
        outgoing += self._hooks.prepare(self._source, entries, now_ms)
        self._storage.write(lambda tx: _settle(tx, position, entries, outgoing))
        return len(entries)


def _settle(tx: Tx, position: int, entries: Sequence[AuditEntry], outgoing: Sequence[Outgoing]) -> None:
    lock(tx, "audit_follower")
    if not store.advance(tx, position, entries[-1].index):
        return  # another worker has followed these
    for entry in entries:
        if entry.action.endswith(".erase") and entry.object.startswith("principal:"):
            _erase(tx, entry.object.partition(":")[2])
        if owns(entry):
            made = Subscription(entry.object, entry.actor, "owner", entry.time_ms)
            store.insert_subscription(tx, entry.workspace, made)
        event = event_of(entry)
        if event is not None:
            store.insert_notifications(tx, entry.workspace, list(_notifications(tx, entry, event)))
    for one in outgoing:
        Outbox.insert(tx, one)


def _erase(tx: Tx, principal_id: str) -> None:
    """A person was erased: no name of theirs stays here."""
    comment_store.erase_author(tx, principal_id)
    store.erase_principal(tx, principal_id)


def _notifications(tx: Tx, entry: AuditEntry, event: Event) -> Iterator[tuple[str, Notification]]:
    """One for each principal whom the entry concerns, but for who did it."""
    comment = comment_store.load_comment(tx, entry.workspace, comment_of(entry))
    for principal_id, kind in _audience(tx, entry, event, comment).items():
        if principal_id != entry.actor:
            yield (
                principal_id,
                Notification(
                    event=entry.index,
                    kind=kind,
                    object=entry.object,
                    actor_id=event.actor_id,
                    actor=event.actor,
                    text=_text(event, comment, kind),
                    address=_address(entry, comment),
                    created_at=entry.time_ms,
                ),
            )


def _audience(tx: Tx, entry: AuditEntry, event: Event, comment: Comment | None) -> Mapping[str, str]:
    """Who is told, and as what: the nearest reason alone."""
    found: dict[str, str] = {str(one): "mention" for one in (entry.after or {}).get("mentions", [])}
    if event.type == "comment.created" and comment is not None and comment.parent_id is not None:
        parent = comment_store.load_comment(tx, entry.workspace, comment.parent_id)
        replies = comment_store.list_replies(tx, entry.workspace, [comment.parent_id])
        for one in [*([parent] if parent else []), *replies.get(comment.parent_id, [])]:
            found.setdefault(one.author_id, "reply")
    if not event.is_quiet:
        kind = "alert" if event.type.startswith("alert.") else "change"
        concerned = objects_concerned(entry)
        for principal_id in store.subscribers(tx, entry.workspace, concerned, entry.time_ms):
            found.setdefault(principal_id, kind)
    return found


def _text(event: Event, comment: Comment | None, kind: str) -> str:
    if comment is None or comment.deleted_at is not None:
        return event.text
    body = " ".join(comment.body.split())
    excerpt = body if len(body) <= _EXCERPT else f"{body[:_EXCERPT].rstrip()}…"
    what = event.text.rstrip(".").replace(" commented on ", " mentioned you on ", int(kind == "mention"))
    return f"{what}: {excerpt}"


def _address(entry: AuditEntry, comment: Comment | None) -> str:
    after = entry.after or {}
    if entry.action.startswith("alert.") and "alert" in after:
        return object_address(f"alert:{after['alert']}")
    page = object_address(entry.object)
    return f"{page}#{comment.comment_id}" if comment is not None and page else page
