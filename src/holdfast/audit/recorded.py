"""What the audit log says that things are, against what their rows say: a row that was changed beside the log is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from holdfast.audit.records import AuditEntry
from holdfast.audit.store import leaves as store
from holdfast.storage import Tx

__all__ = ["Fact", "Recorded", "differences"]

Fact = tuple[str, str | None]
"""A thing in words, and what it is; None: there is none."""


class Recorded(Protocol):
    """The governed things of a room. One is made for each comparison, and may remember what it has seen."""

    def by_log(self, entry: AuditEntry) -> Iterable[Fact]:
        """What an entry makes of the room's things; of a thing the newest holds."""
        ...

    def by_rows(self, tx: Tx) -> Iterable[Fact]:
        """What the room's rows say of all the things that entries tell of. May yield a thing twice: both must hold."""
        ...


def differences(tx: Tx, rooms: Sequence[Recorded]) -> Iterator[str]:
    """Every thing whose rows are not as the log says, in words."""
    for room, told in zip(rooms, _tell(tx, rooms), strict=True):
        left = dict(told)
        try:
            for thing, found in room.by_rows(tx):
                left.pop(thing, None)
                if (wanted := told.get(thing)) != found:
                    yield f"{thing} is {found or 'there'} in the database, and {wanted or 'unknown'} by the audit log"
        except (ValueError, TypeError, LookupError, msgspec.MsgspecError) as error:
            yield f"a row of {type(room).__module__.split('.')[1]} can't be read: {error}"
        yield from (
            f"{thing} is {value} by the audit log, and gone from the database"
            for thing, value in left.items()
        )


def _tell(tx: Tx, rooms: Sequence[Recorded]) -> list[dict[str, str]]:
    told: list[dict[str, str]] = [{} for _ in rooms]
    after = -1
    while entries := store.entries_after(tx, after, 1000):
        for entry in entries:
            for room, facts in zip(rooms, told, strict=True):
                _keep(facts, room, entry)
        after = entries[-1].index
    return told


def _keep(facts: dict[str, str], room: Recorded, entry: AuditEntry) -> None:
    try:
        for thing, value in room.by_log(entry):
            if value is None:
                facts.pop(thing, None)
            else:
                facts[thing] = value
    except (TypeError, ValueError, LookupError, AttributeError):
        return  # an entry without its details is damaged, and the log's own check names it
