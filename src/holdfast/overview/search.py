"""Search over every noun: each room finds its own, here the best are put in one order."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from holdfast.audit.service import AuditLog
from holdfast.identity.people import People
from holdfast.identity.records import DEPLOYMENT_ADMIN
from holdfast.identity.service import may
from holdfast.kernel.matching import Found, Hit, Wanted, best, parse_wanted
from holdfast.kernel.principal import Caller
from holdfast.monitoring.service import Monitor
from holdfast.overview.places import find_places
from holdfast.predictions.service import Predictions
from holdfast.registry.service import Registry
from holdfast.tracking.service import Tracking
from holdfast.web.wording import plural

__all__ = ["Search", "SearchAnswer", "describe_answer"]

_OF_EACH = 10
"""The most hits of one kind."""
_Room = tuple[str, Callable[[Caller, Wanted, int], Found]]


class SearchAnswer(msgspec.Struct, frozen=True):
    """What a search found, the best first; `notes` tell what was not looked at, `is_cut` whether there is more."""

    query: str
    items: list[Hit]
    notes: list[str]
    is_cut: bool


class Search:
    """Finds things by words in the caller's workspace, of the rooms that the caller may read."""

    def __init__(
        self,
        audit: AuditLog,
        tracking: Tracking,
        registry: Registry,
        predictions: Predictions,
        monitor: Monitor,
        people: People,
    ) -> None:
        self._rooms: list[_Room] = [
            ("registry:read", registry.search),
            ("serving:read", predictions.search),
            ("monitoring:read", monitor.search),
            ("tracking:read", tracking.search),
            (DEPLOYMENT_ADMIN, people.search),
            ("audit:read", lambda caller, wanted, _limit: audit.search(caller, wanted)),
        ]

    def find(self, caller: Caller, text: str, limit: int) -> SearchAnswer:
        """The best hits for a text; without words the pages that one can go to. Raises InvalidInput."""
        wanted = parse_wanted(text)
        places = find_places(caller, wanted)
        if not wanted.words:
            return SearchAnswer("", places, [], False)
        of_each = min(limit, _OF_EACH)
        found = [
            search(caller, wanted, of_each)
            for permission, search in self._rooms
            if may(caller.principal, permission)
        ]
        hits = best([*places, *(hit for one in found for hit in one.hits)], limit + 1)
        notes = [one.note for one in found if one.note]
        return SearchAnswer(wanted.text, hits[:limit], notes, len(hits) > limit)


def describe_answer(answer: SearchAnswer) -> tuple[str, str]:
    """A kind and a sentence: how many were found."""
    if not answer.query:
        return "neutral", ""
    if not answer.items:
        return "neutral", f"Nothing has the words “{answer.query}”."
    more = ", the best of more" if answer.is_cut else ""
    return "neutral", f"{plural(len(answer.items), 'thing')} found{more}."
