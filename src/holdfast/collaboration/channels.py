"""What administrators do with channels and webhooks: add, look, try, resume, remove."""

from __future__ import annotations

import os
import re

import msgspec

from holdfast.audit import service as audit
from holdfast.collaboration.addresses import host_of_url, kind_of, url_behind
from holdfast.collaboration.channel_records import (
    WEBHOOK,
    Attempt,
    Channel,
    Delivery,
    DeliveryReport,
    NewWebhook,
)
from holdfast.collaboration.deliver import PURPOSE, TEST, Courier
from holdfast.collaboration.events import Match, check_match
from holdfast.collaboration.outbox import Message
from holdfast.collaboration.senders import AppriseSender, Secret
from holdfast.collaboration.store import channels as store
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.paging import Items, decode_number, encode_token
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import iso
from holdfast.kernel.webhooks import encode_secret
from holdfast.storage import Storage, Tx, lock
from holdfast.storage.secret_box import SecretBox
from holdfast.web.egress import Egress

__all__ = ["Channels"]

_ADMIN = "channels:admin"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_STATES = ("pending", "delivered", "dead")
_MOST_CHANNELS = 100


class Channels:
    """The channels of a workspace. All of it needs the permission channels:admin."""

    def __init__(
        self, storage: Storage, box: SecretBox, egress: Egress, apprise: AppriseSender, courier: Courier
    ) -> None:
        self._storage = storage
        self._box = box
        self._egress = egress
        self._apprise = apprise
        self._courier = courier

    def add_channel(self, caller: Caller, name: str, url: str, match: Match) -> Channel:
        """A new channel to an address as apprise writes it (mailto, slack, msteams, workflows, pagerduty, json).

        Audited, without the address. Raises InvalidInput for any other scheme, an option that is not allowed, or
        an address that makes no sense; Conflict when the name is taken.
        """
        require(caller, _ADMIN)
        kind = kind_of(url)
        if kind == "json":
            self._egress.check_url(url_behind(url))
        answer = self._apprise.describe(url)
        if not answer.ok:
            raise InvalidInput(f"The address of a {kind} channel does not hold: {answer.error}.")
        return self._insert(caller, name, kind, answer.target[:500], Secret(url), match)

    def add_webhook(self, caller: Caller, name: str, url: str, match: Match) -> NewWebhook:
        """A new webhook to an https address, with the secret that signs its messages: told this once. Audited."""
        require(caller, _ADMIN)
        self._egress.check_url(url)
        secret = Secret(url, encode_secret(os.urandom(32)))
        channel = self._insert(caller, name, WEBHOOK, host_of_url(url)[:500], secret, match)
        return NewWebhook(channel, secret.signing)

    def _insert(
        self, caller: Caller, name: str, kind: str, target: str, secret: Secret, match: Match
    ) -> Channel:
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name[:80]!r} is not a name for a channel.",
                hint="Use 1 to 63 lower-case letters, digits, '-' and '_'.",
            )
        check_match(match)
        channel = Channel(
            new_id("ch-"), name, kind, target, match, "active", 0, caller.time_ms, caller.principal.name
        )
        row = f"{caller.workspace}/{channel.channel_id}"
        sealed = self._box.seal(msgspec.json.encode(secret), purpose=PURPOSE, row=row)

        def fn(tx: Tx) -> Channel:
            lock(tx, "channel", caller.workspace, name)
            if store.find_channel(tx, caller.workspace, name) is not None:
                raise Conflict(f"There is a channel {name!r} already.", hint="Choose another name.")
            if len(store.list_channels(tx, caller.workspace)) >= _MOST_CHANNELS:
                raise Conflict(
                    f"The workspace has {_MOST_CHANNELS} channels, which is as many as it may have."
                )
            store.insert_channel(tx, caller.workspace, channel, sealed)
            after = {"kind": kind, "target": target, "match": msgspec.to_builtins(match)}
            audit.append(tx, caller, action="channel.add", object=f"channel:{name}", after=after)
            return channel

        return self._storage.write(fn)

    def list_channels(self, caller: Caller) -> Items[Channel]:
        """Every channel and webhook, the oldest first, without secrets."""
        require(caller, _ADMIN)
        return Items(self._storage.read(lambda tx: store.list_channels(tx, caller.workspace)))

    def get_channel(self, caller: Caller, name: str) -> Channel:
        """One channel. Raises NotFound, with the known names."""
        require(caller, _ADMIN)
        return self._storage.read(lambda tx: _find_channel(tx, caller, name))

    def remove_channel(self, caller: Caller, name: str) -> None:
        """Delete a channel, its secret and what waits for it. Audited. Raises NotFound."""
        require(caller, _ADMIN)

        def fn(tx: Tx) -> None:
            lock(tx, "channel", caller.workspace, name)
            channel = _find_channel(tx, caller, name)
            store.delete_channel(tx, caller.workspace, channel.channel_id)
            before = {"kind": channel.kind, "target": channel.target}
            audit.append(tx, caller, action="channel.remove", object=f"channel:{name}", before=before)

        self._storage.write(fn)

    def resume_channel(self, caller: Caller, name: str) -> Channel:
        """Let a paused channel send again, what waits for it first. Audited; an active one stays as it is."""
        require(caller, _ADMIN)

        def fn(tx: Tx) -> Channel:
            lock(tx, "channel", caller.workspace, name)
            before = _find_channel(tx, caller, name)
            if before.state != "paused":
                return before
            after = msgspec.structs.replace(before, state="active", failures=0, message="")
            store.update_channel(tx, caller.workspace, after)
            store.bring_forward(tx, caller.workspace, after.channel_id, caller.time_ms)
            audit.append(
                tx,
                caller,
                action="channel.resume",
                object=f"channel:{name}",
                before={"state": before.state},
                after={"state": after.state},
            )
            return after

        return self._storage.write(fn)

    def test_channel(self, caller: Caller, name: str) -> DeliveryReport:
        """Send one test message now and say what became of it. It is attempted once, and stands in the log."""
        channel = self.get_channel(caller, name)
        message = Message(
            id=f"{caller.workspace}-{caller.request_id}",
            type=TEST,
            time=iso(caller.time_ms),
            workspace=caller.workspace,
            severity="info",
            actor=caller.principal.name,
            object=f"channel:{name}",
            title=f"Test of the channel {name}",
            address="",
            text=f"{caller.principal.name} tests the channel {name}. Nothing happened.",
        )
        body = msgspec.json.encode(message).decode()
        test = Delivery(
            new_id("t-"), channel.channel_id, -1, TEST, body, "pending", 0, caller.time_ms, caller.time_ms
        )
        self._storage.write(lambda tx: store.insert_delivery(tx, caller.workspace, test))
        self._courier.attempt(caller.workspace, test)
        return self._storage.read(lambda tx: _report(tx, caller, test.delivery_id))

    def list_deliveries(
        self, caller: Caller, name: str, *, state: str | None = None, limit: int = 100, page_token: str = ""
    ) -> Items[DeliveryReport]:
        """What went through a channel or waits for it, newest first, with every attempt."""
        require(caller, _ADMIN)
        if state is not None and state not in _STATES:
            raise InvalidInput(f"The state {state[:40]!r} is not one of {', '.join(_STATES)}.")
        offset = decode_number(page_token) if page_token else 0

        def fn(tx: Tx) -> tuple[list[DeliveryReport], bool]:
            channel = _find_channel(tx, caller, name)
            found = store.list_deliveries(
                tx, caller.workspace, channel.channel_id, state, max(0, offset), limit + 1
            )
            tried = store.list_attempts(tx, caller.workspace, [one.delivery_id for one in found])
            reports = [DeliveryReport(one, tried.get(one.delivery_id, [])) for one in found]
            return reports[:limit], len(found) > limit

        reports, more = self._storage.read(fn)
        return Items(reports, encode_token(offset + limit) if more else None)

    def redeliver(self, caller: Caller, name: str, delivery_id: str) -> DeliveryReport:
        """Let a dead letter be attempted again from the start. Raises Conflict for one that is not dead."""
        require(caller, _ADMIN)

        def fn(tx: Tx) -> DeliveryReport:
            channel = _find_channel(tx, caller, name)
            lock(tx, "channel", caller.workspace, name)
            found = store.load_delivery(tx, caller.workspace, delivery_id)
            if found is None or found.channel_id != channel.channel_id:
                raise NotFound(f"There is no delivery {delivery_id[:80]!r} of the channel {name!r}.")
            if found.state != "dead" or found.type == TEST:
                raise Conflict(
                    f"The delivery {delivery_id} is {found.state}; only a dead letter is sent again.",
                    hint="A test is repeated with: holdfast alert channel test.",
                )
            again = msgspec.structs.replace(
                found, state="pending", attempts=0, due_at=caller.time_ms, ended_at=None
            )
            store.update_delivery(tx, caller.workspace, again)
            return _report(tx, caller, delivery_id)

        return self._storage.write(fn)


def _find_channel(tx: Tx, caller: Caller, name: str) -> Channel:
    found = store.find_channel(tx, caller.workspace, name)
    if found is None:
        known = [one.name for one in store.list_channels(tx, caller.workspace)]
        raise NotFound(
            f"There is no channel {name[:80]!r}.",
            hint="holdfast alert channel list shows them.",
            details={"known": known[:50]},
        )
    return found


def _report(tx: Tx, caller: Caller, delivery_id: str) -> DeliveryReport:
    found = store.load_delivery(tx, caller.workspace, delivery_id)
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id[:80]!r}.")
    tried: list[Attempt] = store.list_attempts(tx, caller.workspace, [delivery_id]).get(delivery_id, [])
    return DeliveryReport(found, tried)
