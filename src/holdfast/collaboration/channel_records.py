"""Channels, deliveries and their attempts."""

from __future__ import annotations

import msgspec

from holdfast.collaboration.events import Match

__all__ = ["HOOK", "KINDS", "WEBHOOK", "Attempt", "Channel", "Delivery", "DeliveryReport", "NewWebhook"]

WEBHOOK, HOOK = "webhook", "mlflow"
KINDS = ("mail", "slack", "teams", "pagerduty", "json", WEBHOOK, HOOK)
"""What a channel may be; messages of `webhook` are signed, those of `mlflow` are MLflow's webhooks (`hooks`)."""


class Channel(msgspec.Struct, frozen=True):
    """A way out for events. Its address, which holds secrets, is kept apart and sealed."""

    channel_id: str
    name: str
    kind: str
    target: str
    """Where it leads, without secrets: `mail to ops@example.org`."""
    match: Match
    state: str
    """active, or paused after repeated failure."""
    failures: int
    """Attempts that failed since the last one that did not."""
    created_at: int
    created_by: str
    message: str = ""
    """Why it is paused."""


class NewWebhook(msgspec.Struct, frozen=True):
    """A webhook as it is answered once, with the secret that signs its messages."""

    channel: Channel
    secret: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt at a delivery: the HTTP status where there was one, and what went wrong."""

    number: int
    started_at: int
    ended_at: int
    status: int | None
    error: str


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way through one channel."""

    delivery_id: str
    """The same at every attempt: what a receiver tells repetitions by."""
    channel_id: str
    event: int
    """The audit entry; -1 for a test."""
    type: str
    body: str
    state: str
    """pending, delivered, or dead after the last attempt."""
    attempts: int
    due_at: int
    created_at: int
    ended_at: int | None = None
    error: str = ""
    """What went wrong at the last attempt."""


class DeliveryReport(msgspec.Struct, frozen=True):
    """A delivery with every attempt at it, in order."""

    delivery: Delivery
    attempts: list[Attempt]
