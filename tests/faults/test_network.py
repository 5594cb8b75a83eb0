"""The network to PostgreSQL is cut for a minute: requests are refused in time, nothing is lost, and work goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from holdfast.kernel.errors import Unavailable
from holdfast.storage import Storage
from holdfast.storage.migrate import migrate
from holdfast.testing.postgres import PostgresServer, find_programs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
HERE, THERE = "10.213.77.1", "10.213.77.2"
INSERT = text("INSERT INTO note (id) VALUES (:id)")


def ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


@pytest.fixture
def link() -> Iterator[str]:
    """The name of a network namespace, reached by a cable of our own (an interface of the same name)."""
    if os.getuid() != 0 or shutil.which("ip") is None or find_programs() is None:
        pytest.skip("needs root, iproute2 and postgresql: a network namespace of the test's own")
    name = f"hf{os.getpid()}"
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError:
        pytest.skip("this machine does not allow network namespaces")
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{HERE}/30", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "addr", "add", f"{THERE}/30", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("link", "del", name, check=False)
        ip("netns", "del", name, check=False)


@pytest.fixture
def far_server(link: str) -> Iterator[PostgresServer]:
    """A PostgreSQL at the other end of the cable."""
    server = PostgresServer(host=THERE, prefix=["ip", "netns", "exec", link])
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("cut_s", [16, pytest.param(60, marks=pytest.mark.slow)])
def test_a_cut_is_told_and_healed(link: str, far_server: PostgresServer, cut_s: int) -> None:
    url = far_server.create_database("far")
    migrate(url)
    far_server.execute("CREATE TABLE note (id bigint PRIMARY KEY)", "far")
    storage, stop = Storage(url), threading.Event()
    acknowledged, answers = [], list[tuple[float, float, bool]]()

    def work(lane: int) -> None:
        for number in range(lane, 10**9, 4):
            if stop.is_set():
                return
            began = time.monotonic()
            try:
                storage.write(lambda tx, number=number: tx.execute(INSERT, {"id": number}))
                acknowledged.append(number)
                answers.append((began, time.monotonic(), True))
            except Unavailable:
                answers.append((began, time.monotonic(), False))

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert stop.wait(1) is False
        ip("link", "set", link, "down")
        cut = time.monotonic()
        assert stop.wait(cut_s) is False
        ip("link", "set", link, "up")
        healed, seen = time.monotonic(), len(acknowledged)
        while len(acknowledged) == seen and time.monotonic() < healed + 30:
            stop.wait(0.05)
        recovered = time.monotonic() - healed
        assert stop.wait(1) is False
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert recovered < 10
    print(f"cut for {cut_s} s: {len(acknowledged):,} writes, again after {recovered:.2f} s")
    refused = [answer for answer in answers if not answer[2]]
    assert refused and max(finished - began for began, finished, _ in answers) < 30
    assert not [answer for answer in answers if answer[2] and answer[1] < healed and answer[0] > cut]
    stored = storage.read(lambda tx: tx.execute(text("SELECT id FROM note")).scalars().all())
    assert set(acknowledged) <= set(stored)
    storage.close()
