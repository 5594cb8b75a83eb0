from __future__ import annotations

import pytest

from holdfast.kernel.matching import parse_wanted
from holdfast.kernel.principal import Caller
from holdfast.registry.service import Registry


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("flights", ["flights"]),
        ("flights 2", ["flights/2"]),
        ("flights/2", ["flights/2"]),
        ("flights v2", ["flights/2"]),
        ("flights@champion", ["flights@champion"]),
        ("champ", ["flights@champion"]),
        ("model flights version 3", ["flights/3"]),
        ("flights 9", []),
        ("2", []),
    ],
)
def test_models_and_versions(
    registry: Registry, flights: str, caller: Caller, text: str, names: list[str]
) -> None:
    registry.set_alias(caller, flights, "champion", 3)
    assert [hit.name for hit in registry.search(caller, parse_wanted(text), 10).hits] == names
