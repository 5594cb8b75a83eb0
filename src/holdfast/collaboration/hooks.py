"""Hooks: channels that programs made for MLflow's webhooks: told of changes of the registry, in MLflow's form.

A hook is a channel of the kind `mlflow`: its deliveries are written with the news, retried, kept and paused as those of all
channels. What it is told comes ready from who knows the registry (`HookSource`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from holdfast.audit import service as audit
from holdfast.audit.records import AuditEntry
from holdfast.collaboration.addresses import hide_secrets, host_of_url
from holdfast.collaboration.channel_records import HOOK, Channel, Delivery
from holdfast.collaboration.deliver import PURPOSE
from holdfast.collaboration.events import Match
from holdfast.collaboration.outbox import Outgoing
from holdfast.collaboration.senders import Outcome, Secret
from holdfast.collaboration.store import channels as store
from holdfast.identity.service import require
from holdfast.kernel.errors import Conflict, HoldfastError, InvalidInput, NotFound
from holdfast.kernel.ids import new_id
from holdfast.kernel.principal import Caller
from holdfast.kernel.times import iso
from holdfast.storage import Storage, Tx, lock
from holdfast.storage.secret_box import SecretBox
from holdfast.web.egress import Egress

__all__ = ["Hook", "HookAnswer", "HookSender", "HookSource", "Hooks", "NewHook", "body_of"]

_PERMISSION = "registry:write"
_MOST_HOOKS, _MOST_ERROR, _MOST_BODY = 100, 500, 10_000


class NewHook(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook is to be: `events` as `model_version.created`, an `https` address, a secret to sign by or none."""

    name: str
    url: str
    events: tuple[str, ...]
    description: str = ""
    secret: str = ""
    is_active: bool = True


class Hook(NewHook, frozen=True, kw_only=True):
    """A hook, without its secret. Times are ms UTC."""

    hook_id: str
    created_at: int
    updated_at: int


class HookAnswer(msgspec.Struct, frozen=True):
    """What the other side said to a test: its HTTP status and body, or what went wrong before there was one."""

    status: int | None = None
    body: str = ""
    error: str = ""


class HookSource(Protocol):
    """Who knows what a change of the registry means to hooks."""

    def told(self, entry: AuditEntry) -> Sequence[tuple[str, dict[str, Any]]]:
        """(event, data) of what an entry is to hooks; empty when nothing."""
        ...


class _Sealed(Secret, frozen=True):
    """What is sealed of a hook."""

    name: str = ""
    description: str = ""
    updated_at: int = 0


class Hooks:
    """The hooks of a workspace. All of it needs the permission registry:write."""

    def __init__(self, storage: Storage, box: SecretBox, egress: Egress) -> None:
        self._storage = storage
        self._box = box
        self._egress = egress

    def may_reach(self, url: str) -> bool:
        """Whether an address may be sent to, as far as can be told without resolving its host."""
        try:
            self._egress.check_url(url)
        except InvalidInput:
            return False
        return True

    def add(self, caller: Caller, new: NewHook) -> Hook:
        """A new hook. Audited. Raises InvalidInput for an address that may not be reached."""
        require(caller, _PERMISSION)
        self._egress.check_url(new.url)
        hook_id = new_id("ch-")
        channel = Channel(
            hook_id,
            f"mlflow-{hook_id.removeprefix('ch-')[-24:]}",
            HOOK,
            host_of_url(new.url)[:500],
            Match(events=new.events),
            "active" if new.is_active else "paused",
            0,
            caller.time_ms,
            caller.principal.name,
        )
        kept = _Sealed(new.url, new.secret, new.name, new.description, caller.time_ms)
        sealed = self._seal(caller, hook_id, kept)

        def fn(tx: Tx) -> None:
            lock(tx, "channel", caller.workspace, channel.name)
            if len(store.list_channels(tx, caller.workspace)) >= _MOST_HOOKS:
                raise Conflict(f"The workspace has {_MOST_HOOKS} channels, which is as many as it may have.")
            store.insert_channel(tx, caller.workspace, channel, sealed)
            audit.append(
                tx, caller, action="channel.add", object=f"channel:{channel.name}", after=_recorded(channel)
            )

        self._storage.write(fn)
        return _hook(channel, kept)

    def list_hooks(self, caller: Caller) -> list[Hook]:
        """All of them, the newest first."""
        require(caller, _PERMISSION)

        def fn(tx: Tx) -> list[tuple[Channel, str]]:
            found = [one for one in store.list_channels(tx, caller.workspace) if one.kind == HOOK]
            return [(one, store.load_sealed(tx, caller.workspace, one.channel_id)) for one in found]

        return [
            _hook(channel, self._open(caller, channel.channel_id, sealed))
            for channel, sealed in reversed(self._storage.read(fn))
        ]

    def get(self, caller: Caller, hook_id: str) -> Hook:
        """One hook. Raises NotFound."""
        require(caller, _PERMISSION)
        channel, kept = self._load(caller, hook_id)
        return _hook(channel, kept)

    def change(self, caller: Caller, hook_id: str, values: dict[str, Any]) -> Hook:
        """Change what `values` names of a hook, by the fields of `NewHook`. Audited. Raises NotFound, InvalidInput."""
        require(caller, _PERMISSION)
        if "url" in values:
            self._egress.check_url(values["url"])
        now_ms = caller.time_ms

        def fn(tx: Tx) -> tuple[Channel, _Sealed]:
            before = _hold(tx, caller, hook_id)
            kept = self._open(caller, hook_id, store.load_sealed(tx, caller.workspace, hook_id))
            kept = _Sealed(
                values.get("url", kept.url),
                values.get("secret", kept.signing),
                values.get("name", kept.name),
                values.get("description", kept.description),
                now_ms,
            )
            is_active = values.get("is_active", before.state == "active")
            after = msgspec.structs.replace(
                before,
                target=host_of_url(kept.url)[:500],
                match=Match(events=values.get("events", before.match.events)),
                state="active" if is_active else "paused",
                failures=before.failures if is_active == (before.state == "active") else 0,
                message="",
            )
            sealed = self._seal(caller, hook_id, kept)
            store.update_channel(tx, caller.workspace, after)
            store.update_sealed(tx, caller.workspace, hook_id, sealed)
            audit.append(
                tx,
                caller,
                action="channel.change",
                object=f"channel:{before.name}",
                before=_recorded(before),
                after=_recorded(after),
            )
            return after, kept

        return _hook(*self._storage.write(fn))

    def remove(self, caller: Caller, hook_id: str) -> None:
        """Delete a hook, its secret and what waits for it. Audited. Raises NotFound."""
        require(caller, _PERMISSION)

        def fn(tx: Tx) -> None:
            channel = _hold(tx, caller, hook_id)
            store.delete_channel(tx, caller.workspace, hook_id)
            before = {"kind": channel.kind, "target": channel.target}
            audit.append(tx, caller, action="channel.remove", object=f"channel:{channel.name}", before=before)

        self._storage.write(fn)

    def try_out(self, caller: Caller, hook_id: str, event: str, data: dict[str, Any]) -> HookAnswer:
        """Tell a hook of an event that did not happen, once and now; what the other side says."""
        require(caller, _PERMISSION)
        _, kept = self._load(caller, hook_id)
        body = body_of(event, data, caller.time_ms)
        return _post(self._egress, kept, new_id("t-"), body, caller.time_ms)

    def are_there(self, caller: Caller) -> bool:
        """Whether the caller's workspace has active hooks. Whoever changes what they tell of may ask."""
        return bool(self._storage.read(lambda tx: _hooks(tx, caller.workspace)))

    def publish(self, caller: Caller, event: str, data: dict[str, Any]) -> None:
        """Let every active hook that asks for an event be told of it; by whoever did what it tells of."""

        def fn(tx: Tx) -> None:
            for one in _wanting(tx, caller.workspace, event):
                delivery = _delivery(one, -1, new_id("h-"), event, data, caller.time_ms)
                store.insert_delivery(tx, caller.workspace, delivery)

        self._storage.write(fn)

    def prepare(self, source: HookSource, entries: Sequence[AuditEntry], now_ms: int) -> list[Outgoing]:
        """The deliveries that entries of the audit log give rise to."""
        found: list[Outgoing] = []
        for workspace in sorted({entry.workspace for entry in entries}):
            if not self._storage.read(lambda tx, w=workspace: _hooks(tx, w)):  # type: ignore[misc]
                continue
            for entry in entries:
                if entry.workspace == workspace:
                    found += self._of_entry(source, entry, now_ms)
        return found

    def _of_entry(self, source: HookSource, entry: AuditEntry, now_ms: int) -> list[Outgoing]:
        found = []
        for number, (event, data) in enumerate(source.told(entry)):
            wanting = self._storage.read(lambda tx, e=event: _wanting(tx, entry.workspace, e))  # type: ignore[misc]
            for channel in wanting:
                delivery_id = f"h-{entry.index}-{number}-{channel.channel_id}"
                delivery = _delivery(channel, entry.index, delivery_id, event, data, entry.time_ms)
                found.append(
                    Outgoing(
                        entry.workspace, msgspec.structs.replace(delivery, due_at=now_ms, created_at=now_ms)
                    )
                )
        return found

    def _load(self, caller: Caller, hook_id: str) -> tuple[Channel, _Sealed]:
        def fn(tx: Tx) -> tuple[Channel, str]:
            return _find(tx, caller, hook_id), store.load_sealed(tx, caller.workspace, hook_id)

        channel, sealed = self._storage.read(fn)
        return channel, self._open(caller, hook_id, sealed)

    def _seal(self, caller: Caller, hook_id: str, kept: _Sealed) -> str:
        row = f"{caller.workspace}/{hook_id}"
        return self._box.seal(msgspec.json.encode(kept), purpose=PURPOSE, row=row)

    def _open(self, caller: Caller, hook_id: str, sealed: str) -> _Sealed:
        row = f"{caller.workspace}/{hook_id}"
        return msgspec.json.decode(self._box.open(sealed, purpose=PURPOSE, row=row), type=_Sealed)


class HookSender:
    """POSTs what a hook is told, signed as MLflow's servers do; a status from 200 to 299 is success."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def send(self, secret: Secret, delivery_id: str, body: str, now_ms: int) -> Outcome:
        """See `Sender`."""
        answer = _post(self._egress, secret, delivery_id, body, now_ms)
        if answer.status is None:
            return Outcome(error=answer.error)
        if 200 <= answer.status < 300:
            return Outcome(answer.status)
        return Outcome(answer.status, f"It answered {answer.status}.")


def body_of(event: str, data: dict[str, Any], time_ms: int) -> str:
    """What a hook is told of an event."""
    entity, _, action = event.partition(".")
    told = {"entity": entity, "action": action, "timestamp": iso(time_ms), "data": data}
    return msgspec.json.encode(told).decode()


def _post(egress: Egress, secret: Secret, delivery_id: str, body: str, now_ms: int) -> HookAnswer:
    seconds = now_ms // 1000
    headers = {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": str(seconds),
    }
    if secret.signing:
        signed = f"{delivery_id}.{seconds}.{body}".encode()
        digest = hmac.new(secret.signing.encode(), signed, hashlib.sha256).digest()
        headers["X-MLflow-Signature"] = f"v1,{base64.b64encode(digest).decode()}"
    try:
        reply = egress.request("POST", secret.url, headers=headers, body=body.encode())
    except HoldfastError as error:
        return HookAnswer(error=hide_secrets(str(error), secret.url)[:_MOST_ERROR])
    return HookAnswer(reply.status, reply.body[:_MOST_BODY].decode(errors="replace"))


def _delivery(
    channel: Channel, entry: int, delivery_id: str, event: str, data: dict[str, Any], time_ms: int
) -> Delivery:
    body = body_of(event, data, time_ms)
    return Delivery(delivery_id, channel.channel_id, entry, event, body, "pending", 0, time_ms, time_ms)


def _hooks(tx: Tx, workspace: str) -> list[Channel]:
    return [one for one in store.list_channels(tx, workspace) if one.kind == HOOK and one.state == "active"]


def _wanting(tx: Tx, workspace: str, event: str) -> list[Channel]:
    return [one for one in _hooks(tx, workspace) if event in one.match.events]


def _find(tx: Tx, caller: Caller, hook_id: str) -> Channel:
    found = store.load_channel(tx, caller.workspace, hook_id)
    if found is None or found.kind != HOOK:
        raise NotFound(f"Webhook with ID {hook_id[:80]} not found.")
    return found


def _hold(tx: Tx, caller: Caller, hook_id: str) -> Channel:
    """The hook as it is under its lock: nobody else changes it until the transaction ends."""
    lock(tx, "channel", caller.workspace, _find(tx, caller, hook_id).name)
    return _find(tx, caller, hook_id)


def _recorded(channel: Channel) -> dict[str, Any]:
    match = msgspec.to_builtins(channel.match)
    return {"kind": channel.kind, "target": channel.target, "match": match, "state": channel.state}


def _hook(channel: Channel, kept: _Sealed) -> Hook:
    return Hook(
        hook_id=channel.channel_id,
        name=kept.name,
        url=kept.url,
        events=channel.match.events,
        description=kept.description,
        is_active=channel.state == "active",
        created_at=channel.created_at,
        updated_at=kept.updated_at,
    )
