"""An audit entry in words, and where the thing that it names stands."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from holdfast.audit.records import AuditEntry

__all__ = ["describe_entry", "name_actor", "object_address"]

_VERBS = {
    "alert.end": "ended an alert on",
    "alert.raise": "raised an alert on",
    "alias.delete": "deleted",
    "channel.add": "added",
    "channel.change": "changed",
    "channel.pause": "paused",
    "channel.remove": "removed",
    "channel.resume": "resumed",
    "comment.create": "commented on",
    "comment.delete": "deleted a comment on",
    "comment.edit": "edited a comment on",
    "endpoint.activate": "put the new version to work at",
    "endpoint.delete": "deleted",
    "endpoint.deploy": "deployed to",
    "endpoint.fail": "could not serve the new version at",
    "endpoint.feedback": "delivered labels to",
    "endpoint.monitor": "set the monitor of",
    "experiment.create": "started",
    "model.create": "created",
    "model.log": "logged",
    "run.delete": "deleted",
    "run.finish": "finished",
    "run.purge": "purged",
    "run.reopen": "reopened",
    "run.restore": "restored",
    "version.prepare": "prepared",
    "version.register": "registered",
}


def name_actor(entry: AuditEntry) -> str:
    """Who did it, by name where the name is still known."""
    return entry.actor_name or f"principal {entry.actor[:12]}"


def describe_entry(entry: AuditEntry) -> str:
    """One sentence: who did what to what."""
    who = name_actor(entry)
    after: dict[str, Any] = entry.after or {}
    if entry.action == "alias.set" and "version" in after:
        return f"{who} pointed {_in_words(entry.object)} at version {after['version']}"
    if entry.action == "comment.create" and after.get("parent"):
        return f"{who} answered a comment on {_in_words(entry.object)}"
    verb = _VERBS.get(entry.action)
    return (
        f"{who} {verb} {_in_words(entry.object)}" if verb else f"{who} did {entry.action} on {entry.object}"
    )


def object_address(thing: str) -> str:
    """The page of an object such as `model:flights/3`; empty when it has none."""
    kind, _, name = thing.partition(":")
    if kind == "model":
        model, _, version = name.partition("@")[0].partition("/")
        return f"/models/{quote(model, safe='')}" + (f"/{version}" if version else "")
    if kind == "channel":
        return f"/settings/channels#{quote(name, safe='')}"
    if kind == "audit":
        return f"/audit/{quote(name, safe='')}"
    rooms = {"run": "runs", "experiment": "experiments", "endpoint": "endpoints", "alert": "incidents"}
    return f"/{rooms[kind]}/{quote(name, safe='')}" if kind in rooms else ""


def _in_words(thing: str) -> str:
    kind, _, name = thing.partition(":")
    if kind == "model" and "@" in name:
        model, alias = name.split("@", 1)
        return f"@{alias} of {model}"
    if kind == "model" and "/" in name:
        model, version = name.rsplit("/", 1)
        return f"{model} version {version}"
    if kind == "audit":
        return f"audit entry {name}"
    if kind in ("run", "logged-model") and len(name) > 20:
        name = f"{name[:13]}…"
    return f"the {kind.removeprefix('logged-')} {name}"
