"""The machine's clock is moved a year forward and a year back under a running server: work goes on, and it is told."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import httpx
import pytest

import holdfast
from holdfast.client.seen import SeenCheckpoints
from holdfast.kernel.errors import HoldfastError, Unauthenticated
from tests.faults.system import ENDPOINT, System, build_shim, make_rows, train_and_deploy, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900), pytest.mark.database("sqlite")]
YEAR_S = 365 * 86_400
PASSWORD = "correct horse battery"
WALL = "live"
MOVES = [(1, True, True), *([(-1, True, False)] if "HOLDFAST_FULL" in os.environ else []), (0, False, False)]
"""Years from the true time, and whether a session and a token of a month have ended then."""


class MovedClock:
    """The wall clock of every process that starts while this stands in its environment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = folder / "shift"
        self.move(0)
        monkeypatch.setenv("LD_PRELOAD", str(build_shim("shifted_clock.c", folder)))
        monkeypatch.setenv("CLOCK_SHIFT", str(self._file))

    def move(self, seconds: int) -> None:
        """Set it to the true time and so many seconds, in every process at once."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    return MovedClock(tmp_path, monkeypatch)


class Work:
    """Uses everything once, and says whether it went through."""

    def __init__(self, system: System, seen: Path) -> None:
        self.system = system
        secret = (system.data / "admin.token").read_text().strip()
        self.client = holdfast.Client(system.url, token=secret, seen=SeenCheckpoints(seen))
        self.keys: list[str] = []
        self._round = 0

    def once(self) -> None:
        """Predictions that reach the table and the windows, a run, a change, a checkpoint."""
        self._round += 1
        keys = [f"k{self._round}-{row}" for row in range(20)]
        frame = make_rows(20, self._round)
        for endpoint in (ENDPOINT, WALL):
            self.client.predict(endpoint, frame[["x", "y"]], keys=keys)
            self.client.feedback(endpoint, [0] * 20, keys=keys)
        self.keys += keys
        run = self.client.create_run("clock")
        self.client.log_batch(run.run_id, metrics=[("m", 1.0, self._round, 0)])
        assert self.client.finish_run(run.run_id, "finished").digest
        self.client.create_model(f"m{self._round}")
        for endpoint in (ENDPOINT, WALL):
            wait_until(
                f"labels of {endpoint} in windows", lambda e=endpoint: self._labelled(e) >= len(self.keys)
            )
        report = self.client.verify_audit()
        assert report.ok, report

    def _labelled(self, endpoint: str) -> int:
        return sum(window["labelled"] for window in self.client.monitor(endpoint, window="12mo")["windows"])

    def told(self) -> set[str]:
        """What the doctor in the server says of the clock."""
        findings = self.client.doctor().findings
        return {one.message for one in findings if one.check == "clock" and one.state == "bad"}


def sign_in(url: str) -> httpx.Client:
    """A browser of ada's, signed in."""
    browser = httpx.Client(base_url=url, headers={"Origin": url})
    page = browser.get("/login")
    csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    answer = browser.post("/login", data={"csrf": csrf, "name": "ada", "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


def test_a_clock_moved_by_a_year_breaks_nothing(moved: MovedClock, tmp_path: Path) -> None:
    with System(tmp_path / "data") as system:
        work = Work(system, tmp_path / "seen")
        train_and_deploy(work.client, system.url)
        work.client.deploy("clicks", endpoint=WALL, clock="wall")
        work.client.add_user("ada", password=PASSWORD)
        lasting = holdfast.Client(system.url, token=work.client.create_token("lasting", of="ada").secret)
        month = holdfast.Client(system.url, token=work.client.create_token("month", of="ada", days=30).secret)
        browser = sign_in(system.url)
        work.once()
        assert work.told() == set()
        for years, ends_sessions, ends_tokens in MOVES:
            moved.move(years * YEAR_S)
            system.kill("worker")  # the next one finds the leases of another time
            work.once()
            assert lasting.whoami().name == "ada"
            wait_until("the token of its time", lambda want=ends_tokens: _is_refused(month) == want)
            ended = 401 if ends_sessions else 200
            wait_until(
                "the session of its time",
                lambda want=ended: browser.get("/api/v1/whoami").status_code == want,
            )
            assert bool(work.told()) == (years != 0)
            if years:
                assert any("since the server started" in said for said in work.told())
        for client in (browser, lasting, month, work.client):
            client.close()
        assert system.stop() == 0
    with System(tmp_path / "data") as again:
        assert Work(again, tmp_path / "seen").client.verify_audit().ok


def _is_refused(client: holdfast.Client) -> bool:
    try:
        client.whoami()
    except Unauthenticated:
        return True
    except HoldfastError as error:
        raise AssertionError(error) from error
    return False
