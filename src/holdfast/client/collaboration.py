"""Verbs on comments, what one watches, what happened, and one's inbox. Objects are named KIND:NAME, as
in the audit log: run:ID, model:NAME, model:NAME/VERSION, endpoint:NAME, alert:NUMBER, audit:NUMBER.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from holdfast.client.api import Api, segment
from holdfast.client.records import Activity, Comment, Notification, Thread

__all__ = ["CollaborationVerbs"]

_COMMENTS = "/api/v1/comments"
_INBOX = "/api/v1/inbox"


class CollaborationVerbs:
    """The collaboration part of `Client`."""

    _api: Api

    def comment(self, object: str, body: str, *, reply_to: str | None = None) -> Comment:
        """Comment on an object in Markdown, or answer the comment `reply_to`. Raises NotFound."""
        return self._api.post(_COMMENTS, {"object": object, "body": body, "parent_id": reply_to}, Comment)

    def list_comments(self, object: str) -> list[Thread]:
        """The threads on an object, newest first, each with its answers. Raises NotFound."""
        return list(self._api.pages(_COMMENTS, Thread, object=object))

    def edit_comment(self, comment_id: str, body: str) -> Comment:
        """Change what one's own comment says; what it said before is kept."""
        return self._api.put(f"{_COMMENTS}/{segment(comment_id)}", {"body": body}, Comment)

    def delete_comment(self, comment_id: str) -> None:
        """Erase a comment's text, and what it said before."""
        self._api.delete(f"{_COMMENTS}/{segment(comment_id)}")

    def activity(self, object: str | None = None, *, page_size: int = 100) -> Iterator[Activity]:
        """What happened to an object, or in the workspace, newest first, fetched page by page."""
        return self._api.pages("/api/v1/activity", Activity, object=object, limit=page_size)

    def watch(self, object: str) -> None:
        """Be told of every change of an object."""
        self._api.put(f"/api/v1/subscriptions/{segment(object)}", {}, dict)

    def unwatch(self, object: str) -> None:
        """Be told of an object no more."""
        self._api.delete(f"/api/v1/subscriptions/{segment(object)}")

    def list_watched(self) -> list[str]:
        """The names of the objects that one watches."""
        return [str(item["object"]) for item in self._api.pages("/api/v1/subscriptions", dict)]

    def inbox(self, *, unread: bool = False, page_size: int = 100) -> Iterator[Notification]:
        """One's notifications, newest first, fetched page by page."""
        state = "unread" if unread else None
        return self._api.pages(_INBOX, Notification, state=state, limit=page_size)

    def mark_read(self, events: Sequence[int] | None = None) -> int:
        """Mark the notifications of these events, or all, as read; gives how many were not."""
        body: dict[str, Any] = {"events": None if events is None else list(events)}
        return int(self._api.post(f"{_INBOX}/read", body, dict, repeatable=True).get("marked", 0))
