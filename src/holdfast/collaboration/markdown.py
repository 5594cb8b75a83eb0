"""A comment's Markdown as safe HTML, and the names that it mentions.

CommonMark with tables and strikethrough. Raw HTML is text; links go to http, https or this server's own pages;
there are no images, so that opening a page asks no other host for anything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

__all__ = ["MOST_MENTIONS", "mentioned_names", "render_markdown"]

MOST_MENTIONS = 20
_MENTION = re.compile(r"(?<![\w@/.-])@([^\W_][\w.-]{0,62}\w|[^\W_])")
# A scheme that we know, or a path, query or fragment of this server: nothing before its first '/', '?' or '#' may
# hold a colon, and nothing may begin with two slashes, which browsers read as another host.
_LINK = re.compile(r"https?://[^/\\]|/(?![/\\])|[?#]|[^:/?#\\]+(?:[/?#]|$)", re.IGNORECASE)
_RIGHT = ' class="num"'
_KNOWN, _FOUND = "mentions", "found"


def render_markdown(body: str, mentions: Collection[str] = ()) -> str:
    """The HTML of a comment: safe to place on a page as it is. `mentions` are the names to be marked."""
    html: str = _parser().render(body, {_KNOWN: frozenset(mentions)})
    return html


def mentioned_names(body: str) -> list[str]:
    """The first 20 names after an @, each once, in order; not those inside code or links."""
    environment: dict[str, Any] = {_FOUND: {}}
    _parser().parse(body, environment)
    return list(environment[_FOUND])[:MOST_MENTIONS]


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # 80 ms: not at the server's start

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    parser.core.ruler.push("mentions", _mark_mentions)
    rules: dict[str, Any] = parser.renderer.rules  # type: ignore[attr-defined]
    rules["link_open"] = _link_open
    rules["heading_open"], rules["heading_close"] = _as("<p><strong>"), _as("</strong></p>\n")
    rules["th_open"], rules["td_open"] = _cell_open, _cell_open
    rules["mention"] = _mention
    return parser


def _as(html: str) -> Any:
    return lambda *_: html


def _link_open(tokens: Sequence[Token], index: int, _options: Any, _environment: Any) -> str:
    from markdown_it.common.utils import escapeHtml

    href, title = (str(tokens[index].attrGet(name) or "") for name in ("href", "title"))
    said = f' title="{escapeHtml(title)}"' if title else ""
    return f'<a href="{escapeHtml(href)}"{said} rel="noopener nofollow">'


def _cell_open(tokens: Sequence[Token], index: int, _options: Any, _environment: Any) -> str:
    """A cell of a table; to the right by a class, because the pages' policy forbids style attributes."""
    is_right = "right" in str(tokens[index].attrGet("style") or "")
    return f"<{tokens[index].tag}{_RIGHT if is_right else ''}>"


def _mention(tokens: Sequence[Token], index: int, _options: Any, _environment: Any) -> str:
    from markdown_it.common.utils import escapeHtml

    return f'<span class="mention">@{escapeHtml(tokens[index].content)}</span>'


def _mark_mentions(state: StateCore) -> None:
    """Split text at the names after an @; text within code and links is left alone."""
    for block in state.tokens:
        if block.type == "inline" and block.children:
            block.children = list(_with_mentions(block.children, state.env))


def _with_mentions(tokens: Sequence[Token], environment: Any) -> Any:
    depth = 0
    for token in tokens:
        depth += (token.type == "link_open") - (token.type == "link_close")
        if token.type == "text" and depth == 0 and "@" in token.content:
            yield from _split(token, environment)
        else:
            yield token


def _split(token: Token, environment: Any) -> Any:
    text, done = token.content, 0
    known, found = environment.get(_KNOWN, ()), environment.get(_FOUND)
    for match in _MENTION.finditer(text):
        if found is not None:
            found[match[1]] = None
        if match[1] in known:
            yield token.copy(content=text[done : match.start()])
            yield token.copy(type="mention", content=match[1])
            done = match.end()
    yield token.copy(content=text[done:])
