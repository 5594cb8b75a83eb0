"""The doctor: what it looks at, what it says is wrong, and that it works beside a server and without one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import text

from holdfast.app.doctor import examine
from holdfast.app.doctor.clocks import ClockWatch
from holdfast.app.doctor.ports import check_ports
from holdfast.app.doctor.records import Finding
from holdfast.app.renewal import WORKERS
from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.times import DAY_MS
from holdfast.predictions import store as predictions_store
from holdfast.predictions.records import Segment, SegmentName
from holdfast.serving.records import EndpointReport, Heartbeat
from holdfast.settings import Settings
from holdfast.storage import leases
from holdfast.storage.migrate import migrate
from tests.app.conftest import free_port

if TYPE_CHECKING:
    from holdfast.app.compose import Composition
    from tests.app.conftest import Server


def findings(composition: Composition, watch: ClockWatch | None = None) -> dict[str, Finding]:
    """What is found, by check; of several findings of one check, the worst."""
    rank = {"ok": 0, "attention": 1, "bad": 2}
    found = examine(composition.settings, composition, watch).findings
    return {finding.check: finding for finding in sorted(found, key=lambda one: rank[one.state])}


@pytest.fixture
def now(composition: Composition) -> int:
    return composition.clock.now_ms()


def test_a_new_deployment_has_nothing_bad(composition: Composition) -> None:
    found = findings(composition)
    assert {name for name, finding in found.items() if finding.state == "bad"} == set()
    assert found["workers"].state == found["inference"].state == "attention"
    assert {"disk", "memory", "open files", "version", "packages", "sandbox", "keys"} <= set(found)
    assert found["database"].message.endswith("SQLite") or "PostgreSQL 1" in found["database"].message


def test_workers_and_replicas_are_counted_while_they_are_alive(composition: Composition, now: int) -> None:
    leases.acquire(composition.storage, f"{WORKERS}w-1", "w-1", 30_000, now)
    leases.acquire(composition.storage, f"{WORKERS}w-0", "w-0", 30_000, now - 31_000)
    admin = system_caller("*", now)
    plane = msgspec.structs.replace(
        admin, principal=msgspec.structs.replace(admin.principal, extra=("serving:plane",))
    )
    late = msgspec.structs.replace(plane, time_ms=now - 20_000)
    composition.serving.report(plane, "here", Heartbeat("http://here:1", 1, "running", {}))
    composition.serving.report(late, "gone", Heartbeat("http://gone:1", 1, "running", {}))
    found = findings(composition)
    assert found["workers"].message == "1 alive"
    assert "http://here:1; not heard of: gone" in found["inference"].message
    failed = {"flights": EndpointReport("d-1", "failed", "out of memory")}
    composition.serving.report(plane, "here", Heartbeat("http://here:1", 1, "running", failed))
    assert findings(composition)["inference"].state == "bad"


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(("age_s", "state"), [(5, "ok"), (300, "attention"), (7_300, "bad")])
def test_a_backlog_is_judged_by_its_age(composition: Composition, now: int, age_s: int, state: str) -> None:
    name = SegmentName("e-1", "here", "boot", 1)
    waiting = Segment(name, "0" * 64, 1_000, "pending", now - age_s * 1000)
    composition.storage.write(lambda tx: predictions_store.insert_segment(tx, "default", waiting))
    found = findings(composition)["prediction log"]
    assert (found.state, found.message.startswith("1 segments")) == (state, True)
    assert bool(found.advice) == (state != "ok")


@pytest.mark.database("sqlite")
def test_a_key_that_others_may_read_is_bad(composition: Composition) -> None:
    composition.keys.signing_key("serving")
    key = composition.settings.keys / "serving.key"
    key.chmod(0o644)
    found = findings(composition)["keys"]
    assert found.state == "bad" and str(key) in found.message and f"chmod 600 {key}" in found.advice


def test_the_ports_to_be_used_are_looked_at(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(data=tmp_path, port=port)
    (found,) = check_ports(settings)
    assert (found.state, found.message) == ("ok", f"{port} and {port + 1} free on 127.0.0.1")
    with socket.create_server(("127.0.0.1", port + 1)):
        (found,) = check_ports(settings)
        (alone,) = check_ports(msgspec.structs.replace(settings, inference=False))
    assert found.state == "attention" and f"{port + 1} is held by process {os.getpid()} (" in found.message
    assert "--port, such as" in found.advice
    assert alone.state == "ok"


def test_the_ports_of_a_running_server_are_its_own(start: Callable[..., Server]) -> None:
    server = start("--no-inference")
    port = int(server.url.rpartition(":")[2])
    settings = Settings(data=server.data)
    (found,) = check_ports(settings)
    assert found.state == "ok" and found.message.startswith(f"{port} held by this folder's server (process ")
    with socket.create_server(("127.0.0.1", port + 1)):
        (found,) = check_ports(settings)
    assert found.state == "bad" and f"process {os.getpid()}" in found.message


@pytest.mark.database("sqlite")
def test_a_lost_object_store_is_bad(composition: Composition) -> None:
    folder = next(path for path in Path(composition.objects.url).iterdir() if path.is_dir())
    folder.rename(folder.with_name("gone"))
    assert findings(composition)["objects"].state == "bad"


def test_a_clock_before_what_was_written_is_bad(composition: Composition, now: int) -> None:
    composition.people.add(system_caller("*", now + DAY_MS), NewPerson("ada"))
    found = findings(composition)["clock"]
    assert found.state == "bad" and "before the newest audit entry" in found.message


def test_a_clock_that_was_moved_by_a_year_is_told() -> None:
    clock, passed = ManualClock(), [0.0]
    watch = ClockWatch(clock, lambda: passed[0])
    passed[0] += 60
    clock.advance(60_000)
    assert watch.moved_ms() == 0
    clock.advance(365 * DAY_MS)
    assert watch.moved_ms() == 365 * DAY_MS
    clock.advance(-730 * DAY_MS)
    assert watch.moved_ms() == -365 * DAY_MS


@pytest.mark.database("sqlite")
def test_a_step_of_the_clock_is_bad_in_the_running_server(composition: Composition) -> None:
    passed = [0.0]
    watch = ClockWatch(composition.clock, lambda: passed[0])
    passed[0] += 365 * 86_400
    assert "since the server started" in findings(composition, watch)["clock"].message


@pytest.mark.database("sqlite")
def test_its_route_is_for_administrators(composition: Composition, http: Any) -> None:
    assert http.get("/api/v1/doctor").status_code in (401, 403)
    secret = (composition.settings.data / "admin.token").read_text().strip()
    report = http.get("/api/v1/doctor", headers={"Authorization": f"Bearer {secret}"}).json()
    assert report["ok"] is True
    assert {"check", "state", "message"} <= set(report["findings"][0])


def doctor(*arguments: object, **environment: str) -> tuple[int, dict[str, Any], str]:
    """(exit code, its checks by name, standard error) of `holdfast doctor --json`."""
    command = [sys.executable, "-m", "holdfast", "doctor", "--json", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    report = json.loads(done.stdout) if done.stdout else {"findings": []}
    return done.returncode, {one["check"]: one for one in report["findings"]}, done.stderr


def test_without_a_server_it_looks_at_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    migrate(data / "holdfast.db")
    code, found, _ = doctor("--data", data)
    assert (code, found["database"]["state"]) == (0, "ok")
    path = data / "holdfast.db"
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 3] = b"\xff" * 8192
    path.write_bytes(content)
    code, found, _ = doctor("--data", data)
    assert code == 1
    assert any(one["state"] == "bad" and "restore" in one["advice"].lower() for one in found.values())


def test_in_depth_it_names_a_row_that_was_changed_beside_the_log(composition: Composition) -> None:
    """As an administrator of the database would: the row alone."""
    admin = system_caller("*", composition.clock.now_ms())
    composition.people.add(admin, NewPerson("ada"))
    composition.people.set_disabled(admin, "ada", True)
    composition.registry.create_model(system_caller("default", admin.time_ms), "flights")
    deep = examine(composition.settings, composition, deep=True)
    assert {one.check: one.state for one in deep.findings if one.check in ("records", "audit log")} == {
        "records": "ok", "audit log": "ok",
    }  # fmt: skip
    composition.storage.write(
        lambda tx: tx.execute(text("UPDATE principal SET disabled = :no"), {"no": False})
    )
    composition.storage.write(lambda tx: tx.execute(text("DELETE FROM registered_model")))
    (found,) = [
        one
        for one in examine(composition.settings, composition, deep=True).findings
        if one.check == "records"
    ]
    assert found.state == "bad"
    assert "is an enabled user in the database, and a disabled user by the audit log" in found.message
    assert (
        "the model default/flights is registered by the audit log, and gone from the database"
        in found.message
    )


def test_a_database_that_can_not_be_reached_is_bad(tmp_path: Path) -> None:
    code, found, error = doctor("--data", tmp_path, "--database", "postgresql://nobody@127.0.0.1:1/none")
    assert (code, error) == (1, "")
    assert found["database"]["state"] == "bad" and "can't be reached" in found["database"]["message"]


def test_beside_a_server_and_through_it(start: Callable[..., Server]) -> None:
    server = start()
    assert doctor("--data", server.data)[0] == 0
    secret = (server.data / "admin.token").read_text().strip()
    code, found, _ = doctor("--server", server.url, "--token", secret)
    assert (code, found["database"]["state"]) == (0, "ok")
    code, _, error = doctor("--server", server.url)
    assert code == 1 and "Code: " in error
