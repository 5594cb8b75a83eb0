"""Collaboration over a real database, with people who can be mentioned and a run to talk about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from holdfast.collaboration.service import Collaboration
from holdfast.kernel.principal import Caller, Principal

if TYPE_CHECKING:
    from holdfast.app.compose import Composition

PEOPLE = {name: Principal(f"p-{name}", name, "contributor", "session") for name in ("ada", "grace", "edsger")}


@pytest.fixture
def collaboration(composition: Composition) -> Collaboration:
    c = composition
    return Collaboration(c.storage, c.audit, c.resolver, PEOPLE.get)


@pytest.fixture
def run(composition: Composition, caller: Caller) -> str:
    """The name of a run, as an object."""
    return f"run:{composition.tracking.create_run(caller, name='brave-otter').run_id}"


@pytest.fixture
def follow(composition: Composition) -> Callable[[], int]:
    """Follow the audit log to its end, as the worker does; gives how many entries there were."""

    def to_the_end() -> int:
        total = 0
        while count := composition.follower.follow(composition.clock.now_ms()):
            total += count
        return total

    return to_the_end
