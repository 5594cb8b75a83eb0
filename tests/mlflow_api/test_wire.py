"""Names in both spellings, by the fields that a message has."""

from __future__ import annotations

import msgspec
import pytest

from holdfast.mlflow_api.wire import Message
from holdfast.web import Call


class Pair(msgspec.Struct):
    key_name: str | None = None


class Whole(msgspec.Struct):
    run_id: str | None = None
    labels: dict[str, str] | None = None
    many_pairs: list[Pair] | None = None


@pytest.mark.parametrize("spelling", ["runId", "run_id"])
def test_fields_are_read_in_both_spellings_and_keys_of_maps_are_left(spelling: str) -> None:
    body = {
        spelling: "r",
        "labels": {"runId": "x", "manyPairs": "y"},
        "manyPairs": [{"keyName": "k"}],
        "further": [1],
    }
    raw = msgspec.json.encode(body)
    found = Message(Whole).read(make_call(raw))
    assert found == Whole("r", {"runId": "x", "manyPairs": "y"}, [Pair("k")])


def make_call(raw: bytes) -> Call:
    headers = {"content-type": "application/json"}
    return Call(caller=None, path={}, query={}, headers=headers, raw=raw)  # type: ignore[arg-type]
