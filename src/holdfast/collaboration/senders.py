"""Sending one message through one channel: signed webhooks, and what apprise speaks. Both by the guarded door alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Protocol

import msgspec

from holdfast.collaboration.addresses import hide_secrets
from holdfast.collaboration.apprise_child import Answer, Order
from holdfast.collaboration.outbox import Message
from holdfast.kernel.errors import HoldfastError, Unavailable
from holdfast.kernel.webhooks import sign_message
from holdfast.web.egress import Egress
from holdfast.web.egress_proxy import EgressProxy

__all__ = ["AppriseSender", "Outcome", "Secret", "Sender", "WebhookSender"]

_CHILD_S = 20.0
_MOST_ERROR = 500
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class Secret(msgspec.Struct, frozen=True):
    """What is sealed of a channel: its address, and a webhook's signing secret."""

    url: str
    signing: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What became of an attempt: the HTTP status where there was one; no error means that it was taken."""

    status: int | None = None
    error: str = ""


class Sender(Protocol):
    """Sends a message; never raises for what the other side does."""

    def send(self, secret: Secret, delivery_id: str, body: str, now_ms: int) -> Outcome: ...


class WebhookSender:
    """POSTs the message as JSON, signed as Standard Webhooks has it; a status from 200 to 299 is success."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def send(self, secret: Secret, delivery_id: str, body: str, now_ms: int) -> Outcome:
        data, seconds = body.encode(), now_ms // 1000
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": delivery_id,
            "Webhook-Timestamp": str(seconds),
            "Webhook-Signature": sign_message(secret.signing, delivery_id, seconds, data),
        }
        try:
            reply = self._egress.request("POST", secret.url, headers=headers, body=data)
        except HoldfastError as error:
            return Outcome(error=hide_secrets(str(error), secret.url)[:_MOST_ERROR])
        if 200 <= reply.status < 300:
            return Outcome(reply.status)
        moved = "; redirects are not followed" if 300 <= reply.status < 400 else ""
        return Outcome(reply.status, f"It answered {reply.status}{moved}.")


class AppriseSender:
    """Sends the message's words by apprise, in a child whose every connection goes through the door."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def send(self, secret: Secret, delivery_id: str, body: str, now_ms: int) -> Outcome:
        message = msgspec.json.decode(body, type=Message)
        lines = [message.text, f"{message.object}, workspace {message.workspace}, {message.time}"]
        try:
            answer = self._run(
                secret.url, f"[{message.severity}] {message.title}", "\n".join(lines), message.severity
            )
        except HoldfastError as error:
            return Outcome(error=str(error)[:_MOST_ERROR])
        return Outcome(error=answer.error)

    def describe(self, url: str) -> Answer:
        """Whether apprise understands an address, and how it shows without secrets. Connects to nothing."""
        return self._run(url)

    def _run(self, url: str, title: str = "", body: str = "", severity: str = "info") -> Answer:
        with EgressProxy(self._egress) as proxy:
            order = Order(proxy.port, proxy.secret, url, title, body, severity)
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "holdfast.collaboration.apprise_child"],
                    input=msgspec.json.encode(order),
                    capture_output=True,
                    timeout=_CHILD_S,
                    env={name: os.environ[name] for name in (*_CERTIFICATES, "PATH") if name in os.environ},
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise Unavailable(f"Sending took longer than {_CHILD_S:g} s.") from None
        try:
            answer = msgspec.json.decode(done.stdout, type=Answer)
        except msgspec.DecodeError:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise Unavailable(
                f"The sending process failed: {hide_secrets(last, url)[:_MOST_ERROR]}."
            ) from None
        return msgspec.structs.replace(answer, error=hide_secrets(answer.error, url)[:_MOST_ERROR])
