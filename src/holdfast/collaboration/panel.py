"""The panel of an object: what happened to it, what people say of it, and whether one watches it.

Pages of other rooms show it by the template `collaboration/feed.html`; the composition root hands them a `PanelOf`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from markupsafe import Markup

from holdfast.collaboration.markdown import render_markdown
from holdfast.collaboration.records import Activity, Comment, Thread
from holdfast.collaboration.service import BODY_LIMIT, Collaboration
from holdfast.identity.service import may
from holdfast.kernel.principal import Caller
from holdfast.web import Call
from holdfast.web.wording import plural

__all__ = ["CommentView", "Line", "Panel", "PanelOf", "build_line", "build_panel", "view_comment"]

_PER_PAGE = 20


class CommentView(msgspec.Struct, frozen=True):
    """A comment with its safe HTML, and what the reader may do with it."""

    comment: Comment
    html: Markup
    may_edit: bool
    may_delete: bool


class Line(msgspec.Struct, frozen=True):
    """A line of a feed: an entry in words, or a comment with the answers to it."""

    activity: Activity | None
    comment: CommentView | None
    replies: list[CommentView]
    address: str = ""
    """The page of what the comment is on."""


class Panel(msgspec.Struct, frozen=True):
    """What the panel of an object shows."""

    object: str
    lines: list[Line]
    summary: str
    is_watching: bool
    may_watch: bool
    may_comment: bool
    only_comments: bool
    token: str
    next_token: str | None
    limit: int
    query: dict[str, str]


PanelOf = Callable[[Call, str], Panel | None]
"""The panel of an object (`kind:name`); None for who may not read comments."""


def build_panel(collaboration: Collaboration, call: Call, object: str) -> Panel | None:
    """The panel of an object, for the reader and the part that the address asks for by `feed` and `feed_page`."""
    caller, query = call.caller, dict(call.query)
    if not may(caller.principal, "collaboration:read"):
        return None
    on = collaboration.find_object(caller, object).object
    only, token = query.get("feed") == "comments", query.get("feed_page", "")
    if only:
        threads = collaboration.list_threads(caller, on, limit=_PER_PAGE, page_token=token)
        lines, next_token = [_of_thread(caller, one) for one in threads.items], threads.next_page_token
    else:
        found = collaboration.list_activity(caller, on, limit=_PER_PAGE, page_token=token)
        lines, next_token = [build_line(caller, one) for one in found.items], found.next_page_token
    may_watch = may(caller.principal, "inbox:use")
    return Panel(
        object=on,
        lines=lines,
        summary=plural(collaboration.count_comments(caller, on), "comment"),
        is_watching=may_watch and collaboration.is_watching(caller, on),
        may_watch=may_watch,
        may_comment=may(caller.principal, "collaboration:write"),
        only_comments=only,
        token=token,
        next_token=next_token,
        limit=BODY_LIMIT,
        query=query,
    )


def build_line(caller: Caller, activity: Activity) -> Line:
    """A line of a feed as the reader sees it."""
    if activity.thread is None:
        return Line(activity, None, [])
    return _of_thread(caller, activity.thread, activity.address)


def _of_thread(caller: Caller, thread: Thread, address: str = "") -> Line:
    return Line(None, view_comment(caller, thread.comment), _views(caller, thread.replies), address)


def _views(caller: Caller, comments: Sequence[Comment]) -> list[CommentView]:
    return [view_comment(caller, comment) for comment in comments]


def view_comment(caller: Caller, comment: Comment) -> CommentView:
    """A comment as the reader sees it."""
    stands = comment.deleted_at is None
    mine = stands and comment.author_id == caller.principal.id
    may_write = may(caller.principal, "collaboration:write")
    return CommentView(
        comment,
        Markup(render_markdown(comment.body, comment.mentions)),
        mine and may_write,
        stands and may_write and (mine or may(caller.principal, "identity:admin")),
    )
