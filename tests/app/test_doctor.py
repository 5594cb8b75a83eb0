"""The doctor: what it looks at, what it says is wrong, and that it works beside a server and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holdfast.app.doctor import examine
from holdfast.app.doctor.clocks import ClockWatch
from holdfast.app.doctor.records import Finding
from holdfast.app.renewal import WORKERS
from holdfast.identity.people import NewPerson
from holdfast.identity.service import system_caller
from holdfast.kernel.clock import ManualClock
from holdfast.kernel.times import DAY_MS
from holdfast.predictions import store as predictions_store
from holdfast.predictions.records import Segment, SegmentName
from holdfast.serving.records import EndpointReport, Heartbeat
from holdfast.storage import leases
from holdfast.storage.migrate import migrate

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
