"""Which audit entries are news, and what the news is called outside."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from holdfast.audit.records import AuditEntry
from holdfast.audit.words import describe_entry
from holdfast.kernel.errors import InvalidInput

__all__ = [
    "EVENT_TYPES",
    "SEVERITIES",
    "Event",
    "Match",
    "check_match",
    "event_of",
    "objects_concerned",
    "owns",
]

SEVERITIES = ("info", "warning", "critical")
"""From least to most."""

_TYPES = {
    "alert.end": "alert.ended",
    "alert.raise": "alert.raised",
    "alias.delete": "alias.deleted",
    "alias.set": "alias.set",
    "channel.pause": "channel.paused",
    "comment.create": "comment.created",
    "comment.delete": "comment.deleted",
    "comment.edit": "comment.edited",
    "endpoint.activate": "deployment.activated",
    "endpoint.delete": "endpoint.deleted",
    "endpoint.deploy": "deployment.requested",
    "endpoint.fail": "deployment.failed",
    "endpoint.feedback": "labels.delivered",
    "endpoint.monitor": "monitor.set",
    "experiment.create": "experiment.created",
    "model.create": "model.created",
    "model.log": "model.logged",
    "run.finish": "run.finished",
    "run.reopen": "run.reopened",
    "version.prepare": "version.prepared",
    "version.register": "version.registered",
}
"""Action of the audit log -> type of the event."""
EVENT_TYPES = tuple(sorted(_TYPES.values()))

_QUIET = {"comment.deleted", "comment.edited", "labels.delivered", "model.logged", "run.reopened"}
"""Events that reach channels that ask for them, but no inbox: they come by the hundred, or say nothing new."""
_OWNING = {
    "channel.add", "endpoint.deploy", "endpoint.monitor", "experiment.create", "model.create", "run.finish",
    "version.register",
}  # fmt: skip


class Event(msgspec.Struct, frozen=True):
    """Something that happened, as channels and inboxes tell it."""

    index: int
    """The audit entry."""
    type: str
    severity: str
    time_ms: int
    workspace: str
    actor_id: str
    actor: str
    object: str
    text: str
    is_quiet: bool


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events a channel gets: those that meet every condition given. An empty list asks for nothing special."""

    events: tuple[str, ...] = ()
    """Event types; `alert` stands for every type that begins with `alert.`."""
    severity: str = "info"
    """The least severity."""
    objects: tuple[str, ...] = ()
    """Patterns of object names, such as `endpoint:flight-*`."""
    tags: dict[str, str] = {}
    """Tags that the object carries."""

    def accepts(self, event: Event) -> bool:
        """Whether the event meets the conditions, apart from the tags."""
        return (
            (not self.events or any(_is_of(event.type, wanted) for wanted in self.events))
            and SEVERITIES.index(event.severity) >= SEVERITIES.index(self.severity)
            and (not self.objects or any(fnmatchcase(event.object, one) for one in self.objects))
        )


def _is_of(type: str, wanted: str) -> bool:
    return type == wanted or type.startswith(f"{wanted}.")


def check_match(match: Match) -> None:
    """Raises InvalidInput for a type or severity that no event has."""
    for wanted in match.events:
        if not any(_is_of(type, wanted) for type in EVENT_TYPES):
            raise InvalidInput(
                f"{wanted[:80]!r} is not a type of event.", hint=f"There are: {', '.join(EVENT_TYPES)}."
            )
    if match.severity not in SEVERITIES:
        raise InvalidInput(
            f"{match.severity[:40]!r} is not a severity.", hint=f"Use {', '.join(SEVERITIES)}."
        )
    if sum(map(len, match.objects)) + sum(len(key) + len(value) for key, value in match.tags.items()) > 4000:
        raise InvalidInput("The conditions of the channel are longer than 4,000 characters.")


def event_of(entry: AuditEntry) -> Event | None:
    """The event that an entry stands for; None for entries that are no news, such as a channel's own."""
    type = _TYPES.get(entry.action)
    if type is None:
        return None
    return Event(
        entry.index, type, _severity(entry), entry.time_ms, entry.workspace, entry.actor, entry.actor_name,
        entry.object, f"{describe_entry(entry)}.", type in _QUIET,
    )  # fmt: skip


def _severity(entry: AuditEntry) -> str:
    status = (entry.after or {}).get("status")
    if entry.action == "alert.raise":
        return "critical"
    return "warning" if entry.action in ("endpoint.fail", "channel.pause") or status == "failed" else "info"


def objects_concerned(entry: AuditEntry) -> Sequence[str]:
    """The objects whose watchers hear of an entry: its own, and the model of a version or alias, the alert itself."""
    kind, _, name = entry.object.partition(":")
    after = entry.after or {}
    if kind == "model" and "@" in name:
        model = name.partition("@")[0]
        moved_to = (f"model:{model}/{after['version']}",) if "version" in after else ()
        return (f"model:{model}", *moved_to)
    if kind == "model" and "/" in name:
        return (entry.object, f"model:{name.rpartition('/')[0]}")
    if entry.action.startswith("alert.") and "alert" in after:
        return (entry.object, f"alert:{after['alert']}")
    return (entry.object,)


def owns(entry: AuditEntry) -> bool:
    """Whether who did this is from then on told of the object's changes."""
    return entry.action in _OWNING and entry.auth != "system"
