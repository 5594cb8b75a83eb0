"""The pages of comments, activity and the inbox, and what their forms send."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence

import msgspec

from holdfast.collaboration.channel_records import WEBHOOK, Channel, DeliveryReport
from holdfast.collaboration.channels import Channels
from holdfast.collaboration.events import EVENT_TYPES, Match
from holdfast.collaboration.panel import build_line, view_comment
from holdfast.collaboration.records import Comment, Notification, Revision
from holdfast.collaboration.service import BODY_LIMIT, Collaboration
from holdfast.kernel.errors import InvalidInput
from holdfast.web import Call, Form, Page, Redirect, Route
from holdfast.web.diffs import DiffLine, read_diff
from holdfast.web.forms import attempt
from holdfast.web.wording import plural

__all__ = ["pages"]

_READ, _WRITE, _INBOX = "collaboration:read", "collaboration:write", "inbox:use"
_PER_PAGE = 50
_FORM_LIMIT = 16 * BODY_LIMIT
_MOST_LINES = 1000
_LATEST = 20
_STATES = {"pending": "busy", "delivered": "ok", "dead": "harm"}
_KINDS = {"mention": "attention", "reply": "busy", "alert": "harm", "change": "neutral"}


class ChannelView(msgspec.Struct, frozen=True):
    """A channel with its latest deliveries, and every dead letter."""

    channel: Channel
    reports: list[DeliveryReport]
    dead: int
    waits: int


class Change(msgspec.Struct, frozen=True):
    """How a comment's text came to be what it was at a time."""

    revision: Revision
    lines: list[DiffLine]


def pages(collaboration: Collaboration, channels: Channels) -> list[Route]:
    """`/activity`, `/inbox`, `/comments/{comment_id}`, `/settings/channels`, and where their forms go."""
    return [
        *_shown(collaboration),
        *_comment_forms(collaboration),
        *_inbox_forms(collaboration),
        *_channel_pages(channels),
    ]


def _shown(collaboration: Collaboration) -> list[Route]:
    def show_activity(call: Call) -> Page:
        token = call.query.get("page_token", "")
        found = collaboration.list_activity(call.caller, limit=_PER_PAGE, page_token=token)
        context = {
            "lines": [build_line(call.caller, one) for one in found.items],
            "token": token,
            "next_token": found.next_page_token,
            "query": dict(call.query),
        }
        return Page("collaboration/activity.html", context, "Activity")

    def show_inbox(call: Call) -> Page:
        state, token = call.query.get("state", ""), call.query.get("page_token", "")
        if state not in ("", "unread"):
            raise InvalidInput(f"The state {state[:40]!r} is not 'unread'.", hint="See /inbox for all.")
        found = collaboration.list_notifications(
            call.caller, unread=bool(state), limit=_PER_PAGE, page_token=token
        )
        unread = collaboration.count_unread(call.caller)
        context = {
            "news": found.items,
            "kinds": _KINDS,
            "unread": unread,
            "sentence": _inbox_sentence(found.items, unread),
            "state": state,
            "token": token,
            "next_token": found.next_page_token,
            "query": dict(call.query),
        }
        return Page("collaboration/inbox.html", context, "Inbox")

    def show_comment(call: Call) -> Page:
        comment = collaboration.get_comment(call.caller, call.path["comment_id"])
        thing = collaboration.find_object(call.caller, comment.object)
        revisions = collaboration.list_revisions(call.caller, comment.comment_id).items
        context = {
            "view": view_comment(call.caller, comment),
            "thing": thing,
            "changes": _changes(revisions),
            "limit": BODY_LIMIT,
        }
        return Page("collaboration/comment.html", context, f"Comment on {thing.title}")

    return [
        Route("GET", "/activity", show_activity, "audit:read", summary="What happened in the workspace"),
        Route("GET", "/inbox", show_inbox, _INBOX, summary="The inbox"),
        Route("GET", "/comments/{comment_id}", show_comment, _READ, summary="A comment and its history"),
    ]


def _comment_forms(collaboration: Collaboration) -> list[Route]:
    def place_of(call: Call, comment: Comment) -> Redirect:
        page = collaboration.find_object(call.caller, comment.object).address
        return Redirect(f"{page}#{comment.comment_id}" if page else f"/comments/{comment.comment_id}")

    def create(call: Call) -> Redirect:
        object, body, parent = (_field(call, name) for name in ("object", "body", "parent_id"))
        return place_of(call, collaboration.create_comment(call.caller, object, body, parent or None))

    def edit(call: Call) -> Redirect:
        made = collaboration.edit_comment(call.caller, call.path["comment_id"], _field(call, "body"))
        return place_of(call, made)

    def delete(call: Call) -> Redirect:
        return place_of(call, collaboration.delete_comment(call.caller, call.path["comment_id"]))

    one = "/comments/{comment_id}"
    return [
        Route("POST", "/comments", create, _WRITE, Form, "Comment, by a form", _FORM_LIMIT),
        Route("POST", one + "/edit", edit, _WRITE, Form, "Edit a comment, by a form", _FORM_LIMIT),
        Route("POST", one + "/delete", delete, _WRITE, Form, "Delete a comment, by a form"),
    ]


def _inbox_forms(collaboration: Collaboration) -> list[Route]:
    def watch(call: Call) -> Redirect:
        object = _field(call, "object")
        if _field(call, "watch"):
            collaboration.watch(call.caller, object)
        else:
            collaboration.unwatch(call.caller, object)
        return Redirect(f"{collaboration.find_object(call.caller, object).address or '/inbox'}#discussion")

    def mark(call: Call) -> Redirect:
        event = _field(call, "event")
        if event and not (event.isascii() and event.isdigit() and len(event) < 16):
            raise InvalidInput(f"{event[:40]!r} is not the number of a notification.")
        collaboration.mark_read(call.caller, [int(event)] if event else None)
        return Redirect("/inbox?state=unread" if _field(call, "state") else "/inbox")

    return [
        Route("POST", "/subscriptions", watch, _INBOX, Form, "Watch an object or not, by a form"),
        Route("POST", "/inbox/read", mark, _INBOX, Form, "Mark notifications as read, by a form"),
    ]


def _channel_pages(channels: Channels) -> list[Route]:
    def page(call: Call, problem: str = "", status: int = 200, secret: str = "") -> Page:
        found = channels.list_channels(call.caller).items
        views = [_view_channel(call, channels, channel) for channel in found]
        kind, sentence = _channels_sentence(views)
        context = {
            "views": views,
            "kind": kind,
            "sentence": sentence,
            "states": _STATES,
            "problem": problem,
            "secret": secret,
            "entered": call.body if problem and isinstance(call.body, dict) else {},
            "events": [("", "every event"), ("alert", "alerts"), *((name, name) for name in EVENT_TYPES)],
        }
        return Page("collaboration/channels.html", context, "Channels", status)

    def add(call: Call) -> Redirect | Page:
        def change() -> Redirect | Page:
            name, url = _field(call, "name").strip(), _field(call, "url").strip()
            event = _field(call, "event")
            match = Match(events=(event,) if event else (), severity=_field(call, "severity") or "info")
            if _field(call, "kind") == WEBHOOK:
                return page(call, secret=channels.add_webhook(call.caller, name, url, match).secret)
            channels.add_channel(call.caller, name, url, match)
            return Redirect(f"/settings/channels#{name}")

        return attempt(change, lambda *told: page(call, *told))

    def remove(call: Call) -> Redirect:
        channels.remove_channel(call.caller, call.path["name"])
        return Redirect("/settings/channels")

    def test(call: Call) -> Redirect:
        channels.test_channel(call.caller, call.path["name"])
        return Redirect(f"/settings/channels#{call.path['name']}")

    def resume(call: Call) -> Redirect:
        channels.resume_channel(call.caller, call.path["name"])
        return Redirect(f"/settings/channels#{call.path['name']}")

    def retry(call: Call) -> Redirect:
        channels.redeliver(call.caller, call.path["name"], call.path["delivery_id"])
        return Redirect(f"/settings/channels#{call.path['name']}")

    one, admin = "/settings/channels/{name}", "channels:admin"
    return [
        Route("GET", "/settings/channels", page, admin, summary="Channels and webhooks"),
        Route("POST", "/settings/channels", add, admin, Form, "Add a channel or webhook, by a form"),
        Route("POST", one + "/remove", remove, admin, Form, "Remove a channel, by a form"),
        Route("POST", one + "/test", test, admin, Form, "Send a test message, by a form"),
        Route("POST", one + "/resume", resume, admin, Form, "Resume a channel, by a form"),
        Route("POST", one + "/deliveries/{delivery_id}/retry", retry, admin, Form, "Send a dead letter again, by a form"),
    ]  # fmt: skip


def _view_channel(call: Call, channels: Channels, channel: Channel) -> ChannelView:
    latest = channels.list_deliveries(call.caller, channel.name, limit=_LATEST).items
    dead = channels.list_deliveries(call.caller, channel.name, state="dead", limit=_LATEST).items
    shown = {report.delivery.delivery_id: report for report in [*dead, *latest]}
    rows = sorted(shown.values(), key=lambda report: (-report.delivery.created_at, -report.delivery.event))
    waits = sum(report.delivery.state == "pending" for report in latest)
    return ChannelView(channel, rows, len(dead), waits)


def _channels_sentence(views: Sequence[ChannelView]) -> tuple[str, str]:
    paused = [view.channel.name for view in views if view.channel.state == "paused"]
    dead = sum(view.dead for view in views)
    if paused:
        return "harm", f"{plural(len(paused), 'channel')} paused after repeated failure: {', '.join(paused)}."
    if dead:
        return "attention", f"{plural(dead, 'message')} could not be delivered."
    return ("ok", "Every channel delivers.") if views else ("neutral", "News stays in the inboxes.")


def _field(call: Call, name: str) -> str:
    fields: dict[str, str] = call.body
    return fields.get(name, "")


def _inbox_sentence(news: Sequence[Notification], unread: int) -> str:
    if unread:
        return f"{plural(unread, 'notification')} {'is' if unread == 1 else 'are'} unread."
    return "Everything is read." if news else "Nothing is here."


def _changes(revisions: Sequence[Revision]) -> list[Change]:
    """Each revision after the first against the one before, the newest first."""
    found = []
    for before, after in itertools.pairwise(revisions):
        texts = before.body.splitlines(), after.body.splitlines()
        diff = list(difflib.unified_diff(*texts, lineterm="", n=_MOST_LINES))[3:]
        found.append(Change(after, read_diff("\n".join(diff), _MOST_LINES)))
    return found[::-1]
