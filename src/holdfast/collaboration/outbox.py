"""What is to leave by channels: deliveries, written once for each event and channel that asks for it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from holdfast.audit.words import object_address
from holdfast.collaboration.channel_records import Channel, Delivery
from holdfast.collaboration.events import Event
from holdfast.collaboration.records import ObjectResolver, ResolvedObject
from holdfast.collaboration.store import channels as store
from holdfast.identity.service import system_caller
from holdfast.kernel.errors import NotFound
from holdfast.kernel.times import iso
from holdfast.storage import Storage, Tx

__all__ = ["Message", "Outbox", "Outgoing"]


class Message(msgspec.Struct, frozen=True):
    """What a channel is told, and as JSON the body that a webhook gets: the same bytes at every attempt."""

    id: str
    """Unique for each event; a receiver that has seen it may drop the message."""
    type: str
    time: str
    workspace: str
    severity: str
    actor: str
    object: str
    title: str
    """What the object is called."""
    address: str
    """The path of its page on the server."""
    text: str


class Outgoing(msgspec.Struct, frozen=True):
    """A delivery that is to be written, with the workspace that it belongs to."""

    workspace: str
    delivery: Delivery


class Outbox:
    """Matches events with channels."""

    def __init__(self, storage: Storage, objects: ObjectResolver) -> None:
        self._storage = storage
        self._objects = objects

    def prepare(self, events: Sequence[Event], now_ms: int) -> list[Outgoing]:
        """The deliveries that events give rise to."""
        found: list[Outgoing] = []
        for workspace in sorted({event.workspace for event in events}):
            channels = self._storage.read(functools.partial(_channels, workspace))
            for event in events if channels else ():
                if event.workspace == workspace:
                    found += self._of_event(event, channels, now_ms)
        return found

    def _of_event(self, event: Event, channels: Sequence[Channel], now_ms: int) -> list[Outgoing]:
        wanted = [channel for channel in channels if channel.match.accepts(event)]
        if not wanted:
            return []
        thing = self._resolve(event, now_ms)
        body = msgspec.json.encode(_message(event, thing)).decode()
        return [
            Outgoing(
                event.workspace,
                Delivery(
                    delivery_id=f"d-{event.index}-{channel.channel_id}",
                    channel_id=channel.channel_id,
                    event=event.index,
                    type=event.type,
                    body=body,
                    state="pending",
                    attempts=0,
                    due_at=now_ms,
                    created_at=now_ms,
                ),
            )
            for channel in wanted
            if channel.match.tags.items() <= thing.tags.items()
        ]

    def _resolve(self, event: Event, now_ms: int) -> ResolvedObject:
        try:
            return self._objects.resolve(system_caller(event.workspace, now_ms), event.object)
        except NotFound:  # deleted since
            return ResolvedObject(event.object, event.object, object_address(event.object))

    @staticmethod
    def insert(tx: Tx, outgoing: Outgoing) -> None:
        """Write a delivery, unless its channel has been removed meanwhile."""
        if store.load_channel(tx, outgoing.workspace, outgoing.delivery.channel_id) is not None:
            store.insert_delivery(tx, outgoing.workspace, outgoing.delivery)


def _channels(workspace: str, tx: Tx) -> list[Channel]:
    return store.list_channels(tx, workspace)


def _message(event: Event, thing: ResolvedObject) -> Message:
    return Message(
        id=f"{event.workspace}-{event.index}",
        type=event.type,
        time=iso(event.time_ms),
        workspace=event.workspace,
        severity=event.severity,
        actor=event.actor,
        object=event.object,
        title=thing.title,
        address=thing.address,
        text=event.text,
    )
