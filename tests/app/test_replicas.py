"""Several servers on one PostgreSQL: what they write is one history."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from holdfast.kernel.principal import Caller
from holdfast.registry.service import Registry
from holdfast.settings import DATABASE_VARIABLE
from holdfast.storage import Objects, Storage, open_backend
from holdfast.testing.postgres import PostgresServer
from holdfast.tracking.models import LoggedModels
from tests.app.conftest import Server
from tests.registry.conftest import DESCRIPTION

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
CLIENTS = 16
VERSIONS = 5


@pytest.fixture
def address(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    yield postgres.create_database("replicas", postgres_template)
    postgres.drop_database("replicas")


@pytest.fixture
def replicas(
    address: str, start: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> list[Server]:
    """Control planes on one database, each with a data folder of its own."""
    monkeypatch.setenv(DATABASE_VARIABLE, address)
    servers = [start(data=tmp_path / f"data{number}") for number in range(count)]
    assert all("postgresql://" in (server.process.stdout.readline() + server.process.stdout.readline())
               for server in servers if server.process.stdout is not None)  # fmt: skip
    return servers


def register_versions(address: str, tmp_path: Path, caller: Caller) -> None:
    storage = Storage(address)
    objects = Objects(storage, open_backend(tmp_path / "objects"))
    models = LoggedModels(storage, objects)
    registry = Registry(storage, objects, models)
    for number in range(VERSIONS):
        model = models.create_model(caller, name="classifier", run_id=None)
        files = {"model.pkl": b"%d" % number, "holdfast-model.json": msgspec.json.encode(DESCRIPTION)}
        for path, data in files.items():
            models.put_file(caller, model.model_id, path, iter([data]))
        models.finalize_model(caller, model.model_id)
        registry.register_version(caller, "flights", model.model_id)
    storage.close()


def entries(server: Server, thing: str) -> list[dict[str, Any]]:
    """Every audit entry of an object, the oldest first."""
    found, token = [], ""
    while True:
        answer = server.http.get(
            "/api/v1/audit", params={"object": thing, "limit": 1000, "page_token": token}
        ).json()
        found += answer["items"]
        token = answer.get("next_page_token") or ""
        if not token:
            return found[::-1]


@pytest.mark.parametrize(
    ("count", "moves"), [(2, 12), pytest.param(4, 100, marks=pytest.mark.slow)], ids=["two", "four"]
)
def test_sixteen_clients_move_one_alias(
    replicas: list[Server], moves: int, address: str, tmp_path: Path, caller: Caller
) -> None:
    """Linearizable (Herlihy and Wing 1990): the log's order explains every answer, and keeps to real time."""
    register_versions(address, tmp_path, caller)

    def work(client: int) -> list[tuple[float, float, str, int]]:
        chance, done = random.Random(client), []
        with httpx.Client(base_url=replicas[client % len(replicas)].url, timeout=60) as http:
            for _ in range(moves):
                version = chance.randrange(VERSIONS) + 1
                began = time.monotonic()
                answer = http.put("/api/v1/models/flights/aliases/production", json={"version": version})
                done.append((began, time.monotonic(), answer.headers["x-request-id"], version))
                assert answer.status_code == 200 and answer.json()["version"] == version, answer.text
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        operations = list(itertools.chain.from_iterable(pool.map(work, range(CLIENTS))))

    log = [
        entry for entry in entries(replicas[0], "model:flights@production") if entry["action"] == "alias.set"
    ]
    befores = [None, *[entry["after"] for entry in log[:-1]]]
    assert [entry["before"] for entry in log] == befores  # each move knew the one before it
    place = {entry["request_id"]: number for number, entry in enumerate(log)}
    assert len(place) == len(log)
    for entry in log:
        assert entry["after"]["version"] == next(o[3] for o in operations if o[2] == entry["request_id"])
    # What had its answer before another was sent stands before it.
    logged = sorted((o for o in operations if o[2] in place), key=lambda o: o[1])
    latest = -1
    ends = iter(logged)
    ended = next(ends, None)
    for began, _, request, _ in sorted(logged):
        while ended is not None and ended[1] < began:
            latest = max(latest, place[ended[2]])
            ended = next(ends, None)
        assert place[request] > latest
    # A move to where the alias was already is in no log: then it was there at some time while it was asked for.
    for began, finished, request, version in operations:
        if request not in place:
            lowest = max([place[o[2]] for o in logged if o[1] < began], default=-1)
            highest = min([place[o[2]] for o in logged if o[0] > finished], default=len(log))
            assert version in {log[at]["after"]["version"] for at in range(max(lowest, 0), highest)}
    history = (
        replicas[-1].http.get("/api/v1/models/flights/history", params={"limit": 10_000}).json()["items"]
    )
    assert [change["version"] for change in history][::-1] == [entry["after"]["version"] for entry in log]
    assert replicas[0].http.get("/api/v1/audit/verify").json()["ok"]


@pytest.mark.parametrize(
    ("count", "each"), [(2, 15), pytest.param(4, 150, marks=pytest.mark.slow)], ids=["two", "four"]
)
def test_the_audit_log_of_replicas_is_one_tree(replicas: list[Server], each: int) -> None:
    def work(client: int) -> None:
        with httpx.Client(base_url=replicas[client % len(replicas)].url, timeout=60) as http:
            for number in range(each):
                assert http.post("/api/v1/models", json={"name": f"m{client}-{number}"}).status_code in (
                    200,
                    201,
                )

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    reports = [server.http.get("/api/v1/audit/verify").json() for server in replicas]
    assert {(report["ok"], report["size"]) for report in reports} == {(True, CLIENTS * each)}
    assert len({report["root"] for report in reports}) == 1
