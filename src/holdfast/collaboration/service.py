"""What people do here: comment, watch, read what happened and what is news for them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.audit import service as audit
from holdfast.audit.service import AuditLog
from holdfast.collaboration.feed import Feed
from holdfast.collaboration.markdown import mentioned_names
from holdfast.collaboration.records import (
    Activity,
    Comment,
    FindPerson,
    Notification,
    ObjectResolver,
    ResolvedObject,
    Revision,
    Subscription,
    Thread,
)
from holdfast.collaboration.store import comments as comment_store
from holdfast.collaboration.store import inbox as inbox_store
from holdfast.identity.service import may, require
from holdfast.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from holdfast.kernel.hashing import sha256_hex
from holdfast.kernel.ids import new_id
from holdfast.kernel.paging import Items, decode_number, decode_token, encode_token
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx, lock

__all__ = ["BODY_LIMIT", "Collaboration"]

BODY_LIMIT = 20_000
_READ, _WRITE, _INBOX = "collaboration:read", "collaboration:write", "inbox:use"
_MOST_MARKED = 1000


class Collaboration:
    """Comments, subscriptions, activity and inboxes."""

    def __init__(
        self, storage: Storage, audit_log: AuditLog, objects: ObjectResolver, find_person: FindPerson
    ) -> None:
        self._storage = storage
        self._objects = objects
        self._find_person = find_person
        self._feed = Feed(storage, audit_log)

    # Comments

    def create_comment(self, caller: Caller, object: str, body: str, parent_id: str | None = None) -> Comment:
        """A new comment on an object, or an answer to one. Audited; who comments watches the object from then on.

        Raises NotFound for an object or parent that does not exist, InvalidInput for an answer to an answer.
        """
        require(caller, _WRITE)
        on = self._objects.resolve(caller, object).object
        comment = Comment(
            comment_id=new_id("c-"),
            object=on,
            parent_id=parent_id,
            author_id=caller.principal.id,
            author=caller.principal.name,
            body=_check_body(body),
            mentions=self._mentions(body),
            created_at=caller.time_ms,
        )

        def fn(tx: Tx) -> Comment:
            if parent_id is not None:
                _check_parent(_find_comment(tx, caller, parent_id), on)
            comment_store.insert_comment(tx, caller.workspace, comment)
            _watch(tx, caller, on, caller.principal.id, "comment")
            for principal_id in comment.mentions.values():
                _watch(tx, caller, on, principal_id, "mention")
            _append(tx, caller, "comment.create", comment, list(comment.mentions.values()))
            return comment

        return self._storage.write(fn)

    def edit_comment(self, caller: Caller, comment_id: str, body: str) -> Comment:
        """Change what a comment says; what it said before is kept. Audited. Raises Forbidden for another's."""
        require(caller, _WRITE)
        self.get_comment(caller, comment_id)
        text, mentions = _check_body(body), self._mentions(body)

        def fn(tx: Tx) -> Comment:
            lock(tx, "comment", caller.workspace, comment_id)
            before = _find_comment(tx, caller, comment_id)
            _check_standing(before)
            if before.author_id != caller.principal.id:
                raise Forbidden(
                    f"The comment {comment_id} is {before.author}'s; only its author may edit it."
                )
            if before.body == text:
                return before
            after = msgspec.structs.replace(
                before, body=text, mentions=mentions, edited_at=max(caller.time_ms, before.created_at)
            )
            added = [id for id in mentions.values() if id not in before.mentions.values()]
            comment_store.add_revision(tx, caller.workspace, before)
            comment_store.update_comment(tx, caller.workspace, after)
            for principal_id in added:
                _watch(tx, caller, after.object, principal_id, "mention")
            _append(tx, caller, "comment.edit", after, added)
            return after

        return self._storage.write(fn)

    def delete_comment(self, caller: Caller, comment_id: str) -> Comment:
        """Erase what a comment says and said; that it stood there, and the answers to it, stay. Audited.

        Raises Forbidden for another's, unless the caller is an administrator. Deleting again changes nothing.
        """
        require(caller, _WRITE)
        self.get_comment(caller, comment_id)

        def fn(tx: Tx) -> Comment:
            lock(tx, "comment", caller.workspace, comment_id)
            before = _find_comment(tx, caller, comment_id)
            if before.deleted_at is not None:
                return before
            if before.author_id != caller.principal.id and not may(caller.principal, "identity:admin"):
                raise Forbidden(
                    f"The comment {comment_id} is {before.author}'s.",
                    hint="Its author or an administrator may delete it.",
                )
            after = msgspec.structs.replace(
                before, body="", mentions={}, deleted_at=caller.time_ms, deleted_by=caller.principal.name
            )
            comment_store.delete_revisions(tx, caller.workspace, comment_id)
            comment_store.update_comment(tx, caller.workspace, after)
            _append(tx, caller, "comment.delete", after)
            return after

        return self._storage.write(fn)

    def get_comment(self, caller: Caller, comment_id: str) -> Comment:
        """One comment. Raises NotFound."""
        require(caller, _READ)
        found = self._storage.read(lambda tx: _find_comment(tx, caller, comment_id))
        self._objects.resolve(caller, found.object)
        return found

    def list_revisions(self, caller: Caller, comment_id: str) -> Items[Revision]:
        """What a comment said over time, oldest first, the present text last; none once it is deleted."""
        found = self.get_comment(caller, comment_id)
        if found.deleted_at is not None:
            return Items([])
        before = self._storage.read(lambda tx: comment_store.list_revisions(tx, caller.workspace, comment_id))
        present = Revision(len(before) + 1, found.body, found.edited_at or found.created_at)
        return Items([*before, present])

    def list_threads(
        self, caller: Caller, object: str, *, limit: int = 100, page_token: str = ""
    ) -> Items[Thread]:
        """The threads on an object, newest first, each with its answers."""
        require(caller, _READ)
        on = self._objects.resolve(caller, object).object
        return self._feed.threads(caller, on, limit, str(decode_token(page_token)) if page_token else None)

    def _mentions(self, body: str) -> dict[str, str]:
        found = {name: self._find_person(name) for name in mentioned_names(body)}
        return {name: person.id for name, person in found.items() if person is not None}

    # What happened

    def find_object(self, caller: Caller, object: str) -> ResolvedObject:
        """An object by its name. Raises NotFound."""
        require(caller, _READ)
        return self._objects.resolve(caller, object)

    def list_activity(
        self, caller: Caller, object: str | None = None, *, limit: int = 100, page_token: str = ""
    ) -> Items[Activity]:
        """What happened to an object, or in the workspace, newest first: audit entries in words, and threads.

        A thread stands where it began. Entries that say the same in a row are one line with their number.
        """
        require(caller, _READ)
        if object is None:
            require(caller, "audit:read")  # as the page /audit does: it tells of every object
        on = None if object is None else self._objects.resolve(caller, object).object
        return self._feed.activity(caller, on, limit, decode_number(page_token) if page_token else None)

    def count_comments(self, caller: Caller, object: str) -> int:
        """How many comments stand on an object."""
        require(caller, _READ)
        return self._storage.read(lambda tx: comment_store.count_threads(tx, caller.workspace, object))

    # Who watches

    def watch(self, caller: Caller, object: str) -> Subscription:
        """Hear of every change of an object from now on; watching again changes nothing."""
        require(caller, _INBOX)
        on = self._objects.resolve(caller, object).object
        made = Subscription(on, caller.principal.id, "chosen", caller.time_ms)
        self._storage.write(lambda tx: inbox_store.insert_subscription(tx, caller.workspace, made))
        return made

    def unwatch(self, caller: Caller, object: str) -> None:
        """Hear of an object no more, until a comment of one's own or a mention; no error when not watched."""
        require(caller, _INBOX)
        try:
            on = self._objects.resolve(caller, object).object
        except NotFound:
            on = object  # what is gone can still be left
        principal_id = caller.principal.id
        self._storage.write(
            lambda tx: inbox_store.delete_subscription(tx, caller.workspace, on, principal_id)
        )

    def is_watching(self, caller: Caller, object: str) -> bool:
        """Whether the caller watches the object."""
        require(caller, _INBOX)
        return self._storage.read(
            lambda tx: inbox_store.is_subscribed(tx, caller.workspace, object, caller.principal.id)
        )

    def list_subscriptions(
        self, caller: Caller, *, limit: int = 100, page_token: str = ""
    ) -> Items[Subscription]:
        """What the caller watches, by name."""
        require(caller, _INBOX)
        after = str(decode_token(page_token)) if page_token else ""
        found = self._storage.read(
            lambda tx: inbox_store.list_subscriptions(
                tx, caller.workspace, caller.principal.id, after, limit + 1
            )
        )
        more = len(found) > limit
        return Items(found[:limit], encode_token(found[limit - 1].object) if more else None)

    # The inbox

    def list_notifications(
        self, caller: Caller, *, unread: bool = False, limit: int = 100, page_token: str = ""
    ) -> Items[Notification]:
        """The caller's notifications, newest first; with `unread` only those."""
        require(caller, _INBOX)
        below = decode_number(page_token) if page_token else None
        found = self._storage.read(
            lambda tx: inbox_store.list_notifications(
                tx, caller.workspace, caller.principal.id, unread, below, limit + 1
            )
        )
        more = len(found) > limit
        return Items(found[:limit], encode_token(found[limit - 1].event) if more else None)

    def count_unread(self, caller: Caller) -> int:
        """How many notifications the caller has not read."""
        require(caller, _INBOX)
        return self._storage.read(
            lambda tx: inbox_store.count_unread(tx, caller.workspace, caller.principal.id)
        )

    def mark_read(self, caller: Caller, events: Sequence[int] | None = None) -> int:
        """Mark the caller's notifications of these events, or all, as read; gives how many were not."""
        require(caller, _INBOX)
        if events is not None and len(events) > _MOST_MARKED:
            raise InvalidInput(f"{len(events)} notifications are more than {_MOST_MARKED} at once.")
        return self._storage.write(
            lambda tx: inbox_store.mark_read(
                tx, caller.workspace, caller.principal.id, events, caller.time_ms
            )
        )


def _check_body(body: str) -> str:
    text = body.replace("\r\n", "\n").strip()
    if not text:
        raise InvalidInput("The comment is empty.", hint="Write at least one character.")
    if len(text) > BODY_LIMIT:
        raise InvalidInput(
            f"The comment has {len(text):,} characters; the limit is {BODY_LIMIT:,}.",
            hint="Log the long part as an artifact and link to it.",
        )
    if wrong := next((char for char in text if ord(char) < 32 and char not in "\n\t"), None):
        raise InvalidInput(f"The comment holds the control character {wrong!r}.", hint="Take it out.")
    return text


def _check_parent(parent: Comment, object: str) -> None:
    if parent.object != object:
        raise InvalidInput(f"The comment {parent.comment_id} is on {parent.object}, not on {object}.")
    if parent.parent_id is not None:
        raise InvalidInput(
            f"The comment {parent.comment_id} is itself an answer; threads are one level deep.",
            hint=f"Answer to {parent.parent_id}.",
        )


def _check_standing(comment: Comment) -> None:
    if comment.deleted_at is not None:
        raise Conflict(f"The comment {comment.comment_id} was deleted.", hint="Write a new one.")


def _find_comment(tx: Tx, caller: Caller, comment_id: str) -> Comment:
    found = comment_store.load_comment(tx, caller.workspace, comment_id)
    if found is None:
        raise NotFound(
            f"There is no comment {comment_id[:80]!r} in the workspace {caller.workspace!r}.",
            hint="holdfast comment list OBJECT shows them.",
        )
    return found


def _watch(tx: Tx, caller: Caller, object: str, principal_id: str, reason: str) -> None:
    made = Subscription(object, principal_id, reason, caller.time_ms)
    inbox_store.insert_subscription(tx, caller.workspace, made)


def _append(tx: Tx, caller: Caller, action: str, comment: Comment, mentions: Sequence[str] = ()) -> None:
    """The entry stands under the object; of the text it holds the digest alone, so that a text can be erased."""
    after = {"comment": comment.comment_id, "parent": comment.parent_id, "mentions": list(mentions)}
    digest = sha256_hex(comment.body.encode()) if comment.deleted_at is None else None
    audit.append(tx, caller, action=action, object=comment.object, digest=digest, after=after)
