"""Verbs on channels and webhooks, for administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.client.api import Api, segment
from holdfast.client.records import Channel

__all__ = ["ChannelVerbs"]

_CHANNELS = "/api/v1/channels"


class _NewWebhook(msgspec.Struct, frozen=True):
    channel: Channel
    secret: str


class ChannelVerbs:
    """The channels part of `Client`."""

    _api: Api

    def add_channel(
        self,
        name: str,
        url: str,
        *,
        events: Sequence[str] = (),
        severity: str = "info",
        objects: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> Channel:
        """A channel to mail, Slack, Teams, PagerDuty or JSON, by an address as apprise writes it.

        It is told of events of these types (`alert` for all of alerts), at least this severe, on objects that
        match one of the patterns and carry the tags; without a condition, of all.
        """
        body = {"name": name, "url": url, "match": _match(events, severity, objects, tags)}
        return self._api.post(_CHANNELS, body, Channel)

    def add_webhook(
        self,
        name: str,
        url: str,
        *,
        events: Sequence[str] = (),
        severity: str = "info",
        objects: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> tuple[Channel, str]:
        """A webhook to an https address, and the secret that signs its messages: told this once."""
        body = {"name": name, "url": url, "match": _match(events, severity, objects, tags)}
        answer = self._api.post("/api/v1/webhooks", body, _NewWebhook)
        return answer.channel, answer.secret

    def list_channels(self) -> list[Channel]:
        """Every channel and webhook, without secrets."""
        return list(self._api.pages(_CHANNELS, Channel))

    def get_channel(self, name: str) -> Channel:
        """One channel. Raises NotFound."""
        return self._api.get(f"{_CHANNELS}/{segment(name)}", Channel)

    def test_channel(self, name: str) -> dict[str, Any]:
        """Send one test message now; gives the delivery with its attempt."""
        return self._api.post(f"{_CHANNELS}/{segment(name)}/test", {}, dict)

    def resume_channel(self, name: str) -> Channel:
        """Let a channel send again that was paused after repeated failure."""
        return self._api.post(f"{_CHANNELS}/{segment(name)}/resume", {}, Channel)

    def remove_channel(self, name: str) -> None:
        """Remove a channel with what waits for it. Raises NotFound."""
        self._api.delete(f"{_CHANNELS}/{segment(name)}")

    def list_deliveries(
        self, name: str, *, state: str | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """What went through a channel or waits for it, newest first, with every attempt; `dead` are dead
        letters.
        """
        return self._api.pages(f"{_CHANNELS}/{segment(name)}/deliveries", dict, state=state, limit=page_size)

    def redeliver(self, name: str, delivery_id: str) -> dict[str, Any]:
        """Let a dead letter be sent again."""
        path = f"{_CHANNELS}/{segment(name)}/deliveries/{segment(delivery_id)}/retry"
        return self._api.post(path, {}, dict)


def _match(
    events: Sequence[str], severity: str, objects: Sequence[str], tags: Mapping[str, str] | None
) -> dict[str, Any]:
    return {"events": list(events), "severity": severity, "objects": list(objects), "tags": dict(tags or {})}
