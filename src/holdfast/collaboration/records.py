"""Comments, subscriptions, activity, notifications; and what this room asks of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from holdfast.kernel.principal import Caller

__all__ = [
    "Activity",
    "Comment",
    "FindPerson",
    "Notification",
    "ObjectResolver",
    "Person",
    "ResolvedObject",
    "Revision",
    "Subscription",
    "Thread",
]


class Person(Protocol):
    """Somebody who can be mentioned."""

    @property
    def id(self) -> str:
        """The principal's id."""

    @property
    def name(self) -> str:
        """What the principal is called."""


class FindPerson(Protocol):
    """Who has a name; None when nobody does."""

    def __call__(self, name: str) -> Person | None: ...


class ResolvedObject(msgspec.Struct, frozen=True):
    """An object as others see it: its one name (`kind:name`, as in the audit log), what it is called, its page."""

    object: str
    title: str
    address: str
    tags: Mapping[str, str] = {}
    """The tags of a run; of a version, those of its run; empty for what has none."""


class ObjectResolver(Protocol):
    """What stands behind `kind:name`, as far as the caller may read it."""

    def resolve(self, caller: Caller, object: str) -> ResolvedObject:
        """Raises NotFound for an unknown kind or name, Forbidden when the caller may not read it."""


class Comment(msgspec.Struct, frozen=True):
    """A comment; `body` is Markdown as it was written, empty once it is deleted."""

    comment_id: str
    object: str
    parent_id: str | None
    """The comment that this one answers; threads are one level deep."""
    author_id: str
    author: str
    body: str
    mentions: dict[str, str]
    """The names in the body that stood for a principal when it was written, with the principal's id."""
    created_at: int
    edited_at: int | None = None
    deleted_at: int | None = None
    deleted_by: str = ""


class Thread(msgspec.Struct, frozen=True):
    """A comment on an object, with the answers to it, oldest first."""

    comment: Comment
    replies: list[Comment]


class Revision(msgspec.Struct, frozen=True):
    """What a comment said from `written_at` (ms UTC) until the next revision."""

    number: int
    body: str
    written_at: int


class Subscription(msgspec.Struct, frozen=True):
    """A principal hears of an object's changes; `reason` is chosen, comment, mention or owner."""

    object: str
    principal_id: str
    reason: str
    created_at: int


class Activity(msgspec.Struct, frozen=True):
    """One line of a feed: an audit entry in words, or, where it is the start of a thread, the thread."""

    index: int
    """The audit entry."""
    time_ms: int
    actor: str
    action: str
    object: str
    address: str
    sentence: str
    count: int = 1
    """So many equal entries in a row, this one the newest."""
    thread: Thread | None = None


class Notification(msgspec.Struct, frozen=True):
    """News for one principal, named by the number of the audit entry that it tells of."""

    event: int
    kind: str
    """mention, reply, alert or change."""
    object: str
    actor_id: str
    actor: str
    text: str
    address: str
    created_at: int
    read_at: int | None = None
