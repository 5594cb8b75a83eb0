"""Bodies as strangers send them: too large, cut short, of another type, malformed, bottomless."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import anyio
import msgspec
import pytest

from holdfast.kernel.paging import PageQuery
from holdfast.web import Call, Route, Upload
from holdfast.web.dispatch import Door
from holdfast.web.shell import build_shell

LIMIT = 1_000
JSON = {"Content-Type": "application/json"}


class Thing(msgspec.Struct, frozen=True):
    name: str
    depth: int = 1


class ThingQuery(PageQuery, frozen=True, kw_only=True):
    object: str
    is_deep: bool = False
    state: Literal["", "open"] = ""


def digest(call: Call) -> dict[str, Any]:
    data = b"".join(call.blocks)
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def bodies(shell: Callable[..., Any]) -> Any:
    return shell(
        Route("POST", "/json", lambda call: call.body, "public", Thing, max_body=LIMIT),
        Route("POST", "/any", lambda call: {"got": call.body}, "public", Any, max_body=10**6),
        Route("POST", "/bytes", lambda call: {"size": len(call.body)}, "public", bytes, max_body=LIMIT),
        Route("PUT", "/upload", digest, "public", Upload, max_body=LIMIT),
        Route("GET", "/things", lambda call: call.params, "public", query=ThingQuery),
        Route("POST", "/none", lambda call: {"body": call.body}, "public"),
    )


async def chunks(size: int) -> AsyncIterator[bytes]:
    for at in range(0, size, 100):
        yield b"x" * min(100, size - at)


def test_a_body_is_decoded_to_its_record(bodies: Any) -> None:
    assert bodies.post("/json", json={"name": "a"}).json() == {"name": "a", "depth": 1}
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert bodies.post("/json", content=b'{"name":"\xc3\xa9"}', headers=headers).json()["name"] == "é"


@pytest.mark.parametrize(("body", "told"), [
    ({}, "missing required field `name`"), ({"name": 1}, "Expected `str`, got `int` - at `$.name`"),
    ({"name": "a", "depth": "deep"}, "$.depth"), ([], "Expected `object`"), ({"name": "a", "depth": 1.5}, "$.depth"),
])  # fmt: skip
def test_a_body_that_does_not_fit_says_where(bodies: Any, body: object, told: str) -> None:
    answer = bodies.post("/json", json=body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_what_the_address_asks_for_is_decoded_to_its_record(bodies: Any) -> None:
    default = {"object": "a", "limit": 100, "page_token": "", "is_deep": False, "state": ""}
    assert bodies.get("/things?object=a").json() == default
    assert bodies.get("/things?object=a&limit=&page_token=&state=&unknown=1").json() == default
    asked = bodies.get("/things?object=%C3%A9+b&limit=1000&is_deep=true&state=open&page_token=x").json()
    assert asked == {"object": "é b", "limit": 1000, "page_token": "x", "is_deep": True, "state": "open"}


@pytest.mark.parametrize(("query", "told"), [
    ("", "missing required field `object`"), ("object=", "missing required field `object`"),
    *((f"object=a&limit={text}", f"limit={text[:40]!r} does not fit")
      for text in ("0", "-1", "1001", "1.5", "1e400", "nan", "ten", "9" * 5000)),
    ("object=a&limit=%C2%B2", "limit='²' does not fit"), ("object=a&is_deep=perhaps", "is_deep='perhaps'"),
    ("object=a&state=odd", "state='odd'"),
])  # fmt: skip
def test_an_address_that_asks_for_what_there_is_not_is_told_what(bodies: Any, query: str, told: str) -> None:
    answer = bodies.get(f"/things?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"name": NaN}', b'{"name": "a"} x', b'{"name": "\xff"}', b"\xff\xfe{\x00}\x00",
             b'{"name": "\\ud800"}', b'{"name": "a", "depth": 1e999}']
)  # fmt: skip
def test_a_body_that_is_not_json_is_refused(bodies: Any, body: bytes) -> None:
    answer = bodies.post("/json", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_input"


@pytest.mark.parametrize("path", ["/any", "/json"])
def test_bottomless_json_is_refused(bodies: Any, path: str) -> None:
    deep = b'{"unknown":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    answer = bodies.post(path, content=deep, headers=JSON)
    assert answer.status_code in (400, 413)


@pytest.mark.parametrize("media", ["", "text/plain", "application/xml", "application/jsonp"])
def test_another_content_type_is_refused(bodies: Any, media: str) -> None:
    answer = bodies.post("/json", content=b'{"name":"a"}', headers={"Content-Type": media})
    assert answer.status_code == 400
    assert "application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path"), [("POST", "/json"), ("POST", "/bytes"), ("PUT", "/upload")])
def test_a_body_over_the_limit_is_413(bodies: Any, method: str, path: str) -> None:
    """Told by its Content-Length, or found while it streams in without one."""
    for content in (b"x" * (LIMIT + 1), chunks(LIMIT + 1)):
        answer = bodies.request(method, path, content=content, headers=JSON)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "payload_too_large"
        assert str(LIMIT) in answer.json()["error"]["message"]


def test_a_body_at_the_limit_is_taken(bodies: Any) -> None:
    assert bodies.post("/bytes", content=b"x" * LIMIT).json() == {"size": LIMIT}
    for content in (b"x" * LIMIT, chunks(LIMIT)):
        answer = bodies.put("/upload", content=content).json()
        assert answer == {"size": LIMIT, "sha256": hashlib.sha256(b"x" * LIMIT).hexdigest()}


@pytest.mark.parametrize("length", ["9" * 5_000, "00001001"])
def test_an_absurd_content_length_is_413(bodies: Any, length: str) -> None:
    assert bodies.post("/bytes", content=b"x", headers={"Content-Length": length}).status_code == 413


def test_a_handler_can_have_the_bytes_behind_its_record(shell: Callable[..., Any]) -> None:
    http = shell(
        Route(
            "POST", "/raw", lambda call: {"raw": call.raw.decode(), "name": call.body.name}, "public", Thing
        )
    )
    sent = b'{ "name" : "a" }'
    assert http.post("/raw", content=sent, headers=JSON).json() == {"raw": sent.decode(), "name": "a"}


def test_an_empty_upload_is_an_empty_file(bodies: Any) -> None:
    assert bodies.put("/upload", content=b"").json()["size"] == 0


def test_a_body_where_none_is_wanted_is_not_read(bodies: Any) -> None:
    assert bodies.post("/none", content=b"x" * 10_000).json() == {"body": None}


@pytest.mark.parametrize(("method", "path"), [("POST", "/bytes"), ("POST", "/json"), ("PUT", "/upload")])
def test_a_body_cut_short_is_refused(door: Door, method: str, path: str) -> None:
    finished: list[object] = []
    routes = [
        Route("POST", "/bytes", finished.append, "public", bytes),
        Route("POST", "/json", finished.append, "public", Thing),
        Route("PUT", "/upload", lambda call: finished.append(b"".join(call.blocks)), "public", Upload),
    ]
    app = build_shell(routes, door, observe=lambda *_: None)
    incoming = iter(
        [{"type": "http.request", "body": b'{"na', "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-length", b"100"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": headers,
        "query_string": b"",
        "state": {},
    }
    anyio.run(app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"ended before its stated length" in sent[1]["body"]
    assert finished == []
