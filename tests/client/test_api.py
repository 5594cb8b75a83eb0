from __future__ import annotations

import math
import socket

import pytest

from holdfast.client import Client
from holdfast.client.api import Api, encode
from holdfast.client.transport import HttpTransport
from holdfast.kernel.errors import Conflict, HoldfastError, InvalidInput, PolicyRefused, Unavailable

_BUSY = (503, {"error": {"code": "unavailable", "message": "The writer is busy."}})


def _api(plane, waits: list[float] | None = None) -> Api:
    return Api(HttpTransport(plane.url), sleep=(waits if waits is not None else []).append)


def test_a_read_is_repeated_while_the_server_is_busy(plane) -> None:
    waits: list[float] = []
    plane.on("GET /a", _BUSY, _BUSY, (200, {"x": 1}))
    assert _api(plane, waits).get("/a", dict) == {"x": 1}
    assert len(waits) == 2


def test_a_creation_is_sent_once(plane) -> None:
    plane.on("POST /a", _BUSY)
    with pytest.raises(Unavailable, match="busy"):
        _api(plane).post("/a", {}, dict)
    assert len(plane.seen) == 1


def test_a_repeatable_post_is_repeated_with_identical_bytes(plane) -> None:
    plane.on("POST /a", _BUSY, (200, {}))
    _api(plane).post("/a", {"b": 1, "a": [2]}, dict, repeatable=True)
    first, second = plane.bodies("POST /a")
    assert first == second


def test_a_file_is_sent_whole_again(plane, tmp_path) -> None:
    plane.on("PUT /a", _BUSY, (200, {}))
    file = tmp_path / "f"
    file.write_bytes(b"x" * 100_000)
    with file.open("rb") as stream:
        _api(plane).upload("/a", stream, size=100_000)
    assert [len(body) for body in plane.bodies("PUT /a")] == [100_000, 100_000]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_input", InvalidInput),
        (409, "conflict", Conflict),
        (403, "policy_refused", PolicyRefused),
    ],
)
def test_an_error_is_raised_as_the_server_raised_it(plane, status: int, code: str, kind: type) -> None:
    wire = {
        "code": code,
        "message": "No: 'x'.",
        "hint": "Do y.",
        "request_id": "q",
        "details": {"unmet": ["r"]},
    }
    plane.on("GET /a", (status, {"error": wire}))
    with pytest.raises(kind) as raised:
        _api(plane).get("/a", dict)
    assert (raised.value.message, raised.value.hint, raised.value.request_id) == ("No: 'x'.", "Do y.", "q")


def test_an_answer_of_something_else_is_told(plane) -> None:
    plane.on("GET /a", (404, b"<html>nginx"))
    with pytest.raises(HoldfastError, match="404: <html>nginx"):
        _api(plane).get("/a", dict)
    plane.on("GET /a", (200, b"hello"))
    with pytest.raises(HoldfastError, match="could not be read"):
        _api(plane).get("/a", dict)


def test_a_list_is_read_page_by_page(plane) -> None:
    plane.on("GET /a", (200, {"items": [1, 2], "next_page_token": "t"}), (200, {"items": [3]}))
    assert list(_api(plane).pages("/a", int, limit=2)) == [1, 2, 3]
    assert [seen.path for seen in plane.seen] == ["/a?limit=2", "/a?limit=2&page_token=t"]


def test_not_finite_numbers_travel_as_texts() -> None:
    assert encode({"a": [math.nan, math.inf, -math.inf, 1.5]}) == b'{"a":["NaN","Infinity","-Infinity",1.5]}'


def test_without_a_server_the_hint_says_how_to_start_one(monkeypatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url) as client, pytest.raises(Unavailable) as raised:
        client.list_experiments()
    assert "holdfast server" in raised.value.hint and url in raised.value.message


def test_credentials_and_workspace_travel_with_each_request(plane) -> None:
    plane.on("GET /api/v1/experiments", (200, {"items": []}))
    with Client(plane.url, token="t", workspace="w") as client:
        client.list_experiments()
    headers = plane.seen[0].headers
    assert headers["authorization"] == "Bearer t" and headers["x-holdfast-workspace"] == "w"
