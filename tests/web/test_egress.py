"""The one door out: what it lets through, and every way around it that is known."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.kernel.errors import InvalidInput, Unavailable
from holdfast.web.egress import Egress, Limits

from .outside import Outside, make_certificate

LOOPBACK = "127.0.0.1"
PUBLIC = "93.184.216.34"
QUICK = Limits(seconds=0.4)

Start = Callable[[bytes], Outside]


def resolving(**names: str) -> Callable[[str, int], list[str]]:
    """A resolver that knows these names alone (`_` stands for a dot)."""

    def resolve(host: str, _port: int) -> list[str]:
        found = names.get(host.rstrip(".").replace(".", "_"))
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found.split()

    return resolve


@pytest.fixture
def serve_raw() -> Iterator[Callable[..., Outside]]:
    servers: list[Outside] = []

    def start(answer: Callable[[socket.socket], None], *certificate: tuple[Path, Path]) -> Outside:
        servers.append(Outside(answer, *certificate))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def serve_bytes(serve_raw: Callable[..., Outside]) -> Start:
    return lambda data: serve_raw(lambda sock: sock.sendall(data))


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Made: here\r\n\r\nhi"


def test_a_request_reaches_a_listed_host_by_its_pinned_address(serve_bytes: Start) -> None:
    outside = serve_bytes(OK)
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return [LOOPBACK] if len(asked) == 1 else [PUBLIC]

    door = Egress(["hooks.test"], resolve=resolve)
    reply = door.request(
        "POST", f"http://hooks.test:{outside.port}/a?b=1", headers={"X-Key": "k"}, body=b"{}"
    )
    assert (reply.status, reply.body, reply.headers["x-made"]) == (200, b"hi", "here")
    head = outside.seen[0].decode()
    assert head.startswith("POST /a?b=1 HTTP/1.1\r\n")
    assert f"Host: hooks.test:{outside.port}\r\n" in head
    assert "X-Key: k\r\n" in head
    assert asked == ["hooks.test"]  # resolved once: a name that is rebound meanwhile changes nothing


def test_tls_checks_the_name_while_the_address_is_pinned(
    tmp_path: Path, serve_raw: Callable[..., Outside]
) -> None:
    certificate = make_certificate(tmp_path, "hooks.test")
    outside = serve_raw(lambda sock: sock.sendall(OK), certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    door = Egress(
        ["hooks.test", "other.test"],
        resolve=resolving(hooks_test=LOOPBACK, other_test=LOOPBACK),
        tls=trusting,
    )
    assert door.request("GET", f"https://hooks.test:{outside.port}/").body == b"hi"
    assert outside.names == ["hooks.test"]
    with pytest.raises(Unavailable, match="certificate is not valid"):
        door.request("GET", f"https://other.test:{outside.port}/")
    strict = Egress(["hooks.test"], resolve=resolving(hooks_test=LOOPBACK))
    with pytest.raises(Unavailable, match="certificate is not valid"):
        strict.request("GET", f"https://hooks.test:{outside.port}/")


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "2002:7f00:1::",
    "2001::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::5db8:d822", "64:ff9b:1::1", "3fff::1", "fec0::1", "100::1",
])  # fmt: skip
def test_no_name_leads_to_an_address_that_is_not_public(address: str) -> None:
    door = Egress(resolve=resolving(evil_test=address))
    with pytest.raises(InvalidInput, match=r"not a public address"):
        door.request("GET", "https://evil.test/")
    with pytest.raises(InvalidInput, match="not a public address"):
        door.connect("evil.test", 443)


def test_one_private_address_among_public_ones_refuses_all() -> None:
    for addresses in (f"{PUBLIC} 127.0.0.1", f"127.0.0.1 {PUBLIC}", f"{PUBLIC} ::1"):
        with pytest.raises(InvalidInput, match="not a public address"):
            Egress(resolve=resolving(evil_test=addresses)).request("GET", "https://evil.test/")


@pytest.mark.parametrize("host", [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.1.",
    "1.2.3.4.5", "0", "0x", "127.0.0.0x1", "[::ffff:127.0.0.1]", "[::1]", "[fe80::1%25eth0]", "localhost.",
    "127.0.0.1", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "evil.test..", ".evil.test", "-evil.test", "a" * 64 + ".test",
    "evil.test%00.com", "evil%2etest", "",
])  # fmt: skip
def test_odd_notations_of_a_host_are_refused(host: str) -> None:
    door = Egress(resolve=resolving(localhost=LOOPBACK))
    with pytest.raises(InvalidInput):
        door.request("GET", f"https://{host}/")


@pytest.mark.parametrize("url", [
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "https://evil。test/", "https://еxample.test/", "https://exa\u00admple.test/", "https://１２７.0.0.1/",
])  # fmt: skip
def test_hosts_in_unicode_are_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(InvalidInput, match="xn--"):
        Egress(resolve=lambda *_: [PUBLIC]).request("GET", url)


@pytest.mark.parametrize("url", [
    "https://user@good.test/", "https://user:pw@good.test/", "https://good.test@evil.test/", "https://@good.test/",
    "https://good.test:443@127.0.0.1/", "https://good.test#@127.0.0.1/@", "https://good.test\\@127.0.0.1/",
    "https://good.test\t/", "https://good.test/\r\nHost: evil", "https://good.test /", " https://good.test/",
    "file:///etc/passwd", "gopher://good.test/", "ftp://good.test/", "//good.test/", "good.test", "https:good.test",
    "https:///good.test", "https://[::1/", "https://good.test:99999/", "https://good.test:0x50/", "jar:https://good.test/",
    "https://good.test:-1/", "data:text/plain,hi", "dict://127.0.0.1:11211/",
])  # fmt: skip
def test_urls_that_programs_read_differently_are_refused(url: str) -> None:
    door = Egress(resolve=resolving(good_test="10.0.0.1"))
    with pytest.raises(InvalidInput):
        door.request("GET", url)


@pytest.mark.parametrize("port", [22, 80, 25, 3306, 6379, 9200, 0, 65535])
def test_few_ports_are_open(port: int) -> None:
    door = Egress(resolve=resolving(good_test=PUBLIC))
    with pytest.raises(InvalidInput, match="is not one of 443, 8443"):
        door.check_url(f"https://good.test:{port}/")
    with pytest.raises(InvalidInput, match=f"--allow-egress good.test:{port}"):
        door.request("GET", f"https://good.test:{port}/")


def test_plain_http_needs_a_listed_host() -> None:
    door = Egress(["listed.test"], resolve=resolving(good_test=PUBLIC))
    with pytest.raises(InvalidInput, match="in the clear"):
        door.request("GET", "http://good.test/")
    with pytest.raises(InvalidInput, match="in the clear"):
        door.check_url("http://good.test/")
    door.check_url("http://listed.test:8080/")
    door.check_url("https://good.test/")
    with pytest.raises(InvalidInput, match="not a public address"):
        door.check_url("https://10.0.0.1/")


def test_a_list_opens_what_it_names_alone(serve_bytes: Start) -> None:
    outside = serve_bytes(OK)
    names = resolving(a_test=LOOPBACK, b_test=LOOPBACK, meta_test="169.254.169.254")

    def status(allowed: str, host: str) -> int:
        door = Egress([allowed], resolve=names, limits=QUICK)
        return door.request("GET", f"http://{host}:{outside.port}/").status

    assert (
        status("a.test", "a.test") == status("A.Test.", "a.test.") == status("127.0.0.0/8", "b.test") == 200
    )
    assert status(f"a.test:{outside.port}", "a.test") == status("127.0.0.1", "127.0.0.1") == 200
    for allowed, host in (("a.test", "b.test"), ("a.test:1", "a.test"), ("10.0.0.0/8", "a.test"), ("test", "a.test"),
                          ("meta.test", "meta.test"), ("a.test", "127.0.0.1")):  # fmt: skip
        with pytest.raises(InvalidInput):
            status(allowed, host)


@pytest.mark.parametrize(
    "entry", ["", "10.0.0.1/8", "https://a.test", "a.test/x", "a.test:x", "a.test:0", "*", "a b"]
)
def test_a_wrong_entry_of_the_list_is_refused(entry: str) -> None:
    with pytest.raises(InvalidInput):
        Egress([entry])


def test_a_redirect_is_an_answer_and_nothing_more(serve_bytes: Start) -> None:
    inner = serve_bytes(OK)
    outside = serve_bytes(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % inner.port
    )
    reply = Egress(["127.0.0.1"]).request("GET", f"http://127.0.0.1:{outside.port}/")
    assert reply.status == 302
    assert inner.seen == []


def test_proxies_of_the_environment_are_not_used(serve_bytes: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, outside = serve_bytes(OK), serve_bytes(OK)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert Egress(["127.0.0.1"]).request("GET", f"http://127.0.0.1:{outside.port}/").status == 200
    assert (len(proxy.seen), len(outside.seen)) == (0, 1)


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_200_000 + b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 60_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000)) + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
])  # fmt: skip
def test_an_answer_over_the_limits_is_cut_off(serve_bytes: Start, data: bytes) -> None:
    outside = serve_bytes(data)
    with pytest.raises(Unavailable, match=r"over the limit|more than 100 headers"):
        Egress(["127.0.0.1"]).request("GET", f"http://127.0.0.1:{outside.port}/")


@pytest.mark.parametrize("data", [
    b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"HTTP/1.1 999999 X\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
])  # fmt: skip
def test_an_answer_that_is_none_is_unavailable(serve_bytes: Start, data: bytes) -> None:
    outside = serve_bytes(data)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{outside.port} can't be used"):
        Egress(["127.0.0.1"]).request("GET", f"http://127.0.0.1:{outside.port}/")


def test_an_answer_in_drops_ends_at_the_deadline(serve_raw: Callable[..., Outside]) -> None:
    ended = threading.Event()

    def drip(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.05):
            sock.sendall(b"x")

    outside = serve_raw(drip)
    try:
        with pytest.raises(Unavailable, match=r"no answer within 0\.4 s"):
            Egress(["127.0.0.1"], limits=QUICK).request("GET", f"http://127.0.0.1:{outside.port}/")
    finally:
        ended.set()


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    ended = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        ended.wait(10)
        return [PUBLIC]

    try:
        with pytest.raises(Unavailable, match="no answer within"):
            Egress(resolve=hang, limits=QUICK).request("GET", "https://slow.test/")
    finally:
        ended.set()


def test_a_name_without_an_address_is_told() -> None:
    with pytest.raises(Unavailable, match="Name or service not known"):
        Egress(resolve=resolving()).request("GET", "https://nowhere.test/")
    with pytest.raises(Unavailable, match="can't be reached"):
        Egress(resolve=resolving()).connect("nowhere.test", 443)


@pytest.mark.parametrize(("name", "value"), [
    ("X-A", "1\r\nX-B: 2"), ("X-A\r\nX-B", "1"), ("Host", "evil"), ("content-length", "0"), ("", "x"), ("X A", "1"),
    ("Transfer-Encoding", "chunked"), ("X-A", "é"),
])  # fmt: skip
def test_headers_can_not_be_smuggled(name: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        Egress(["127.0.0.1"]).request("GET", "http://127.0.0.1:1/", headers={name: value})


def test_a_large_body_and_an_odd_method_are_refused() -> None:
    door = Egress(["127.0.0.1"])
    with pytest.raises(InvalidInput, match="over the limit"):
        door.request("POST", "http://127.0.0.1:1/", body=bytes(5 * 1024 * 1024))
    with pytest.raises(InvalidInput, match="CONNECT"):
        door.request("CONNECT", "http://127.0.0.1:1/")


def test_a_body_larger_than_the_sockets_buffers_arrives(serve_raw: Callable[..., Outside]) -> None:
    sent = os.urandom(3 * 1024 * 1024)
    received = bytearray()

    def answer(sock: socket.socket) -> None:
        received.extend(outside.seen[0].partition(b"\r\n\r\n")[2])
        while len(received) < len(sent):
            received.extend(sock.recv(1 << 16))
        sock.sendall(OK)

    outside = serve_raw(answer)
    assert Egress(["127.0.0.1"]).request("PUT", f"http://127.0.0.1:{outside.port}/", body=sent).status == 200
    assert bytes(received) == sent
