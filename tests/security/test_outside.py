"""SSRF: a running server that is told to reach into its own machine or network opens no connection there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.collaboration.channels import Channels
from holdfast.collaboration.deliver import Courier
from holdfast.collaboration.events import Match
from holdfast.collaboration.senders import AppriseSender, WebhookSender
from holdfast.identity.service import system_caller
from holdfast.web.egress import Egress
from tests.app.conftest import CONTROL_PLANE_ALONE, Server
from tests.collaboration.receivers import Receiver

if TYPE_CHECKING:
    from holdfast.app.compose import Composition


class Inner:
    """A service that nobody outside may reach. Counts the connections to it; answers each with `answer`."""

    def __init__(
        self, host: str, answer: bytes = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self.reached = 0
        self.answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.reached += 1
                connection.settimeout(5)
                connection.recv(65_536)
                connection.sendall(self.answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def inner() -> Iterator[Callable[..., Inner]]:
    opened: list[Inner] = []

    def start(*options: Any) -> Inner:
        opened.append(Inner(*options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def administer(server: Server, method: str, path: str, body: Any = None) -> Any:
    secret = (server.data / "admin.token").read_text().strip()
    headers = {"Authorization": f"Bearer {secret}"}
    return server.http.request(method, f"/api/v1{path}", json=body, headers=headers, timeout=30)


HOSTS = (
    "127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1",
    "0", "0.0.0.0", "[::]", "127.0.0.1.", "a@127.0.0.1", "127.0.0.1%2f", "①27.0.0.1", "169.254.169.254", "10.0.0.1",
)  # fmt: skip
if "HOLDFAST_FULL" not in os.environ:
    HOSTS = HOSTS[:3:2] + HOSTS[3:9:2]


def test_nothing_inside_is_reached(start: Callable[..., Server], inner: Callable[..., Inner]) -> None:
    """By webhooks, channels of every kind and a single sign-on provider, however the address is written."""
    server, four, six = start(), inner("127.0.0.1"), inner("::1")
    for port in (four.port, six.port):
        for number, host in enumerate(HOSTS):
            for scheme in ("http", "https"):
                url, name = f"{scheme}://{host}:{port}/x", f"w{scheme}{port}-{number}"
                if administer(server, "POST", "/webhooks", {"name": name, "url": url}).is_success:
                    report = administer(server, "POST", f"/channels/{name}/test").json()
                    assert report["delivery"]["state"] == "dead"
                provider = {"issuer": url, "client_id": "c", "client_secret": "s", "groups_claim": "groups"}
                assert administer(server, "PUT", "/single-sign-on", provider).status_code in (400, 503)
            for kind in ("json", "jsons", "workflows", "mailto", "mailtos"):
                url, name = f"{kind}://{host}:{port}/x?to=a@example.org", f"c{kind}{port}-{number}"
                if administer(server, "POST", "/channels", {"name": name, "url": url}).is_success:
                    report = administer(server, "POST", f"/channels/{name}/test").json()
                    assert report["delivery"]["state"] == "dead"
    assert (four.reached, six.reached) == (0, 0)
    assert administer(server, "GET", "/single-sign-on").status_code == 404


def test_a_redirect_leads_nowhere(start: Callable[..., Server], inner: Callable[..., Inner]) -> None:
    """What may be reached sends the server on to what may not."""
    secret = inner("127.0.0.1")
    there = f"http://127.0.0.1:{secret.port}/x"
    moved = f"HTTP/1.1 307 Moved\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
    allowed = inner("127.0.0.1", moved)
    server = start("--allow-egress", f"127.0.0.1:{allowed.port}")
    url = f"http://127.0.0.1:{allowed.port}"
    for path, name, address in (("/webhooks", "w", url), ("/channels", "c", url.replace("http", "json"))):
        made = administer(server, "POST", path, {"name": name, "url": f"{address}/in"})
        assert made.is_success, made.text
        assert administer(server, "POST", f"/channels/{name}/test").json()["delivery"]["state"] == "dead"
    provider = {"issuer": url, "client_id": "c", "client_secret": "s", "groups_claim": "groups"}
    assert administer(server, "PUT", "/single-sign-on", provider).status_code >= 400
    assert allowed.reached == 3
    assert secret.reached == 0


def test_a_name_that_changes_its_address_gains_nothing(composition: Composition) -> None:
    """DNS rebinding of the target: the name leads to an allowed address when it is looked up first, and inside then."""
    asked: list[str] = []

    def resolve(name: str, _port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.2"] if len(asked) % 2 else ["127.0.0.1"]

    receiver = Receiver()
    try:
        egress, box = Egress(["127.0.0.2"], resolve=resolve), composition.keys.secret_box
        apprise, webhook = AppriseSender(egress), WebhookSender(egress)
        courier = Courier(composition.storage, box, {"webhook": webhook, "json": apprise}, composition.clock)
        channels = Channels(composition.storage, box, egress, apprise, courier)
        admin = system_caller("default", composition.clock.now_ms())
        channels.add_webhook(admin, "w", f"https://rebound.example.org:{receiver.port}/x", Match())
        channels.add_channel(admin, "c", f"jsons://rebound.example.org:{receiver.port}/x", Match())
        for name in ("w", "c", "w", "c"):
            assert channels.test_channel(admin, name).delivery.state == "dead"
    finally:
        receiver.close()
    assert set(asked) == {"rebound.example.org"}
    assert receiver.got == []


@pytest.fixture
def start(tmp_path: Any) -> Iterator[Callable[..., Server]]:
    """Starts a control plane with further options."""
    started: list[Server] = []

    def make(*options: str) -> Server:
        started.append(Server(tmp_path / f"data{len(started)}", *CONTROL_PLANE_ALONE, *options))
        return started[-1]

    yield make
    for server in started:
        server.end()
