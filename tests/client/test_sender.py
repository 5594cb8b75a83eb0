from __future__ import annotations

import math
import threading
from pathlib import Path

import msgspec
import pytest

from holdfast.client.sender import Sender
from holdfast.client.unsent import UnsentFile, deliver
from holdfast.kernel.errors import InvalidInput, Unavailable


class Server:
    """Takes batches; `failures` are raised first, one per call."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.bodies: list[bytes] = []
        self.attempts: list[bytes] = []

    def __call__(self, body: bytes) -> None:
        self.attempts.append(body)
        if self.failures:
            raise self.failures.pop(0)
        self.bodies.append(body)

    @property
    def points(self) -> list[dict]:
        return [point for body in self.bodies for point in msgspec.json.decode(body)["metrics"]]


def _points(count: int) -> list[tuple[str, float, int, int]]:
    return [("loss", float(step), step, 1000 + step) for step in range(count)]


def test_everything_arrives_in_order_in_batches_of_at_most_1000(tmp_path: Path) -> None:
    server = Server()
    sender = Sender(server, UnsentFile("r", tmp_path))
    sender.add_params({"depth": "3"})
    sender.add_points(_points(2500))
    sender.add_tags({"who": "me"})
    sender.close()
    assert [point["step"] for point in server.points] == list(range(2500))
    assert max(len(msgspec.json.decode(body)["metrics"]) for body in server.bodies) <= 1000
    assert any(msgspec.json.decode(body)["params"] == {"depth": "3"} for body in server.bodies)
    assert any(msgspec.json.decode(body)["tags"] == {"who": "me"} for body in server.bodies)


def test_not_finite_values_arrive_as_texts(tmp_path: Path) -> None:
    server = Server()
    sender = Sender(server, UnsentFile("r", tmp_path))
    sender.add_points([("a", math.nan, 0, 1), ("a", math.inf, 1, 1)])
    sender.close()
    assert [point["value"] for point in server.points] == ["NaN", "Infinity"]


def test_a_batch_is_repeated_with_identical_bytes(tmp_path: Path) -> None:
    server = Server(Unavailable("away"), Unavailable("away"))
    sender = Sender(server, UnsentFile("r", tmp_path))
    sender.add_points(_points(3))
    sender.close()
    assert len(server.attempts) == 3 and len(set(server.attempts)) == 1
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_delivered_is_kept_in_a_file_and_told(tmp_path: Path, capsys) -> None:
    server = Server(*[Unavailable("away") for _ in range(100)])
    sender = Sender(server, UnsentFile("r", tmp_path), retry_s=0.05)
    sender.add_points(_points(1500))
    with pytest.raises(Unavailable) as raised:
        sender.flush()
    (file,) = tmp_path.iterdir()
    assert str(file) in raised.value.message and f"holdfast runs send {file}" in raised.value.hint
    assert str(file) in capsys.readouterr().err
    sender.add_points([("loss", 9.0, 1500, 1)])
    sender.close()

    sent: list[tuple[str, bytes]] = []
    assert deliver(file, lambda run_id, body: sent.append((run_id, body))) == 3
    points = [point for _, body in sent for point in msgspec.json.decode(body)["metrics"]]
    assert [point["step"] for point in points] == list(range(1501)) and {run for run, _ in sent} == {"r"}
    assert not file.exists()


def test_a_refused_batch_is_told_and_the_next_ones_go_on(tmp_path: Path) -> None:
    server = Server(InvalidInput("The run is gone."))
    sender = Sender(server, UnsentFile("r", tmp_path))
    sender.add_points(_points(1))
    with pytest.raises(InvalidInput, match=r"The run is gone\. .* kept in"):
        sender.flush()
    sender.add_points(_points(2))
    sender.close()
    assert len(server.points) == 2


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    server = Server()
    sender = Sender(server, UnsentFile("r", tmp_path))

    def log(number: int) -> None:
        for step in range(500):
            sender.add_points([(f"m{number}", 1.0, step, 1)])

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.close()
    seen = sorted((point["key"], point["step"]) for point in server.points)
    assert seen == sorted((f"m{number}", step) for number in range(4) for step in range(500))


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("{}\n")
    with pytest.raises(InvalidInput, match="Line 1"):
        deliver(file, lambda *_: None)
    with pytest.raises(InvalidInput, match="cannot be read"):
        deliver(tmp_path / "none", lambda *_: None)
