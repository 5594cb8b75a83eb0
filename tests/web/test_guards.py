"""Who may reach a server without a login: this machine, and pages of the server itself."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from holdfast.web.hosts import host_of, is_loopback_host

OURS = ["127.0.0.1:5000", "127.0.0.1", "localhost:5000", "LocalHost", "[::1]:5000", "127.8.9.10:80"]
FOREIGN = [
    "evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example", "127.evil.example",
    "192.168.0.7:5000", "0.0.0.0:5000", "[::]:5000", "[fe80::1]", "", "localhost@evil.example", "[::1", "127.0.0.1, a",
]  # fmt: skip


@pytest.mark.parametrize("host", OURS)
def test_loopback_hosts_are_served(thing: Any, host: str) -> None:
    assert thing.get("/api/v1/thing", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_was_rebound_to_us_is_refused(thing: Any, host: str) -> None:
    """DNS rebinding: the browser believes that we are evil.example, and says so in the Host header."""
    for method in ("GET", "POST"):
        answer = thing.request(method, "/api/v1/thing", headers={"Host": host})
        assert answer.status_code == 403
        assert host[:20] in answer.json()["error"]["message"]


@pytest.mark.parametrize("origin", [
    "null", "https://evil.example", "http://evil.example:5000", "http://127.0.0.1:5001", "http://localhost:5000",
    "https://127.0.0.1:5000", "http://127.0.0.1:5000.evil.example", "file://", "",
])  # fmt: skip
def test_a_write_from_another_origin_is_refused(thing: Any, origin: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = thing.request(method, "/api/v1/thing", json={}, headers={"Origin": origin})
        assert answer.status_code == 403
        assert repr(origin) in answer.json()["error"]["message"]


def test_a_write_from_our_own_pages_or_from_a_program_is_served(thing: Any) -> None:
    assert thing.post("/api/v1/thing", json={"a": 1}).status_code == 200
    answer = thing.post("/api/v1/thing", json={"a": 1}, headers={"Origin": "http://127.0.0.1:5000"})
    assert answer.status_code == 200
    ipv6 = {"Host": "[::1]:5000", "Origin": "http://[::1]:5000"}
    assert thing.post("/api/v1/thing", json={}, headers=ipv6).status_code == 200


def test_a_form_of_another_site_can_not_write(thing: Any) -> None:
    """What a browser lets any page send without asking us first."""
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = thing.post("/api/v1/thing", content=b'{"a": 1}', headers={"Content-Type": media})
        assert answer.status_code == 400
        assert media in answer.json()["error"]["message"]


def test_reading_from_another_origin_gets_no_permission_to_see_the_answer(thing: Any) -> None:
    answer = thing.get("/api/v1/thing", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/api/v1/thing", "/api/v1/things/x", "/nothing", "/static/icon.svg"])
def test_every_answer_carries_the_security_headers(thing: Any, path: str) -> None:
    for headers in ({}, {"Host": "evil.example"}):
        answer = thing.get(path, headers=headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


def test_the_content_security_policy_allows_nothing_unsafe(thing: Any) -> None:
    policy = thing.get("/api/v1/thing").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert (rules["object-src"], rules["base-uri"], rules["frame-ancestors"]) == ("'none'",) * 3
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


def test_every_answer_has_a_request_id_of_our_own(thing: Any) -> None:
    answers = [thing.get("/api/v1/things/x", headers={"X-Request-Id": "mine"}) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert [answer.json()["error"]["request_id"] for answer in answers] == ids
    assert len(set(ids)) == 2 and all(uuid.UUID(one).version == 7 for one in ids)


@pytest.mark.parametrize("netloc", OURS)
def test_loopback(netloc: str) -> None:
    assert is_loopback_host(host_of(netloc))


@pytest.mark.parametrize("netloc", FOREIGN)
def test_not_loopback(netloc: str) -> None:
    assert not is_loopback_host(host_of(netloc))
