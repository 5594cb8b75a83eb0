"""Comments, activity, subscriptions and the inbox over HTTP."""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec

from holdfast.collaboration.channel_records import Channel, DeliveryReport, NewWebhook
from holdfast.collaboration.channels import Channels
from holdfast.collaboration.events import EVENT_TYPES, Match
from holdfast.collaboration.records import Activity, Comment, Notification, Revision, Subscription, Thread
from holdfast.collaboration.service import Collaboration
from holdfast.kernel.paging import Items, PageQuery
from holdfast.web import Call, Route

__all__ = ["routes"]

_READ, _WRITE, _INBOX = "collaboration:read", "collaboration:write", "inbox:use"


class NewComment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /comments: `parent_id` is the comment that it answers."""

    object: str
    body: str
    parent_id: str | None = None


class EditedComment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /comments/{comment_id}."""

    body: str


class MarkRead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /inbox/read: the events to mark, null for all."""

    events: list[int] | None


class Marked(msgspec.Struct, frozen=True):
    """How many notifications were unread before, and how many still are."""

    marked: int
    unread: int


class Unread(msgspec.Struct, frozen=True):
    """How many notifications are unread."""

    unread: int


class NewChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /channels (an address as apprise writes it) and of POST /webhooks (an https address)."""

    name: str
    url: str
    match: Match = Match()


class ThreadQuery(PageQuery, frozen=True, kw_only=True):
    """The threads on an object (`kind:name`)."""

    object: str


class ActivityQuery(PageQuery, frozen=True):
    """What happened to an object (`kind:name`); without one, in the workspace."""

    object: str = ""


class InboxQuery(PageQuery, frozen=True):
    """All notifications, or the unread ones."""

    state: Literal["", "unread"] = ""


class DeliveryQuery(PageQuery, frozen=True):
    """The deliveries in a state; without one, all."""

    state: Literal["", "pending", "delivered", "dead"] = ""


def routes(collaboration: Collaboration, channels: Channels) -> list[Route]:
    """The routes of comments, activity, subscriptions, the inbox, channels and webhooks."""
    return [
        *_comments(collaboration),
        *_activity(collaboration),
        *_inbox(collaboration),
        *_channels(channels),
    ]


def _comments(collaboration: Collaboration) -> list[Route]:
    def create(call: Call) -> Comment:
        body: NewComment = call.body
        return collaboration.create_comment(call.caller, body.object, body.body, body.parent_id)

    def listing(call: Call) -> Items[Thread]:
        return collaboration.list_threads(call.caller, call.params.object, **_page(call.params))

    def get(call: Call) -> Comment:
        return collaboration.get_comment(call.caller, call.path["comment_id"])

    def history(call: Call) -> Items[Revision]:
        return collaboration.list_revisions(call.caller, call.path["comment_id"])

    def edit(call: Call) -> Comment:
        return collaboration.edit_comment(call.caller, call.path["comment_id"], call.body.body)

    def delete(call: Call) -> Comment:
        return collaboration.delete_comment(call.caller, call.path["comment_id"])

    base = "/api/v1/comments"
    one = base + "/{comment_id}"
    return [
        Route("POST", base, create, _WRITE, NewComment, "Comment on an object", result=Comment),
        Route("GET", base, listing, _READ, summary="The threads on an object", result=Items[Thread],
              query=ThreadQuery),
        Route("GET", one, get, _READ, summary="Read a comment", result=Comment),
        Route("GET", one + "/history", history, _READ, summary="What a comment said over time", result=Items[Revision]),
        Route("PUT", one, edit, _WRITE, EditedComment, "Edit a comment", result=Comment),
        Route("DELETE", one, delete, _WRITE, summary="Delete a comment's text", result=Comment),
    ]  # fmt: skip


def _activity(collaboration: Collaboration) -> list[Route]:
    def activity(call: Call) -> Items[Activity]:
        return collaboration.list_activity(call.caller, call.params.object or None, **_page(call.params))

    def watched(call: Call) -> Items[Subscription]:
        return collaboration.list_subscriptions(call.caller, **_page(call.params))

    def watch(call: Call) -> Subscription:
        return collaboration.watch(call.caller, call.path["object"])

    def unwatch(call: Call) -> None:
        collaboration.unwatch(call.caller, call.path["object"])

    base = "/api/v1/subscriptions"
    one = base + "/{object:path}"
    return [
        Route(
            "GET", "/api/v1/activity", activity, _READ,
            summary="What happened to an object or in the workspace", result=Items[Activity],
            query=ActivityQuery,
        ),
        Route("GET", base, watched, _INBOX, summary="What one watches", result=Items[Subscription],
              query=PageQuery),
        Route("PUT", one, watch, _INBOX, summary="Watch an object", result=Subscription),
        Route("DELETE", one, unwatch, _INBOX, summary="Watch an object no more"),
    ]  # fmt: skip


def _inbox(collaboration: Collaboration) -> list[Route]:
    def listing(call: Call) -> Items[Notification]:
        asked: InboxQuery = call.params
        return collaboration.list_notifications(call.caller, unread=bool(asked.state), **_page(asked))

    def count(call: Call) -> Unread:
        return Unread(collaboration.count_unread(call.caller))

    def mark(call: Call) -> Marked:
        marked = collaboration.mark_read(call.caller, call.body.events)
        return Marked(marked, collaboration.count_unread(call.caller))

    base = "/api/v1/inbox"
    return [
        Route(
            "GET",
            base,
            listing,
            _INBOX,
            summary="One's notifications",
            result=Items[Notification],
            query=InboxQuery,
        ),
        Route("GET", base + "/count", count, _INBOX, summary="How many are unread", result=Unread),
        Route("POST", base + "/read", mark, _INBOX, MarkRead, "Mark notifications as read", result=Marked),
    ]


def _channels(channels: Channels) -> list[Route]:
    def add(call: Call) -> Channel:
        return channels.add_channel(call.caller, call.body.name, call.body.url, call.body.match)

    def add_webhook(call: Call) -> NewWebhook:
        return channels.add_webhook(call.caller, call.body.name, call.body.url, call.body.match)

    def listing(call: Call) -> Items[Channel]:
        return channels.list_channels(call.caller)

    def get(call: Call) -> Channel:
        return channels.get_channel(call.caller, call.path["name"])

    def remove(call: Call) -> None:
        channels.remove_channel(call.caller, call.path["name"])

    def test(call: Call) -> DeliveryReport:
        return channels.test_channel(call.caller, call.path["name"])

    def resume(call: Call) -> Channel:
        return channels.resume_channel(call.caller, call.path["name"])

    def deliveries(call: Call) -> Items[DeliveryReport]:
        asked: DeliveryQuery = call.params
        return channels.list_deliveries(
            call.caller, call.path["name"], state=asked.state or None, **_page(asked)
        )

    def redeliver(call: Call) -> DeliveryReport:
        return channels.redeliver(call.caller, call.path["name"], call.path["delivery_id"])

    def event_types(_call: Call) -> Items[str]:
        return Items(list(EVENT_TYPES))

    base, admin = "/api/v1/channels", "channels:admin"
    one = base + "/{name}"
    sent = one + "/deliveries"
    return [
        Route("GET", "/api/v1/event-types", event_types, _READ, summary="The types of events", result=Items[str]),
        Route("POST", base, add, admin, NewChannel, "Add a channel", result=Channel),
        Route("POST", "/api/v1/webhooks", add_webhook, admin, NewChannel, "Add a webhook", result=NewWebhook),
        Route("GET", base, listing, admin, summary="Channels and webhooks", result=Items[Channel]),
        Route("GET", one, get, admin, summary="Read a channel", result=Channel),
        Route("DELETE", one, remove, admin, summary="Remove a channel"),
        Route("POST", one + "/test", test, admin, summary="Send a test message", result=DeliveryReport),
        Route("POST", one + "/resume", resume, admin, summary="Resume a paused channel", result=Channel),
        Route("GET", sent, deliveries, admin, summary="What went through it", result=Items[DeliveryReport],
              query=DeliveryQuery),
        Route(
            "POST", sent + "/{delivery_id}/retry", redeliver, admin,
            summary="Send a dead letter again", result=DeliveryReport,
        ),
    ]  # fmt: skip


class _Asked(TypedDict):
    limit: int
    page_token: str


def _page(asked: PageQuery) -> _Asked:
    return {"limit": asked.limit, "page_token": asked.page_token}
