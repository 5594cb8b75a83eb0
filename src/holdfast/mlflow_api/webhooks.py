"""MLflow's calls on webhooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from holdfast.collaboration.hooks import Hook, HookAnswer, Hooks, NewHook
from holdfast.kernel.errors import InvalidInput
from holdfast.mlflow_api.news import EVENTS, examples
from holdfast.mlflow_api.wire import Message, answer, decode_offset, encode_offset, limit_of, route
from holdfast.web import Call, Raw, Route

__all__ = ["WebhookCalls", "webhook_routes"]

_WEBHOOKS = "/api/2.0/mlflow/webhooks"
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
_STATES = {"ACTIVE": True, "DISABLED": False}
_STATE_NUMBERS = {"1": "ACTIVE", "2": "DISABLED"}


class _Event(msgspec.Struct):
    entity: str | None = None
    action: str | None = None


class _Create(msgspec.Struct):
    name: str | None = None
    description: str | None = None
    url: str | None = None
    events: list[_Event] | None = None
    secret: str | None = None
    status: str | None = None


class _List(msgspec.Struct):
    max_results: int | None = None
    page_token: str = ""


class _Test(msgspec.Struct):
    event: _Event | None = None


_CREATE, _CHANGE = Message(_Create, "name", "url", "events"), Message(_Create)
_LIST, _TEST = Message(_List), Message(_Test)


class WebhookCalls:
    """The handlers."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def create(self, call: Call) -> Raw:
        """createWebhook"""
        body = _CREATE.read(call)
        new = NewHook(
            name=_name(str(body.name)),
            url=self._url(str(body.url)),
            events=_events(body.events or []),
            description=body.description or "",
            secret=body.secret or "",
            is_active=_is_active(body.status or "ACTIVE"),
        )
        return answer({"webhook": _entity(self._hooks.add(call.caller, new))})

    def list(self, call: Call) -> Raw:
        """listWebhooks"""
        body = _LIST.read(call)
        limit, start = limit_of(body.max_results, default=100, most=1000), decode_offset(body.page_token)
        found = self._hooks.list_hooks(call.caller)
        more = encode_offset(start + limit) if len(found) > start + limit else None
        shown = [_entity(one) for one in found[start : start + limit]]
        return answer({"webhooks": shown, "next_page_token": more})

    def get(self, call: Call) -> Raw:
        """getWebhook"""
        return answer({"webhook": _entity(self._hooks.get(call.caller, call.path["webhook_id"]))})

    def change(self, call: Call) -> Raw:
        """updateWebhook"""
        body = _CHANGE.read(call)
        values: dict[str, Any] = {}
        if body.name:
            values["name"] = _name(body.name)
        if body.url:
            values["url"] = self._url(body.url)
        if body.events:
            values["events"] = _events(body.events)
        if body.description is not None:
            values["description"] = body.description
        if body.secret is not None:
            values["secret"] = body.secret
        if body.status is not None:
            values["is_active"] = _is_active(body.status)
        return answer({"webhook": _entity(self._hooks.change(call.caller, call.path["webhook_id"], values))})

    def _url(self, url: str) -> str:
        """An address that may be told. Plain http is for hosts that an administrator has listed."""
        if not url.strip():
            raise InvalidInput(f"Webhook URL cannot be empty or just whitespace: {url[:80]!r}")
        try:
            parts = urlsplit(url)
            scheme, host = parts.scheme, parts.hostname
        except ValueError as error:
            raise InvalidInput(f"Invalid webhook URL {url[:200]!r}: {error}") from None
        if scheme not in ("http", "https") or (scheme == "http" and not self._hooks.may_reach(url)):
            raise InvalidInput(f"Invalid webhook URL scheme: {scheme[:40]!r}. Allowed schemes are: https.")
        if not host:
            raise InvalidInput(f"Webhook URL must include a hostname: {url[:200]!r}")
        return url

    def delete(self, call: Call) -> Raw:
        """deleteWebhook"""
        self._hooks.remove(call.caller, call.path["webhook_id"])
        return answer()

    def test(self, call: Call) -> Raw:
        """testWebhook"""
        body, hook_id = _TEST.read(call), call.path["webhook_id"]
        hook = self._hooks.get(call.caller, hook_id)
        event = hook.events[0] if body.event is None else _events([body.event])[0]
        said = self._hooks.try_out(call.caller, hook_id, event, examples(event))
        return answer({"result": _result(said)})


def _result(said: HookAnswer) -> dict[str, Any]:
    if said.status is None:
        return {"success": False, "error_message": f"Failed to test webhook: {said.error}"}
    success = said.status < 400
    return {"success": success, "response_status": said.status, "response_body": said.body}


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"Webhook name {name[:80]!r} is invalid. It must start and end with a letter or digit, be less than 63 "
            "characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
        )
    return name


def _events(events: Sequence[_Event]) -> tuple[str, ...]:
    if not events:
        raise InvalidInput("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    found: dict[str, None] = {}
    for one in events:
        entity, action = (one.entity or "").lower(), (one.action or "").lower()
        if entity not in EVENTS:
            raise InvalidInput(
                f"Invalid webhook entity {entity[:80]!r}. Valid entities are: {', '.join(EVENTS)}."
            )
        if action not in EVENTS[entity]:
            raise InvalidInput(
                f"Invalid action '{action[:80]}' for entity '{entity}'. Valid actions are: {list(EVENTS[entity])}"
            )
        found[f"{entity}.{action}"] = None
    return tuple(found)


def _is_active(status: str) -> bool:
    name = _STATE_NUMBERS.get(status, status)
    if name not in _STATES:
        raise InvalidInput(f"Invalid webhook status {status[:40]!r}. It must be ACTIVE or DISABLED.")
    return _STATES[name]


def _entity(hook: Hook) -> dict[str, Any]:
    parts = (event.partition(".") for event in hook.events)
    return {
        "webhook_id": hook.hook_id,
        "name": hook.name,
        "description": hook.description or None,
        "url": hook.url,
        "events": [{"entity": entity.upper(), "action": action.upper()} for entity, _, action in parts],
        "status": "ACTIVE" if hook.is_active else "DISABLED",
        "creation_timestamp": hook.created_at,
        "last_updated_timestamp": hook.updated_at,
    }


def webhook_routes(calls: WebhookCalls) -> list[Route]:
    """The routes of webhooks."""
    one, permission = f"{_WEBHOOKS}/{{webhook_id}}", "registry:write"
    return [
        route("POST", _WEBHOOKS, calls.create, permission),
        route("GET", _WEBHOOKS, calls.list, permission),
        route("GET", one, calls.get, permission),
        route("PATCH", one, calls.change, permission),
        route("DELETE", one, calls.delete, permission),
        route("POST", f"{one}/test", calls.test, permission),
    ]
