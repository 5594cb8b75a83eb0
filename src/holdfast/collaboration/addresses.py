"""The addresses of channels: which kinds there are, what may stand in an address, what of it may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from holdfast.kernel.errors import InvalidInput

__all__ = ["SCHEMES", "check_options", "hide_secrets", "host_of_url", "kind_of", "url_behind"]

SCHEMES = {
    "mailto": "mail",
    "mailtos": "mail",
    "slack": "slack",
    "msteams": "teams",
    "workflows": "teams",
    "pagerduty": "pagerduty",
    "json": "json",
    "jsons": "json",
}
"""Scheme of an address, as apprise writes it -> kind of the channel. There are no others."""
_OPTIONS = {
    "mail": {"to", "from", "name", "smtp", "mode", "user", "pass", "cc", "bcc", "reply", "format"},
    "slack": {"to", "mode", "format", "footer", "image", "blocks", "timestamp"},
    "teams": {"format", "image", "wrap", "version", "id", "team", "token_a", "token_b", "token_c"},
    "pagerduty": {"region", "source", "component", "group", "class", "click", "severity"},
    "json": {"method", "format"},
}
"""Options of an address. Not here are those that read files of the server or turn checks off."""
_FREE_PREFIXES = ("+", ":", "-")
"""json: headers, fields and query values of one's own."""
_ADDRESS_LIMIT = 4000
_SHORTEST_SECRET = 5


def kind_of(url: str) -> str:
    """The kind of channel that an address is of. Raises InvalidInput, naming the scheme that is refused."""
    if len(url) > _ADDRESS_LIMIT or not url.isprintable() or " " in url:
        raise InvalidInput(
            f"The channel's address holds spaces or control characters, or is longer than {_ADDRESS_LIMIT:,}.",
            hint="Percent-encode spaces as %20.",
        )
    scheme, found, _ = url.partition("://")
    kind = SCHEMES.get(scheme) if found else None
    if kind is None:
        raise InvalidInput(
            f"The scheme {scheme[:40]!r} is not one of a channel's.",
            hint=f"Use {', '.join(SCHEMES)}; for everything else a signed webhook: holdfast webhook add.",
        )
    return kind


def check_options(kind: str, options: Iterable[str]) -> None:
    """Raises InvalidInput for an option that may not stand in an address of this kind."""
    for option in options:
        is_free = kind == "json" and option.startswith(_FREE_PREFIXES)
        if option not in _OPTIONS[kind] and not is_free:
            raise InvalidInput(
                f"The option {option[:40]!r} is not one of a {kind} channel's address.",
                hint=f"Use {', '.join(sorted(_OPTIONS[kind]))}.",
            )


def url_behind(url: str) -> str:
    """The http or https address of a `json` or `jsons` channel, without its credentials. Raises InvalidInput."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInput(f"The channel's address is not a URL: {error}.") from None
    return f"{parts.scheme.replace('json', 'http')}://{parts.netloc.rpartition('@')[2]}/"


def host_of_url(url: str) -> str:
    """What of a web or json address may be shown: its host, for the path may be a secret."""
    parts = urlsplit(url)
    more = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{more}"


def hide_secrets(text: str, url: str) -> str:
    """A text without any part of an address that could be a secret; of mail, json and web addresses the host stays."""
    scheme, _, rest = url.partition("://")
    host = ""
    if SCHEMES.get(scheme) not in ("slack", "teams", "pagerduty"):  # there the host is a token
        host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0]
    pieces = {piece.rpartition("=")[2] for piece in re.split(r"[/?#&;@:,]+", rest)} - {host}
    for secret in sorted(pieces | {unquote(piece) for piece in pieces}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "****")
    return text
