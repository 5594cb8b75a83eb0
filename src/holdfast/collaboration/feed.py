"""What happened, in words: audit entries joined with the comments that they tell of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.audit.records import AuditEntry
from holdfast.audit.service import AuditLog
from holdfast.audit.words import describe_entry, name_actor, object_address
from holdfast.collaboration.records import Activity, Comment, Thread
from holdfast.collaboration.store import comments as store
from holdfast.kernel.paging import Items, encode_token
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage

__all__ = ["Feed"]

_BLOCK = 200
_MOST_BLOCKS = 10


class Feed:
    """The feeds of objects and of workspaces."""

    def __init__(self, storage: Storage, audit_log: AuditLog) -> None:
        self._storage = storage
        self._audit = audit_log

    def activity(self, caller: Caller, object: str | None, limit: int, below: int | None) -> Items[Activity]:
        """A page of at most `limit` lines of the entries below the index `below`.

        Reads at most 2,000 entries, so a page of one long row of equal entries may be shorter than asked.
        """
        lines: list[Activity] = []
        token = None if below is None else encode_token(below)
        for _ in range(_MOST_BLOCKS):
            page = self._audit.list_entries(caller, limit=_BLOCK, page_token=token or "", object=object)
            for line in self._lines(caller, page.items, object is None):
                if lines and _says_the_same(lines[-1], line):
                    lines[-1] = msgspec.structs.replace(lines[-1], count=lines[-1].count + 1)
                elif len(lines) == limit:
                    return Items(lines, encode_token(line.index + 1))
                else:
                    lines.append(line)
            token = page.next_page_token
            if token is None:
                break
        return Items(lines, token)

    def _lines(self, caller: Caller, entries: Sequence[AuditEntry], is_workspace: bool) -> list[Activity]:
        """The lines of entries. On an object, edits, deletions and answers are told by the thread they belong to."""
        begun = [comment_of(entry) for entry in entries if _begins_thread(entry)]
        threads = {one.comment.comment_id: one for one in self._threads(caller, [id for id in begun if id])}
        lines = []
        for entry in entries:
            if not is_workspace and entry.action.startswith("comment.") and not _begins_thread(entry):
                continue
            thread = threads.get(comment_of(entry)) if _begins_thread(entry) else None
            lines.append(
                Activity(
                    entry.index, entry.time_ms, name_actor(entry), entry.action, entry.object,
                    object_address(entry.object), describe_entry(entry), thread=thread,
                )
            )  # fmt: skip
        return lines

    def threads(self, caller: Caller, object: str, limit: int, below: str | None) -> Items[Thread]:
        """A page of the threads on an object, newest first, below the comment `below`."""
        found = self._storage.read(
            lambda tx: store.list_threads(tx, caller.workspace, object, below, limit + 1)
        )
        shown = [one.comment_id for one in found[:limit]]
        return Items(self._threads(caller, shown), encode_token(shown[-1]) if len(found) > limit else None)

    def _threads(self, caller: Caller, comment_ids: Sequence[str]) -> list[Thread]:
        if not comment_ids:
            return []
        found, replies = self._storage.read(
            lambda tx: (
                store.load_comments(tx, caller.workspace, comment_ids),
                store.list_replies(tx, caller.workspace, comment_ids),
            )
        )
        return [Thread(found[id], _shown(replies.get(id, []))) for id in comment_ids if id in found]


def comment_of(entry: AuditEntry) -> str:
    """The id of the comment that an entry tells of; empty when its details are gone."""
    return str((entry.after or {}).get("comment", ""))


def _begins_thread(entry: AuditEntry) -> bool:
    return entry.action == "comment.create" and (entry.after or {}).get("parent") is None


def _shown(replies: Sequence[Comment]) -> list[Comment]:
    """Answers that are deleted leave nothing: nothing hangs on them."""
    return [reply for reply in replies if reply.deleted_at is None]


def _says_the_same(one: Activity, other: Activity) -> bool:
    return one.thread is None and other.thread is None and one.sentence == other.sentence
